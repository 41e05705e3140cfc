//! How urgent the news of each family is: whether traffic stops, or somebody should look at it.
//! <https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks>

use serde_json::Value;

use super::notices::CAMPAIGN;
use crate::Severity;

/// Members that say how something stands, wherever Telnyx puts them.
const STANDING: [&str; 7] =
    ["status", "order_status", "campaignStatus", "brandStatus", "eventType", "type", "decision"];

/// Words that say that something did not work; others hold them, as `TCR_FAILED` and `carrier_rejected` do.
const BAD: [&str; 8] =
    ["FAIL", "REJECT", "ERROR", "EXCEPTION", "INELIGIBLE", "UNVERIFIED", "CANCEL", "DECLINED"];

/// Words that say that what worked works no longer.
const OVER: [&str; 6] = ["SUSPEND", "EXPIRE", "DORMANT", "DEACTIVATE", "TERMINATE", "DEPROVISION"];

/// Events that somebody should look at, whatever they say.
const LOOK: [&str; 6] = [
    "messaging_hosted_numbers_orders.deleted",
    "messaging_hosted_numbers_orders.internal_transfer_approval_requested",
    "messaging_hosted_numbers_orders.internal_transfer_approved",
    "messaging_hosted_numbers_orders.internal_transfer_auto_approved",
    "portout.foc_date_changed",
    "portout.new_comment",
];

/// How urgent an event is. What we do not know is good to know, unless it says that something failed.
pub(super) fn of(event_type: &str, data: &Value) -> Severity {
    let says =
        |words: &[&str]| standing(data).any(|told| words.iter().any(|word| told.contains(word)));
    let is_registration = event_type.starts_with("10dlc.") || event_type == CAMPAIGN;
    let last = event_type.rsplit('.').next();
    let is_bad = matches!(last, Some("failed" | "error")) || says(&BAD);
    let is_critical = match event_type {
        "messaging-profile.spend-limit-reached" => true,
        // A number is about to go: whoever did not ask for it has days, and then neither calls nor messages.
        "portout.status_changed" => !is_bad,
        _ => is_registration && says(&OVER),
    };
    if is_critical {
        Severity::Critical
    // A verification is one code to one person, who asks for another.
    } else if LOOK.contains(&event_type) || is_bad && !event_type.starts_with("verify.") {
        Severity::Warning
    } else {
        Severity::Info
    }
}

/// How it stands, in capitals; porting orders wrap theirs as `{"value": …}`.
fn standing(data: &Value) -> impl Iterator<Item = String> + '_ {
    STANDING.iter().filter_map(|name| {
        let told = data.get(name)?;
        told.get("value").unwrap_or(told).as_str().map(str::to_ascii_uppercase)
    })
}
