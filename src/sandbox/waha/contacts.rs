//! Contacts, and the numbers behind device-independent ids.
//! <https://waha.devlike.pro/docs/how-to/contacts/>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::chats::bounds;
use super::errors::invalid;
use super::{read, text, unknown, working};
use crate::sandbox::accounts::{SandboxAccount, digits};
use crate::sandbox::exchange::{Answer, Form, Handled, Request};
use crate::sandbox::world::World;

/// How many pairs of id and number a list has, unless asked otherwise.
const LIDS: usize = 100;

/// The name that was given to a contact over the API.
pub(super) fn name_of(world: &World, account: &SandboxAccount, id: &str) -> Option<String> {
    world.sessions().name_of(account.name(), id)
}

/// A contact, whether or not anything was ever heard of it.
fn view(world: &World, account: &SandboxAccount, id: &str) -> Value {
    let id = chat_id(id);
    let messages = read::all(world, account, Some(&id));
    let push_name = messages.iter().find_map(|message| message.push_name());
    shown(world, account, &id, push_name)
}

fn shown(world: &World, account: &SandboxAccount, id: &str, push_name: Option<&str>) -> Value {
    let name = name_of(world, account, id);
    json!({
        "id": id,
        "number": digits(id.split('@').next().unwrap_or_default()),
        "isMyContact": name.is_some(),
        "name": name,
        "pushname": push_name,
        "shortName": null,
        "isMe": false,
        "isGroup": id.ends_with("@g.us"),
        "isWAContact": true,
        "isBlocked": false,
    })
}

/// A bare number is a person's.
fn chat_id(id: &str) -> String {
    match id.split_once('@') {
        Some((user, "s.whatsapp.net")) => format!("{user}@c.us"),
        Some(_) => id.to_owned(),
        None => format!("{}@c.us", digits(id)),
    }
}

/// Everything below `/api/contacts` but the check of a number.
pub(super) fn answer(
    world: &World,
    account: &SandboxAccount,
    path: &[&str],
    request: &Request,
) -> Handled {
    let query = request.query();
    let session = query.get("session").ok_or_else(|| invalid("session must be a string"))?;
    let wanted = || query.get("contactId").ok_or_else(|| invalid("contactId must be a string"));
    let body = match path {
        ["all"] => every(world, &*working(world, account, session)?, &query)?,
        [] => {
            let account = working(world, account, session)?;
            view(world, &account, wanted()?)
        }
        ["about"] => {
            working(world, account, session)?;
            wanted()?;
            json!({ "about": null })
        }
        ["profile-picture"] => {
            working(world, account, session)?;
            wanted()?;
            json!({ "profilePictureURL": null })
        }
        _ => return Err(unknown(request)),
    };
    Ok(Answer::json(200, &body))
}

/// Whoever wrote, was written to, or was given a name.
fn every(world: &World, account: &SandboxAccount, query: &Form) -> Result<Value, Answer> {
    let (limit, offset) = bounds(query)?;
    let mut found: BTreeMap<String, Option<String>> =
        world.sessions().named(account.name()).into_iter().map(|id| (id, None)).collect();
    for message in read::all(world, account, None) {
        let name = found.entry(message.chat()).or_default();
        *name = name.take().or_else(|| message.push_name().map(ToOwned::to_owned));
    }
    found.retain(|id, _| !id.ends_with("@g.us"));
    let mut found: Vec<(String, Option<String>)> = found.into_iter().collect();
    if query.get("sortOrder") == Some("desc") {
        found.reverse();
    }
    let page = found.iter().skip(offset).take(limit.unwrap_or(usize::MAX));
    Ok(page.map(|(id, name)| shown(world, account, id, name.as_deref())).collect())
}

/// A contact is shown, or given a name.
pub(super) fn one(
    world: &World,
    account: &SandboxAccount,
    session: &str,
    id: &str,
    request: &Request,
) -> Handled {
    let account = working(world, account, session)?;
    if request.method == "GET" {
        return Ok(Answer::json(200, &view(world, &account, id)));
    }
    let body = request.json().unwrap_or_default();
    let last = body["lastName"].as_str().ok_or_else(|| invalid("lastName must be a string"))?;
    let name = format!("{} {last}", text(&body, "firstName")?);
    world.sessions().name(account.name(), &chat_id(id), name.trim());
    Ok(Answer::json(200, &json!({ "success": true })))
}

/// Everything below `/api/{session}/lids`: the list, its length, the number of an id, the id of a number.
pub(super) fn lids(
    world: &World,
    account: &SandboxAccount,
    session: &str,
    path: &[&str],
    request: &Request,
) -> Handled {
    working(world, account, session)?;
    let pair = |lid: &str, number: Option<String>| json!({ "lid": lid, "pn": number });
    let body = match path {
        [] => {
            let (limit, offset) = bounds(&request.query())?;
            let known = world.sessions().lids();
            let page = known.into_iter().skip(offset).take(limit.unwrap_or(LIDS));
            page.map(|(lid, number)| pair(&lid, Some(number))).collect()
        }
        ["count"] => json!({ "count": world.sessions().lids().len() }),
        ["pn", phone] => {
            let number = chat_id(phone);
            let known = world.sessions().lids();
            let found = known.into_iter().find(|(_, known)| *known == number);
            json!({ "lid": found.map(|(lid, _)| lid), "pn": number })
        }
        [lid] => {
            let lid = lid.trim_end_matches("@lid");
            pair(&format!("{lid}@lid"), world.sessions().number_of(lid))
        }
        _ => return Err(unknown(request)),
    };
    Ok(Answer::json(200, &body))
}
