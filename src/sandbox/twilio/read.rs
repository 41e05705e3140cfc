//! Messages as the API shows them.
//! <https://www.twilio.com/docs/messaging/api/message-resource>

use std::sync::Arc;

use serde_json::{Value, json};

use super::errors::fail;
use super::is_sid;
use crate::clock::Timestamp;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::Answer;
use crate::sandbox::heard::Heard;
use crate::sandbox::journal::{Accepted, SeenMessage};
use crate::sandbox::world::World;

/// A message of either direction.
pub(super) enum Message {
    Sent(Arc<Accepted>),
    Heard(Arc<Heard>),
}

impl Message {
    pub(super) fn view(&self) -> Value {
        match self {
            Self::Sent(message) => message.with(|seen| view(seen)),
            Self::Heard(heard) => heard.view.clone(),
        }
    }
}

/// The account's message with that id, which may end in `.json`.
pub(super) fn find(world: &World, account: &SandboxAccount, sid: &str) -> Result<Message, Answer> {
    let sid = sid.trim_end_matches(".json");
    let sent = world.journal().message(sid);
    let sent = sent.filter(|message| message.with(|seen| belongs(seen, account)));
    let heard = || world.heard().find("twilio", account.name(), sid).map(Message::Heard);
    sent.map(Message::Sent).or_else(heard).ok_or_else(|| fail(20_404))
}

/// Whether the account's API still shows it.
pub(super) fn belongs(seen: &SeenMessage, account: &SandboxAccount) -> bool {
    seen.provider == "twilio" && seen.account == account.name() && !seen.deleted
}

pub(super) fn rfc2822(at: Timestamp) -> String {
    at.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// The path of a message, without `.json`.
pub(super) fn uri(account: &str, sid: &str) -> String {
    format!("/2010-04-01/Accounts/{account}/Messages/{sid}")
}

/// The files that a message of ours names.
pub(super) fn links(seen: &SeenMessage) -> Vec<&str> {
    match &seen.body["MediaUrl"] {
        Value::Array(urls) => urls.iter().filter_map(Value::as_str).collect(),
        Value::String(url) => vec![url],
        _ => Vec::new(),
    }
}

/// The messaging service that sends a message of ours.
pub(super) fn service(seen: &SeenMessage) -> Option<&str> {
    let named = |name: &str| seen.body[name].as_str().filter(|sid| is_sid(sid, "MG"));
    named("MessagingServiceSid").or_else(|| named("From"))
}

/// A message of ours as the API shows it.
pub(super) fn view(seen: &SeenMessage) -> Value {
    let uri = uri(&seen.account, &seen.id);
    let body = seen.body["Body"].as_str().unwrap_or_default();
    let service = service(seen);
    let is_priced = matches!(seen.status.as_str(), "delivered" | "read");
    json!({
        "sid": seen.id,
        "account_sid": seen.account,
        "api_version": "2010-04-01",
        "messaging_service_sid": service,
        "to": seen.to,
        // A service chooses the number only when the message leaves.
        "from": (service.is_none() || seen.sent_at.is_some()).then_some(&seen.from),
        "body": body,
        "status": seen.status,
        "num_segments": segments(body).to_string(),
        "num_media": links(seen).len().to_string(),
        "direction": "outbound-api",
        "price": is_priced.then_some("-0.00750"),
        "price_unit": "USD",
        "error_code": seen.code,
        "error_message": null,
        "date_created": rfc2822(seen.at),
        "date_sent": seen.sent_at.map(rfc2822),
        "date_updated": rfc2822(seen.sent_at.unwrap_or(seen.at)),
        "uri": format!("{uri}.json"),
        "subresource_uris": {
            "media": format!("{uri}/Media.json"),
            "feedback": format!("{uri}/Feedback.json"),
        },
    })
}

/// How many SMS a text takes.
pub(in crate::sandbox) fn segments(text: &str) -> usize {
    // GSM 03.38: its own letters, and those that take two places.
    const LETTERS: &str = "@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà \n\r";
    let is_double = |c: char| "^{}\\[~]|€\u{c}".contains(c);
    let is_plain =
        |c: char| LETTERS.contains(c) || (c.is_ascii_graphic() && c != '`') || is_double(c);
    let (single, part, length) = match text.chars().all(is_plain) {
        true => (160, 153, text.chars().map(|c| if is_double(c) { 2 } else { 1 }).sum()),
        false => (70, 67, text.encode_utf16().count()),
    };
    if length <= single { 1 } else { length.div_ceil(part) }
}
