//! What Meta requires of interactive messages: buttons, lists and the like.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/messages/interactive-reply-buttons-messages>

use std::collections::HashSet;

use serde_json::Value;

use super::content::{Object, file, maybe_words, missing, only, words};
use super::errors::fail;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::Answer;
use crate::sandbox::world::World;

pub(super) fn check(
    world: &World,
    account: &SandboxAccount,
    object: &Object,
) -> Result<Vec<String>, Answer> {
    only(object, "interactive", &["type", "header", "body", "footer", "action"])?;
    let kind = words(object, "type", "interactive", 64)?;
    let body_limit = if kind == "list" { 4_096 } else { 1_024 };
    let body = object.get("body").and_then(Value::as_object);
    let body = body.ok_or_else(|| missing("interactive['body']"))?;
    words(body, "text", "interactive['body']", body_limit)?;
    if let Some(footer) = object.get("footer") {
        let footer = footer.as_object().ok_or_else(|| missing("interactive['footer']"))?;
        words(footer, "text", "interactive['footer']", 60)?;
    }
    let links = match object.get("header") {
        Some(header) => self::header(world, account, kind, header)?,
        None => Vec::new(),
    };
    let action = object.get("action").and_then(Value::as_object);
    let action = action.ok_or_else(|| missing("interactive['action']"))?;
    match kind {
        "button" => buttons(action)?,
        "list" => list(action)?,
        "cta_url" => {
            named(action, "cta_url")?;
            let parameters = parameters(action)?;
            words(parameters, "display_text", "interactive['action']['parameters']", 20)?;
            words(parameters, "url", "interactive['action']['parameters']", 2_000)?;
        }
        "location_request_message" => named(action, "send_location")?,
        "flow" => {
            named(action, "flow")?;
            let parameters = parameters(action)?;
            words(parameters, "flow_message_version", "interactive['action']['parameters']", 8)?;
            words(parameters, "flow_cta", "interactive['action']['parameters']", 20)?;
            if !parameters.contains_key("flow_id") && !parameters.contains_key("flow_name") {
                return Err(missing("interactive['action']['parameters']['flow_id']"));
            }
        }
        _ => return Err(fail(131_009, &format!("interactive type {kind} is not supported"))),
    }
    Ok(links)
}

fn header(
    world: &World,
    account: &SandboxAccount,
    kind: &str,
    header: &Value,
) -> Result<Vec<String>, Answer> {
    let object = header.as_object().ok_or_else(|| missing("interactive['header']"))?;
    let form = words(object, "type", "interactive['header']", 16)?;
    if form == "text" {
        words(object, "text", "interactive['header']", 60)?;
        return Ok(Vec::new());
    }
    if kind == "list" || !matches!(form, "image" | "video" | "document") {
        return Err(fail(131_009, "interactive['header']['type'] is not allowed here"));
    }
    let block = object.get(form).and_then(Value::as_object);
    file(world, account, form, block.ok_or_else(|| missing("interactive['header']"))?)
}

fn buttons(action: &Object) -> Result<(), Answer> {
    only(action, "interactive['action']", &["buttons"])?;
    let buttons = action.get("buttons").and_then(Value::as_array);
    let buttons = buttons.ok_or_else(|| missing("interactive['action']['buttons']"))?;
    if buttons.is_empty() || buttons.len() > 3 {
        return Err(fail(
            131_009,
            "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3",
        ));
    }
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for button in buttons {
        let at = "interactive['action']['buttons'][]";
        if button["type"] != "reply" {
            return Err(fail(131_009, "interactive['action']['buttons'][]['type'] must be reply"));
        }
        let reply = button["reply"].as_object().ok_or_else(|| missing(at))?;
        let id = words(reply, "id", at, 256)?;
        let title = words(reply, "title", at, 20)?;
        if id.trim() != id {
            return Err(fail(131_009, "A button id must not begin or end with spaces"));
        }
        if !ids.insert(id) || !titles.insert(title) {
            return Err(fail(131_009, "Duplicated button id or title found"));
        }
    }
    Ok(())
}

fn list(action: &Object) -> Result<(), Answer> {
    only(action, "interactive['action']", &["button", "sections"])?;
    words(action, "button", "interactive['action']", 20)?;
    let sections = action.get("sections").and_then(Value::as_array);
    let sections = sections.ok_or_else(|| missing("interactive['action']['sections']"))?;
    if sections.is_empty() || sections.len() > 10 {
        return Err(fail(
            131_009,
            "Invalid sections count. Min allowed sections: 1, Max allowed sections: 10",
        ));
    }
    let (mut ids, mut total) = (HashSet::new(), 0);
    for section in sections {
        let at = "interactive['action']['sections'][]";
        let section_object = section.as_object().ok_or_else(|| missing(at))?;
        maybe_words(section_object, "title", at, 24)?;
        if sections.len() > 1 && !section_object.contains_key("title") {
            return Err(missing("interactive['action']['sections'][]['title']"));
        }
        let rows = section["rows"].as_array().filter(|rows| !rows.is_empty());
        for row in rows.ok_or_else(|| missing("interactive['action']['sections'][]['rows']"))? {
            let at = "interactive['action']['sections'][]['rows'][]";
            let row = row.as_object().ok_or_else(|| missing(at))?;
            only(row, at, &["id", "title", "description"])?;
            words(row, "title", at, 24)?;
            maybe_words(row, "description", at, 72)?;
            if !ids.insert(words(row, "id", at, 200)?) {
                return Err(fail(131_009, "Duplicated row id found"));
            }
            total += 1;
        }
    }
    if total > 10 {
        return Err(fail(131_009, "Total row count exceed max allowed count: 10"));
    }
    Ok(())
}

fn named(action: &Object, name: &str) -> Result<(), Answer> {
    match action.get("name").and_then(Value::as_str) {
        Some(given) if given == name => Ok(()),
        _ => Err(fail(131_009, &format!("interactive['action']['name'] must be {name}"))),
    }
}

fn parameters(action: &Object) -> Result<&Object, Answer> {
    let parameters = action.get("parameters").and_then(Value::as_object);
    parameters.ok_or_else(|| missing("interactive['action']['parameters']"))
}
