//! Messages, numbers and files, read.
//! <https://waha.devlike.pro/docs/how-to/chats/>

use std::sync::Arc;

use serde_json::{Value, json};

use super::errors::{fail, invalid};
use super::working;
use crate::clock::Timestamp;
use crate::sandbox::accounts::{SandboxAccount, digits};
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::heard::Heard;
use crate::sandbox::journal::{Accepted, SeenMessage};
use crate::sandbox::world::World;

/// How many messages of a chat are listed, unless asked otherwise and at most.
const PAGE: (usize, usize) = (10, 1_000);

/// How far a message came, as WhatsApp counts it.
pub(super) fn ack(status: &str) -> i8 {
    match status {
        "ERROR" => -1,
        "SERVER" => 1,
        "DEVICE" => 2,
        "READ" => 3,
        "PLAYED" => 4,
        _ => 0,
    }
}

/// A message of ours as the API shows it.
pub(super) fn view(session: &str, seen: &SeenMessage) -> Value {
    let file = &seen.body["file"];
    let words = ["text", "caption"].iter().find_map(|name| seen.body[*name].as_str());
    let location = seen.body["latitude"].is_number().then(|| {
        json!({
            "latitude": seen.body["latitude"].to_string(),
            "longitude": seen.body["longitude"].to_string(),
            "live": false,
            "name": seen.body["title"],
        })
    });
    let cards: Vec<&Value> =
        seen.body["contacts"].as_array().into_iter().flatten().map(|card| &card["vcard"]).collect();
    let media = file.is_object().then(
        || json!({ "url": null, "mimetype": file["mimetype"], "filename": file["filename"] }),
    );
    json!({
        "id": seen.id,
        "timestamp": seen.at.timestamp(),
        "from": format!("{}@c.us", digits(&seen.from)),
        "fromMe": true,
        "source": "api",
        "to": seen.to,
        "participant": null,
        "body": words,
        "hasMedia": file.is_object(),
        "media": media,
        "mediaUrl": null,
        "ack": ack(&seen.status),
        "ackName": seen.status,
        "replyTo": null,
        "location": location,
        "vCards": cards,
        "_data": { "session": session },
    })
}

pub(super) fn messages(
    world: &World,
    account: &SandboxAccount,
    session: &str,
    chat: &str,
    request: &Request,
) -> Handled {
    let account = working(world, account, session)?;
    let query = request.query();
    let number = |name: &str| query.get(name).map(str::parse::<i64>).transpose();
    let wrong = |_| invalid("limit, offset and timestamps must be numbers");
    let limit = number("limit").map_err(wrong)?.and_then(|limit| usize::try_from(limit).ok());
    let offset = number("offset").map_err(wrong)?.and_then(|offset| usize::try_from(offset).ok());
    let since = number("filter.timestamp.gte").map_err(wrong)?;
    let until = number("filter.timestamp.lte").map_err(wrong)?;
    let from_me = query.get("filter.fromMe");
    let fits = |message: &ChatMessage| {
        let at = message.at().timestamp();
        let wanted = match message {
            ChatMessage::Sent(_) => from_me != Some("false"),
            ChatMessage::Heard(_) => from_me != Some("true"),
        };
        wanted && since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until)
    };
    let found: Vec<Value> = all(world, &account, Some(chat).filter(|chat| *chat != "all"))
        .iter()
        .filter(|message| fits(message))
        .skip(offset.unwrap_or_default())
        .take(limit.unwrap_or(PAGE.0).min(PAGE.1))
        .map(|message| message.view(session))
        .collect();
    Ok(Answer::json(200, &json!(found)))
}

/// A message of either direction.
pub(super) enum ChatMessage {
    Sent(Arc<Accepted>),
    Heard(Arc<Heard>),
}

impl ChatMessage {
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Sent(message) => message.with(|seen| seen.at),
            Self::Heard(heard) => heard.at,
        }
    }

    /// Whom it was written to or by.
    pub(super) fn chat(&self) -> String {
        match self {
            Self::Sent(message) => message.with(|seen| seen.to.clone()),
            Self::Heard(heard) => heard.from.clone(),
        }
    }

    /// The name that the person gave themselves.
    pub(super) fn push_name(&self) -> Option<&str> {
        match self {
            Self::Sent(_) => None,
            Self::Heard(heard) => heard.view["_data"]["pushName"].as_str(),
        }
    }

    pub(super) fn view(&self, session: &str) -> Value {
        match self {
            Self::Sent(message) => message.with(|seen| view(session, seen)),
            Self::Heard(heard) => heard.view.clone(),
        }
    }
}

/// The messages of an account, or of one of its chats, newest first. Reactions are none.
pub(super) fn all(world: &World, account: &SandboxAccount, chat: Option<&str>) -> Vec<ChatMessage> {
    let fits = |seen: &SeenMessage| {
        seen.provider == "waha"
            && seen.account == account.name()
            && seen.kind != "reaction"
            && chat.is_none_or(|chat| seen.to == chat)
    };
    let mut found: Vec<ChatMessage> = {
        let journal = world.journal();
        let sent = journal.messages().rev().filter(|message| message.with(|seen| fits(seen)));
        sent.cloned().map(ChatMessage::Sent).collect()
    };
    {
        let heard = world.heard();
        let theirs = heard.of("waha", account.name());
        let theirs = theirs.filter(|heard| chat.is_none_or(|chat| heard.from == chat));
        found.extend(theirs.cloned().map(ChatMessage::Heard));
    }
    found.sort_by_key(|message| std::cmp::Reverse(message.at()));
    found
}

pub(super) fn message(
    world: &World,
    account: &SandboxAccount,
    session: &str,
    chat: &str,
    id: &str,
) -> Handled {
    let account = working(world, account, session)?;
    // The whole id, or only the part that was chosen by the sender.
    let journal = world.journal();
    let found = journal.message(id).or_else(|| journal.message(&format!("true_{chat}_{id}")));
    drop(journal);
    let seen = found.map(|message| message.seen());
    if let Some(seen) = seen.filter(|seen| seen.account == account.name() && seen.to == chat) {
        return Ok(Answer::json(200, &view(session, &seen)));
    }
    let heard = world.heard();
    let name = account.name();
    let found = heard
        .find("waha", name, id)
        .or_else(|| heard.find("waha", name, &format!("false_{chat}_{id}")));
    match found.filter(|heard| heard.from == chat) {
        Some(heard) => Ok(Answer::json(200, &heard.view)),
        None => Err(fail(404, "Message not found")),
    }
}

pub(super) fn exists(world: &World, account: &SandboxAccount, request: &Request) -> Handled {
    let query = request.query();
    let session = query.get("session").ok_or_else(|| invalid("session must be a string"))?;
    working(world, account, session)?;
    let phone = query.get("phone").map(digits);
    let phone = phone.filter(|phone| (7..=15).contains(&phone.len()));
    let phone = phone.ok_or_else(|| invalid("phone must be a telephone number"))?;
    let body = match phone.ends_with("0000") {
        true => json!({ "numberExists": false }),
        false => json!({ "numberExists": true, "chatId": format!("{phone}@c.us") }),
    };
    Ok(Answer::json(200, &body))
}

pub(super) fn file(world: &World, account: &SandboxAccount, session: &str, name: &str) -> Handled {
    let known = world.sessions().get(session, account).map(|session| session.account.clone());
    let account = known.ok_or_else(|| super::errors::no_session(session))?;
    let id = name.split('.').next().unwrap_or_default();
    let files = world.files();
    let file =
        files.get(id).filter(|file| file.owner == ("waha".to_owned(), account.name().to_owned()));
    let file = file.ok_or_else(|| fail(404, "File not found"))?;
    Ok(Answer::of(200, &file.mime_type, file.bytes.clone()))
}
