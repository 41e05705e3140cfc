//! The JSON of Meta's webhooks, as it is on the wire. Nothing here leaves the folder.
//!
//! Lists hold [`RawValue`]s, so that one malformed item is found by itself and kept whole. Unknown members are
//! ignored, since Meta adds some with every version.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient::Maybe;

mod message;

pub(super) use message::*;

/// The whole POST.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Notification<'a> {
    pub(in crate::meta) object: String,
    #[serde(borrow)]
    pub(in crate::meta) entry: Vec<&'a RawValue>,
}

/// News of one WABA.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Entry<'a> {
    pub(in crate::meta) id: Maybe,
    pub(in crate::meta) time: Maybe,
    #[serde(borrow)]
    pub(in crate::meta) changes: Vec<&'a RawValue>,
}

/// News of one subscribed field.
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Change<'a> {
    pub(in crate::meta) field: String,
    #[serde(borrow)]
    pub(in crate::meta) value: &'a RawValue,
}

/// The value of the fields that name a number of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Value<'a> {
    pub(in crate::meta) metadata: Option<Metadata>,
    #[serde(borrow)]
    pub(in crate::meta) contacts: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::meta) messages: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::meta) statuses: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::meta) message_echoes: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::meta) history: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::meta) calls: Vec<&'a RawValue>,
    pub(in crate::meta) errors: Vec<WireError>,
}

/// The number of ours that the news is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Metadata {
    pub(in crate::meta) display_phone_number: Maybe,
    pub(in crate::meta) phone_number_id: Maybe,
}

/// What is known of a person who wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Contact {
    pub(in crate::meta) profile: Option<Profile>,
    pub(in crate::meta) wa_id: Maybe,
    pub(in crate::meta) user_id: Maybe,
    pub(in crate::meta) parent_user_id: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Profile {
    pub(in crate::meta) name: Maybe,
    pub(in crate::meta) username: Maybe,
}

/// `value.history[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct HistoryChunk<'a> {
    pub(in crate::meta) metadata: Option<HistoryProgress>,
    #[serde(borrow)]
    pub(in crate::meta) threads: Vec<&'a RawValue>,
    pub(in crate::meta) errors: Vec<WireError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct HistoryProgress {
    pub(in crate::meta) phase: Maybe,
    pub(in crate::meta) chunk_order: Maybe,
    pub(in crate::meta) progress: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Thread<'a> {
    pub(in crate::meta) id: Maybe,
    pub(in crate::meta) context: Option<Contact>,
    #[serde(borrow)]
    pub(in crate::meta) messages: Vec<&'a RawValue>,
}

/// `value.statuses[]`, of messages and of calls.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Status {
    pub(in crate::meta) id: String,
    pub(in crate::meta) status: String,
    #[serde(rename = "type")]
    pub(in crate::meta) kind: Maybe,
    pub(in crate::meta) timestamp: Maybe,
    pub(in crate::meta) recipient_id: Maybe,
    pub(in crate::meta) recipient_type: Maybe,
    pub(in crate::meta) recipient_participant_id: Maybe,
    pub(in crate::meta) recipient_participant_user_id: Maybe,
    pub(in crate::meta) biz_opaque_callback_data: Maybe,
    pub(in crate::meta) conversation: Option<serde_json::Value>,
    pub(in crate::meta) pricing: Option<serde_json::Value>,
    pub(in crate::meta) errors: Vec<WireError>,
}

/// `errors[]`, wherever it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireError {
    pub(in crate::meta) code: Maybe,
    pub(in crate::meta) title: Maybe,
    pub(in crate::meta) message: Maybe,
    pub(in crate::meta) error_data: Option<ErrorData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct ErrorData {
    pub(in crate::meta) details: Maybe,
}

/// `value.calls[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireCall {
    pub(in crate::meta) id: String,
    pub(in crate::meta) event: String,
    pub(in crate::meta) timestamp: Maybe,
    pub(in crate::meta) from: Maybe,
    pub(in crate::meta) to: Maybe,
    pub(in crate::meta) direction: Maybe,
    pub(in crate::meta) status: Maybe,
    pub(in crate::meta) start_time: Maybe,
    pub(in crate::meta) duration: Maybe,
}
