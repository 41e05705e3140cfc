//! JSON bodies: what is wrong with one is told by the member it is about.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use providers::outside;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::extract::NUL;
use super::pace::Interrupted;
use super::{App, Problem};

/// A JSON body. A wrong member is named by its path; members that are not known are wrong. Half of a surrogate pair, which a
/// caller that cuts texts by UTF-16 units leaves of an emoji, is replaced by U+FFFD.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        let is_json = kind.eq_ignore_ascii_case("application/json")
            || (kind.starts_with("application/") && kind.ends_with("+json"));
        if !is_json {
            return Err(Problem::unsupported_media_type());
        }
        let limit = app.gateway.config.server.api_body_bytes;
        let body = Bytes::from_request(request, app).await;
        let body = body.map_err(|error| match Interrupted::is_slowness(&error) {
            true => Problem::too_slow(),
            false => Problem::too_large(limit),
        })?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| Problem::malformed("the body is not JSON: it is not UTF-8"))?;
        let body = outside::Json::of_caller(text);
        check(body.text())?;
        let mut reader = serde_json::Deserializer::from_str(body.text());
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            match error.inner().classify() {
                serde_json::error::Category::Data => {
                    let text = error.inner().to_string();
                    Problem::invalid(field_of(&path, &text), text)
                }
                _ => not_json(error.inner()),
            }
        })?;
        reader.end().map_err(|error| not_json(&error))?;
        Ok(Self(value))
    }
}

/// The field that an error is about: the path, and the member that is missing or not known there.
fn field_of(path: &str, text: &str) -> String {
    let path = if path == "." { "" } else { path };
    let named =
        ["missing field `", "unknown field `"].iter().find_map(|start| text.strip_prefix(start));
    let named = named.and_then(|rest| rest.split('`').next()).filter(|name| !path.ends_with(name));
    match (path, named) {
        ("", None) => "body".to_owned(),
        ("", Some(name)) => name.to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::malformed(format!("the body is not JSON: {error}"))
}

/// Every body is an object (our types would be read from arrays too, by the order of their members), and no text in it
/// holds U+0000, which PostgreSQL cannot store.
fn check(body: &str) -> Result<(), Problem> {
    if !body.trim_ascii_start().starts_with('{') {
        let json = serde_json::from_str::<IgnoredAny>(body);
        json.map_err(|error| not_json(&error))?;
        return Err(Problem::invalid("body", "must be an object"));
    }
    if body.contains("\\u0000")
        && let Ok(value) = serde_json::from_str(body)
        && let Some(path) = nul_in(&value)
    {
        return Err(Problem::invalid(path, NUL));
    }
    Ok(())
}

/// Where in a value U+0000 stands.
fn nul_in(value: &Value) -> Option<String> {
    let below = |name: &str, value| {
        let rest = nul_in(value)?;
        let dot = if rest.is_empty() || rest.starts_with(['.', '[']) { "" } else { "." };
        Some(format!("{name}{dot}{rest}"))
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| below(&format!("[{index}]"), item))
        }
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                return Some(name.replace('\0', ""));
            }
            below(name, value)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_wherever_it_stands() {
        let place = |text: &str| nul_in(&serde_json::from_str(text).unwrap());
        assert_eq!(place(r#"{"a": "x\u0000"}"#).as_deref(), Some("a"));
        assert_eq!(place(r#"{"a": {"b": [1, {"c": "\u0000"}]}}"#).as_deref(), Some("a.b[1].c"));
        assert_eq!(place(r#"{"a": {"b\u0000": 1}}"#).as_deref(), Some("a.b"));
        assert_eq!(place(r#"{"a": "x\\u0000"}"#), None, "a backslash and five letters");
    }
}
