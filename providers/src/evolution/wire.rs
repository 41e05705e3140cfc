//! Evolution's webhooks as they are written. What differs between versions is read leniently or left as it came.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Timestamp;
use crate::bridge::values::long;
use crate::lenient::{Maybe, unix_time};

/// What every webhook has. `apikey` is a credential and is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    pub(super) event: Maybe,
    pub(super) instance: Maybe,
    /// Our own number, whoever wrote.
    pub(super) sender: Maybe,
    /// The server's local time under a `Z`: it tells no instant, but it is the same when the webhook is repeated.
    pub(super) date_time: Maybe,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// Which message, and in which chat. Names of the other JID differ between versions.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) id: Maybe,
    pub(super) from_me: Option<bool>,
    pub(super) remote_jid: Maybe,
    pub(super) remote_jid_alt: Maybe,
    pub(super) sender_pn: Maybe,
    pub(super) sender_lid: Maybe,
    pub(super) participant: Maybe,
    pub(super) participant_alt: Maybe,
    pub(super) participant_pn: Maybe,
    pub(super) participant_lid: Maybe,
}

/// One message.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireMessage {
    pub(super) key: Key,
    /// The author's name; our own for what we wrote.
    pub(super) push_name: Maybe,
    pub(super) status: Maybe,
    pub(super) message: Value,
    pub(super) context_info: Value,
    pub(super) message_type: Maybe,
    /// Seconds, as a number, a text or a 64-bit pair.
    pub(super) message_timestamp: Value,
    /// What happened in the chat, where nobody wrote anything.
    pub(super) message_stub_type: Value,
}

/// How far a message has come, or that it was taken back. Version 1 has the key and the update in members of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Update {
    pub(super) key_id: Maybe,
    pub(super) id: Maybe,
    pub(super) remote_jid: Maybe,
    pub(super) remote_jid_alt: Maybe,
    pub(super) from_me: Option<bool>,
    pub(super) participant: Maybe,
    pub(super) participant_alt: Maybe,
    pub(super) status: Maybe,
    pub(super) key: Option<Key>,
    pub(super) update: Option<UpdateOfV1>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UpdateOfV1 {
    pub(super) status: Maybe,
    /// What was done to the message, where it is no status: 1 or `REVOKE`.
    #[serde(rename = "messageStubType")]
    pub(super) done: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Call {
    pub(super) id: Maybe,
    pub(super) chat_id: Maybe,
    pub(super) from: Maybe,
    pub(super) caller_pn: Maybe,
    pub(super) status: Maybe,
    /// RFC 3339; unlike `date_time` it is UTC.
    pub(super) date: Maybe,
    pub(super) is_video: Option<bool>,
    pub(super) is_group: Option<bool>,
}

/// Unix seconds.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    unix_time(&long(value)?.to_string())
}
