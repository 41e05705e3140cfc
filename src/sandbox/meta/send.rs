//! `POST /{version}/{phone_number_id}/messages`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::content::{self, Object, missing, only};
use super::errors::fail;
use super::{templates, wa_id};
use crate::sandbox::accounts::{SandboxAccount, digits};
use crate::sandbox::emulator::{Status, failing};
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::faults::{FaultKind, On};
use crate::sandbox::limits::Overstepped;
use crate::sandbox::world::{NewMessage, World};

/// What a message in a closed window is told.
const CLOSED: &str =
    "More than 24 hours have passed since the recipient last wrote to this number.";

const WAY: [Status; 3] = [Status::of("sent"), Status::of("delivered"), Status::of("read")];

/// What every message may have besides the block of its type.
const COMMON: [&str; 9] = [
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "recipient_identity_key_hash",
    "message_activity_sharing",
];

pub(super) fn answer(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    phone: &str,
    request: &Request,
) -> Handled {
    let body = request.json();
    let body = body.ok_or_else(|| fail(100, "The request body is not valid JSON."))?;
    let object = body.as_object().ok_or_else(|| fail(100, "Invalid parameter"))?;
    if object.get("messaging_product") != Some(&json!("whatsapp")) {
        return Err(missing("messaging_product"));
    }
    if object.contains_key("status") {
        return receipt(object);
    }
    let line = account.route(phone).map(|route| route.address.clone()).unwrap_or_default();
    let to = recipient(object)?;
    if wa_id(&to) == digits(&line) {
        return Err(fail(131_021, "The sender and the recipient are the same."));
    }
    let kind = object.get("type").map_or(Some("text"), Value::as_str);
    let kind = kind.ok_or_else(|| fail(100, "Param type must be a string."))?;
    let allowed: Vec<&str> = COMMON.into_iter().chain([kind]).collect();
    only(object, "message", &allowed)?;
    let ours = envelope(object)?;
    let block = object.get(kind).ok_or_else(|| missing(kind))?;
    let links = match kind {
        "template" => templates::check(world, account, block)?,
        _ => content::check(world, account, kind, block)?,
    };
    let mut statuses = permitted(world, account, &line, &to, kind)?;
    if kind == "reaction" && statuses.iter().all(|status| status.code.is_none()) {
        // What was never said in the conversation is found out only after the answer.
        let target = block["message_id"].as_str().unwrap_or_default();
        match is_said(world, account, target, &to) {
            true => statuses.truncate(1),
            false => statuses = failing("meta", 131_009),
        }
    }
    let id = format!("wamid.{}", STANDARD.encode(format!("SB{}", world.new_id())));
    let accepted = accepted(world, &to, &id, kind);
    world.accept(NewMessage {
        account: Arc::clone(account),
        id,
        ours,
        from: line,
        to,
        kind: kind.to_owned(),
        body,
        status: "accepted",
        status_url: None,
        statuses,
        links,
        link_code: 131_053,
    });
    Ok(accepted)
}

/// A telephone number or a user id: exactly one of them.
fn recipient(object: &Object) -> Result<String, Answer> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    match object.get("recipient_type").map(Value::as_str) {
        None | Some(Some("individual")) => {}
        Some(Some("group")) => return group(object, text("to")),
        Some(_) => return Err(fail(131_009, "recipient_type must be individual or group")),
    }
    match (text("to"), text("recipient")) {
        (Some(to), None) => {
            let bare: String = to.chars().filter(|c| !" -()".contains(*c)).collect();
            let number = bare.strip_prefix('+').unwrap_or(&bare);
            let fits = (7..=15).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit());
            match fits {
                true => Ok(to.to_owned()),
                false => Err(fail(131_009, "to must be a telephone number")),
            }
        }
        (None, Some(user)) if is_user_id(user) => Ok(user.to_owned()),
        (None, Some(_)) => Err(fail(131_009, "recipient must be a business-scoped user id")),
        (Some(_), Some(_)) => Err(fail(131_009, "Only one of to and recipient may be given")),
        (None, None) => Err(missing("to")),
    }
}

/// A group, by its id: text, files and templates only.
fn group(object: &Object, to: Option<&str>) -> Result<String, Answer> {
    let kind = object.get("type").and_then(Value::as_str).unwrap_or("text");
    if !matches!(kind, "text" | "image" | "video" | "document" | "audio" | "sticker" | "template") {
        return Err(fail(131_009, &format!("{kind} messages cannot be sent to a group")));
    }
    match to.filter(|_| !object.contains_key("recipient")) {
        Some(id) if is_group_id(id) => Ok(id.to_owned()),
        _ => Err(fail(131_009, "to must be the id of a group")),
    }
}

/// Ids of groups are base64, of more characters than a number has digits.
fn is_group_id(text: &str) -> bool {
    text.len() > 20
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=+/-_".contains(&byte))
}

fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let id = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The reply and our own data. Returns the latter.
fn envelope(object: &Object) -> Result<Option<String>, Answer> {
    if let Some(context) = object.get("context") {
        let id = context["message_id"].as_str();
        if !id.is_some_and(|id| id.starts_with("wamid.")) {
            return Err(fail(131_009, "context['message_id'] must be a message id"));
        }
    }
    match object.get("biz_opaque_callback_data") {
        None => Ok(None),
        Some(Value::String(data)) if data.chars().count() <= 512 => Ok(Some(data.clone())),
        Some(_) => {
            Err(fail(131_009, "biz_opaque_callback_data must be a text of at most 512 characters"))
        }
    }
}

/// What may be sent at this moment, and how far it will come.
fn permitted(
    world: &World,
    account: &SandboxAccount,
    line: &str,
    to: &str,
    kind: &str,
) -> Result<Vec<Status>, Answer> {
    let strictness = account.strictness();
    let person = person(to);
    let (now, mut limits) = (world.later(), world.limits());
    let closed = strictness.window && kind != "template" && !limits.is_open(line, &person, now);
    if closed && !strictness.window_in_status {
        return Err(fail(131_047, CLOSED));
    }
    let counted = limits.send(strictness, line, &person, now);
    drop(limits);
    counted.map_err(|limit| match limit {
        Overstepped::Line => fail(130_429, "Cloud API message throughput has been reached."),
        Overstepped::Pair => fail(131_056, "Too many messages sent to the same phone number."),
    })?;
    if closed {
        return Ok(failing("meta", 131_047));
    }
    if world.strikes(&FaultKind::RecipientBlocked, On::Send, account, Some(to)) {
        return Ok(failing("meta", 131_026));
    }
    Ok(WAY.to_vec())
}

/// Whether a message was said between us and this person: by them, or by this account to them and no reaction.
fn is_said(world: &World, account: &SandboxAccount, message: &str, to: &str) -> bool {
    if world.people().has_written(message) {
        return true;
    }
    let sent = world.journal().message(message).map(|sent| sent.seen());
    let sent = sent.filter(|seen| seen.account == account.name() && seen.kind != "reaction");
    let people = world.people();
    let user_id = |to: &str| match is_user_id(to) {
        true => to.to_owned(),
        false => people.user_id(to),
    };
    sent.is_some_and(|seen| user_id(&seen.to) == user_id(to))
}

/// A person or a group as WhatsApp itself writes them.
fn person(to: &str) -> String {
    match is_user_id(to) || is_group_id(to) {
        true => to.to_owned(),
        false => wa_id(to),
    }
}

fn accepted(world: &World, to: &str, id: &str, kind: &str) -> Answer {
    let contact = match is_user_id(to) {
        true => json!({ "input": to, "user_id": to }),
        false if is_group_id(to) => json!({ "input": to, "wa_id": to }),
        false => {
            let user_id = world.people().user_id(to);
            json!({ "input": to, "wa_id": wa_id(to), "user_id": user_id })
        }
    };
    let mut message = json!({ "id": id });
    if kind == "template" {
        message["message_status"] = json!("accepted");
    }
    let body =
        json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message] });
    Answer::json(200, &body).accepted()
}

/// Read marks and the sign that we are typing.
fn receipt(object: &Object) -> Handled {
    only(object, "message", &["messaging_product", "status", "message_id", "typing_indicator"])?;
    if object.get("status") != Some(&json!("read")) {
        return Err(fail(131_009, "status must be read"));
    }
    let id = object.get("message_id").and_then(Value::as_str);
    if !id.is_some_and(|id| id.starts_with("wamid.")) {
        return Err(fail(131_009, "message_id must be the id of a message that was received"));
    }
    if object.get("typing_indicator").is_some_and(|typing| typing["type"] != "text") {
        return Err(fail(131_009, "typing_indicator['type'] must be text"));
    }
    Ok(Answer::json(200, &json!({ "success": true })))
}
