//! Judges requests by facts from the providers' OpenAPI documents: `fixtures/<provider>/openapi.json`.

use std::collections::BTreeMap;

use bytes::Bytes;
use providers::Provider;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::fixtures::folder;

#[derive(Debug, Deserialize)]
struct Document {
    operations: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    id: String,
    method: String,
    server: String,
    path: String,
    path_parameters: BTreeMap<String, Schema>,
    query: BTreeMap<String, Schema>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    body: BTreeMap<String, Schema>,
    /// Of each of these lists one member must be there.
    #[serde(default)]
    one_of_each: Vec<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Schema {
    #[serde(rename = "type")]
    kind: String,
    items: Option<Box<Schema>>,
    max_items: Option<usize>,
    #[serde(default)]
    r#enum: Vec<String>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<String>,
    format: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "a path cannot be matched without its parameters")]
    required: bool,
}

/// The name of the operation that `request` calls.
///
/// # Panics
/// If the document has no such operation, or does not allow what the request says.
pub fn operation_of(provider: &Provider, request: &http::Request<Bytes>) -> String {
    let text = std::fs::read_to_string(folder(provider).join("openapi.json")).unwrap();
    let document: Document = serde_json::from_str(&text).unwrap();
    let url = Url::parse(&request.uri().to_string()).unwrap();
    let operation = document.operations.iter().find(|operation| operation.is_called(request, &url));
    let operation = operation.unwrap_or_else(|| panic!("no operation is {request:?}"));
    let query = grouped(url.query().unwrap_or_default().as_bytes());
    check_members(&operation.id, &operation.query, &query);
    let body = operation.body_of(request);
    check_members(&operation.id, &operation.body, &body);
    for name in &operation.required {
        assert!(body.contains_key(name), "{}: {name} is missing", operation.id);
    }
    for names in &operation.one_of_each {
        let is_there = names.iter().any(|name| body.contains_key(name));
        assert!(is_there, "{}: one of {names:?} is missing", operation.id);
    }
    operation.id.clone()
}

impl Operation {
    fn is_called(&self, request: &http::Request<Bytes>, url: &Url) -> bool {
        let server = Url::parse(&self.server).unwrap();
        request.method().as_str() == self.method
            && server.origin() == url.origin()
            && self.matches_path(url.path())
    }

    fn matches_path(&self, path: &str) -> bool {
        let (wanted, given): (Vec<&str>, Vec<&str>) =
            (self.path.split('/').collect(), path.split('/').collect());
        wanted.len() == given.len()
            && wanted.iter().zip(given).all(|(wanted, given)| {
                let Some((before, rest)) = wanted.split_once('{') else {
                    return *wanted == given;
                };
                let (name, after) = rest.split_once('}').unwrap();
                let value = given.strip_prefix(before).and_then(|given| given.strip_suffix(after));
                value.is_some_and(|value| {
                    self.path_parameters[name].complaint(&Value::from(value)).is_none()
                })
            })
    }

    /// The members of the body. Those of a form are texts, or lists of texts where a name may be repeated.
    fn body_of(&self, request: &http::Request<Bytes>) -> Map<String, Value> {
        let kind = request.headers().get("content-type").map(|kind| kind.to_str().unwrap());
        assert_eq!(kind, self.content_type.as_deref(), "{}", self.id);
        match kind {
            None => {
                assert!(request.body().is_empty(), "{}: it has a body", self.id);
                Map::new()
            }
            Some("application/json") => serde_json::from_slice(request.body()).unwrap(),
            Some(_) => {
                let mut members = grouped(request.body());
                for (name, value) in &mut members {
                    let is_list = self.body.get(name).is_some_and(|schema| schema.kind == "array");
                    if is_list && !value.is_array() {
                        *value = Value::Array(vec![value.take()]);
                    }
                }
                members
            }
        }
    }
}

/// The fields of a form or query; a repeated one as a list.
fn grouped(encoded: &[u8]) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        let value = Value::from(value.into_owned());
        match members.get_mut(name.as_ref()) {
            None => drop(members.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    members
}

fn check_members(id: &str, schemas: &BTreeMap<String, Schema>, members: &Map<String, Value>) {
    for (name, value) in members {
        let schema = schemas.get(name).unwrap_or_else(|| panic!("{id}: {name} is not known"));
        let complaint = schema.complaint(value);
        assert_eq!(complaint, None, "{id}: {name} is {value}");
    }
}

impl Schema {
    /// What is wrong with a value.
    fn complaint(&self, value: &Value) -> Option<String> {
        match (self.kind.as_str(), value) {
            ("array", Value::Array(items)) => {
                if self.max_items.is_some_and(|most| items.len() > most) {
                    return Some(format!("{} items are too many", items.len()));
                }
                let schema = self.items.as_ref().unwrap();
                items.iter().find_map(|item| schema.complaint(item))
            }
            ("string", Value::String(text)) => self.complaint_of_text(text),
            ("integer", Value::Number(_) | Value::String(_)) => {
                let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
                let fits = number.is_some_and(|number| {
                    self.minimum.is_none_or(|least| number >= least)
                        && self.maximum.is_none_or(|most| number <= most)
                });
                (!fits).then(|| format!("it is no {} to {:?}", self.kind, self.maximum))
            }
            ("object", Value::Object(_)) => None,
            (kind, _) => Some(format!("it is no {kind}")),
        }
    }

    fn complaint_of_text(&self, text: &str) -> Option<String> {
        let length = text.chars().count();
        let is_long_enough = self.min_length.is_none_or(|least| length >= least);
        let is_short_enough = self.max_length.is_none_or(|most| length <= most);
        if !is_long_enough || !is_short_enough {
            return Some(format!("{length} characters do not fit"));
        }
        if !self.r#enum.is_empty() && !self.r#enum.iter().any(|word| word == text) {
            return Some(format!("it is none of {:?}", self.r#enum));
        }
        if matches!(self.format.as_deref(), Some("uri" | "url")) && Url::parse(text).is_err() {
            return Some("it is no URL".to_owned());
        }
        let pattern = self.pattern.as_deref()?;
        let kinds =
            pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix("[0-9a-fA-F]{32}$"));
        let kinds = kinds.unwrap_or_else(|| panic!("{pattern} is not understood"));
        let fits = kinds.trim_matches(['(', ')']).split('|').any(|kind| {
            let digits = text.strip_prefix(kind);
            digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        });
        (!fits).then(|| format!("it does not match {pattern}"))
    }
}
