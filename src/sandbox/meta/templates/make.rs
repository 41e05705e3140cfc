//! Templates that are made, changed and deleted over the API. Meta looks at each for a moment, and tells by a webhook what it
//! thinks: one whose name holds `rejected` is rejected, every other one approved.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{MADE, variables};
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::meta::content::missing;
use crate::sandbox::meta::errors::{fail, fail_template};
use crate::sandbox::meta::webhooks;
use crate::sandbox::post::Post;
use crate::sandbox::world::World;

/// For how many days the name of a deleted template is taken.
const NAME_DAYS: i64 = 30;

pub(super) fn make(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    request: &Request,
) -> Handled {
    let mut body = request.json().ok_or_else(|| fail(100, "The body is not valid JSON."))?;
    for name in ["name", "language", "category"] {
        if !body[name].is_string() {
            return Err(missing(name));
        }
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (name, language) = (text("name"), text("language"));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=512).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(fail(100, "Param name must be lower-case letters, digits and underscores."));
    }
    let category = category(&body)?;
    let format = format(&body)?;
    check(&body, &category)?;
    let waba = account.name();
    let now = world.later();
    let mut templates = world.templates();
    let is_same = |one: &Value| one["name"] == name && one["language"] == language;
    if templates.of(waba).iter().any(is_same) {
        return Err(fail_template(
            2_388_024,
            "There is already content in this language for this template.",
        ));
    }
    let deleted = templates.deleted.get(&(waba.to_owned(), name.clone(), language.clone()));
    if deleted.is_some_and(|at| now - *at < TimeDelta::days(NAME_DAYS)) {
        return Err(fail_template(2_388_023, "The message template's language is being deleted."));
    }
    if templates.made.get(waba).map_or(0, Vec::len) >= MADE {
        return Err(fail_template(2_388_019, "The limit of message templates is reached."));
    }
    let id = super::super::media::numeric(world);
    body["id"] = json!(id);
    body["status"] = json!("PENDING");
    body["category"] = json!(category);
    body["parameter_format"] = json!(format);
    templates.made.entry(waba.to_owned()).or_default().push(body);
    drop(templates);
    review(world, account, id.clone());
    let answer = json!({ "id": id, "status": "PENDING", "category": category });
    Ok(Answer::json(200, &answer))
}

/// Changes a template that was made: all of its parts, its category, or both.
pub(super) fn edit(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    id: &str,
    request: &Request,
) -> Handled {
    let body = request.json().ok_or_else(|| fail(100, "The body is not valid JSON."))?;
    let given = body.as_object().ok_or_else(|| fail(100, "Invalid parameter"))?;
    let allowed = ["category", "components", "parameter_format", "message_send_ttl_seconds"];
    if let Some(other) = given.keys().find(|key| !allowed.contains(&key.as_str())) {
        return Err(fail(100, &format!("Param {other} of a template cannot be changed.")));
    }
    if !given.contains_key("components") && !given.contains_key("category") {
        return Err(missing("components"));
    }
    let mut templates = world.templates();
    let made = templates.made.entry(account.name().to_owned()).or_default();
    let Some(template) = made.iter_mut().find(|template| template["id"] == id) else {
        return Err(fail(100, "This template belongs to everybody and cannot be changed."));
    };
    let status = template["status"].as_str().unwrap_or_default();
    if !["APPROVED", "REJECTED", "PAUSED"].contains(&status) {
        return Err(fail(100, "Only approved, rejected and paused templates can be changed."));
    }
    let mut changed = template.clone();
    if given.contains_key("category") {
        let category = category(&body)?;
        if status == "APPROVED" && template["category"] != category {
            return Err(fail(100, "The category of an approved template cannot be changed."));
        }
        changed["category"] = json!(category);
    }
    if let Some(components) = given.get("components") {
        changed["components"] = components.clone();
        changed["parameter_format"] =
            json!(if is_named(components) { "NAMED" } else { "POSITIONAL" });
        check(&changed, changed["category"].as_str().unwrap_or_default())?;
    }
    changed["status"] = json!("PENDING");
    *template = changed;
    drop(templates);
    review(world, account, id.to_owned());
    Ok(Answer::json(200, &json!({ "success": true })))
}

/// Deletes all languages of a name, or with `hsm_id` one.
pub(super) fn delete(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    request: &Request,
) -> Handled {
    let query = request.query();
    let name = query.get("name").ok_or_else(|| missing("name"))?;
    let id = query.get("hsm_id");
    let waba = account.name();
    let mut templates = world.templates();
    let is_meant =
        |one: &Value| one["name"] == name && id.is_none_or(|id| one["id"].as_str() == Some(id));
    if !templates.of(waba).iter().any(is_meant) {
        return Err(fail_template(
            2_593_002,
            "The message template was not found for this account.",
        ));
    }
    let made = templates.made.entry(waba.to_owned()).or_default();
    let (gone, kept): (Vec<Value>, Vec<Value>) =
        std::mem::take(made).into_iter().partition(is_meant);
    *made = kept;
    let now = world.later();
    for template in &gone {
        let text = |name: &str| template[name].as_str().unwrap_or_default().to_owned();
        if template["status"] != "REJECTED" {
            let key = (waba.to_owned(), text("name"), text("language"));
            templates.deleted.insert(key, now);
        }
    }
    drop(templates);
    tell(world, account, gone, "DELETED");
    Ok(Answer::json(200, &json!({ "success": true })))
}

/// Meta looks at a template for as long as the next status of a message takes.
fn review(world: &Arc<World>, account: &Arc<SandboxAccount>, id: String) {
    let (stage, account) = (Arc::clone(world), Arc::clone(account));
    Post::spawn(world, async move {
        stage.post.pause().await;
        let mut templates = stage.templates();
        let made = templates.made.entry(account.name().to_owned()).or_default();
        let Some(template) = made.iter_mut().find(|template| template["id"] == id) else { return };
        let is_refused = template["name"].as_str().is_some_and(|name| name.contains("rejected"));
        let status = if is_refused { "REJECTED" } else { "APPROVED" };
        template["status"] = json!(status);
        let template = template.clone();
        drop(templates);
        tell(&stage, &account, vec![template], status);
    });
}

/// Lets the webhooks of templates' new status follow.
fn tell(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    templates: Vec<Value>,
    event: &'static str,
) {
    let (stage, account) = (Arc::clone(world), Arc::clone(account));
    Post::spawn(world, async move {
        for template in templates {
            let id = template["id"].as_str().and_then(|id| id.parse::<u64>().ok());
            let reason = if event == "REJECTED" { "INVALID_FORMAT" } else { "NONE" };
            let value = json!({
                "event": event,
                "message_template_id": id,
                "message_template_name": template["name"],
                "message_template_language": template["language"],
                "message_template_category": template["category"],
                "reason": reason,
            });
            let field = "message_template_status_update";
            for letter in webhooks::of_account(&stage, &account, field, &value) {
                Post::send(&stage, &account, letter).await;
            }
        }
    });
}

fn category(body: &Value) -> Result<String, Answer> {
    let category = body["category"].as_str().unwrap_or_default().to_uppercase();
    match ["MARKETING", "UTILITY", "AUTHENTICATION"].contains(&category.as_str()) {
        true => Ok(category),
        false => {
            Err(fail(100, "Param category must be one of {MARKETING, UTILITY, AUTHENTICATION}."))
        }
    }
}

/// How messages name the variables: by their places unless it is said otherwise.
fn format(body: &Value) -> Result<&'static str, Answer> {
    let said = body["parameter_format"].as_str().unwrap_or("POSITIONAL");
    match (said.to_uppercase().as_str(), is_named(&body["components"])) {
        ("NAMED", _) => Ok("NAMED"),
        ("POSITIONAL", false) => Ok("POSITIONAL"),
        ("POSITIONAL", true) => {
            Err(fail_template(2_388_072, "The variables of a positional template must be numbers."))
        }
        _ => Err(fail(100, "Param parameter_format must be one of {POSITIONAL, NAMED}.")),
    }
}

fn is_named(components: &Value) -> bool {
    let texts = components.as_array().into_iter().flatten();
    let mut texts = texts.filter_map(|part| part["text"].as_str());
    texts.any(|text| variables(text).iter().any(|name| name.parse::<u32>().is_err()))
}

/// What is looked at at once: the lengths and forms of the parts, and the examples.
fn check(body: &Value, category: &str) -> Result<(), Answer> {
    let parts = body["components"].as_array().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| missing("components"))?;
    let mut has_body = false;
    for part in parts {
        let text = part["text"].as_str().unwrap_or_default();
        let length = text.chars().count();
        let wanted = variables(text);
        match part["type"].as_str().map(str::to_uppercase).as_deref() {
            Some("HEADER") => header(part, text, &wanted)?,
            Some("BODY") => {
                has_body = true;
                let is_worded = category != "AUTHENTICATION";
                if is_worded && text.trim().is_empty() {
                    return Err(fail_template(2_388_072, "The message body is empty."));
                }
                if length > 1_024 {
                    return Err(fail_template(2_388_040, "The body may have 1024 characters."));
                }
                if text.trim().starts_with("{{") || text.trim().ends_with("}}") {
                    return Err(fail_template(
                        2_388_299,
                        "Variables cannot be at the start or end.",
                    ));
                }
                if !has_examples(&wanted, &part["example"], "body_text") {
                    return Err(fail_template(2_388_072, "The body's variables need examples."));
                }
            }
            Some("FOOTER") if length > 60 => {
                return Err(fail_template(2_388_040, "The footer may have 60 characters."));
            }
            Some("FOOTER") if !wanted.is_empty() => {
                return Err(fail_template(2_388_073, "The footer cannot have variables."));
            }
            Some("BUTTONS") => {
                let buttons = part["buttons"].as_array().map_or(0, Vec::len);
                if !(1..=10).contains(&buttons) {
                    return Err(fail(100, "A template has 1 to 10 buttons."));
                }
            }
            Some(_) => {}
            None => return Err(missing("components[]['type']")),
        }
    }
    match has_body {
        true => Ok(()),
        false => Err(fail_template(2_388_072, "A template needs a body.")),
    }
}

fn header(part: &Value, text: &str, wanted: &BTreeSet<String>) -> Result<(), Answer> {
    let wrong = |details: &str| Err(fail_template(2_388_047, details));
    match part["format"].as_str().map(str::to_uppercase).as_deref() {
        Some("TEXT") if text.is_empty() || text.chars().count() > 60 => {
            wrong("The header must have 1 to 60 characters.")
        }
        Some("TEXT") if !has_examples(wanted, &part["example"], "header_text") => {
            wrong("The header's variable needs an example.")
        }
        Some("IMAGE" | "VIDEO" | "DOCUMENT" | "GIF") => match &part["example"]["header_handle"] {
            Value::Array(handles) if !handles.is_empty() => Ok(()),
            _ => wrong("The header's file needs an example."),
        },
        Some("TEXT" | "LOCATION") => Ok(()),
        _ => wrong("The header's format is not known."),
    }
}

fn has_examples(wanted: &BTreeSet<String>, example: &Value, member: &str) -> bool {
    if wanted.iter().any(|name| name.parse::<u32>().is_err()) {
        let given = example[format!("{member}_named_params")].as_array();
        let given: BTreeSet<&str> =
            given.into_iter().flatten().filter_map(|one| one["param_name"].as_str()).collect();
        return wanted.iter().all(|name| given.contains(name.as_str()));
    }
    let given = &example[member];
    let given = if given[0].is_array() { &given[0] } else { given };
    given.as_array().map_or(0, Vec::len) == wanted.len()
}
