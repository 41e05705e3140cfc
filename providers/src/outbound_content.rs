//! What a message of ours says, without a provider's words. This is also how it is kept until it is sent.

use std::collections::BTreeMap;
use std::slice;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ContactCard, MediaKind, MessageRef};

/// What a message of ours says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum OutboundContent {
    /// Words.
    Text {
        /// What it says.
        body: String,
        /// Whether the first link in it is shown with a preview.
        #[serde(default)]
        preview_url: bool,
    },
    /// One or more files, perhaps with words. Never empty.
    Media {
        /// The files, in order.
        files: Vec<OutboundFile>,
        /// Words that go with the first of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
    },
    /// A place.
    Location {
        /// Degrees north, -90 to 90.
        latitude: f64,
        /// Degrees east, -180 to 180.
        longitude: f64,
        /// The place's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The place's postal address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// Business cards. Never empty.
    Contacts {
        /// One card a person.
        cards: Vec<ContactCard>,
    },
    /// A reaction to a message.
    Reaction {
        /// The message.
        target: MessageRef,
        /// The emoji; `None` takes an earlier reaction back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        emoji: Option<String>,
    },
    /// Words with buttons to press.
    Buttons {
        /// A line above the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// The words.
        body: String,
        /// A line below the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<String>,
        /// The buttons, in order. Their ids differ.
        buttons: Vec<Button>,
    },
    /// Words with a list to choose from.
    List {
        /// A line above the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// The words.
        body: String,
        /// A line below the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<String>,
        /// What the button that opens the list says.
        button: String,
        /// The list's sections, in order. The ids of all rows differ.
        sections: Vec<ListSection>,
    },
    /// A message whose wording the provider has approved.
    Template(Template),
}

/// A file of a message of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboundFile {
    /// What it is.
    pub media: MediaKind,
    /// Where it is.
    pub source: FileSource,
    /// Its media type, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The name it is shown with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its size in bytes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

/// Where a file of a message of ours is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// At a public address, from which the provider fetches it.
    Link(String),
    /// With us, under this id.
    Stored(String),
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What comes back when it is pressed.
    pub id: String,
    /// What it says.
    pub title: String,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSection {
    /// Its heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its rows.
    pub rows: Vec<ListRow>,
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRow {
    /// What comes back when it is chosen.
    pub id: String,
    /// What it says.
    pub title: String,
    /// A smaller line below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A message whose wording the provider has approved, and what fills its gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// Its name at the provider (Meta: the template's name, Twilio: `ContentSid`).
    pub name: String,
    /// Its language (Meta: `pt_BR`); providers whose templates have one language each need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What fills the gaps of its body: by number from 1, or by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// The picture, video or document at its head, where the template leaves that open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Box<OutboundFile>>,
    /// Everything else in the provider's own form (Meta: `components`). Where it is given, `variables` are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Value>,
}

impl OutboundContent {
    /// The content's kind, one word, as it stands in rows and the API. Media take the kind of their first file.
    pub fn kind(&self) -> &'static str {
        match self {
            OutboundContent::Text { .. } => "text",
            OutboundContent::Media { files, .. } => {
                files.first().map_or("document", |file| file.media.word())
            }
            OutboundContent::Location { .. } => "location",
            OutboundContent::Contacts { .. } => "contacts",
            OutboundContent::Reaction { .. } => "reaction",
            OutboundContent::Buttons { .. } => "buttons",
            OutboundContent::List { .. } => "list",
            OutboundContent::Template(_) => "template",
        }
    }

    /// The words in it that a person would read or search for, if any.
    pub fn text(&self) -> Option<&str> {
        match self {
            OutboundContent::Text { body, .. }
            | OutboundContent::Buttons { body, .. }
            | OutboundContent::List { body, .. } => Some(body),
            OutboundContent::Media { caption, .. } => caption.as_deref(),
            OutboundContent::Location { name, address, .. } => {
                name.as_deref().or(address.as_deref())
            }
            OutboundContent::Contacts { cards } => cards.first().map(|card| card.name.as_str()),
            OutboundContent::Reaction { emoji, .. } => emoji.as_deref(),
            OutboundContent::Template(template) => Some(&template.name),
        }
    }

    /// Its files, in order: those of media, or the one at a template's head.
    pub fn files(&self) -> &[OutboundFile] {
        match self {
            OutboundContent::Media { files, .. } => files,
            OutboundContent::Template(Template { header: Some(file), .. }) => slice::from_ref(file),
            _ => &[],
        }
    }

    /// The same, to be completed.
    pub fn files_mut(&mut self) -> &mut [OutboundFile] {
        match self {
            OutboundContent::Media { files, .. } => files,
            OutboundContent::Template(Template { header: Some(file), .. }) => slice::from_mut(file),
            _ => &mut [],
        }
    }

    /// The member of the API's request that tells of the file at this place in [`OutboundContent::files`].
    pub fn file_field(&self, position: usize) -> String {
        match self {
            OutboundContent::Media { .. } => format!("content.files[{position}]"),
            _ => "content.header".to_owned(),
        }
    }

    /// Whether it may be sent although the customer-service window is closed.
    pub fn opens_window(&self) -> bool {
        matches!(self, OutboundContent::Template(_))
    }
}
