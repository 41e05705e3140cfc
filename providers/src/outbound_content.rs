//! What a message of ours says, without a provider's words. This is also how it is kept until it is sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::slice;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ContactCard, Flow, Header, MediaKind, MessageRef, ProductSection, media_type};

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
        /// What stands above the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<Header>,
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
    /// Words with a button that opens a web page.
    CtaUrl {
        /// What stands above the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<Header>,
        /// The words.
        body: String,
        /// A line below the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<String>,
        /// What the button says.
        text: String,
        /// The page.
        url: String,
    },
    /// Words that ask the person where they are, with a button to send the place.
    LocationRequest {
        /// The words.
        body: String,
    },
    /// Words with a button that opens a form.
    Flow(Box<Flow>),
    /// Products of a catalogue: one, several in sections, or the whole catalogue where no section is given.
    Products {
        /// The provider's id of the catalogue.
        catalog_id: String,
        /// A line above the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// The words.
        body: String,
        /// A line below the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<String>,
        /// The sections, in order. The ids in all of them differ.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sections: Vec<ProductSection>,
    },
    /// A question with options to vote for.
    Poll {
        /// The question.
        question: String,
        /// The options, in order. They differ.
        options: Vec<String>,
        /// Whether one person may choose several.
        #[serde(default)]
        multiple: bool,
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

impl OutboundFile {
    /// Its media type by its registered name, where it is known.
    pub fn media_type(&self) -> Option<Cow<'_, str>> {
        self.mime_type.as_deref().map(media_type::registered)
    }
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
            OutboundContent::CtaUrl { .. } => "cta_url",
            OutboundContent::LocationRequest { .. } => "location_request",
            OutboundContent::Flow(_) => "flow",
            OutboundContent::Products { .. } => "products",
            OutboundContent::Poll { .. } => "poll",
            OutboundContent::Template(_) => "template",
        }
    }

    /// The words in it that a person would read or search for, if any.
    pub fn text(&self) -> Option<&str> {
        match self {
            OutboundContent::Text { body, .. }
            | OutboundContent::Buttons { body, .. }
            | OutboundContent::List { body, .. }
            | OutboundContent::CtaUrl { body, .. }
            | OutboundContent::LocationRequest { body }
            | OutboundContent::Products { body, .. } => Some(body),
            OutboundContent::Flow(flow) => Some(&flow.body),
            OutboundContent::Poll { question, .. } => Some(question),
            OutboundContent::Media { caption, .. } => caption.as_deref(),
            OutboundContent::Location { name, address, .. } => {
                name.as_deref().or(address.as_deref())
            }
            OutboundContent::Contacts { cards } => cards.first().map(|card| card.name.as_str()),
            OutboundContent::Reaction { emoji, .. } => emoji.as_deref(),
            OutboundContent::Template(template) => Some(&template.name),
        }
    }

    /// Its files, in order: those of media, or the one above the words of anything else.
    pub fn files(&self) -> &[OutboundFile] {
        let header = match self {
            OutboundContent::Media { files, .. } => return files,
            OutboundContent::Buttons { header, .. } | OutboundContent::CtaUrl { header, .. } => {
                header
            }
            OutboundContent::Flow(flow) => &flow.header,
            OutboundContent::Template(template) => {
                return template.header.as_deref().map_or(&[], slice::from_ref);
            }
            _ => return &[],
        };
        match header {
            Some(Header::File(file)) => slice::from_ref(file),
            _ => &[],
        }
    }

    /// The same, to be completed.
    pub fn files_mut(&mut self) -> &mut [OutboundFile] {
        let header = match self {
            OutboundContent::Media { files, .. } => return files,
            OutboundContent::Buttons { header, .. } | OutboundContent::CtaUrl { header, .. } => {
                header
            }
            OutboundContent::Flow(flow) => &mut flow.header,
            OutboundContent::Template(template) => {
                return template.header.as_deref_mut().map_or(&mut [], slice::from_mut);
            }
            _ => return &mut [],
        };
        match header {
            Some(Header::File(file)) => slice::from_mut(file),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What waits in the queue was written by one version and is read by another.
    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let file = json!({ "media": "image", "source": { "stored": "7" }, "size": 3 });
        let contents = [
            json!({ "kind": "buttons", "header": "Your visit", "body": "?", "buttons": [] }),
            json!({ "kind": "buttons", "header": file, "body": "?", "buttons": [] }),
            json!({ "kind": "cta_url", "header": file, "body": "?", "text": "t", "url": "u" }),
            json!({ "kind": "location_request", "body": "?" }),
            json!({ "kind": "flow", "body": "?", "flow_id": "7", "cta": "c", "action": "navigate",
                    "screen": "S", "data": { "a": [1.5, null] } }),
            json!({ "kind": "flow", "header": file, "body": "?", "flow_name": "n", "cta": "c",
                    "token": "t", "action": "data_exchange" }),
            json!({ "kind": "products", "catalog_id": "7", "body": "?" }),
            json!({ "kind": "products", "catalog_id": "7", "header": "h", "body": "?", "footer": "f",
                    "sections": [{ "title": "t", "ids": ["a", "b"] }] }),
            json!({ "kind": "poll", "question": "?", "options": ["a", "b"], "multiple": true }),
        ];
        for written in contents {
            let content: OutboundContent = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(content.kind(), written["kind"]);
            assert_eq!(content.text(), Some("?"));
            assert!(!content.opens_window());
            let files = usize::from(written["header"].is_object());
            assert_eq!(content.files().len(), files, "{written}");
            assert_eq!(serde_json::to_value(&content).unwrap(), written);
        }
    }
}
