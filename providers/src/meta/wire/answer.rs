//! The JSON of the Graph API's answers, as it is on the wire.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference>

use serde::Deserialize;
use serde_json::Value;

use crate::lenient::Maybe;

/// An answer that refuses.
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct RefusalBody {
    pub(in crate::meta) error: Refusal,
}

/// Its `error`.
/// <https://developers.facebook.com/docs/graph-api/guides/error-handling>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Refusal {
    pub(in crate::meta) code: Maybe,
    pub(in crate::meta) error_subcode: Maybe,
    pub(in crate::meta) message: Maybe,
    /// An object; other parts of the Graph API write a text.
    pub(in crate::meta) error_data: Value,
    pub(in crate::meta) is_transient: Maybe,
    /// For the person who made a template, in their language.
    pub(in crate::meta) error_user_msg: Maybe,
    pub(in crate::meta) fbtrace_id: Maybe,
}

impl Refusal {
    /// The most telling explanation it gives.
    pub(in crate::meta) fn explanation(&self) -> Option<&str> {
        let details = self.error_data.get("details").and_then(Value::as_str);
        details.filter(|details| !details.trim().is_empty()).or(self.message.get())
    }
}

/// One of the lists in the header `X-Business-Use-Case-Usage`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Usage {
    pub(in crate::meta) estimated_time_to_regain_access: Maybe,
}

/// What answers a message.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Taken {
    pub(in crate::meta) messages: Vec<TakenMessage>,
    /// Read one by one: a malformed contact costs an address, not the news that the message was taken.
    #[serde(default)]
    pub(in crate::meta) contacts: Value,
}

#[derive(Debug, Deserialize)]
pub(in crate::meta) struct TakenMessage {
    pub(in crate::meta) id: Maybe,
    /// Templates only.
    #[serde(default)]
    pub(in crate::meta) message_status: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct TakenFor {
    pub(in crate::meta) wa_id: Maybe,
    pub(in crate::meta) user_id: Maybe,
    pub(in crate::meta) parent_user_id: Maybe,
}

/// What answers an upload, and the question after a WABA.
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Named {
    pub(in crate::meta) id: Maybe,
}

/// What answers the question after a file.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireFile {
    pub(in crate::meta) url: Maybe,
    pub(in crate::meta) mime_type: Maybe,
    pub(in crate::meta) sha256: Maybe,
    pub(in crate::meta) file_size: Maybe,
}

/// What answers a receipt.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Success {
    pub(in crate::meta) success: Maybe,
}

/// A page of templates.
/// <https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates>
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct TemplateList {
    pub(in crate::meta) data: Vec<Value>,
    #[serde(default)]
    pub(in crate::meta) paging: Paging,
}

/// One of its `data[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireTemplate {
    pub(in crate::meta) id: Maybe,
    pub(in crate::meta) name: Maybe,
    pub(in crate::meta) language: Maybe,
    pub(in crate::meta) status: Maybe,
    pub(in crate::meta) category: Maybe,
    pub(in crate::meta) parameter_format: Maybe,
    pub(in crate::meta) components: Value,
}

/// What answers the creation of a template.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct MadeTemplate {
    pub(in crate::meta) id: Maybe,
    pub(in crate::meta) status: Maybe,
    pub(in crate::meta) category: Maybe,
}

/// <https://developers.facebook.com/docs/graph-api/results>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Paging {
    pub(in crate::meta) cursors: Cursors,
    /// The next page's URL. The last page has none, though it has cursors.
    pub(in crate::meta) next: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Cursors {
    pub(in crate::meta) after: Maybe,
}
