//! News that are neither a message nor a call that we carry: other channels, other products, what Twilio reports of itself. Kept as
//! notices for the administrator, so that nothing genuine is overlooked.

use serde_json::Value;

use super::address::{account, foreign};
use super::webhook::{Scope, Unreadable};
use crate::form::Form;
use crate::lenient::rfc3339;
use crate::{EventKind, Line, Notice, Severity, Timestamp, outside};

/// At most so many characters of a message stand in a title.
const TITLE_CHARS: usize = 120;

/// A message over a channel that is not carried: Messenger, RCS, a conversation. Whoever wrote waits for an answer.
pub(super) fn read_foreign(scope: &mut Scope<'_>, id: &str) {
    let form = scope.form;
    let channel = match (form.get("ConversationSid"), foreign(form)) {
        (Some(_), _) => "conversations",
        (None, Some(channel)) => channel,
        (None, None) => "another channel",
    };
    let from = form.any(&["From", "Author"]).unwrap_or("somebody");
    let words: String = form.get("Body").unwrap_or_default().chars().take(TITLE_CHARS).collect();
    let title = format!("A message over {channel}, which is not carried, from {from}: {words}");
    let title = title.trim_end_matches(": ").to_owned();
    let event = form.get("EventType").unwrap_or("message");
    push(scope, format!("{id}:{event}"), channel, title, Severity::Warning);
}

/// Any other request that names the account.
/// <https://www.twilio.com/docs/video/api/status-callbacks>,
/// <https://www.twilio.com/docs/usage/troubleshooting/debugging-event-webhooks>
pub(super) fn read(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    if account(form) == Line::Unnamed {
        let reason = "it names neither a message nor a call nor an account";
        return Err(Unreadable(reason.to_owned()));
    }
    let event = form.any(&["StatusCallbackEvent", "EventType", "Status", "FaxStatus", "Level"]);
    let event = event.map_or("news", str::trim);
    let (topic, subject) = if let Some(fax) = form.get("FaxSid") {
        ("fax", Some(fax))
    } else if let Some(room) = form.get("RoomSid") {
        ("video", Some(room))
    } else if let Some(conversation) = form.get("ConversationSid") {
        ("conversations", Some(conversation))
    } else if form.has("PayloadType") && form.has("Level") {
        read_debugger(scope, event);
        return Ok(());
    } else {
        ("other", form.any(&["Sid", "ServiceSid"]))
    };
    let names = ["RoomName", "ParticipantIdentity", "ErrorMessage", "From", "To"];
    let words: Vec<&str> = names.into_iter().filter_map(|name| form.get(name)).collect();
    let title = format!("Twilio {topic}: {event}, {}", words.join(", "));
    let title = title.trim_end_matches(", ").to_owned();
    let is_bad = ["failed", "error"].iter().any(|word| event.contains(word));
    let severity = if is_bad { Severity::Warning } else { Severity::Info };
    let key = format!("{}:{event}:{}", subject.unwrap_or(topic), scope.distinction());
    push(scope, key, topic, title, severity);
    Ok(())
}

/// What Twilio's debugger reports: most often that it could not reach somebody, or did not understand what it was told.
fn read_debugger(scope: &mut Scope<'_>, level: &str) {
    let form = scope.form;
    let payload = form.get("Payload").unwrap_or_default();
    let payload: Value = outside::read(payload.as_bytes()).unwrap_or_default();
    let text = |name: &str| payload[name].as_str().unwrap_or_default();
    let more = [text("error_code"), text("resource_sid")];
    let more: Vec<&str> = more.into_iter().filter(|text| !text.is_empty()).collect();
    let title = format!("Twilio reports {}: {}", level.to_lowercase(), more.join(", "));
    let title = title.trim_end_matches(": ").to_owned();
    let severity = match level {
        "ERROR" => Severity::Warning,
        _ => Severity::Info,
    };
    let id = form.owned("Sid").unwrap_or_else(|| scope.distinction());
    push(scope, format!("{id}:debugger"), "debugger", title, severity);
}

fn push(scope: &mut Scope<'_>, key: String, topic: &str, title: String, severity: Severity) {
    let form = scope.form;
    let at = form.get("Timestamp").and_then(rfc3339).unwrap_or(scope.at);
    let notice = notice(topic, title, severity, form.to_json());
    scope.push(key, at, account(form), EventKind::Notice(notice));
}

fn notice(topic: &str, title: String, severity: Severity, data: Value) -> Notice {
    let topic = topic.to_owned();
    Notice { topic, title, severity, number: None, template: None, preference: None, data }
}

/// One event of a stream: its key, when it happened, whose it is, and what it says. `None` for what is none.
/// <https://www.twilio.com/docs/events>
pub(super) fn streamed(event: &Value) -> Option<(String, Option<Timestamp>, Line, EventKind)> {
    let topic = event["type"].as_str()?;
    let id = event["id"].as_str()?;
    let title = format!("Twilio event stream: {topic}");
    let at = event["time"].as_str().and_then(rfc3339);
    let kind = EventKind::Notice(notice(topic, title, Severity::Info, event.clone()));
    Some((format!("{id}:{topic}"), at, streamed_to(event), kind))
}

/// The account that an event of a stream names.
pub(super) fn streamed_to(event: &Value) -> Line {
    let data = &event["data"];
    let named = ["accountSid", "account_sid", "AccountSid"];
    let named = named.into_iter().find_map(|name| data[name].as_str());
    let source = || {
        let parts = event["source"].as_str()?.split('/');
        parts.into_iter().find(|part| part.starts_with("AC"))
    };
    named.or_else(source).map_or(Line::Unnamed, |sid| Line::Account(sid.to_owned()))
}

/// Whether a message came over a channel that is not carried.
pub(super) fn is_foreign(form: &Form<'_>) -> bool {
    form.has("ConversationSid") || foreign(form).is_some()
}
