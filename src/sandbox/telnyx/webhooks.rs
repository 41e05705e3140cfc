//! Telnyx's webhooks: how far messages came, and messages of people.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>

use std::sync::Arc;

use serde_json::{Value, json};

use super::{profiles, view};
use crate::sandbox::accounts::{SandboxAccount, SandboxRoute};
use crate::sandbox::emulator::{Arrival, Inbound, InboundFile, Letter, Status};
use crate::sandbox::files::StoredFile;
use crate::sandbox::heard::Heard;
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
    let event = match status.word {
        "sent" => "message.sent",
        "read" => "message.read",
        _ => "message.finalized",
    };
    let payload = view::view(&message.account, &message.seen());
    vec![letter(world, url, event, &payload)]
}

pub(super) fn arrive(
    world: &World,
    account: &Arc<SandboxAccount>,
    route: &SandboxRoute,
    inbound: &Inbound,
) -> Arrival {
    if route.channel == "whatsapp" {
        return whatsapp(world, account, route, inbound);
    }
    let id = world.new_uuid();
    let mut media = Vec::new();
    if let Some(file) = &inbound.media {
        let (url, hash, size) = store(world, account, file);
        media.push(json!({
            "url": url,
            "content_type": file.mime_type,
            "size": size,
            "hash_sha256": hash,
        }));
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
    received(world, account, id, &payload)
}

/// Keeps the message for whoever asks the API for it, and tells of it.
fn received(world: &World, account: &SandboxAccount, id: String, payload: &Value) -> Arrival {
    let number = |end: &Value| end["phone_number"].as_str().unwrap_or_default().to_owned();
    world.heard().keep(Heard {
        provider: "telnyx",
        account: account.name().to_owned(),
        id: id.clone(),
        from: number(&payload["from"]),
        to: number(&payload["to"][0]),
        at: world.now(),
        files: Vec::new(),
        view: payload.clone(),
    });
    let url = account.webhook_url.clone();
    let letters = url.map(|url| letter(world, url, "message.received", payload));
    Arrival { id, letters: letters.into_iter().collect() }
}

/// A WhatsApp message: what it says has the form that Meta gives it.
fn whatsapp(
    world: &World,
    account: &SandboxAccount,
    route: &SandboxRoute,
    inbound: &Inbound,
) -> Arrival {
    let id = world.new_uuid();
    let (kind, block) = whatsapp_block(world, account, inbound);
    let mut body = json!({ "type": kind });
    body[kind] = block;
    if let Some(answered) = &inbound.reply_to {
        body["context"] = json!({ "id": answered });
    }
    let payload = json!({
        "record_type": "message",
        "direction": "inbound",
        "id": id,
        "type": view::WHATSAPP,
        "messaging_profile_id": profiles(account).first(),
        "organization_id": view::ORGANIZATION,
        "from": { "phone_number": inbound.from, "carrier": "", "line_type": "Wireless" },
        "to": [{
            "phone_number": route.address,
            "status": "webhook_delivered",
            "carrier": "Telnyx",
            "line_type": "VoIP",
        }],
        "cc": [],
        "encoding": "utf-8",
        "body": body,
        "received_at": world.now().to_rfc3339(),
    });
    received(world, account, id, &payload)
}

fn whatsapp_block(
    world: &World,
    account: &SandboxAccount,
    inbound: &Inbound,
) -> (&'static str, Value) {
    if let Some(file) = &inbound.media {
        let kind = match file.word().as_str() {
            "image" => "image",
            "audio" => "audio",
            "video" => "video",
            "sticker" => "sticker",
            _ => "document",
        };
        let (link, hash, _) = store(world, account, file);
        let block = json!({
            "link": link,
            "mime_type": file.mime_type,
            "sha256": hash,
            "filename": file.filename,
            "caption": inbound.text,
        });
        return (kind, block);
    }
    if let Some((latitude, longitude)) = inbound.location {
        let block = json!({
            "latitude": latitude,
            "longitude": longitude,
            "name": inbound.location_name,
            "address": inbound.location_address,
        });
        return ("location", block);
    }
    if let Some((id, title)) = &inbound.button {
        let reply = json!({ "type": "button_reply", "button_reply": { "id": id, "title": title } });
        return ("interactive", reply);
    }
    ("text", json!({ "body": inbound.text.as_deref().unwrap_or_default() }))
}

/// Puts a file where it can be fetched without credentials: address, SHA-256 in hexadecimal, size in bytes.
fn store(world: &World, account: &SandboxAccount, file: &InboundFile) -> (String, String, usize) {
    let name = world.new_uuid();
    let stored = StoredFile {
        owner: ("telnyx".to_owned(), account.name().to_owned()),
        mime_type: file.mime_type.clone(),
        filename: file.filename.clone(),
        bytes: file.bytes(),
        at: world.later(),
    };
    let told = (
        format!("{}/files/telnyx/{name}", world.cdn()),
        hex::encode(stored.sha256()),
        stored.bytes.len(),
    );
    world.files().put(name, stored);
    told
}
