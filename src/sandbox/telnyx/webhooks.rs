//! Telnyx's webhooks: how far messages came, and messages of people.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>

use std::sync::Arc;

use serde_json::{Value, json};

use super::{profiles, send};
use crate::sandbox::accounts::{SandboxAccount, SandboxRoute};
use crate::sandbox::emulator::{Arrival, Inbound, Letter, Status};
use crate::sandbox::files::StoredFile;
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::World;

fn letter(world: &World, url: String, event: &str, payload: &Value) -> Letter {
    let body = json!({
        "data": {
            "record_type": "event",
            "event_type": event,
            "id": world.new_uuid(),
            "occurred_at": world.now().to_rfc3339(),
            "payload": payload,
        },
        "meta": { "attempt": 1, "delivered_to": url },
    });
    let headers = vec![("user-agent", "telnyx-webhooks".to_owned())];
    Letter {
        url,
        content_type: "application/json",
        headers,
        body: body.to_string().into(),
        key: None,
    }
}

pub(super) fn letters(world: &World, message: &Accepted, status: &Status) -> Vec<Letter> {
    let Some(url) = message.status_url.clone() else { return Vec::new() };
    let event = if status.word == "sent" { "message.sent" } else { "message.finalized" };
    let payload = send::view(&message.account, &message.seen());
    vec![letter(world, url, event, &payload)]
}

pub(super) fn arrive(
    world: &World,
    account: &Arc<SandboxAccount>,
    route: &SandboxRoute,
    inbound: &Inbound,
) -> Arrival {
    let id = world.new_uuid();
    let mut media = Vec::new();
    if let Some(file) = &inbound.media {
        let name = world.new_uuid();
        let stored = StoredFile {
            owner: ("telnyx".to_owned(), account.name().to_owned()),
            mime_type: file.mime_type.clone(),
            filename: file.filename.clone(),
            bytes: file.bytes(),
            at: world.later(),
        };
        media.push(json!({
            "url": format!("{}/files/telnyx/{name}", world.cdn()),
            "content_type": file.mime_type,
            "size": stored.bytes.len(),
            "hash_sha256": hex::encode(stored.sha256()),
        }));
        world.files().put(name, stored);
    }
    let text = inbound.text.as_deref().unwrap_or_default();
    let payload = json!({
        "record_type": "message",
        "direction": "inbound",
        "id": id,
        "type": if media.is_empty() { "SMS" } else { "MMS" },
        "messaging_profile_id": profiles(account).first(),
        "from": { "phone_number": inbound.from, "carrier": "Sandbox", "line_type": "Wireless" },
        "to": [{
            "phone_number": route.address,
            "status": "webhook_delivered",
            "carrier": "Telnyx",
            "line_type": "VoIP",
        }],
        "cc": [],
        "subject": "",
        "text": text,
        "media": media,
        "encoding": if text.is_ascii() { "GSM-7" } else { "UCS-2" },
        "parts": 1,
        "tags": [],
        "cost": null,
        "errors": [],
        "received_at": world.now().to_rfc3339(),
        "sent_at": null,
        "completed_at": null,
        "valid_until": null,
        "webhook_url": account.webhook_url,
        "webhook_failover_url": "",
    });
    let url = account.webhook_url.clone();
    let letters = url.map(|url| letter(world, url, "message.received", &payload));
    Arrival { id, letters: letters.into_iter().collect() }
}
