//! Templates: a few that every WhatsApp Business Account has, and those that are made.
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates>
//!
//! Everybody has `hello_world` (`en_US`, no variables), `appointment_reminder` (`pt_BR`, `en_US` and `es_AR`: a name and a
//! day), `payment_link` (`en_US`: named variable `name`) and the paused `summer_offer` (`en_US`).

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::content::missing;
use super::errors::fail;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::world::World;

/// How many templates may be made for one account.
const MADE: usize = 6_000;

/// How many are on a page unless asked otherwise.
const PAGE: usize = 25;

/// The templates that were made, by WABA.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Templates(HashMap<String, Vec<Value>>);

fn template(
    id: u32,
    name: &str,
    language: &str,
    status: &str,
    category: &str,
    body: &str,
) -> Value {
    json!({
        "id": format!("9000000000000{id:03}"),
        "name": name,
        "language": language,
        "status": status,
        "category": category,
        "components": [{ "type": "BODY", "text": body }],
    })
}

fn standing() -> Vec<Value> {
    let reminder = "appointment_reminder";
    vec![
        template(1, "hello_world", "en_US", "APPROVED", "UTILITY", "Welcome. This is a sandbox."),
        template(2, reminder, "en_US", "APPROVED", "UTILITY", "Hello {{1}}, see you on {{2}}."),
        template(3, reminder, "pt_BR", "APPROVED", "UTILITY", "Olá {{1}}, até {{2}}."),
        template(4, reminder, "es_AR", "APPROVED", "UTILITY", "Hola {{1}}, hasta el {{2}}."),
        template(5, "payment_link", "en_US", "APPROVED", "UTILITY", "Hello {{name}}, pay here."),
        template(6, "summer_offer", "en_US", "PAUSED", "MARKETING", "Half price in summer."),
    ]
}

impl Templates {
    fn of(&self, waba: &str) -> Vec<Value> {
        let made = self.0.get(waba).into_iter().flatten().cloned();
        standing().into_iter().chain(made).collect()
    }
}

/// `GET` lists, `POST` makes (and approves at once), `DELETE` deletes by name.
pub(super) fn answer(world: &World, waba: &str, method: &str, request: &Request) -> Handled {
    match method {
        "GET" => Ok(list(world, waba, request)),
        "POST" => make(world, waba, request),
        "DELETE" => {
            let query = request.query();
            let name = query.get("name").ok_or_else(|| missing("name"))?;
            let mut templates = world.templates();
            if let Some(made) = templates.0.get_mut(waba) {
                made.retain(|template| template["name"] != name);
            }
            Ok(Answer::json(200, &json!({ "success": true })))
        }
        _ => Err(fail(100, "Unsupported request")),
    }
}

fn list(world: &World, waba: &str, request: &Request) -> Answer {
    let query = request.query();
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let limit = number("limit").unwrap_or(PAGE).clamp(1, 1_000);
    let after = number("after").unwrap_or_default();
    let mut all = world.templates().of(waba);
    for name in ["name", "language", "status", "category"] {
        if let Some(wanted) = query.get(name) {
            all.retain(|template| template[name] == wanted);
        }
    }
    let page: Vec<&Value> = all.iter().skip(after).take(limit).collect();
    let end = after + page.len();
    let mut paging =
        json!({ "cursors": { "before": after.to_string(), "after": end.to_string() } });
    if end < all.len() {
        let path = &request.path;
        let next = format!("{}{path}?limit={limit}&after={end}", world.base());
        paging["next"] = json!(next);
    }
    Answer::json(200, &json!({ "data": page, "paging": paging }))
}

fn make(world: &World, waba: &str, request: &Request) -> Handled {
    let mut body = request.json().ok_or_else(|| fail(100, "The body is not valid JSON."))?;
    for name in ["name", "language", "category"] {
        if !body[name].is_string() {
            return Err(missing(name));
        }
    }
    if !body["components"].is_array() {
        return Err(missing("components"));
    }
    let id = super::media::numeric(world);
    body["id"] = json!(id);
    body["status"] = json!("APPROVED");
    let answer = json!({ "id": id, "status": "APPROVED", "category": body["category"] });
    let mut templates = world.templates();
    let made = templates.0.entry(waba.to_owned()).or_default();
    if made.len() >= MADE {
        return Err(fail(100, "The account has too many templates."));
    }
    made.push(body);
    Ok(Answer::json(200, &answer))
}

/// Checks the block of a template message.
pub(super) fn check(world: &World, waba: &str, block: &Value) -> Result<Vec<String>, Answer> {
    let name = block["name"].as_str().ok_or_else(|| missing("template['name']"))?;
    let language = block["language"]["code"].as_str();
    let language = language.ok_or_else(|| missing("template['language']['code']"))?;
    let all = world.templates().of(waba);
    let found = all.iter().find(|one| one["name"] == name && one["language"] == language);
    let found = found.filter(|one| one["status"] != "REJECTED" && one["status"] != "PENDING");
    let found = found.ok_or_else(|| {
        fail(132_001, &format!("template name ({name}) does not exist in {language}"))
    })?;
    match found["status"].as_str() {
        Some("PAUSED") => return Err(fail(132_015, "The template is paused.")),
        Some("DISABLED") => return Err(fail(132_016, "The template is disabled.")),
        _ => {}
    }
    let given = block["components"].as_array().cloned().unwrap_or_default();
    for part in found["components"].as_array().into_iter().flatten() {
        let kind = part["type"].as_str().unwrap_or_default().to_lowercase();
        if kind == "body" {
            let wanted = variables(part["text"].as_str().unwrap_or_default());
            let given = given.iter().find(|part| part["type"] == "body");
            body(&wanted, given.and_then(|part| part["parameters"].as_array()))?;
        }
    }
    for part in &given {
        let index = part.get("index");
        if part["type"] == "button" && !index.is_some_and(Value::is_string) {
            return Err(fail(132_012, "components[]['index'] of a button must be a text"));
        }
    }
    Ok(Vec::new())
}

fn body(wanted: &BTreeSet<String>, given: Option<&Vec<Value>>) -> Result<(), Answer> {
    let given = given.map_or(&[][..], Vec::as_slice);
    if wanted.len() != given.len() {
        let details = format!(
            "body: number of localizable_params ({}) does not match the expected number of params ({})",
            given.len(),
            wanted.len()
        );
        return Err(fail(132_000, &details));
    }
    let named = wanted.iter().any(|name| name.parse::<u32>().is_err());
    for parameter in given {
        let text = parameter["text"].as_str();
        if parameter["type"] == "text" && text.is_none_or(str::is_empty) {
            return Err(fail(132_012, "body: a text parameter must not be empty"));
        }
        let name = parameter["parameter_name"].as_str();
        if named && !name.is_some_and(|name| wanted.contains(name)) {
            return Err(fail(132_012, "body: parameter_name is missing or not in the template"));
        }
    }
    Ok(())
}

/// The variables of a text: what stands in double braces.
fn variables(text: &str) -> BTreeSet<String> {
    let after = text.split("{{").skip(1);
    after.filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name.trim().to_owned()).collect()
}
