//! Templates: a few that every WhatsApp Business Account has, and those that are made.
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates>
//!
//! Everybody has `hello_world` (`en_US`, no variables), `appointment_reminder` (`pt_BR`, `en_US` and `es_AR`: a name and a
//! day), `payment_link` (`en_US`: named variable `name`), the paused `summer_offer` (`en_US`), `invoice` (`pt_BR`: a document
//! and a name) and `order_shipped` (`en_US`: a number in the header, a name, and the end of a button's address).

mod check;
mod make;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::errors::fail;
use crate::clock::Timestamp;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::world::World;
pub(super) use check::check;

/// How many templates may be made for one account.
const MADE: usize = 6_000;

/// How many are on a page unless asked otherwise.
const PAGE: usize = 25;

/// The templates that were made, by WABA; and when those were deleted whose names are still taken, by WABA, name and language.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Templates {
    made: HashMap<String, Vec<Value>>,
    deleted: HashMap<(String, String, String), Timestamp>,
}

fn template(
    id: u32,
    name: &str,
    language: &str,
    status: &str,
    category: &str,
    components: &Value,
) -> Value {
    let components = match components.as_str() {
        Some(body) => json!([{ "type": "BODY", "text": body }]),
        None => components.clone(),
    };
    let is_named = components.to_string().contains("{{name}}");
    json!({
        "id": format!("9000000000000{id:03}"),
        "name": name,
        "parameter_format": if is_named { "NAMED" } else { "POSITIONAL" },
        "language": language,
        "status": status,
        "category": category,
        "components": components,
    })
}

fn standing() -> Vec<Value> {
    let approved = |id: u32, name: &str, language: &str, components: Value| {
        template(id, name, language, "APPROVED", "UTILITY", &components)
    };
    let reminder = "appointment_reminder";
    let invoice = json!([
        { "type": "HEADER", "format": "DOCUMENT" },
        { "type": "BODY", "text": "Olá {{1}}, segue a sua fatura." },
    ]);
    let shipped = json!([
        { "type": "HEADER", "format": "TEXT", "text": "Order {{1}}" },
        { "type": "BODY", "text": "Hello {{1}}, it is on its way." },
        { "type": "BUTTONS", "buttons": [
            {
                "type": "URL",
                "text": "Track it",
                "url": "https://shop.example/track/{{1}}",
                "example": ["https://shop.example/track/4711"],
            },
            { "type": "QUICK_REPLY", "text": "Thanks" },
        ] },
    ]);
    vec![
        approved(1, "hello_world", "en_US", json!("Welcome. This is a sandbox.")),
        approved(2, reminder, "en_US", json!("Hello {{1}}, see you on {{2}}.")),
        approved(3, reminder, "pt_BR", json!("Olá {{1}}, até {{2}}.")),
        approved(4, reminder, "es_AR", json!("Hola {{1}}, hasta el {{2}}.")),
        approved(5, "payment_link", "en_US", json!("Hello {{name}}, pay here.")),
        template(
            6,
            "summer_offer",
            "en_US",
            "PAUSED",
            "MARKETING",
            &json!("Half price in summer."),
        ),
        approved(7, "invoice", "pt_BR", invoice),
        approved(8, "order_shipped", "en_US", shipped),
    ]
}

impl Templates {
    fn of(&self, waba: &str) -> Vec<Value> {
        let made = self.made.get(waba).into_iter().flatten().cloned();
        standing().into_iter().chain(made).collect()
    }

    /// Whether an account has the template of that id.
    pub(super) fn has(&self, waba: &str, id: &str) -> bool {
        self.of(waba).iter().any(|template| template["id"] == id)
    }
}

/// `GET` lists, `POST` makes, `DELETE` deletes by name, or by id and name.
pub(super) fn answer(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    method: &str,
    request: &Request,
) -> Handled {
    match method {
        "GET" => Ok(list(world, account.name(), request)),
        "POST" => make::make(world, account, request),
        "DELETE" => make::delete(world, account, request),
        _ => Err(fail(100, "Unsupported request")),
    }
}

/// One template: `GET` shows it, `POST` changes it.
pub(super) fn one(
    world: &Arc<World>,
    account: &Arc<SandboxAccount>,
    id: &str,
    request: &Request,
) -> Handled {
    if request.method == "POST" {
        return make::edit(world, account, id, request);
    }
    let all = world.templates().of(account.name());
    let found = all.into_iter().find(|template| template["id"] == id).unwrap_or_default();
    Ok(Answer::json(200, &shown(&found, request)))
}

/// A template with the fields that were asked for, and its id.
fn shown(template: &Value, request: &Request) -> Value {
    let query = request.query();
    let Some(fields) = query.get("fields") else { return template.clone() };
    let mut wanted: BTreeSet<&str> = fields.split(',').map(str::trim).collect();
    wanted.insert("id");
    let members = template.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| wanted.contains(name.as_str()));
    let members: Map<String, Value> =
        members.map(|(name, value)| (name.clone(), value.clone())).collect();
    Value::Object(members)
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
    let page: Vec<Value> =
        all.iter().skip(after).take(limit).map(|template| shown(template, request)).collect();
    let end = after + page.len();
    let mut paging =
        json!({ "cursors": { "before": after.to_string(), "after": end.to_string() } });
    if end < all.len() {
        let path = &request.path;
        let next = format!("{}{path}?limit={limit}&after={end}", world.base());
        paging["next"] = json!(next);
    }
    let mut body = json!({ "data": page, "paging": paging });
    if let Some(fields) = query.get("summary") {
        let summary = json!({
            "total_count": all.len(),
            "message_template_count": world.templates().of(waba).len(),
            "message_template_limit": MADE,
            "are_translations_complete": true,
        });
        let wanted = fields.split(',').map(str::trim);
        let wanted = wanted.filter_map(|name| Some((name.to_owned(), summary.get(name)?.clone())));
        body["summary"] = wanted.collect::<Map<String, Value>>().into();
    }
    Answer::json(200, &body)
}

/// The variables of a text: what stands in double braces.
fn variables(text: &str) -> BTreeSet<String> {
    let after = text.split("{{").skip(1);
    after.filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name.trim().to_owned()).collect()
}
