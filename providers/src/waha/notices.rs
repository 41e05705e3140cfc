//! News of the session itself: whether the device is linked and works. Kept as notices for the administrator.
//! <https://waha.devlike.pro/docs/how-to/sessions/#session-status>

use serde_json::Value;
use serde_json::value::RawValue;

use super::webhook::{CREDENTIALS, Scope, Unreadable};
use super::wire::SessionStatus;
use crate::bridge::blank;
use crate::outside;
use crate::{EventKind, Notice, Severity};

/// States of WhatsApp Web that a person must mend: the device was unlinked, or the number banned.
const LOST: [&str; 6] =
    ["UNPAIRED", "UNPAIRED_IDLE", "TOS_BLOCK", "SMB_TOS_BLOCK", "LOGOUT", "LOGGED_OUT"];

/// States that pass, or that somebody should look at.
const DOUBTFUL: [&str; 5] =
    ["CONFLICT", "DEPRECATED_VERSION", "PROXYBLOCK", "TIMEOUT", "UNLAUNCHED"];

/// Reasons for which WhatsApp ends a connection for good: logged out, banned for a time, locked, refused; and those of
/// temporary bans.
const FATAL_CODES: [i64; 9] = [101, 102, 103, 104, 106, 401, 402, 403, 406];

/// Members that hold such a code, or such a state.
const CODES: [&str; 3] = ["statusCode", "reason", "code"];

/// Words of messages that say the same.
const FATAL_WORDS: [&str; 5] =
    ["logged out", "loggedout", "device_removed", "banned", "temporaryban"];

/// Reads `session.status`.
pub(super) fn read_status(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let data: Value = outside::part(payload)?;
    let wire: SessionStatus = outside::part(payload)?;
    let status = wire.status.get().ok_or_else(|| Unreadable("`status` is missing".to_owned()))?;
    // The list ends with the present state.
    let was_working = wire.statuses.iter().any(|point| point["status"] == "WORKING");
    let is_lost = scope.is_linked() || was_working;
    let (severity, title) = match status {
        "WORKING" => (Severity::Info, "the session works"),
        "STARTING" => (Severity::Info, "the session is starting"),
        "SCAN_QR_CODE" if is_lost => {
            (Severity::Critical, "the device was logged out: it must be linked again by hand")
        }
        "SCAN_QR_CODE" => (Severity::Info, "the session waits for its QR code to be scanned"),
        "PASSKEY_REQUIRED" => (Severity::Warning, "linking the device needs a passkey"),
        "PASSKEY_CONFIRMATION_REQUIRED" => {
            (Severity::Warning, "linking the device needs a confirmation")
        }
        "STOPPED" => (Severity::Warning, "the session was stopped"),
        "FAILED" if is_fatal(&data) => {
            (Severity::Critical, "the session failed: logged out or banned")
        }
        "FAILED" => (Severity::Warning, "the session failed"),
        _ => (Severity::Warning, "the session is in an unknown state"),
    };
    push(scope, severity, format!("{title} ({status})"), data);
    Ok(())
}

/// Reads `state.change`: the engine's own state, as a word or as an update of the connection.
pub(super) fn read_state(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let data: Value = outside::part(payload)?;
    // A fresh QR code every few seconds is no news, and whoever has it can link a device of theirs.
    if data.get("qr").is_some() {
        return Ok(());
    }
    let word = data.as_str().or(data["state"].as_str()).or(data["connection"].as_str());
    let word = word.unwrap_or("changed").to_owned();
    let severity = if is_fatal(&data) {
        Severity::Critical
    } else if DOUBTFUL.contains(&word.as_str()) {
        Severity::Warning
    } else {
        Severity::Info
    };
    push(scope, severity, format!("WhatsApp Web: {word}"), data);
    Ok(())
}

fn push(scope: &mut Scope<'_>, severity: Severity, title: String, mut data: Value) {
    blank::in_value(&mut data, &CREDENTIALS);
    let key = format!("{}:{}", scope.event, scope.id);
    let topic = scope.event.to_owned();
    let (number, template, preference) = (None, None, None);
    let notice = Notice { topic, title, severity, number, template, preference, data };
    scope.push(key, None, EventKind::Notice(notice));
}

/// Whether anything in it says that the device was unlinked or the number banned.
pub(super) fn is_fatal(data: &Value) -> bool {
    match data {
        Value::String(text) => {
            let lower = text.to_lowercase();
            LOST.contains(&text.as_str()) || FATAL_WORDS.iter().any(|word| lower.contains(word))
        }
        Value::Array(items) => items.iter().any(is_fatal),
        Value::Object(members) => members.iter().any(|(name, member)| {
            let is_code = CODES.contains(&name.as_str());
            let code = member.as_i64().or_else(|| member.as_str()?.parse().ok());
            is_code && code.is_some_and(|code| FATAL_CODES.contains(&code)) || is_fatal(member)
        }),
        _ => false,
    }
}
