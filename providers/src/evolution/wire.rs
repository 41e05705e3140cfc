//! Evolution's webhooks as they are written. What differs between versions is read leniently or left as it came.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Timestamp;
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

/// A whole number however JavaScript wrote it: as a number, a text, or a pair of 32-bit halves.
pub(super) fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(halves) => {
            let low = halves.get("low")?.as_i64()? & 0xffff_ffff;
            let high = halves.get("high")?.as_i64()?;
            high.checked_mul(1 << 32)?.checked_add(low)
        }
        _ => None,
    }
}

/// Unix seconds.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    unix_time(&long(value)?.to_string())
}

/// Bytes that came as base64, or as an object of numbered bytes. As base64 either way.
pub(super) fn bytes(value: &Value) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Object(members) => {
            let byte = |index: usize| u8::try_from(members.get(&index.to_string())?.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = (0..members.len()).map(byte).collect();
            bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| STANDARD.encode(bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_bytes_are_read_however_they_came() {
        for written in [json!(1_761_759_212), json!("1761759212")] {
            assert_eq!(long(&written), Some(1_761_759_212));
        }
        assert_eq!(long(&json!({ "low": -1, "high": 0, "unsigned": true })), Some(0xffff_ffff));
        assert_eq!(long(&json!({ "low": 1, "high": 2 })), Some((2 << 32) + 1));
        for odd in [json!(null), json!({}), json!({ "low": 1, "high": i64::MAX }), json!([1])] {
            assert_eq!(long(&odd), None, "{odd}");
        }
        assert_eq!(bytes(&json!({ "0": 97, "1": 98, "2": 99 })).as_deref(), Some("YWJj"));
        assert_eq!(bytes(&json!({ "0": 97, "7": 98 })), None);
        assert_eq!(bytes(&json!({ "0": 256 })), None);
    }
}
