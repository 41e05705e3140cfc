//! How urgent the news of each field is: whether traffic stops, or somebody should look at it.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference>

use serde_json::Value;

use crate::Severity;

/// How urgent the value of a field is. What we do not know is good to know.
pub(super) fn of(field: &str, data: &Value) -> Severity {
    let places = [data, &data["alert_info"]];
    let word =
        |name: &str| places.into_iter().find_map(|place| place[name].as_str()).unwrap_or_default();
    match (field, word("event")) {
        ("account_offboarded", _) => Severity::Critical,
        ("account_update", event) => account(event, &data["ban_info"]["waba_ban_state"]),
        ("account_review_update", _) => match word("decision") {
            "REJECTED" => Severity::Critical,
            "DEFERRED" => Severity::Warning,
            _ => Severity::Info,
        },
        ("account_alerts", _) => match word("alert_severity") {
            "CRITICAL" => Severity::Critical,
            "WARNING" => Severity::Warning,
            _ => Severity::Info,
        },
        ("message_template_status_update", event) => template(event),
        ("message_template_quality_update", _) => warning_if(word("new_quality_score") == "RED"),
        // An impending change of category changes the price.
        ("template_correct_category_detection", _) => Severity::Warning,
        ("business_username_update", _) => warning_if(matches!(
            word("status").to_ascii_lowercase().as_str(),
            "deleted" | "rejected"
        )),
        // People are to take over.
        ("messaging_handovers", _) => {
            warning_if(data["control_passed"]["new_owner_role"] != "ai_agent")
        }
        (field, _) if field.starts_with("group_") => warning_if(troubled(&data["groups"])),
        ("template_category_update", _) => warning_if(data.get("correct_category").is_some()),
        ("phone_number_name_update", _) => warning_if(word("decision") == "REJECTED"),
        ("phone_number_quality_update", event) => {
            warning_if(matches!(event, "DOWNGRADE" | "FLAGGED"))
        }
        // Somebody changed, or asked to change, the PIN by which a number is taken over.
        ("security", _) => Severity::Warning,
        ("flows", event) => warning_if(
            event == "FLOW_VERSION_EXPIRY_WARNING"
                || word("alert_state") == "ACTIVATED"
                || matches!(word("new_status"), "BLOCKED" | "THROTTLED"),
        ),
        _ => Severity::Info,
    }
}

/// Whether one of these groups was suspended, or what was asked of it failed.
fn troubled(groups: &Value) -> bool {
    let is_troubled = |group: &Value| {
        group["type"] == "group_suspend"
            || group["errors"].as_array().is_some_and(|e| !e.is_empty())
    };
    groups.as_array().is_some_and(|groups| groups.iter().any(is_troubled))
}

fn account(event: &str, ban_state: &Value) -> Severity {
    match event {
        "DISABLED_UPDATE" if ban_state == "REINSTATE" => Severity::Info,
        "ACCOUNT_DELETED"
        | "ACCOUNT_OFFBOARDED"
        | "ACCOUNT_RESTRICTION"
        | "DISABLED_UPDATE"
        | "PARTNER_APP_UNINSTALLED"
        | "PARTNER_REMOVED" => Severity::Critical,
        "ACCOUNT_VIOLATION" => Severity::Warning,
        _ => Severity::Info,
    }
}

fn template(event: &str) -> Severity {
    let needs_a_look = [
        "DELETED",
        "DISABLED",
        "FLAGGED",
        "LIMIT_EXCEEDED",
        "LOCKED",
        "PAUSED",
        "PENDING_DELETION",
        "REJECTED",
    ];
    warning_if(needs_a_look.contains(&event))
}

fn warning_if(needs_a_look: bool) -> Severity {
    if needs_a_look { Severity::Warning } else { Severity::Info }
}
