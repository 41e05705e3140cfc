//! News about the account itself, its numbers and templates: kept as notices for the administrator.
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/webhooks>

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::webhook::{Scope, Unreadable};
use crate::{EventKind, Notice, Severity};

const FIELDS: [&str; 18] = [
    "account_alerts",
    "account_offboarded",
    "account_reconnected",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_status_update",
    "flows",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "template_category_update",
    "user_preferences",
];

/// Words that mean that traffic stops, and words that somebody should look at.
const CRITICAL: [&str; 9] = [
    "ACCOUNT_DELETED",
    "ACCOUNT_OFFBOARDED",
    "ACCOUNT_RESTRICTION",
    "CRITICAL",
    "DISABLE",
    "DISABLED",
    "DISABLED_UPDATE",
    "PARTNER_APP_UNINSTALLED",
    "PARTNER_REMOVED",
];
const WARNING: [&str; 15] = [
    "ACCOUNT_VIOLATION",
    "DOWNGRADE",
    "FLAGGED",
    "LIMIT_EXCEEDED",
    "LOCKED",
    "PAUSED",
    "PENDING_DELETION",
    "PIN_CHANGED",
    "PIN_RESET_REQUEST",
    "PIN_RESET_SUCCESS",
    "RED",
    "REJECTED",
    "WARNING",
    "stop",
    "DEFERRED",
];

/// Members whose values say what happened, in the order in which a title reads well.
const TELLING: [&str; 22] = [
    "event",
    "decision",
    "message_template_name",
    "message_template_language",
    "display_phone_number",
    "alert_type",
    "alert_severity",
    "alert_description",
    "new_quality_score",
    "new_category",
    "correct_category",
    "current_limit",
    "max_daily_conversations_per_business",
    "requested_verified_name",
    "rejection_reason",
    "reason",
    "wa_id",
    "value",
    "action",
    "full_name",
    "title",
    "code",
];

pub(super) fn is_known(field: &str) -> bool {
    FIELDS.contains(&field)
}

/// Reads a change as one notice; a value that is no JSON object is still a notice.
pub(super) fn read(scope: &mut Scope<'_>, field: &str, raw: &RawValue) {
    if let Err(Unreadable(reason)) = push(scope, field, raw) {
        scope.batch.keep(
            scope.position.clone(),
            scope.line.clone(),
            reason,
            raw.get(),
        );
    }
}

pub(super) fn push(scope: &mut Scope<'_>, field: &str, raw: &RawValue) -> Result<(), Unreadable> {
    let data: Value = serde_json::from_str(raw.get())?;
    let mut words = Vec::new();
    collect(&data, 0, &mut words);
    let severity = severity(&words);
    let title = match words.as_slice() {
        [] => field.to_owned(),
        words => format!("{field}: {}", words.join(", ")),
    };
    // Meta gives these no id: what it says, when it says it, is the news.
    let digest = Sha256::digest(raw.get());
    let key = format!(
        "{field}:{}:{}",
        scope.at.timestamp(),
        hex::encode(&digest[..16])
    );
    let notice = Notice {
        topic: field.to_owned(),
        title,
        severity,
        data,
    };
    scope
        .batch
        .push(key, scope.at, scope.line.clone(), EventKind::Notice(notice));
    Ok(())
}

/// The telling values, at most eight, not deeper than three levels.
fn collect(data: &Value, depth: usize, words: &mut Vec<String>) {
    match data {
        Value::Object(members) => {
            for name in TELLING {
                let text = match members.get(name) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Number(number)) => number.to_string(),
                    _ => continue,
                };
                if !text.is_empty() && text != "NONE" && words.len() < 8 {
                    words.push(text.chars().take(120).collect());
                }
            }
            if depth < 3 {
                members
                    .values()
                    .for_each(|value| collect(value, depth + 1, words));
            }
        }
        Value::Array(items) if depth < 3 => {
            items
                .iter()
                .take(4)
                .for_each(|item| collect(item, depth + 1, words));
        }
        _ => {}
    }
}

fn severity(words: &[String]) -> Severity {
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if any(&CRITICAL) {
        Severity::Critical
    } else if any(&WARNING) {
        Severity::Warning
    } else {
        Severity::Info
    }
}
