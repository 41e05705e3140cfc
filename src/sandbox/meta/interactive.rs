//! What Meta requires of interactive messages: buttons, lists and the like.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/messages/interactive-reply-buttons-messages>

use std::collections::HashSet;

use serde_json::Value;

use super::content::{Object, file, maybe_words, missing, only, words};
use super::errors::fail;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::Answer;
use crate::sandbox::world::World;

/// What of a message's action is wrong.
const PARAMETERS: &str = "interactive['action']['parameters']";

pub(super) fn check(
    world: &World,
    account: &SandboxAccount,
    object: &Object,
) -> Result<Vec<String>, Answer> {
    only(object, "interactive", &["type", "header", "body", "footer", "action"])?;
    let kind = words(object, "type", "interactive", 64)?;
    let body_limit = if kind == "list" { 4_096 } else { 1_024 };
    match object.get("body") {
        // A product alone may do without words.
        None if kind == "product" => {}
        body => {
            let body = body.and_then(Value::as_object);
            let body = body.ok_or_else(|| missing("interactive['body']"))?;
            words(body, "text", "interactive['body']", body_limit)?;
        }
    }
    if let Some(footer) = object.get("footer") {
        if kind == "location_request_message" {
            return Err(fail(131_009, "interactive['footer'] is not allowed here"));
        }
        let footer = footer.as_object().ok_or_else(|| missing("interactive['footer']"))?;
        words(footer, "text", "interactive['footer']", 60)?;
    }
    let links = match object.get("header") {
        Some(header) => self::header(world, account, kind, header)?,
        None if kind == "product_list" => return Err(missing("interactive['header']")),
        None => Vec::new(),
    };
    let action = object.get("action").and_then(Value::as_object);
    let action = action.ok_or_else(|| missing("interactive['action']"))?;
    match kind {
        "button" => buttons(action)?,
        "list" => list(action)?,
        "cta_url" => page(action)?,
        "location_request_message" => {
            only(action, "interactive['action']", &["name"])?;
            named(action, "send_location")?;
        }
        "flow" => flow(action)?,
        "product" => product(action)?,
        "product_list" => products(action)?,
        "catalog_message" => catalog(action)?,
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
    let allowed: &[&str] = match kind {
        "button" | "cta_url" | "flow" => &["text", "image", "video", "document"],
        "list" | "product_list" => &["text"],
        _ => &[],
    };
    if !allowed.contains(&form) {
        return Err(fail(131_009, "interactive['header']['type'] is not allowed here"));
    }
    only(object, "interactive['header']", &["type", form])?;
    if form == "text" {
        words(object, "text", "interactive['header']", 60)?;
        return Ok(Vec::new());
    }
    let block = object.get(form).and_then(Value::as_object);
    let block = block.ok_or_else(|| missing(&format!("interactive['header']['{form}']")))?;
    if block.contains_key("caption") {
        return Err(fail(100, &format!("Unexpected key \"caption\" on param \"{form}\".")));
    }
    file(world, account, form, block)
}

fn page(action: &Object) -> Result<(), Answer> {
    only(action, "interactive['action']", &["name", "parameters"])?;
    named(action, "cta_url")?;
    let parameters = parameters(action)?;
    only(parameters, PARAMETERS, &["display_text", "url"])?;
    words(parameters, "display_text", PARAMETERS, 20)?;
    let url = words(parameters, "url", PARAMETERS, 2_000)?;
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(rest)
            if !rest.is_empty()
                && !rest.starts_with(['/', '?', '#'])
                && !url.contains(char::is_whitespace) =>
        {
            Ok(())
        }
        _ => Err(fail(131_009, &format!("{PARAMETERS}['url'] is not a valid URL"))),
    }
}

/// <https://developers.facebook.com/docs/whatsapp/flows/guides/sendingaflow>
fn flow(action: &Object) -> Result<(), Answer> {
    only(action, "interactive['action']", &["name", "parameters"])?;
    named(action, "flow")?;
    let parameters = parameters(action)?;
    let known = [
        "mode",
        "flow_message_version",
        "flow_token",
        "flow_id",
        "flow_name",
        "flow_cta",
        "flow_action",
        "flow_action_payload",
    ];
    only(parameters, PARAMETERS, &known)?;
    if words(parameters, "flow_message_version", PARAMETERS, 8)? != "3" {
        return Err(fail(131_009, &format!("{PARAMETERS}['flow_message_version'] must be 3")));
    }
    words(parameters, "flow_cta", PARAMETERS, 20)?;
    maybe_words(parameters, "flow_token", PARAMETERS, usize::MAX)?;
    maybe_words(parameters, "flow_name", PARAMETERS, usize::MAX)?;
    match (parameters.get("flow_id").and_then(Value::as_str), parameters.contains_key("flow_name"))
    {
        (None, false) => return Err(missing("interactive['action']['parameters']['flow_id']")),
        (Some(_), true) => {
            return Err(fail(131_009, "Only one of flow_id and flow_name may be given"));
        }
        (Some(id), false) => numeric(id, "flow_id")?,
        (None, true) => {}
    }
    if parameters.get("mode").is_some_and(|mode| *mode != "draft" && *mode != "published") {
        return Err(fail(131_009, &format!("{PARAMETERS}['mode'] must be draft or published")));
    }
    let begins = parameters.get("flow_action").map_or(Some("navigate"), Value::as_str);
    match (begins, parameters.get("flow_action_payload")) {
        (Some("navigate" | "data_exchange"), None) => Ok(()),
        (Some("navigate"), Some(payload)) => first_screen(payload),
        (Some("data_exchange"), Some(_)) => {
            Err(fail(131_009, "flow_action_payload is not allowed with data_exchange"))
        }
        _ => Err(fail(131_009, "flow_action must be navigate or data_exchange")),
    }
}

fn first_screen(payload: &Value) -> Result<(), Answer> {
    let at = "interactive['action']['parameters']['flow_action_payload']";
    let payload = payload.as_object().ok_or_else(|| missing(at))?;
    only(payload, at, &["screen", "data"])?;
    words(payload, "screen", at, usize::MAX)?;
    let is_filled = |data: &Value| data.as_object().is_some_and(|data| !data.is_empty());
    match payload.get("data").is_none_or(is_filled) {
        true => Ok(()),
        false => Err(fail(131_009, &format!("{at}['data'] must be a non-empty object"))),
    }
}

/// <https://developers.facebook.com/docs/whatsapp/guides/commerce-guides/share-products-with-customers>
fn product(action: &Object) -> Result<(), Answer> {
    let at = "interactive['action']";
    only(action, at, &["catalog_id", "product_retailer_id"])?;
    numeric(words(action, "catalog_id", at, 64)?, "catalog_id")?;
    words(action, "product_retailer_id", at, 100).map(|_| ())
}

fn products(action: &Object) -> Result<(), Answer> {
    let at = "interactive['action']";
    only(action, at, &["catalog_id", "sections"])?;
    numeric(words(action, "catalog_id", at, 64)?, "catalog_id")?;
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
        let section = section.as_object().ok_or_else(|| missing(at))?;
        only(section, at, &["title", "product_items"])?;
        maybe_words(section, "title", at, 24)?;
        if sections.len() > 1 && !section.contains_key("title") {
            return Err(missing("interactive['action']['sections'][]['title']"));
        }
        let items = section.get("product_items").and_then(Value::as_array);
        let items = items.filter(|items| !items.is_empty());
        for item in items.ok_or_else(|| missing(&format!("{at}['product_items']")))? {
            let at = "interactive['action']['sections'][]['product_items'][]";
            let item = item.as_object().ok_or_else(|| missing(at))?;
            only(item, at, &["product_retailer_id"])?;
            if !ids.insert(words(item, "product_retailer_id", at, 100)?) {
                return Err(fail(131_009, "Duplicated product_retailer_id found"));
            }
            total += 1;
        }
    }
    match total {
        ..=30 => Ok(()),
        _ => Err(fail(131_009, "Total product count exceed max allowed count: 30")),
    }
}

fn catalog(action: &Object) -> Result<(), Answer> {
    only(action, "interactive['action']", &["name", "parameters"])?;
    named(action, "catalog_message")?;
    if action.contains_key("parameters") {
        let parameters = parameters(action)?;
        only(parameters, PARAMETERS, &["thumbnail_product_retailer_id"])?;
        words(parameters, "thumbnail_product_retailer_id", PARAMETERS, 100)?;
    }
    Ok(())
}

/// Ids of flows and catalogues are digits.
fn numeric(id: &str, name: &str) -> Result<(), Answer> {
    match id.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(()),
        false => Err(fail(131_009, &format!("{name} is not a valid id"))),
    }
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
