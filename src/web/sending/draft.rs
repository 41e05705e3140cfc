//! Messages to be sent, as the API takes them.

use std::collections::BTreeMap;

use providers::{
    Button, ContactCard, FileSource, ListRow, ListSection, MediaKind, MessageRef, OutboundContent,
    OutboundFile, Template,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::interactive::{CtaUrlBody, FlowBody, HeaderBody, ProductsBody};
use crate::flow::send::accept::Draft;
use crate::flow::send::recipient::Recipient;
use crate::model::{ContactId, LeadId, MessageId, Purpose};
use crate::web::Problem;
use crate::web::communications::channel;
use crate::web::times::At;

/// A message to be sent. Exactly one of `lead_id`, `contact_id` and `to` names the recipient.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftBody {
    /// `whatsapp` or `sms`. The organization's active route of this channel decides who carries it.
    channel: String,
    /// A lead.
    lead_id: Option<Uuid>,
    /// A contact.
    contact_id: Option<Uuid>,
    /// An address: a telephone number, in international form or in that of the organization's country, or a WhatsApp user id. What
    /// is sent to an address goes to this person alone, also where `reply_to` was written in a group.
    to: Option<String>,
    /// What it says.
    content: ContentBody,
    /// The template that is sent in its place if WhatsApp's customer-service window is closed.
    fallback_template: Option<TemplateBody>,
    /// `marketing`, if it advertises: whoever wants no marketing does not get it. A template that the provider lists as marketing
    /// needs no word.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    /// The message it answers, by its id here. If that was written in a group, the answer goes to the group where the provider
    /// can, and its author must be the recipient.
    reply_to: Option<Uuid>,
    /// Your own id of it; the timeline shows it. At most 200 characters.
    client_reference: Option<String>,
    /// When it is to be sent, at most 90 days ahead; at once, if not given.
    send_at: Option<At>,
}

/// What a message says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub(crate) enum ContentBody {
    /// Words.
    Text {
        /// What it says.
        body: String,
        /// Whether its first link is shown with a preview. Not through WAHA and Evolution, which would fetch the link themselves.
        #[serde(default)]
        preview_url: bool,
    },
    /// Files, perhaps with words.
    Media {
        /// The files, in order.
        files: Vec<FileBody>,
        /// Words that go with the first of them.
        caption: Option<String>,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// The place's name.
        name: Option<String>,
        /// The place's postal address.
        address: Option<String>,
    },
    /// Business cards.
    Contacts {
        /// One card a person.
        cards: Vec<CardBody>,
    },
    /// A reaction to a message.
    Reaction {
        /// The message, by its id here.
        message_id: Uuid,
        /// The emoji; null takes an earlier reaction back.
        emoji: Option<String>,
    },
    /// Words with buttons to press.
    Buttons {
        /// What stands above the words: a line, or a picture, film or document.
        header: Option<HeaderBody>,
        /// The words.
        body: String,
        /// A line below the words.
        footer: Option<String>,
        /// The buttons.
        buttons: Vec<ButtonBody>,
    },
    /// Words with a list to choose from.
    List {
        /// A line above the words.
        header: Option<String>,
        /// The words.
        body: String,
        /// A line below the words.
        footer: Option<String>,
        /// What the button that opens the list says.
        button: String,
        /// The list's sections.
        sections: Vec<SectionBody>,
    },
    /// Words with a button that opens a web page (Meta).
    CtaUrl(CtaUrlBody),
    /// Words that ask the person where they are, with a button to send the place (Meta).
    LocationRequest {
        /// The words.
        body: String,
    },
    /// Words with a button that opens a form, a WhatsApp Flow (Meta).
    Flow(FlowBody),
    /// Products of a catalogue (Meta): one, several in sections, or the whole catalogue.
    Products(ProductsBody),
    /// A question with options to vote for (WAHA, Evolution).
    Poll {
        /// The question.
        question: String,
        /// The options, 2 to 12 that differ; Evolution takes 10 at most.
        options: Vec<String>,
        /// Whether one person may choose several.
        #[serde(default)]
        multiple: bool,
    },
    /// A message whose wording the provider has approved.
    Template(TemplateBody),
}

/// A file of a message: exactly one of `url` and `media_id`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileBody {
    /// `image`, `audio`, `voice`, `video`, `document` or `sticker`.
    media: String,
    /// A public https address from which the provider fetches it; for WAHA and Evolution the gateway does, also from what
    /// `outgoing.allow` names, when the message is sent.
    url: Option<String>,
    /// An uploaded file, or an attachment that was received.
    media_id: Option<Uuid>,
    /// Its media type.
    mime_type: Option<String>,
    /// The name it is shown with.
    filename: Option<String>,
}

/// A business card.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardBody {
    /// The name.
    name: String,
    /// Telephone numbers.
    #[serde(default)]
    phones: Vec<String>,
    /// E-mail addresses.
    #[serde(default)]
    emails: Vec<String>,
    /// The organization they work for.
    organization: Option<String>,
}

/// A button.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ButtonBody {
    /// What comes back when it is pressed.
    id: String,
    /// What it says.
    title: String,
}

/// A section of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SectionBody {
    /// Its heading.
    title: Option<String>,
    /// Its rows.
    rows: Vec<RowBody>,
}

/// A row of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowBody {
    /// What comes back when it is chosen.
    id: String,
    /// What it says.
    title: String,
    /// A smaller line below.
    description: Option<String>,
}

/// A template, and what fills its gaps.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateBody {
    /// Its name at the provider (Twilio: `ContentSid`).
    name: String,
    /// Its language, for example `pt_BR`.
    language: Option<String>,
    /// What fills the gaps of its body: by number from 1, or by name.
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// The file at its head, where the template has one there (Meta): its `media` is `image`, `video` or `document`, as in the
    /// template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<FileBody>,
    /// Everything else in the provider's own form (Meta: `components`), in place of `variables`. It holds no header where `header`
    /// is given.
    components: Option<Value>,
}

impl DraftBody {
    pub(super) fn read(self) -> Result<Draft, Problem> {
        let recipient = match (self.lead_id, self.contact_id, self.to) {
            (Some(id), None, None) => Recipient::Lead(LeadId(id)),
            (None, Some(id), None) => Recipient::Contact(ContactId(id)),
            (None, None, Some(to)) => Recipient::Address(to),
            _ => {
                return Err(Problem::invalid(
                    "to",
                    "name exactly one of lead_id, contact_id and to",
                ));
            }
        };
        let purpose = self.purpose.as_deref().map(|word| {
            let reason = "must be marketing, or be left out";
            Purpose::from_word(word).ok_or_else(|| Problem::invalid("purpose", reason))
        });
        let fallback = self.fallback_template.map(|template| template.read("fallback_template"));
        Ok(Draft {
            channel: channel(&self.channel)?,
            recipient,
            content: self.content.read()?,
            fallback: fallback.transpose()?,
            purpose: purpose.transpose()?,
            reply_to: self.reply_to.map(MessageId),
            client_reference: self.client_reference,
            send_at: self.send_at.map(|at| at.0),
        })
    }
}

impl ContentBody {
    pub(super) fn read(self) -> Result<OutboundContent, Problem> {
        Ok(match self {
            ContentBody::Text { body, preview_url } => OutboundContent::Text { body, preview_url },
            ContentBody::Media { files, caption } => {
                let files = files.into_iter().enumerate();
                let files =
                    files.map(|(position, file)| file.read(&format!("content.files[{position}]")));
                OutboundContent::Media { files: files.collect::<Result<_, _>>()?, caption }
            }
            ContentBody::Location { latitude, longitude, name, address } => {
                OutboundContent::Location { latitude, longitude, name, address }
            }
            ContentBody::Contacts { cards } => {
                OutboundContent::Contacts { cards: cards.into_iter().map(CardBody::read).collect() }
            }
            ContentBody::Reaction { message_id, emoji } => {
                OutboundContent::Reaction { target: MessageRef(message_id.to_string()), emoji }
            }
            ContentBody::Buttons { header, body, footer, buttons } => {
                let button = |button: ButtonBody| Button { id: button.id, title: button.title };
                let buttons = buttons.into_iter().map(button).collect();
                let header = header.map(HeaderBody::read).transpose()?;
                OutboundContent::Buttons { header, body, footer, buttons }
            }
            ContentBody::List { header, body, footer, button, sections } => {
                let sections = sections.into_iter().map(SectionBody::read).collect();
                OutboundContent::List { header, body, footer, button, sections }
            }
            ContentBody::CtaUrl(page) => page.read()?,
            ContentBody::LocationRequest { body } => OutboundContent::LocationRequest { body },
            ContentBody::Flow(flow) => flow.read()?,
            ContentBody::Products(products) => products.read(),
            ContentBody::Poll { question, options, multiple } => {
                OutboundContent::Poll { question, options, multiple }
            }
            ContentBody::Template(template) => OutboundContent::Template(template.read("content")?),
        })
    }
}

impl FileBody {
    /// Reads it; `at` is where it stands in the request.
    pub(super) fn read(self, at: &str) -> Result<OutboundFile, Problem> {
        let field = |name: &str| format!("{at}.{name}");
        let kinds = [
            MediaKind::Image,
            MediaKind::Audio,
            MediaKind::Voice,
            MediaKind::Video,
            MediaKind::Document,
            MediaKind::Sticker,
        ];
        let media = kinds.into_iter().find(|kind| kind.word() == self.media);
        let media = media.ok_or_else(|| {
            Problem::invalid(
                field("media"),
                "must be image, audio, voice, video, document, sticker",
            )
        })?;
        let source = match (self.url, self.media_id) {
            (Some(url), None) => FileSource::Link(url),
            (None, Some(id)) => FileSource::Stored(id.to_string()),
            _ => {
                return Err(Problem::invalid(field("url"), "give exactly one of url and media_id"));
            }
        };
        let Self { mime_type, filename, .. } = self;
        Ok(OutboundFile { media, source, mime_type, filename, size: None })
    }
}

impl CardBody {
    fn read(self) -> ContactCard {
        ContactCard {
            name: self.name,
            phones: self.phones,
            emails: self.emails,
            organization: self.organization,
            ..ContactCard::default()
        }
    }
}

impl SectionBody {
    fn read(self) -> ListSection {
        let row =
            |row: RowBody| ListRow { id: row.id, title: row.title, description: row.description };
        ListSection { title: self.title, rows: self.rows.into_iter().map(row).collect() }
    }
}

impl TemplateBody {
    fn read(self, at: &str) -> Result<Template, Problem> {
        let Self { name, language, variables, header, components } = self;
        let header = header.map(|file| file.read(&format!("{at}.header"))).transpose()?;
        let header = header.map(Box::new);
        Ok(Template { name, language, variables, header, components })
    }
}
