//! How far messages of ours have come.
//! <https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks>

use super::address::{channel, whatsapp_user};
use super::errors;
use super::messages::line;
use super::webhook::{Scope, Unreadable};
use crate::form::Form;
use crate::{Channel, DeliveryStatus, EventKind, MessageRef, StatusChange, StatusFailure};

/// Twilio's word for the status, in lower case. `SmsStatus` is the older name and the only one for inbound messages.
fn word(form: &Form<'_>) -> Option<String> {
    let word = form.any(&["MessageStatus", "SmsStatus"])?;
    Some(word.trim().to_ascii_lowercase())
}

/// Whether the message came to us. Some products give an inbound message no status at all.
pub(super) fn has_arrived(form: &Form<'_>) -> bool {
    match word(form) {
        Some(word) => status_of(&word) == Some(DeliveryStatus::Received),
        None => form.has("Body") || form.has("NumMedia"),
    }
}

/// Reads a status callback of the message `id`.
///
/// `RawDlrDoneDate` is not read as the time of the event: Twilio passes on what the carrier wrote, to the minute and
/// in a time zone that differs from carrier to carrier and is not told.
pub(super) fn read(scope: &mut Scope<'_>, id: String) -> Result<(), Unreadable> {
    let form = scope.form;
    let word = word(form).ok_or_else(|| Unreadable("`MessageStatus` is missing".to_owned()))?;
    let status =
        status_of(&word).ok_or_else(|| Unreadable(format!("unknown message status `{word}`")))?;
    let key = format!("{id}:{word}");
    let change = StatusChange {
        reference: MessageRef(id),
        ours: scope.ours(),
        status,
        recipient: None,
        failure: failure(status, &word, form),
        pricing: None,
        cost: None,
    };
    let is_ours = status != DeliveryStatus::Received;
    scope.push(key, scope.at, line(form), EventKind::Status(change));
    if is_ours && channel(form, Channel::Sms) == Channel::Whatsapp {
        scope.name(whatsapp_user(form, "To"), None);
    }
    Ok(())
}

fn status_of(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "accepted" | "queued" | "scheduled" => DeliveryStatus::Queued,
        "sending" => DeliveryStatus::Sending,
        "sent" => DeliveryStatus::Sent,
        "delivered" | "partially_delivered" => DeliveryStatus::Delivered,
        "undelivered" | "failed" => DeliveryStatus::Failed,
        "read" => DeliveryStatus::Read,
        "canceled" => DeliveryStatus::Canceled,
        "receiving" | "received" => DeliveryStatus::Received,
        _ => return None,
    })
}

/// Why it failed, if it did. Where no error is named, the status stands for one.
fn failure(status: DeliveryStatus, word: &str, form: &Form<'_>) -> Option<StatusFailure> {
    if status != DeliveryStatus::Failed {
        return None;
    }
    let code = errors::code(form).unwrap_or_else(|| word.to_owned());
    let class = errors::class_of(&code);
    // WhatsApp and RCS explain themselves under another name than carriers do.
    let detail = form.any(&["ErrorMessage", "ChannelStatusMessage"]);
    Some(StatusFailure { code, detail: detail.map(ToOwned::to_owned), class })
}
