//! Messages as answers and webhooks show them.
//! <https://developers.telnyx.com/api-reference/messages/retrieve-a-message>

use std::sync::Arc;

use serde_json::{Value, json};

use super::errors::{fail, title};
use super::profiles;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled};
use crate::sandbox::journal::{Accepted, SeenMessage};
use crate::sandbox::world::World;

pub(super) const ORGANIZATION: &str = "b6f0a2c4-91d3-4e7b-a5c8-2d4f6e8a0b1c";

/// The kind of a WhatsApp message.
pub(super) const WHATSAPP: &str = "WHATSAPP";

/// The message of ours with that id, if one of the accounts sent it.
pub(super) fn find(
    world: &World,
    accounts: &[Arc<SandboxAccount>],
    id: &str,
) -> Option<Arc<Accepted>> {
    let message = world.journal().message(id);
    message.filter(|message| {
        accounts.iter().any(|account| account.name() == message.account.name())
            && message.account.provider == "telnyx"
    })
}

pub(super) fn one(world: &World, accounts: &[Arc<SandboxAccount>], id: &str) -> Handled {
    let view = match find(world, accounts, id) {
        Some(message) => Some(view(&message.account, &message.seen())),
        None => accounts.iter().find_map(|account| {
            let heard = world.heard().find("telnyx", account.name(), id);
            heard.map(|heard| heard.view.clone())
        }),
    };
    let view = view.ok_or_else(|| fail("10005", None, "Resource not found"))?;
    Ok(Answer::json(200, &json!({ "data": view })))
}

/// A message of ours.
pub(super) fn view(account: &SandboxAccount, seen: &SeenMessage) -> Value {
    if seen.kind == WHATSAPP { whatsapp(account, seen) } else { plain(account, seen) }
}

fn errors(seen: &SeenMessage) -> Vec<Value> {
    let error = |code: &u32| {
        // What Meta refused, Telnyx passes on under a code of its own.
        let meta = "(#131047) Message failed to send because more than 24 hours have passed since the customer last \
                    replied to this number";
        let code = code.to_string();
        let detail = if code == "41000" { meta } else { title(&code).0 };
        json!({ "code": code, "title": title(&code).0, "detail": detail })
    };
    seen.code.iter().map(error).collect()
}

fn plain(account: &SandboxAccount, seen: &SeenMessage) -> Value {
    let text = seen.body["text"].as_str().unwrap_or_default();
    let media: Vec<Value> = seen.body["media_urls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|url| json!({ "url": url, "content_type": null, "sha256": null, "size": null }))
        .collect();
    let is_final = is_final(seen);
    let at = seen.at.to_rfc3339();
    let sent_at = seen.sent_at.map(|at| at.to_rfc3339());
    let price = if seen.status == "cancelled" { "0.0" } else { "0.0051" };
    json!({
        "record_type": "message",
        "direction": "outbound",
        "id": seen.id,
        "type": seen.kind,
        "messaging_profile_id": profiles(account).first(),
        "organization_id": ORGANIZATION,
        "from": { "phone_number": seen.from, "carrier": "Telnyx", "line_type": "VoIP" },
        "to": to(seen),
        "cc": [],
        "subject": seen.body["subject"].as_str().unwrap_or_default(),
        "text": text,
        "num_chars": text.chars().count(),
        "media": media,
        "encoding": if text.is_ascii() { "GSM-7" } else { "UCS-2" },
        "parts": parts(text),
        "tags": seen.body["tags"].as_array().cloned().unwrap_or_default(),
        "cost": is_final.then(|| json!({ "amount": price, "currency": "USD" })),
        "cost_breakdown": null,
        "received_at": at,
        "sent_at": sent_at,
        "completed_at": (is_final && seen.status != "cancelled").then_some(sent_at),
        "valid_until": null,
        "errors": errors(seen),
        "webhook_url": seen.body["webhook_url"].as_str().unwrap_or_default(),
        "webhook_failover_url": seen.body["webhook_failover_url"].as_str().unwrap_or_default(),
    })
}

fn is_final(seen: &SeenMessage) -> bool {
    !matches!(seen.status.as_str(), "scheduled" | "queued" | "sending" | "sent")
}

fn to(seen: &SeenMessage) -> Value {
    json!([{
        "phone_number": seen.to,
        "status": seen.status,
        "carrier": "Sandbox",
        "line_type": "Wireless",
    }])
}

fn whatsapp(account: &SandboxAccount, seen: &SeenMessage) -> Value {
    let profile = seen.body["messaging_profile_id"].as_str();
    json!({
        "record_type": "message",
        "direction": "outbound",
        "id": seen.id,
        "type": WHATSAPP,
        "messaging_profile_id": profile.or(profiles(account).first().copied()),
        "organization_id": ORGANIZATION,
        "from": { "phone_number": seen.from, "carrier": "Telnyx", "line_type": "VoIP" },
        "to": to(seen),
        "body": seen.body["whatsapp_message"],
        "encoding": "utf-8",
        "cost": is_final(seen).then(|| json!({ "amount": "0.0051", "currency": "USD" })),
        "received_at": seen.at.to_rfc3339(),
        "sent_at": seen.sent_at.map(|at| at.to_rfc3339()),
        "wait_seconds": 0.0,
        "errors": errors(seen),
        "webhook_url": seen.body["webhook_url"].as_str().unwrap_or_default(),
    })
}

pub(super) fn parts(text: &str) -> usize {
    crate::sandbox::twilio::segments(text)
}
