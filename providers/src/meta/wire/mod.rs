//! The JSON of Meta's webhooks, as it is on the wire. Nothing here leaves the folder.
//!
//! Lists hold [`RawValue`]s, so that one malformed item is found by itself and kept whole. Texts are borrowed from
//! the body wherever JSON needs no unescaping. Unknown members are ignored, since Meta adds some with every version.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::lenient::Lenient;

mod answer;
mod message;

pub(super) use answer::*;
pub(super) use message::*;

/// A member that may be missing, null or blank, and may come as a text, a number or a boolean.
#[derive(Debug, Clone, Default)]
pub(in crate::meta) struct Word<'a>(Option<Cow<'a, str>>);

impl Word<'_> {
    pub(in crate::meta) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(in crate::meta) fn owned(self) -> Option<String> {
        self.0.map(Cow::into_owned)
    }

    pub(in crate::meta) fn or_empty(self) -> String {
        self.owned().unwrap_or_default()
    }

    pub(in crate::meta) fn number(&self) -> Option<i64> {
        self.get()?.trim().parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<Lenient<'a>>::deserialize(deserializer)?.map(|Lenient(text)| text);
        Ok(Self(text.filter(|text| !text.trim().is_empty())))
    }
}

/// The whole POST.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Notification<'a> {
    #[serde(borrow)]
    pub(in crate::meta) object: Cow<'a, str>,
    pub(in crate::meta) entry: Vec<&'a RawValue>,
}

/// News of one WABA; of the partner's own business portfolio where a partner gains or loses one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Entry<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Word<'a>,
    pub(in crate::meta) time: Word<'a>,
    pub(in crate::meta) changes: Vec<&'a RawValue>,
}

/// News of one subscribed field.
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Change<'a> {
    #[serde(borrow)]
    pub(in crate::meta) field: Cow<'a, str>,
    pub(in crate::meta) value: &'a RawValue,
}

/// The members of a value that say whose it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Whose<'a> {
    #[serde(borrow)]
    pub(in crate::meta) metadata: Option<Metadata<'a>>,
    pub(in crate::meta) waba_info: Option<WabaInfo<'a>>,
    /// Our number in news of a conversation that changes hands.
    pub(in crate::meta) recipient: Option<&'a RawValue>,
}

impl<'a> Whose<'a> {
    /// Our number.
    pub(in crate::meta) fn number(&mut self) -> Metadata<'a> {
        let recipient = || self.recipient.and_then(|raw| crate::outside::part(raw).ok());
        self.metadata.take().or_else(recipient).unwrap_or_default()
    }
}

/// The value of the fields that name a number of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Value<'a> {
    #[serde(borrow)]
    pub(in crate::meta) metadata: Option<Metadata<'a>>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) contacts: Vec<&'a RawValue>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) messages: Vec<&'a RawValue>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) statuses: Vec<&'a RawValue>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) message_echoes: Vec<&'a RawValue>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) history: Vec<&'a RawValue>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) calls: Vec<&'a RawValue>,
    #[serde(deserialize_with = "list")]
    pub(in crate::meta) errors: Vec<&'a RawValue>,
}

impl Value<'_> {
    /// How many items the lists that we know have.
    pub(in crate::meta) fn items(&self) -> usize {
        let lists =
            [&self.messages, &self.message_echoes, &self.statuses, &self.calls, &self.history];
        lists.into_iter().map(Vec::len).sum()
    }
}

/// A list that may be null.
fn list<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'a RawValue>, D::Error> {
    Ok(Option::<Vec<&'a RawValue>>::deserialize(deserializer)?.unwrap_or_default())
}

/// The number of ours that the news is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Metadata<'a> {
    #[serde(borrow)]
    pub(in crate::meta) display_phone_number: Word<'a>,
    pub(in crate::meta) phone_number_id: Word<'a>,
}

/// The WABA that a partner gained or lost.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/account_update>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WabaInfo<'a> {
    #[serde(borrow)]
    pub(in crate::meta) waba_id: Word<'a>,
}

/// What is known of a person who wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Contact<'a> {
    #[serde(borrow)]
    pub(in crate::meta) profile: Option<Profile<'a>>,
    pub(in crate::meta) wa_id: Word<'a>,
    pub(in crate::meta) user_id: Word<'a>,
    pub(in crate::meta) parent_user_id: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Profile<'a> {
    #[serde(borrow)]
    pub(in crate::meta) name: Word<'a>,
    pub(in crate::meta) username: Word<'a>,
}

/// `value.history[]`.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/history>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct HistoryChunk<'a> {
    /// How far the import is: `phase`, `chunk_order`, `progress`.
    pub(in crate::meta) metadata: serde_json::Map<String, serde_json::Value>,
    #[serde(borrow)]
    pub(in crate::meta) threads: Vec<&'a RawValue>,
    pub(in crate::meta) errors: Vec<&'a RawValue>,
}

/// The old messages exchanged with one person.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Thread<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Word<'a>,
    pub(in crate::meta) context: Option<Contact<'a>>,
    pub(in crate::meta) messages: Vec<&'a RawValue>,
}

/// `value.statuses[]`, of messages and of calls.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages/status>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Status<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(in crate::meta) status: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(in crate::meta) kind: Word<'a>,
    pub(in crate::meta) timestamp: Word<'a>,
    pub(in crate::meta) recipient_id: Word<'a>,
    pub(in crate::meta) recipient_user_id: Word<'a>,
    pub(in crate::meta) recipient_parent_user_id: Word<'a>,
    pub(in crate::meta) recipient_type: Word<'a>,
    pub(in crate::meta) recipient_participant_id: Word<'a>,
    pub(in crate::meta) recipient_participant_user_id: Word<'a>,
    pub(in crate::meta) biz_opaque_callback_data: Word<'a>,
    pub(in crate::meta) from: Word<'a>,
    pub(in crate::meta) conversation: Option<serde_json::Value>,
    pub(in crate::meta) pricing: Option<serde_json::Value>,
    pub(in crate::meta) errors: Vec<&'a RawValue>,
}

/// `errors[]`, wherever it stands.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireError<'a> {
    #[serde(borrow)]
    pub(in crate::meta) code: Word<'a>,
    pub(in crate::meta) title: Word<'a>,
    pub(in crate::meta) message: Word<'a>,
    pub(in crate::meta) error_data: Option<ErrorData<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct ErrorData<'a> {
    #[serde(borrow)]
    pub(in crate::meta) details: Word<'a>,
}

/// `value.calls[]`.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/calling/reference>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireCall<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(in crate::meta) event: Cow<'a, str>,
    pub(in crate::meta) timestamp: Word<'a>,
    pub(in crate::meta) from: Word<'a>,
    pub(in crate::meta) from_user_id: Word<'a>,
    pub(in crate::meta) from_parent_user_id: Word<'a>,
    pub(in crate::meta) to: Word<'a>,
    pub(in crate::meta) to_user_id: Word<'a>,
    pub(in crate::meta) to_parent_user_id: Word<'a>,
    pub(in crate::meta) direction: Word<'a>,
    pub(in crate::meta) status: Word<'a>,
    pub(in crate::meta) start_time: Word<'a>,
    pub(in crate::meta) duration: Word<'a>,
    pub(in crate::meta) call_transcript: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Transcript<'a> {
    #[serde(borrow)]
    pub(in crate::meta) document: Option<Media<'a>>,
}

/// `value.user_preferences[]`.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/user_preferences>
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Preference<'a> {
    #[serde(borrow, default)]
    pub(in crate::meta) wa_id: Word<'a>,
    #[serde(default)]
    pub(in crate::meta) user_id: Word<'a>,
    #[serde(default)]
    pub(in crate::meta) parent_user_id: Word<'a>,
    #[serde(default)]
    pub(in crate::meta) category: Word<'a>,
    #[serde(borrow)]
    pub(in crate::meta) value: Cow<'a, str>,
    #[serde(default)]
    pub(in crate::meta) timestamp: Word<'a>,
}

/// The value of field `user_preferences`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Preferences<'a> {
    #[serde(borrow)]
    pub(in crate::meta) contacts: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::meta) user_preferences: Vec<&'a RawValue>,
}

/// The value of field `smb_app_state_sync`.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/smb_app_state_sync>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct StateSync<'a> {
    #[serde(borrow)]
    pub(in crate::meta) state_sync: Vec<&'a RawValue>,
}

/// `value.state_sync[]`: somebody was added to, changed in or removed from the telephone's address book.
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct SyncItem<'a> {
    #[serde(borrow)]
    pub(in crate::meta) action: Cow<'a, str>,
}
