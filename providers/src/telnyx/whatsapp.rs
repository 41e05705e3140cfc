//! What a WhatsApp message says that Telnyx passes on. Telnyx documents only what it sends: a body like Meta's. What
//! has that shape is read; everything else is kept until we have seen it.
//! <https://support.telnyx.com/en/articles/13986487-how-to-configure-whatsapp-webhooks>

use serde::Deserialize;
use serde_json::Value;

use super::messages;
use super::webhook::Unreadable;
use super::wire::WireMessage;
use crate::lenient::{Maybe, decimal};
use crate::{Attachment, Content, MediaKind, MessageRef};

/// One block a type, as in Meta's own messages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: Maybe,
    context: Option<Answered>,
    text: Option<Text>,
    image: Option<File>,
    audio: Option<File>,
    video: Option<File>,
    document: Option<File>,
    sticker: Option<File>,
    location: Option<Location>,
    reaction: Option<Reaction>,
    interactive: Option<Interactive>,
}

/// The message this one answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answered {
    id: Maybe,
    message_id: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Text {
    body: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    id: Maybe,
    link: Maybe,
    url: Maybe,
    mime_type: Maybe,
    sha256: Maybe,
    filename: Maybe,
    caption: Maybe,
    voice: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    #[serde(deserialize_with = "decimal")]
    latitude: Option<f64>,
    #[serde(deserialize_with = "decimal")]
    longitude: Option<f64>,
    name: Maybe,
    address: Maybe,
    url: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reaction {
    message_id: Maybe,
    emoji: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interactive {
    button_reply: Option<Choice>,
    list_reply: Option<Choice>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    id: Maybe,
    title: Maybe,
    description: Maybe,
}

/// What the message says, and which message it answers.
pub(super) fn read(wire: &WireMessage) -> Result<(Content, Option<MessageRef>), Unreadable> {
    let Some(value) = wire.body.as_ref().or(wire.whatsapp_message.as_ref()) else {
        return Ok((messages::content(wire)?, None));
    };
    let body = Body::deserialize(value)?;
    let answered = body.context.as_ref();
    let reply_to = answered.and_then(|context| {
        let id = context.id.0.clone().or(context.message_id.0.clone());
        id.map(MessageRef)
    });
    Ok((content(body, value)?, reply_to))
}

fn content(body: Body, value: &Value) -> Result<Content, Unreadable> {
    let kind = body.kind.0.unwrap_or_else(|| "text".to_owned());
    let content = match kind.as_str() {
        "text" => body.text.and_then(|text| text.body.0).map(text),
        "image" => body.image.and_then(|file| media(MediaKind::Image, file)),
        "audio" => body.audio.and_then(|file| {
            let is_voice = file.voice.unwrap_or_default();
            let kind = if is_voice { MediaKind::Voice } else { MediaKind::Audio };
            media(kind, file)
        }),
        "video" => body.video.and_then(|file| media(MediaKind::Video, file)),
        "document" => body.document.and_then(|file| media(MediaKind::Document, file)),
        "sticker" => body.sticker.and_then(|file| media(MediaKind::Sticker, file)),
        "location" => body.location.and_then(location),
        "reaction" => body.reaction.and_then(reaction),
        "interactive" => body.interactive.and_then(choice),
        _ => None,
    };
    content.ok_or_else(|| {
        let known = value.get(&kind).is_some();
        let what = if known { "an unusual" } else { "no" };
        Unreadable(format!("the WhatsApp message has {what} block `{kind}`"))
    })
}

fn text(body: String) -> Content {
    Content::Text { body }
}

fn media(kind: MediaKind, file: File) -> Option<Content> {
    let url = file.link.0.or(file.url.0);
    if file.id.get().is_none() && url.is_none() {
        return None;
    }
    let attachment = Attachment {
        kind,
        media_id: file.id.0,
        url,
        mime_type: file.mime_type.0,
        filename: file.filename.0,
        size: None,
        sha256: file.sha256.0,
    };
    Some(Content::Media { attachments: vec![attachment], caption: file.caption.0 })
}

fn location(wire: Location) -> Option<Content> {
    let in_range = |degrees: Option<f64>, limit: f64| degrees.filter(|d| d.abs() <= limit);
    Some(Content::Location {
        latitude: in_range(wire.latitude, 90.0)?,
        longitude: in_range(wire.longitude, 180.0)?,
        name: wire.name.0,
        address: wire.address.0,
        url: wire.url.0,
    })
}

fn reaction(wire: Reaction) -> Option<Content> {
    Some(Content::Reaction { target: MessageRef(wire.message_id.0?), emoji: wire.emoji.0 })
}

fn choice(wire: Interactive) -> Option<Content> {
    if let Some(button) = wire.button_reply {
        return Some(Content::ButtonReply { id: button.id.0?, title: button.title.0? });
    }
    let row = wire.list_reply?;
    Some(Content::ListReply { id: row.id.0?, title: row.title.0?, description: row.description.0 })
}
