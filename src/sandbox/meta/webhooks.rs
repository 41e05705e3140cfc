//! Meta's webhooks: statuses and messages of people.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/payload-examples>

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{errors, media, wa_id};
use crate::sandbox::accounts::{SandboxAccount, SandboxRoute, digits, is_e164};
use crate::sandbox::emulator::{Arrival, Inbound, Letter, Status};
use crate::sandbox::files::StoredFile;
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::World;

pub(super) fn letters(world: &World, message: &Accepted, status: &Status) -> Vec<Letter> {
    let seen = message.seen();
    let at = world.now();
    let mut item = json!({
        "id": seen.id,
        "status": status.word,
        "timestamp": at.timestamp().to_string(),
    });
    let is_user = !seen.to.trim_start_matches('+').starts_with(|c: char| c.is_ascii_digit());
    // Of a group it is told once for all of it.
    let is_group = seen.body["recipient_type"] == "group";
    let mut contact = json!({ "profile": {} });
    if is_group {
        item["recipient_id"] = json!(seen.to);
        item["recipient_type"] = json!("group");
    } else {
        let people = world.people();
        let person = if is_user { seen.to.clone() } else { digits(&seen.to) };
        let user_id = if is_user { person.clone() } else { people.user_id(&seen.to) };
        if let Some(name) = people.name(&person) {
            contact["profile"]["name"] = json!(name);
        }
        contact["user_id"] = json!(user_id);
        item["recipient_user_id"] = json!(user_id);
    }
    if !is_user && !is_group {
        contact["wa_id"] = json!(wa_id(&seen.to));
        item["recipient_id"] = json!(wa_id(&seen.to));
    }
    if let Some(ours) = &seen.ours {
        item["biz_opaque_callback_data"] = json!(ours);
    }
    let category = if seen.kind == "template" { "utility" } else { "service" };
    if matches!(status.word, "sent" | "delivered") {
        let kind = if category == "service" { "free_customer_service" } else { "regular" };
        item["pricing"] = json!({
            "billable": category != "service",
            "pricing_model": "PMP",
            "category": category,
            "type": kind,
        });
    }
    if status.word == "sent" {
        item["conversation"] = json!({
            "id": format!("{:032x}", u128::from(seen.at.timestamp().unsigned_abs())),
            "expiration_timestamp": (at + TimeDelta::hours(24)).timestamp().to_string(),
            "origin": { "type": category },
        });
    }
    if let Some(code) = status.code {
        let (title, _) = errors::title(code);
        item["errors"] = json!([{
            "code": code,
            "title": title,
            "message": title,
            "error_data": { "details": title },
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        }]);
    }
    let Some(route) = message.account.line("whatsapp", &seen.from) else { return Vec::new() };
    let contact = (!is_group).then_some(contact);
    letter(&message.account, route, "statuses", &item, contact)
}

/// One change, in the envelope that all of Meta's webhooks have.
fn letter(
    account: &SandboxAccount,
    route: &SandboxRoute,
    member: &str,
    item: &Value,
    contact: Option<Value>,
) -> Vec<Letter> {
    let Some(url) = account.webhook_url.clone() else { return Vec::new() };
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": digits(&route.address),
            "phone_number_id": route.handle,
        },
    });
    if let Some(contact) = contact {
        value["contacts"] = json!([contact]);
    }
    value[member] = json!([item]);
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": account.name(), "changes": [{ "value": value, "field": "messages" }] }],
    });
    enclosed(url, &body)
}

/// One change that concerns the account and none of its numbers.
pub(super) fn of_account(
    world: &World,
    account: &SandboxAccount,
    field: &str,
    value: &Value,
) -> Vec<Letter> {
    let Some(url) = account.webhook_url.clone() else { return Vec::new() };
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": account.name(),
            "time": world.now().timestamp(),
            "changes": [{ "value": value, "field": field }],
        }],
    });
    enclosed(url, &body)
}

fn enclosed(url: String, body: &Value) -> Vec<Letter> {
    let body = escaped(&body.to_string());
    vec![Letter { url, content_type: "application/json", headers: Vec::new(), body, key: None }]
}

/// JSON as Meta's serializer writes it: slashes and everything beyond ASCII are escaped.
fn escaped(json: &str) -> Bytes {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '/' => text.push_str("\\/"),
            character if character.is_ascii() => text.push(character),
            character => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.into()
}

pub(super) fn arrive(
    world: &World,
    account: &Arc<SandboxAccount>,
    route: &SandboxRoute,
    inbound: &Inbound,
) -> Arrival {
    let id = format!("wamid.{}", STANDARD.encode(format!("SI{}", world.new_id())));
    let has_number = is_e164(&inbound.from);
    let user_id = match (&inbound.user_id, has_number) {
        (Some(named), true) => named.clone(),
        (None, true) => world.people().user_id(&inbound.from),
        (_, false) => inbound.from.clone(),
    };
    let person = if has_number { digits(&inbound.from) } else { inbound.from.clone() };
    world.people().wrote(&person, Some(&user_id), inbound.name.as_deref(), &id);
    world.limits().heard(&route.address, &user_id, world.later());
    let mut contact = json!({ "profile": {} });
    let mut item = json!({ "id": id, "timestamp": world.now().timestamp().to_string() });
    if let Some(name) = &inbound.name {
        contact["profile"]["name"] = json!(name);
    }
    if has_number {
        contact["wa_id"] = json!(digits(&inbound.from));
        item["from"] = json!(digits(&inbound.from));
        // Sending compares people as WhatsApp itself writes them; what is written in a group opens the group's window.
        let heard = inbound.group.clone().unwrap_or_else(|| wa_id(&inbound.from));
        world.limits().heard(&route.address, &heard, world.later());
    }
    contact["user_id"] = json!(user_id);
    item["from_user_id"] = json!(user_id);
    if let Some(group) = &inbound.group {
        item["group_id"] = json!(group);
    }
    if let Some(reply_to) = &inbound.reply_to {
        item["context"] = json!({ "from": digits(&route.address), "id": reply_to });
    }
    let (kind, block) = block(world, account, inbound);
    item["type"] = json!(kind);
    item[kind] = block;
    Arrival { id, letters: letter(account, route, "messages", &item, Some(contact)) }
}

fn block(world: &World, account: &SandboxAccount, inbound: &Inbound) -> (String, Value) {
    if let Some(file) = &inbound.media {
        let id = media::numeric(world);
        let stored = StoredFile {
            owner: ("meta".to_owned(), account.name().to_owned()),
            mime_type: file.mime_type.clone(),
            filename: file.filename.clone(),
            bytes: file.bytes(),
            at: world.later(),
        };
        let mut block = json!({
            "id": id,
            "mime_type": file.mime_type,
            "sha256": STANDARD.encode(stored.sha256()),
        });
        if let Some(text) = &inbound.text {
            block["caption"] = json!(text);
        }
        let kind = file.word();
        if let Some(name) = file.filename.as_ref().filter(|_| kind == "document") {
            block["filename"] = json!(name);
        }
        world.files().put(id, stored);
        return (kind, block);
    }
    if let Some((latitude, longitude)) = inbound.location {
        let mut place = json!({ "latitude": latitude, "longitude": longitude });
        for (name, text) in
            [("name", &inbound.location_name), ("address", &inbound.location_address)]
        {
            if let Some(text) = text {
                place[name] = json!(text);
            }
        }
        return ("location".to_owned(), place);
    }
    if let Some((id, title)) = &inbound.button {
        let reply = json!({ "type": "button_reply", "button_reply": { "id": id, "title": title } });
        return ("interactive".to_owned(), reply);
    }
    ("text".to_owned(), json!({ "body": inbound.text.as_deref().unwrap_or_default() }))
}
