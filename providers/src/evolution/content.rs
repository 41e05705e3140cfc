//! What a message says. `messageType` names the member that holds it; other members (keys, contexts, a file's bytes) may
//! stand before it.

use serde_json::Value;

use super::webhook::Unreadable;
use super::wire::{self, WireMessage};
use crate::bridge::{jids, vcard};
use crate::{Attachment, Content, MediaKind, MessageRef};

/// Records that are no messages: keys, changes of settings, and what is told by events of its own.
const OF_NO_CONCERN: [&str; 9] = [
    "protocolMessage",
    "senderKeyDistributionMessage",
    "encReactionMessage",
    "pollUpdateMessage",
    "albumMessage",
    "keepInChatMessage",
    "pinInChatMessage",
    "editedMessage",
    "messageStubType",
];

/// Members that surround a message and do not say what it is.
const SURROUNDINGS: [&str; 6] = [
    "messageContextInfo",
    "senderKeyDistributionMessage",
    "contextInfo",
    "base64",
    "mediaUrl",
    "speechToText",
];

/// Envelopes around a message, and how many of them are opened.
const ENVELOPES: [&str; 6] = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "lottieStickerMessage",
];
const DEPTH: usize = 4;

static NOTHING: Value = Value::Null;

/// A message's content: what kind it is, and the member that holds it.
pub(super) struct Body<'w> {
    kind: &'w str,
    /// The member of that kind.
    held: &'w Value,
    /// The message around it.
    message: &'w Value,
    /// The outermost message, which has the file's bytes and address.
    outer: &'w Value,
    beside: &'w Value,
}

impl<'w> Body<'w> {
    pub(super) fn of(wire: &'w WireMessage) -> Self {
        Self::find(&wire.message, wire.message_type.get(), &wire.context_info)
    }

    /// `beside` is the context that newer versions write beside the message.
    pub(super) fn find(message: &'w Value, named: Option<&'w str>, beside: &'w Value) -> Self {
        let outer = message;
        let (mut message, mut named) = (message, named);
        for _ in 0..DEPTH {
            let envelope = ENVELOPES.iter().find(|name| message[**name]["message"].is_object());
            let Some(envelope) = envelope else { break };
            message = &message[*envelope]["message"];
            named = named.filter(|name| message.get(*name).is_some());
        }
        let members = message.as_object();
        let telling = || {
            let mut all = members?.keys().map(String::as_str);
            all.find(|name| !SURROUNDINGS.contains(name))
        };
        let first = || members?.keys().next().map(String::as_str);
        let kind = named.or_else(telling).or_else(first).unwrap_or_default();
        Self { kind, held: &message[kind], message, outer, beside }
    }

    /// Whether it is no message at all.
    pub(super) fn is_of_no_concern(&self) -> bool {
        OF_NO_CONCERN.contains(&self.kind)
    }

    /// What it answers, whether it was passed on, and which advertisement stands before it.
    pub(super) fn context(&self) -> &'w Value {
        let inside = &self.held["contextInfo"];
        let places = [inside, self.beside, &self.message["contextInfo"]];
        places.into_iter().find(|place| place.is_object()).unwrap_or(&NOTHING)
    }

    fn text(&self, name: &str) -> Option<String> {
        text(&self.held[name])
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(ToOwned::to_owned)
}

/// What the message says. `reference` is its own name.
pub(super) fn read(body: &Body<'_>, reference: &MessageRef) -> Result<Content, Unreadable> {
    let missing = |what: &str| Unreadable(format!("`{}` has no {what}", body.kind));
    Ok(match body.kind {
        "conversation" | "extendedTextMessage" => {
            let places =
                [&body.message["conversation"], &body.message["extendedTextMessage"]["text"]];
            let words = places.into_iter().find_map(text);
            Content::Text { body: words.ok_or_else(|| missing("text"))? }
        }
        "imageMessage" => media(body, MediaKind::Image, reference),
        "videoMessage" | "ptvMessage" => media(body, MediaKind::Video, reference),
        "audioMessage" if body.held["ptt"] == true => media(body, MediaKind::Voice, reference),
        "audioMessage" => media(body, MediaKind::Audio, reference),
        "documentMessage" => media(body, MediaKind::Document, reference),
        "stickerMessage" => media(body, MediaKind::Sticker, reference),
        "locationMessage" | "liveLocationMessage" => place(body)?,
        "contactMessage" => Content::Contacts { cards: cards(&[body.held]) },
        "contactsArrayMessage" => {
            let held = body.held["contacts"].as_array().ok_or_else(|| missing("`contacts`"))?;
            Content::Contacts { cards: cards(&held.iter().collect::<Vec<_>>()) }
        }
        "buttonsResponseMessage" => button(body, "selectedButtonId"),
        "templateButtonReplyMessage" => button(body, "selectedId"),
        "listResponseMessage" => Content::ListReply {
            id: text(&body.held["singleSelectReply"]["selectedRowId"]).unwrap_or_default(),
            title: body.text("title").unwrap_or_default(),
            description: body.text("description"),
        },
        "reactionMessage" => {
            let key = &body.held["key"];
            let id = key["id"].as_str().filter(|id| jids::is_bare_id(id));
            let id = id.ok_or_else(|| missing("`key.id`"))?;
            let ours = key["fromMe"] == true;
            Content::Reaction { target: jids::reference(ours, id), emoji: body.text("text") }
        }
        "" => return Err(Unreadable("the message has no content that we know".to_owned())),
        kind => Content::Unsupported { what: Some(kind.to_owned()), code: None, detail: None },
    })
}

fn button(body: &Body<'_>, id: &str) -> Content {
    Content::ButtonReply {
        id: body.text(id).unwrap_or_default(),
        title: body.text("selectedDisplayText").unwrap_or_default(),
    }
}

fn cards(held: &[&Value]) -> Vec<crate::ContactCard> {
    let card = |value: &&Value| {
        let mut card = vcard::read(value["vcard"].as_str().unwrap_or_default());
        if card.name.is_empty() {
            card.name = text(&value["displayName"]).unwrap_or_default();
        }
        card
    };
    held.iter().map(card).collect()
}

fn place(body: &Body<'_>) -> Result<Content, Unreadable> {
    let degrees = |name: &str, limit: f64| {
        let degrees = body.held[name].as_f64().filter(|degrees| degrees.abs() <= limit);
        degrees.ok_or_else(|| Unreadable(format!("`{}` is no place on Earth", body.kind)))
    };
    Ok(Content::Location {
        latitude: degrees("degreesLatitude", 90.0)?,
        longitude: degrees("degreesLongitude", 180.0)?,
        name: body.text("name").or(body.text("caption")),
        address: body.text("address"),
        url: body.text("url"),
    })
}

/// The file. `url` inside the message is encrypted and of no use alone; the server itself decrypts the file when it is asked by
/// the message's id, unless it has put it into object storage (`mediaUrl`).
fn media(body: &Body<'_>, kind: MediaKind, reference: &MessageRef) -> Content {
    let stored = text(&body.outer["mediaUrl"]).or_else(|| text(&body.message["mediaUrl"]));
    let bare = reference.0.split_once('_').map(|(_, bare)| bare.to_owned());
    let attachment = Attachment {
        kind,
        media_id: bare,
        url: stored,
        mime_type: body.text("mimetype"),
        filename: body.text("fileName").or(body.text("title")),
        size: wire::long(&body.held["fileLength"]).filter(|size| *size >= 0),
        sha256: wire::bytes(&body.held["fileSha256"]),
    };
    Content::Media { attachments: vec![attachment], caption: body.text("caption") }
}
