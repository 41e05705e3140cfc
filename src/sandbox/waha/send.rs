//! Sending, reacting, typing.
//! <https://waha.devlike.pro/docs/how-to/send-messages/>

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors::{fail, invalid};
use super::{read, text, working};
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::emoji;
use crate::sandbox::emulator::Status;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::faults::{FaultKind, On};
use crate::sandbox::world::{NewMessage, World};

const WAY: [Status; 3] = [Status::of("SERVER"), Status::of("DEVICE"), Status::of("READ")];

fn body_of(request: &Request) -> Result<Value, Answer> {
    request.json().filter(Value::is_object).ok_or_else(|| invalid("the body must be a JSON object"))
}

/// A person, a group, or a person by device-independent id.
fn chat(body: &Value) -> Result<String, Answer> {
    let chat = text(body, "chatId")?;
    let (user, server) = chat.split_once('@').unwrap_or_default();
    let fits = match server {
        "c.us" | "s.whatsapp.net" | "lid" => user.bytes().all(|byte| byte.is_ascii_digit()),
        "g.us" => user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'),
        _ => false,
    };
    match fits && !user.is_empty() {
        true => Ok(chat.replace("@s.whatsapp.net", "@c.us")),
        false => Err(invalid("chatId must end in @c.us, @g.us or @lid")),
    }
}

/// What a message of that action must have; returns its words and the links it names. Replaces files by their size.
fn content(action: &str, body: &mut Value) -> Result<(Option<String>, Vec<String>), Answer> {
    match action {
        "sendText" => {
            let words = text(body, "text")?.to_owned();
            Ok((Some(words), Vec::new()))
        }
        "sendLocation" => {
            for (name, most) in [("latitude", 90.0), ("longitude", 180.0)] {
                if !body[name].as_f64().is_some_and(|degrees| degrees.abs() <= most) {
                    return Err(invalid(&format!("{name} must be a number of degrees")));
                }
            }
            let title = body["title"].as_str().map(ToOwned::to_owned);
            Ok((Some(title.ok_or_else(|| invalid("title must be a string"))?), Vec::new()))
        }
        "sendContactVcard" => {
            let cards = body["contacts"].as_array().filter(|cards| !cards.is_empty());
            let has_card = |card: &Value| {
                let vcard = card["vcard"].as_str();
                vcard.is_some_and(|vcard| vcard.starts_with("BEGIN:VCARD"))
                    || (card["fullName"].is_string() && card["phoneNumber"].is_string())
            };
            match cards.is_some_and(|cards| cards.iter().all(has_card)) {
                true => Ok((None, Vec::new())),
                false => Err(invalid("contacts must have a vcard, or fullName and phoneNumber")),
            }
        }
        "sendPoll" => poll(&body["poll"]).map(|question| (Some(question), Vec::new())),
        _ => file(action, body),
    }
}

/// Returns the question.
fn poll(poll: &Value) -> Result<String, Answer> {
    let question = poll["name"].as_str().map(str::trim).filter(|name| !name.is_empty());
    let question = question.ok_or_else(|| invalid("poll.name must be a non-empty string"))?;
    let options = poll["options"].as_array();
    let options =
        options.and_then(|all| all.iter().map(Value::as_str).collect::<Option<Vec<&str>>>());
    let options = options.ok_or_else(|| invalid("each value in poll.options must be a string"))?;
    if !(2..=12).contains(&options.len()) {
        return Err(invalid("poll.options must contain 2 to 12 elements"));
    }
    let fits = |text: &str, most: usize| (1..=most).contains(&text.trim().chars().count());
    if !fits(question, 255) || !options.iter().all(|option| fits(option, 100)) {
        return Err(invalid("a poll's name has at most 255 characters and its options 1 to 100"));
    }
    let differ: HashSet<&str> = options.iter().map(|option| option.trim()).collect();
    if differ.len() != options.len() {
        return Err(invalid("all elements of poll.options must be unique"));
    }
    match poll["multipleAnswers"].is_boolean() {
        true => Ok(question.to_owned()),
        false => Err(invalid("poll.multipleAnswers must be a boolean value")),
    }
}

fn file(action: &str, body: &mut Value) -> Result<(Option<String>, Vec<String>), Answer> {
    let file = body["file"].as_object_mut();
    let file = file.ok_or_else(|| invalid("file must be an object"))?;
    let mime_type = file.get("mimetype").and_then(Value::as_str);
    let mime_type = mime_type.ok_or_else(|| invalid("file.mimetype must be a string"))?;
    let wanted = match action {
        "sendImage" => "image/",
        "sendVideo" => "video/",
        "sendVoice" => "audio/",
        _ => "",
    };
    if !mime_type.starts_with(wanted) {
        return Err(invalid(&format!("file.mimetype must begin with {wanted}")));
    }
    let links = match (file.get("url").and_then(Value::as_str), file.get("data")) {
        (Some(url), None) if url.starts_with("http://") || url.starts_with("https://") => {
            vec![url.to_owned()]
        }
        (None, Some(Value::String(data))) => {
            let bytes = STANDARD.decode(data).map_err(|_| invalid("file.data must be base64"))?;
            if bytes.is_empty() {
                return Err(invalid("file.data must not be empty"));
            }
            file.insert("data".to_owned(), json!(format!("{} bytes", bytes.len())));
            Vec::new()
        }
        _ => return Err(invalid("file must have either url or data")),
    };
    Ok((body["caption"].as_str().map(ToOwned::to_owned), links))
}

pub(super) fn message(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    action: &str,
    request: &Request,
) -> Handled {
    let mut body = body_of(request)?;
    let session = text(&body, "session")?.to_owned();
    let account = working(world, account, &session)?;
    let chat = chat(&body)?;
    let (words, links) = content(action, &mut body)?;
    // An id of our own choosing is taken with texts, places, cards and polls only; a message of that id is sent once.
    let chosen = body["id"].as_str().filter(|_| {
        matches!(action, "sendText" | "sendLocation" | "sendContactVcard" | "sendPoll")
    });
    let chosen = chosen.map(ToOwned::to_owned);
    let key = chosen.clone().unwrap_or_else(|| {
        format!("3EB0{}", world.new_id().to_uppercase().get(..18).unwrap_or_default())
    });
    let id = format!("true_{chat}_{key}");
    if let Some(known) = world.journal().message(&id) {
        return Ok(Answer::json(201, &read::view(&session, &known.seen())));
    }
    let from = account.routes.first().map(|route| route.address.clone()).unwrap_or_default();
    limited(world, &account, &from, &chat)?;
    let mut statuses = WAY.to_vec();
    if world.strikes(&FaultKind::RecipientBlocked, On::Send, &account, Some(&chat)) {
        statuses.truncate(1);
    }
    let message = world.accept(NewMessage {
        account,
        id,
        ours: chosen.or(words),
        from,
        to: chat,
        kind: action.to_owned(),
        body,
        status: "PENDING",
        status_url: None,
        statuses,
        links,
        link_code: 500,
    });
    let mut seen = message.seen();
    "PENDING".clone_into(&mut seen.status);
    Ok(Answer::json(201, &read::view(&session, &seen)).accepted())
}

fn limited(world: &World, account: &SandboxAccount, from: &str, chat: &str) -> Result<(), Answer> {
    let counted = world.limits().send(account.strictness(), from, chat, world.later());
    counted.map_err(|_| fail(429, "Too Many Requests"))
}

pub(super) fn reaction(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    request: &Request,
) -> Handled {
    let body = body_of(request)?;
    let session = text(&body, "session")?.to_owned();
    let account = working(world, account, &session)?;
    let target = text(&body, "messageId")?;
    let parts: Vec<&str> = target.split('_').collect();
    let [mine @ ("true" | "false"), chat, _, ..] = parts[..] else {
        return Err(invalid("messageId must be {true|false}_{chatId}_{id}"));
    };
    let reaction = body["reaction"].as_str();
    let reaction = reaction.ok_or_else(|| invalid("reaction must be a string"))?;
    if !reaction.is_empty() && !emoji::is_one(reaction) {
        return Err(invalid("reaction must be one emoji"));
    }
    let _ = mine;
    let from = account.routes.first().map(|route| route.address.clone()).unwrap_or_default();
    let key = world.new_id().to_uppercase();
    let id = format!("true_{chat}_3EB0{}", key.get(..18).unwrap_or_default());
    let message = world.accept(NewMessage {
        account,
        id,
        ours: Some(format!("{target} {}", body["reaction"].as_str().unwrap_or_default())),
        from,
        to: chat.to_owned(),
        kind: "reaction".to_owned(),
        body,
        status: "PENDING",
        status_url: None,
        statuses: WAY[..1].to_vec(),
        links: Vec::new(),
        link_code: 500,
    });
    Ok(Answer::json(200, &read::view(&session, &message.seen())).accepted())
}

/// Read marks and the sign that we are typing.
pub(super) fn receipt(
    world: &World,
    account: &SandboxAccount,
    action: &str,
    request: &Request,
) -> Handled {
    let body = body_of(request)?;
    working(world, account, text(&body, "session")?)?;
    chat(&body)?;
    let answer = if action == "sendSeen" { json!({ "success": true }) } else { json!(true) };
    Ok(Answer::json(201, &answer))
}
