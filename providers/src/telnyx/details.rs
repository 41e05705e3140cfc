//! The few words that say what an event is about, wherever Telnyx puts them.

use serde_json::Value;

/// Members that tell, in the order in which a title reads well.
const TELLING: [&str; 14] = [
    "status",
    "order_status",
    "campaignStatus",
    "result",
    "decision",
    "reason",
    "failure_reason",
    "failure_cause",
    "error_message",
    "sip_notify_response",
    "queue",
    "description",
    "media_name",
    "url",
];

/// The event's type with its telling words, if it has any: `call.playback.ended: file_not_found`.
pub(super) fn titled(event_type: &str, data: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in TELLING.iter().filter_map(|name| word(data.get(name)?)) {
        if words.len() < 3 && !words.contains(&word) {
            words.push(word);
        }
    }
    match words.as_slice() {
        [] => event_type.to_owned(),
        words => format!("{event_type}: {}", words.join(", ")),
    }
}

/// How many reasons a title names.
const REASONS_LIMIT: usize = 3;

/// Why something did not work, in the provider's words: registrations give a list of texts or of objects, orders one text.
pub(super) fn reasons(data: &Value) -> Vec<String> {
    let named = ["rejection_reason", "reasons", "failure_reasons", "failureReasons", "errors"];
    let given = named.iter().filter_map(|name| data.get(name));
    let each = given.flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    });
    let said = ["description", "detail", "title", "message", "reason"];
    let worded = each.filter_map(|reason| match reason {
        Value::Object(members) => said.iter().find_map(|name| word(members.get(*name)?)),
        other => word(other),
    });
    worded.take(REASONS_LIMIT).collect()
}

/// A text or a number; porting orders wrap theirs as `{"value": …}`.
fn word(value: &Value) -> Option<String> {
    match value.get("value").unwrap_or(value) {
        Value::String(text) if !text.trim().is_empty() => Some(text.chars().take(120).collect()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
