//! WAHA's webhooks as they are written. Members that engines fill in differently are read leniently or left as they came.
//! <https://waha.devlike.pro/docs/how-to/events/>

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Timestamp;
use crate::lenient::{Maybe, decimal, unix_time};

/// What every webhook has. One webhook is one event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    /// `evt_` and a ULID; the same when it is delivered again.
    pub(super) id: Maybe,
    /// Milliseconds.
    pub(super) timestamp: Maybe,
    pub(super) event: Maybe,
    pub(super) session: Maybe,
    #[serde(borrow)]
    pub(super) me: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) payload: Option<&'a RawValue>,
}

/// The linked number. Missing until a device is linked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Me {
    pub(super) id: Maybe,
    pub(super) lid: Maybe,
}

/// A message, or a part of its life: an edit has the same members.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireMessage<'a> {
    pub(super) id: Maybe,
    /// Seconds, perhaps with a fraction.
    pub(super) timestamp: Maybe,
    pub(super) from: Maybe,
    pub(super) from_me: Option<bool>,
    /// `api` or `app`, for messages of ours.
    pub(super) source: Maybe,
    pub(super) to: Maybe,
    pub(super) participant: Maybe,
    pub(super) author: Maybe,
    pub(super) body: Maybe,
    pub(super) has_media: Option<bool>,
    pub(super) media: Option<Media>,
    pub(super) ack: Maybe,
    pub(super) location: Option<Location>,
    #[serde(rename = "vCards")]
    pub(super) v_cards: Option<Vec<String>>,
    pub(super) reply_to: Option<ReplyTo>,
    pub(super) edited_message_id: Maybe,
    pub(super) reaction: Option<Reaction>,
    #[serde(borrow, rename = "_data")]
    pub(super) data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Media {
    pub(super) url: Maybe,
    pub(super) mimetype: Maybe,
    pub(super) filename: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Location {
    #[serde(deserialize_with = "decimal")]
    pub(super) latitude: Option<f64>,
    #[serde(deserialize_with = "decimal")]
    pub(super) longitude: Option<f64>,
    pub(super) name: Maybe,
    pub(super) address: Maybe,
    pub(super) url: Maybe,
    pub(super) description: Maybe,
}

/// The message that this one answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplyTo {
    pub(super) id: Maybe,
    pub(super) participant: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Reaction {
    /// The emoji; empty when it is taken back.
    pub(super) text: Maybe,
    pub(super) message_id: Maybe,
}

/// A message that was taken back. Engines tell of it in different halves.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Revoked<'a> {
    pub(super) revoked_message_id: Maybe,
    #[serde(borrow)]
    pub(super) before: Option<WireMessage<'a>>,
    #[serde(borrow)]
    pub(super) after: Option<WireMessage<'a>>,
    #[serde(borrow, rename = "_data")]
    pub(super) data: Option<&'a RawValue>,
}

/// A vote in a poll.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vote<'a> {
    /// The message by which somebody votes; it has what they chose beside it.
    #[serde(borrow)]
    pub(super) vote: Option<&'a RawValue>,
    pub(super) poll: Option<Poll>,
    #[serde(borrow, rename = "_data")]
    pub(super) data: Option<&'a RawValue>,
}

/// All options that somebody chose.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Chosen {
    pub(super) selected_options: Value,
}

/// The poll that a vote is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Poll {
    pub(super) id: Maybe,
    pub(super) from_me: Option<bool>,
}

/// How far a message of ours has come.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Ack {
    pub(super) id: Maybe,
    pub(super) from: Maybe,
    pub(super) to: Maybe,
    pub(super) participant: Maybe,
    pub(super) from_me: Option<bool>,
    pub(super) ack: Maybe,
    pub(super) ack_name: Maybe,
    pub(super) error: Option<AckError>,
    /// What the engine says; it may name the person in another way.
    #[serde(rename = "_data")]
    pub(super) data: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AckError {
    /// WhatsApp's own code, 463 for instance.
    pub(super) code: Maybe,
    pub(super) reason: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Call {
    pub(super) id: Maybe,
    pub(super) from: Maybe,
    pub(super) timestamp: Maybe,
    pub(super) is_video: Option<bool>,
    pub(super) is_group: Option<bool>,
    #[serde(rename = "_data")]
    pub(super) data: Value,
}

/// How the session is doing, and the last few states before.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SessionStatus {
    pub(super) status: Maybe,
    pub(super) statuses: Vec<Value>,
}

/// Unix seconds, perhaps with a fraction, or milliseconds.
pub(super) fn time(text: &Maybe) -> Option<Timestamp> {
    let text = text.get()?;
    if let Some(time) = unix_time(text) {
        return Some(time);
    }
    let (seconds, fraction) = text.trim().split_once('.')?;
    let whole = unix_time(seconds)?;
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let millis: u32 = digits.parse().ok()?;
    DateTime::from_timestamp(whole.timestamp(), millis * 1_000_000)
}
