//! `POST /v2/messages/whatsapp`: what is sent has the form that Meta gives it.
//! <https://developers.telnyx.com/api-reference/whatsapp-messaging/send-a-whatsapp-message>

use std::sync::Arc;

use serde_json::Value;

use super::errors::fail;
use super::view::WHATSAPP;
use super::{profiles, send};
use crate::sandbox::accounts::{SandboxAccount, is_e164, is_user_id, person};
use crate::sandbox::emulator::Status;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::world::{NewMessage, World};

const WAY: [Status; 3] = [Status::of("sent"), Status::of("delivered"), Status::of("read")];
const CLOSED: [Status; 1] = [Status { word: "delivery_failed", code: Some(41_000) }];

/// The kinds of messages, and what the block of each must have.
const KINDS: [(&str, &[&str]); 11] = [
    ("text", &["body"]),
    ("image", &["link"]),
    ("audio", &["link"]),
    ("video", &["link"]),
    ("document", &["link"]),
    ("sticker", &["link"]),
    ("location", &["latitude", "longitude"]),
    ("reaction", &["message_id", "emoji"]),
    ("interactive", &["type", "action"]),
    ("template", &[]),
    ("contacts", &[]),
];

/// How many characters a text may have.
const TEXT: usize = 4_096;

pub(super) fn answer(
    world: &Arc<World>,
    accounts: &[Arc<SandboxAccount>],
    request: &Request,
) -> Handled {
    let (body, to) = send::addressed(request, |to| is_e164(to) || is_user_id(to))?;
    if !body["type"].is_null() && body["type"] != WHATSAPP {
        return Err(fail("10015", Some("/type"), "The type must be WHATSAPP."));
    }
    let (account, from) = sender(accounts, &body)?;
    let kind = content(&body["whatsapp_message"])?;
    let status_url = send::urls(&account, &body)?;
    send::permitted(world, &account, &from, &to)?;
    let open = world.limits().is_open(&from, &person(&to), world.later());
    // That a window is closed is told later.
    let closed = account.strictness().window && !open && kind != "template";
    let link = body["whatsapp_message"][kind]["link"].as_str().map(ToOwned::to_owned);
    let message = world.accept(NewMessage {
        account: Arc::clone(&account),
        id: world.new_uuid(),
        ours: our_id(&body),
        from,
        to,
        kind: WHATSAPP.to_owned(),
        body,
        status: "queued",
        status_url,
        statuses: if closed { CLOSED.to_vec() } else { WAY.to_vec() },
        links: link.into_iter().collect(),
        link_code: 40_317,
    });
    Ok(send::taken(&message, "queued"))
}

/// Our id: what WhatsApp hands back with each status, or in the query of the webhook URL.
fn our_id(body: &Value) -> Option<String> {
    let ours = body["whatsapp_message"]["biz_opaque_callback_data"].as_str();
    ours.map(ToOwned::to_owned).or_else(|| send::our_id(body))
}

/// The account and its WhatsApp number.
fn sender(
    accounts: &[Arc<SandboxAccount>],
    body: &Value,
) -> Result<(Arc<SandboxAccount>, String), Answer> {
    let from = match &body["from"] {
        Value::String(from) if is_e164(from) => from,
        Value::Null => {
            return Err(fail("10004", Some("/from"), "The 'from' parameter is required."));
        }
        _ => {
            let detail = "The 'from' address should be in E.164 format.";
            return Err(fail("40305", Some("/from"), detail));
        }
    };
    let profile = body["messaging_profile_id"].as_str();
    let owns = |account: &&Arc<SandboxAccount>| {
        account.line("whatsapp", from).is_some()
            && profile.is_none_or(|profile| profiles(account).contains(&profile))
    };
    let owner = accounts.iter().find(owns).ok_or_else(|| {
        let detail = "The 'from' address is not a WhatsApp number of this account.";
        fail("40305", Some("/from"), detail)
    })?;
    Ok((Arc::clone(owner), from.clone()))
}

/// What the message says; returns its kind.
fn content(message: &Value) -> Result<&'static str, Answer> {
    let at = |name: &str| format!("/whatsapp_message{name}");
    let missing = |name: &str| fail("10004", Some(&at(name)), "A required parameter is missing.");
    let wrong = |name: &str, detail: &str| fail("10015", Some(&at(name)), detail);
    if message.is_null() {
        return Err(missing(""));
    }
    let kind = message["type"].as_str().ok_or_else(|| missing("/type"))?;
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    let (kind, required) = known.ok_or_else(|| wrong("/type", "There is no such type."))?;
    let block = &message[kind];
    let fits = if *kind == "contacts" { block.is_array() } else { block.is_object() };
    if !fits {
        return Err(missing(&format!("/{kind}")));
    }
    if let Some(name) = required.iter().find(|name| block[**name].is_null()) {
        return Err(missing(&format!("/{kind}/{name}")));
    }
    if *kind == "template" && block["template_id"].is_null() {
        for name in ["name", "language"] {
            if block[name].is_null() {
                return Err(missing(&format!("/template/{name}")));
            }
        }
    }
    if block["body"].as_str().is_some_and(|text| text.is_empty() || text.chars().count() > TEXT) {
        return Err(wrong("/text/body", "The text must have 1 to 4096 characters."));
    }
    if block["link"].as_str().is_some_and(|link| !send::is_url(link)) {
        return Err(wrong(&format!("/{kind}/link"), "The link is not a valid URL."));
    }
    Ok(kind)
}
