//! Requests and answers as the journal keeps them: readable, bounded, and without credentials.

use bytes::Bytes;
use http::HeaderMap;
use providers::outside::clean;
use providers::{Provider, ProviderRequest, ProviderResponse};
use serde_json::{Map, Value, json};

use crate::transport::Lost;

/// How much of a body is kept, in bytes.
const KEPT: usize = 4_096;

/// Headers of answers that tell something.
const TELLING: [&str; 6] = [
    "content-type",
    "retry-after",
    "x-fb-trace-id",
    "twilio-request-id",
    "x-request-id",
    "x-business-use-case-usage",
];

/// One request, and its answer or why there was none. What an answer says is kept if it is the provider's own: the journal is
/// shown, and who answered may be anybody.
pub(super) fn record(
    provider: &Provider,
    request: &ProviderRequest,
    answer: Result<&ProviderResponse, &Lost>,
) -> Value {
    let headers: Map<String, Value> = request
        .http
        .headers()
        .iter()
        .map(|(name, value)| {
            let shown = match value.is_sensitive() {
                true => "[REDACTED]",
                false => value.to_str().unwrap_or("[not text]"),
            };
            (name.to_string(), json!(shown))
        })
        .collect();
    let mut entry = json!({
        "request": {
            "method": request.http.method().as_str(),
            "url": request.http.uri().to_string(),
            "headers": headers,
            "body": body(request.http.headers(), request.http.body()),
        },
    });
    match answer {
        Ok(answer) => {
            let headers = answer.http.headers();
            let telling: Map<String, Value> = TELLING
                .iter()
                .filter_map(|name| {
                    Some(((*name).to_owned(), json!(headers.get(*name)?.to_str().ok()?)))
                })
                .collect();
            entry["answer"] = json!({
                "status": answer.http.status().as_u16(),
                "headers": telling,
                "body": match (provider.speaks)(answer) {
                    true => body(headers, answer.http.body()),
                    false => foreign(answer.http.body()),
                },
            });
        }
        Err(lost) => entry["lost"] = json!(lost.to_string()),
    }
    entry
}

/// A body that has none of the provider's forms: only its size.
fn foreign(bytes: &Bytes) -> Value {
    match bytes.len() {
        0 => Value::Null,
        size => json!(format!("[{size} bytes that are not the provider's]")),
    }
}

/// A body as text, cut where it is long; files only by their size.
fn body(headers: &HeaderMap, bytes: &Bytes) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("multipart/")) {
        return json!(format!("[{} bytes of a file]", bytes.len()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= KEPT => json!(clean(text)),
        Ok(text) => {
            let end = (0..=KEPT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            json!(format!("{}… [{} bytes]", clean(&text[..end]), text.len()))
        }
        Err(_) => json!(format!("[{} bytes]", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_reaches_the_journal() {
        let mut http = http::Request::post("https://api.example.com/messages")
            .body(Bytes::from("a=b"))
            .unwrap();
        let mut secret = http::HeaderValue::from_static("Bearer hunter2");
        secret.set_sensitive(true);
        http.headers_mut().insert("authorization", secret);
        let request = ProviderRequest::once(http);
        let lost = Lost::Unanswered("time was up".to_owned());
        let entry = record(&providers::waha::PROVIDER, &request, Err(&lost));
        let text = entry.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(entry["request"]["body"], "a=b");
        assert_eq!(entry["lost"], "time was up");
    }

    #[test]
    fn long_bodies_are_cut_between_characters() {
        let long = "ã".repeat(4_000);
        let kept = body(&HeaderMap::new(), &Bytes::from(long));
        assert!(kept.as_str().unwrap().ends_with("[8000 bytes]"));
    }
}
