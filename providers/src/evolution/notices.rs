//! News of the instance itself: whether the device is linked and works. Kept as notices for the administrator.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde_json::Value;
use serde_json::value::RawValue;

use super::webhook::{ELSEWHERE, Scope, Unreadable};
use crate::bridge::blank;
use crate::bridge::values::long;
use crate::outside;
use crate::{EventKind, Notice, Severity};

/// Reasons for which WhatsApp ends a connection for good: logged out, banned for a time, locked, refused. Evolution does not
/// connect again after them, and nobody else may.
const FATAL_CODES: [i64; 4] = [401, 402, 403, 406];

/// Whether after this reason only a person can mend the device.
pub(super) fn is_fatal(code: &Value) -> bool {
    long(code).is_some_and(|code| FATAL_CODES.contains(&code))
}

/// Reads `connection.update`.
pub(super) fn read_connection(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let value: Value = outside::part(data)?;
    let state = value["state"].as_str();
    let state = state.ok_or_else(|| Unreadable("`state` is missing".to_owned()))?.to_owned();
    let (severity, title) = match (state.as_str(), is_fatal(&value["statusReason"])) {
        ("open", _) => (Severity::Info, "the device is connected"),
        ("connecting", _) => (Severity::Info, "the device is connecting"),
        ("close", true) => {
            (Severity::Critical, "the device was logged out or the number banned: link it by hand")
        }
        ("close" | "refused", _) => (Severity::Warning, "the connection was closed"),
        _ => (Severity::Warning, "the connection is in an unknown state"),
    };
    push(scope, severity, format!("{title} ({state})"), value, data);
    Ok(())
}

/// Reads `status.instance`: the connection has ended for a reason after which Evolution does not connect again.
pub(super) fn read_instance(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let value: Value = outside::part(data)?;
    let status = value["status"].as_str();
    let status = status.ok_or_else(|| Unreadable("`status` is missing".to_owned()))?.to_owned();
    let (severity, title) = match is_fatal(&value["disconnectionReasonCode"]) {
        true => (Severity::Critical, "the device was logged out or the number banned"),
        false if status == "closed" => (Severity::Warning, "the instance was closed"),
        false => (Severity::Info, "the instance is in another state"),
    };
    push(scope, severity, format!("{title} ({status})"), value, data);
    Ok(())
}

/// Reads `logout.instance`, `remove.instance` and `instance.delete`.
pub(super) fn read_end(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let value: Value = outside::part(data)?;
    let title = match scope.event {
        "logout.instance" => "the device was logged out",
        _ => "the instance was removed from the server",
    };
    push(
        scope,
        Severity::Critical,
        format!("{title}: it must be linked again by hand"),
        value,
        data,
    );
    Ok(())
}

fn push(
    scope: &mut Scope<'_>,
    severity: Severity,
    title: String,
    mut value: Value,
    data: &RawValue,
) {
    blank::in_value(&mut value, &ELSEWHERE);
    let key = format!("{}:{}", scope.event, scope.digest(data));
    let topic = scope.event.to_owned();
    let (number, template, preference) = (None, None, None);
    let notice = Notice { topic, title, severity, number, template, preference, data: value };
    scope.push(key, None, EventKind::Notice(notice));
}
