//! News that are neither a message nor a call: orders, ports, registrations, faxes, clicks, conferences as a whole.
//! Kept as notices for the administrator.

use serde_json::Value;
use serde_json::value::RawValue;

use super::details::titled;
use super::webhook::{Scope, Unreadable};
use crate::outside;
use crate::{EventKind, Notice, Severity};

/// 10DLC campaign news have no type of their own; this is what the documentation calls them.
/// <https://developers.telnyx.com/api-reference/callbacks/campaign-status-update>
pub(super) const CAMPAIGN: &str = "campaignStatusUpdate";

/// A click on a link that Telnyx shortened; the record's type stands for the event's.
const LINK_CLICKED: &str = "link_clicked";

/// Families of events, by how their types begin.
const FAMILIES: [&str; 7] = [
    "10dlc.",
    "fax.",
    "messaging_hosted_numbers_orders.",
    "number_order.",
    "porting_order.",
    "portout.",
    "sub_number_order.",
];

pub(super) fn is_known(event_type: &str) -> bool {
    [CAMPAIGN, LINK_CLICKED].contains(&event_type)
        || FAMILIES.iter().any(|family| event_type.starts_with(family))
}

/// Reads an event as one notice with everything it says.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let data: Value = outside::part(payload)?;
    let notice = Notice {
        topic: scope.event_type.clone(),
        title: titled(&scope.event_type, &data),
        severity: Severity::Info,
        number: None,
        template: None,
        preference: None,
        data,
    };
    scope.push(None, EventKind::Notice(notice));
    Ok(())
}
