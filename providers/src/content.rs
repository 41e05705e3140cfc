//! What a message says, without a provider's words.

use serde::{Deserialize, Serialize};

use crate::MessageRef;

/// The kind of a media attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound that is not a voice message.
    Audio,
    /// A recorded voice message.
    Voice,
    /// A film.
    Video,
    /// Any file.
    Document,
    /// A sticker.
    Sticker,
}

/// A file that came with a message: where it can be had, not its bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attachment {
    /// What it is.
    pub kind: MediaKind,
    /// The provider's id of the file, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// Where the provider says it is, if it says so. Often short-lived and behind authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The media type, as the provider wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The file's name, if it has one. Untrusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Size in bytes, if announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// SHA-256 as the provider wrote it (base64 or hex).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Content {
    /// Words.
    Text {
        /// What was written.
        body: String,
    },
    /// One or more files, perhaps with words. Never empty.
    Media {
        /// The files, in the order they came.
        attachments: Vec<Attachment>,
        /// Words that came with them.
        #[serde(skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// The place's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The place's postal address.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// A link to the place.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// Business cards.
    Contacts {
        /// One card a person.
        cards: Vec<ContactCard>,
    },
    /// They pressed a button of a message of ours.
    ButtonReply {
        /// The button's id or payload, as we set it.
        id: String,
        /// The button's title, as they saw it.
        title: String,
    },
    /// They chose a row of a list of ours.
    ListReply {
        /// The row's id, as we set it.
        id: String,
        /// The row's title, as they saw it.
        title: String,
        /// The row's description.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// They filled in a form (a WhatsApp Flow).
    FormReply {
        /// The form's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its one-line summary.
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// What they filled in: an object where the form sent one, else the text as it came.
        response: serde_json::Value,
    },
    /// They answered our request to be called.
    CallPermissionReply {
        /// Whether we may call.
        granted: bool,
        /// Whether the answer lasts.
        permanent: bool,
        /// Until when it lasts, in Unix seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<i64>,
        /// What brought the answer about, in the provider's words.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// They reacted to a message.
    Reaction {
        /// The message they reacted to.
        target: MessageRef,
        /// The emoji; `None` takes an earlier reaction back.
        #[serde(skip_serializing_if = "Option::is_none")]
        emoji: Option<String>,
    },
    /// They sent a shopping cart.
    Order {
        /// The catalogue it was filled from.
        catalog_id: String,
        /// Words that came with it.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// What is in it.
        items: Vec<OrderItem>,
    },
    /// They opened the conversation for the first time.
    Welcome,
    /// WhatsApp reports a change about the person.
    System {
        /// What changed, in the provider's word.
        event: String,
        /// The sentence WhatsApp shows for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// There was a message, and what it says cannot be read: the provider does not pass it on, or its kind is none that we know,
    /// or its known kind is broken. A later version may read it, and a file that was only announced may follow.
    Unsupported {
        /// What it was, in the provider's word, if it says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        what: Option<String>,
        /// The provider's error code.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The words that stand in it plainly, a line each; where there are none, the provider's explanation.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// What stands for a file that follows by itself, under the same id: [`Content::Unsupported`]'s `what` of such a message.
pub(crate) const PLACEHOLDER: &str = "media_placeholder";

/// One line of an [`Content::Order`]. Numbers are kept as text: providers send both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderItem {
    /// The shop's own id of the product.
    pub product_id: String,
    /// How many.
    pub quantity: String,
    /// Price of one, a decimal number.
    pub price: String,
    /// ISO 4217 code.
    pub currency: String,
}

/// A business card, reduced to what a CRM can use; everything else stays in the raw webhook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactCard {
    /// The name as the sender sees it.
    pub name: String,
    /// Telephone numbers, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<String>,
    /// E-mail addresses, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// The organization they work for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Postal addresses, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Links.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// `YYYY-MM-DD`, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
}

impl Content {
    /// The content's kind, one word, as it stands in rows and the API. Media take the kind of their first file.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Text { .. } => "text",
            Content::Media { attachments, .. } => {
                attachments.first().map_or("document", |a| a.kind.word())
            }
            Content::Location { .. } => "location",
            Content::Contacts { .. } => "contacts",
            Content::ButtonReply { .. } => "button_reply",
            Content::ListReply { .. } => "list_reply",
            Content::FormReply { .. } => "form_reply",
            Content::CallPermissionReply { .. } => "call_permission_reply",
            Content::Reaction { .. } => "reaction",
            Content::Order { .. } => "order",
            Content::Welcome => "welcome",
            Content::System { .. } => "system",
            Content::Unsupported { .. } => "unsupported",
        }
    }

    /// The words in it that a person would read or search for, if any.
    pub fn text(&self) -> Option<&str> {
        match self {
            Content::Text { body } => Some(body),
            Content::Media { caption, .. } => caption.as_deref(),
            Content::Location { name, address, .. } => name.as_deref().or(address.as_deref()),
            Content::Contacts { cards } => cards.first().map(|card| card.name.as_str()),
            Content::ButtonReply { title, .. } | Content::ListReply { title, .. } => Some(title),
            Content::Reaction { emoji, .. } => emoji.as_deref(),
            Content::Order { text, .. } => text.as_deref(),
            Content::FormReply { body, .. } | Content::System { body, .. } => body.as_deref(),
            Content::Unsupported { detail, .. } => detail.as_deref(),
            Content::CallPermissionReply { .. } | Content::Welcome => None,
        }
    }

    /// Whether the webhook that brought it may hold more than could be read of it.
    pub fn may_say_more(&self) -> bool {
        matches!(self, Content::Unsupported { what, .. } if what.as_deref() != Some(PLACEHOLDER))
    }

    /// Its files.
    pub fn attachments(&self) -> &[Attachment] {
        match self {
            Content::Media { attachments, .. } => attachments,
            _ => &[],
        }
    }
}

impl MediaKind {
    /// The kind's word.
    pub fn word(self) -> &'static str {
        match self {
            MediaKind::Image => "image",
            MediaKind::Audio => "audio",
            MediaKind::Voice => "voice",
            MediaKind::Video => "video",
            MediaKind::Document => "document",
            MediaKind::Sticker => "sticker",
        }
    }

    /// The kind of file that a media type announces. vCards and everything unknown are documents.
    pub fn of_mime_type(mime_type: &str) -> Self {
        match mime_type.split('/').next().unwrap_or_default().trim() {
            "image" => MediaKind::Image,
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            _ => MediaKind::Document,
        }
    }
}
