//! The JSON of Telnyx's webhooks, as it is on the wire. Nothing here leaves the folder.
//!
//! Payloads differ much between events, so each reader takes only the members it knows; unknown members are ignored,
//! since Telnyx adds some without notice.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::lenient::Maybe;

/// The whole POST. What is inside `data` stands at the top in the first Call Control API and in 10DLC news.
/// <https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// One event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireEvent<'a> {
    pub(super) event_type: Maybe,
    pub(super) record_type: Maybe,
    pub(super) id: Maybe,
    /// The old name of `id`.
    pub(super) webhook_id: Maybe,
    pub(super) occurred_at: Maybe,
    pub(super) created_at: Maybe,
    /// When a shortened link was clicked.
    pub(super) time_clicked: Maybe,
    /// 10DLC campaign news have neither a type nor a payload.
    #[serde(rename = "campaignId")]
    pub(super) campaign_id: Maybe,
    #[serde(borrow)]
    pub(super) payload: Option<&'a RawValue>,
}

/// `payload.occurred_at`, where conference events and the old envelope have it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Occurrence {
    pub(super) occurred_at: Maybe,
}

/// Which call an event is about.
/// <https://developers.telnyx.com/api-reference/callbacks/call-initiated>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireCall {
    pub(super) call_leg_id: Maybe,
    pub(super) call_session_id: Maybe,
    pub(super) call_control_id: Maybe,
    pub(super) from: Maybe,
    pub(super) to: Maybe,
    pub(super) caller_id_name: Maybe,
}

/// <https://developers.telnyx.com/api-reference/callbacks/call-hangup>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hangup {
    pub(super) hangup_cause: Maybe,
    pub(super) hangup_source: Maybe,
    pub(super) sip_hangup_cause: Maybe,
    pub(super) call_quality_stats: Option<QualityStats>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QualityStats {
    pub(super) inbound: Option<Quality>,
}

/// `call_quality_stats.inbound`; TeXML writes it alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Quality {
    pub(super) mos: Maybe,
}

/// <https://developers.telnyx.com/api-reference/callbacks/call-machine-detection-ended>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Detection {
    pub(super) result: Maybe,
}

/// <https://developers.telnyx.com/api-reference/callbacks/call-recording-saved>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SavedRecording {
    pub(super) recording_id: Maybe,
    pub(super) recording_started_at: Maybe,
    pub(super) recording_ended_at: Maybe,
    pub(super) channels: Maybe,
    pub(super) recording_urls: Option<RecordingUrls>,
    pub(super) public_recording_urls: Option<RecordingUrls>,
    /// Why it was lost, in `call.recording.error`.
    pub(super) reason: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordingUrls {
    pub(super) mp3: Maybe,
    pub(super) wav: Maybe,
}

/// <https://developers.telnyx.com/api-reference/callbacks/transcription>
/// and <https://developers.telnyx.com/api-reference/callbacks/call-recording-transcription-saved>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Transcription {
    pub(super) transcription_data: Option<TranscriptionData>,
    pub(super) transcription_text: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TranscriptionData {
    pub(super) transcript: Maybe,
    pub(super) is_final: Maybe,
    pub(super) transcription_track: Maybe,
}

/// <https://developers.telnyx.com/api-reference/callbacks/call-cost>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallCost {
    pub(super) total_cost: Maybe,
    #[serde(deserialize_with = "nullable")]
    pub(super) cost_parts: Vec<CostPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CostPart {
    pub(super) currency: Maybe,
}

/// `call.gather.ended` and `call.dtmf.received`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Keys {
    pub(super) digits: Maybe,
    pub(super) digit: Maybe,
    pub(super) status: Maybe,
}

/// A message, either way.
/// <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireMessage {
    pub(super) id: Maybe,
    #[serde(rename = "type")]
    pub(super) kind: Maybe,
    pub(super) from: Endpoints,
    pub(super) to: Endpoints,
    pub(super) cc: Endpoints,
    pub(super) subject: Maybe,
    pub(super) text: Maybe,
    #[serde(deserialize_with = "nullable")]
    pub(super) media: Vec<WireMedia>,
    /// What a WhatsApp message says.
    pub(super) body: Option<Value>,
    pub(super) whatsapp_message: Option<Value>,
    pub(super) autoresponse_type: Maybe,
    /// Where events about a message of ours go.
    pub(super) webhook_url: Maybe,
    pub(super) parts: Maybe,
    pub(super) cost: Option<WireCost>,
    pub(super) cost_breakdown: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    pub(super) errors: Vec<WireError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireMedia {
    pub(super) url: Maybe,
    pub(super) content_type: Maybe,
    pub(super) size: Maybe,
    /// Inbound messages have this name, outbound ones the next.
    pub(super) hash_sha256: Maybe,
    pub(super) sha256: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireCost {
    pub(super) amount: Maybe,
    pub(super) currency: Maybe,
}

/// <https://developers.telnyx.com/docs/messaging/messages/error-codes>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireError {
    pub(super) code: Maybe,
    pub(super) title: Maybe,
    pub(super) detail: Maybe,
    pub(super) source: Option<ErrorSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorSource {
    pub(super) pointer: Maybe,
}

/// One end of a message or call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    pub(super) phone_number: Maybe,
    pub(super) status: Maybe,
}

/// `from`, `to` or `cc`: Telnyx writes a text, an object, or a list of either.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(pub(super) Vec<Endpoint>);

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let one = |value: Value| match value {
            Value::String(_) | Value::Number(_) => serde_json::from_value(value)
                .map(|phone_number| Endpoint { phone_number, ..Endpoint::default() }),
            value => serde_json::from_value(value),
        };
        let ends = match Value::deserialize(deserializer)? {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items.into_iter().map(one).collect(),
            value => one(value).map(|end| vec![end]),
        };
        ends.map(Self).map_err(serde::de::Error::custom)
    }
}

/// A list that may be null.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
