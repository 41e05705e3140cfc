//! Chats: whoever wrote or was written to, with what was said last.
//! <https://waha.devlike.pro/docs/how-to/chats/>

use std::collections::HashMap;

use serde_json::{Value, json};

use super::errors::invalid;
use super::read::{self, ChatMessage};
use super::{contacts, working};
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Form, Handled, Request};
use crate::sandbox::world::World;

/// How many chats an overview has, unless asked otherwise.
const OVERVIEW: usize = 20;

/// A chat.
struct Chat {
    id: String,
    name: Option<String>,
    last: ChatMessage,
}

/// The chats of an account, whoever was heard of last first.
fn all(world: &World, account: &SandboxAccount) -> Vec<Chat> {
    let (mut chats, mut places) = (Vec::<Chat>::new(), HashMap::new());
    for message in read::all(world, account, None) {
        let (id, name) = (message.chat(), message.push_name().map(ToOwned::to_owned));
        let place = *places.entry(id.clone()).or_insert(chats.len());
        match chats.get_mut(place) {
            Some(chat) => chat.name = chat.name.take().or(name),
            None => chats.push(Chat { id, name, last: message }),
        }
    }
    for chat in &mut chats {
        chat.name = contacts::name_of(world, account, &chat.id).or(chat.name.take());
    }
    chats
}

/// `limit` and `offset` of a list: numbers, if they are there.
pub(super) fn bounds(query: &Form) -> Result<(Option<usize>, usize), Answer> {
    let number = |name: &str| {
        let text = query.get(name);
        text.map(|text| {
            text.parse::<usize>().map_err(|_| invalid("limit and offset must be numbers"))
        })
        .transpose()
    };
    Ok((number("limit")?, number("offset")?.unwrap_or_default()))
}

pub(super) fn list(
    world: &World,
    account: &SandboxAccount,
    session: &str,
    request: &Request,
) -> Handled {
    let account = working(world, account, session)?;
    let query = request.query();
    let (limit, offset) = bounds(&query)?;
    let mut chats = all(world, &account);
    match query.get("sortBy") {
        None | Some("conversationTimestamp") => {}
        Some("id") => chats.sort_by(|one, other| other.id.cmp(&one.id)),
        Some("name") => chats.sort_by(|one, other| other.name.cmp(&one.name)),
        Some(_) => return Err(invalid("sortBy must be conversationTimestamp, id or name")),
    }
    if query.get("sortOrder") == Some("asc") {
        chats.reverse();
    }
    let shown = |chat: Chat| {
        json!({
            "id": chat.id,
            "name": chat.name,
            "conversationTimestamp": chat.last.at().timestamp(),
        })
    };
    let chats = chats.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX));
    Ok(Answer::json(200, &json!(chats.map(shown).collect::<Vec<_>>())))
}

/// Chats with their last message. A `GET` says in its query what a `POST` says in its body.
pub(super) fn overview(
    world: &World,
    account: &SandboxAccount,
    session: &str,
    request: &Request,
) -> Handled {
    let account = working(world, account, session)?;
    let query = request.query();
    let (mut ids, mut page): (Vec<String>, _) =
        (query.all("ids").into_iter().map(ToOwned::to_owned).collect(), bounds(&query)?);
    let is_post = request.method == "POST";
    if is_post {
        let body = request.json().filter(|body| body["pagination"].is_object());
        let body = body.ok_or_else(|| invalid("pagination must be an object"))?;
        let number = |name: &str| {
            body["pagination"][name].as_u64().and_then(|number| usize::try_from(number).ok())
        };
        page = (number("limit"), number("offset").unwrap_or_default());
        let wanted = body["filter"]["ids"].as_array().into_iter().flatten();
        ids = wanted.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    }
    let shown: Vec<Value> = all(world, &account)
        .into_iter()
        .filter(|chat| ids.is_empty() || ids.contains(&chat.id))
        .skip(page.1)
        .take(page.0.unwrap_or(OVERVIEW))
        .map(|chat| {
            json!({
                "id": chat.id,
                "name": chat.name,
                "picture": null,
                "lastMessage": chat.last.view(session),
                "_chat": { "id": chat.id },
            })
        })
        .collect();
    Ok(Answer::json(if is_post { 201 } else { 200 }, &json!(shown)))
}

/// Marks what a person wrote as read.
pub(super) fn read(world: &World, account: &SandboxAccount, session: &str, chat: &str) -> Handled {
    let account = working(world, account, session)?;
    let heard = world.heard();
    let theirs = heard.of("waha", account.name()).filter(|heard| heard.from == chat);
    let ids: Vec<&str> = theirs.map(|heard| heard.id.as_str()).collect();
    Ok(Answer::json(201, &json!({ "ids": ids })))
}
