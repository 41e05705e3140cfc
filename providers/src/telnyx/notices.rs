//! News that are neither a message nor a call: orders, ports, registrations, faxes, clicks, limits, conferences as a whole,
//! and whatever else Telnyx tells. Kept as notices for the administrator.

use serde_json::Value;
use serde_json::value::RawValue;

use super::details::{reasons, titled};
use super::severity;
use super::webhook::{Scope, Unreadable};
use crate::outside;
use crate::{Address, EventKind, Notice};

/// 10DLC campaign news have no type of their own; this is what the documentation calls them.
/// <https://developers.telnyx.com/api-reference/callbacks/campaign-status-update>
pub(super) const CAMPAIGN: &str = "campaignStatusUpdate";

/// Reads an event as one notice with everything it says.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let data: Value = outside::part(payload)?;
    let number = number(&data);
    if let Some(number) = &number {
        scope.concerns(number);
    }
    let notice = Notice {
        topic: scope.event_type.clone(),
        title: title(&scope.event_type, &data),
        severity: severity::of(&scope.event_type, &data),
        number,
        template: None,
        preference: None,
        data,
    };
    scope.push(None, EventKind::Notice(notice));
    Ok(())
}

/// What happened, to which number and why.
fn title(event_type: &str, data: &Value) -> String {
    let mut title = titled(event_type, data);
    let spent = data["current_cost"].as_str().zip(data["configured_limit"].as_str());
    // A message over a channel that is none of ours.
    let channel = data["type"].as_str().filter(|_| event_type.starts_with("message."));
    let spent = spent.map(|(cost, limit)| format!("{cost} spent of {limit}"));
    let number = number(data).map(|number| number.value().to_owned());
    let channel = channel.map(ToOwned::to_owned);
    for more in channel.into_iter().chain(spent).chain(number).chain(reasons(data)) {
        if !title.contains(&more) {
            title.push_str(if title.len() == event_type.len() { ": " } else { ", " });
            title.push_str(&more);
        }
    }
    title
}

/// The first number of ours that it is about, as orders and registrations name theirs. An event about somebody names
/// them by `from` and `to`.
pub(super) fn number(data: &Value) -> Option<Address> {
    let first = |value: &Value| match value {
        Value::Array(items) => items.first().map(|item| item.get("value").unwrap_or(item).clone()),
        Value::String(_) => Some(value.clone()),
        _ => None,
    };
    let named = ["phone_numbers", "numbers", "phoneNumber"];
    let found = named.iter().find_map(|name| first(data.get(name)?))?;
    let number = found.get("phone_number").unwrap_or(&found).as_str()?;
    Address::caller(number).filter(|address| matches!(address, Address::Phone(_)))
}
