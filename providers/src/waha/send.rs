//! Sending. One request a message; a file goes along in it, or as an address that WAHA fetches.
//! <https://waha.devlike.pro/docs/how-to/send-messages/>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Map, Value, json};

use super::ids::{self, Id};
use super::{WahaAccount, errors, statuses};
use crate::bridge::{fit, jids, reached_by, vcard};
use crate::{
    Address, Cause, Channel, DeliveryStatus, Failure, FailureClass, LoadedFile, MediaKind,
    MessageRef, Messages, OutboundContent, OutboundFile, OutboundMessage, Pace, ProviderRequest,
    ProviderResponse, Sent, Step, Unfit,
};

impl Messages for WahaAccount {
    fn check(&self, message: &OutboundMessage) -> Result<(), Unfit> {
        if message.channel != Channel::Whatsapp {
            return Err(Unfit::new("channel", "a WhatsApp Web session carries only whatsapp"));
        }
        let chat = chat(message)?;
        if let Some(reply_to) = &message.reply_to {
            known(message, reply_to, &chat, "reply_to")?;
        }
        fit::check(&message.content)?;
        match &message.content {
            OutboundContent::Media { files, .. } => no_sticker(files),
            OutboundContent::Reaction { target, .. } => {
                known(message, target, &chat, "content.target").map(|_| ())
            }
            _ => Ok(()),
        }
    }

    fn step(
        &self,
        message: &OutboundMessage,
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure> {
        match answers.last() {
            None => {
                let request = self.request(message).map_err(|unfit| {
                    Failure::new(FailureClass::Permanent(Cause::Message), unfit.to_string())
                })?;
                Ok(Step::Next(Box::new(request)))
            }
            Some(answer) if answer.is_success() => sent(message, answer).map(Step::Done),
            Some(answer) => Err(reached_by(&message.to, errors::of_answer(answer))),
        }
    }

    fn pace(&self, _channel: Channel) -> Pace {
        self.pace
    }
}

impl WahaAccount {
    fn request(&self, message: &OutboundMessage) -> Result<ProviderRequest, Unfit> {
        self.check(message)?;
        let chat = chat(message)?;
        let mut body = Map::new();
        body.insert("session".to_owned(), self.api.session().into());
        if let OutboundContent::Reaction { target, emoji } = &message.content {
            let target = known(message, target, &chat, "content.target")?;
            body.insert("messageId".to_owned(), target.into());
            body.insert("reaction".to_owned(), emoji.as_deref().unwrap_or_default().into());
            // The same reaction again changes nothing.
            let request = self.api.send(&Method::PUT, &["api", "reaction"], &Value::Object(body));
            return Ok(ProviderRequest::repeatable(request));
        }
        if let Some(reply_to) = &message.reply_to {
            let reply_to = known(message, reply_to, &chat, "reply_to")?;
            body.insert("reply_to".to_owned(), reply_to.into());
        }
        body.insert("chatId".to_owned(), chat.into());
        let endpoint = fill(&mut body, message)?;
        // A file's request has no place for an id.
        let has_id =
            ["sendText", "sendLocation", "sendContactVcard", "sendPoll"].contains(&endpoint);
        if let Some(id) = ids::chosen(&message.id).filter(|_| has_id) {
            body.insert("id".to_owned(), id.into());
        }
        let request = self.api.send(&Method::POST, &["api", endpoint], &Value::Object(body));
        Ok(ProviderRequest::once(request))
    }
}

/// Adds what the message says, and tells which endpoint takes it.
fn fill(body: &mut Map<String, Value>, message: &OutboundMessage) -> Result<&'static str, Unfit> {
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    match &message.content {
        // Never a preview: WAHA itself would fetch what the words link to, from the operator's network.
        OutboundContent::Text { body, preview_url: _ } => {
            put("text", body.as_str().into());
            put("linkPreview", false.into());
            Ok("sendText")
        }
        OutboundContent::Location { latitude, longitude, name, address } => {
            put("latitude", json!(latitude));
            put("longitude", json!(longitude));
            let told = [name.as_deref(), address.as_deref()].into_iter().flatten();
            put("title", told.collect::<Vec<_>>().join("\n").into());
            Ok("sendLocation")
        }
        OutboundContent::Contacts { cards } => {
            let cards = cards.iter().map(|card| json!({ "vcard": vcard::write(card) }));
            put("contacts", cards.collect());
            Ok("sendContactVcard")
        }
        OutboundContent::Poll { question, options, multiple } => {
            put(
                "poll",
                json!({ "name": question, "options": options, "multipleAnswers": multiple }),
            );
            Ok("sendPoll")
        }
        OutboundContent::Media { files, caption } => {
            let (Some(file), Some(loaded)) = (files.first(), message.files.first()) else {
                return Err(Unfit::new("content.files", "the file is not loaded"));
            };
            let mime_type = fit::mime_type(file);
            put("file", whole(file, loaded, &mime_type)?);
            if let Some(caption) = caption {
                put("caption", caption.as_str().into());
            }
            Ok(match file.media {
                MediaKind::Image => "sendImage",
                MediaKind::Video => {
                    put("convert", (mime_type != "video/mp4").into());
                    "sendVideo"
                }
                MediaKind::Voice => {
                    // WhatsApp plays Opus only.
                    put("convert", (!mime_type.starts_with("audio/ogg")).into());
                    "sendVoice"
                }
                _ => "sendFile",
            })
        }
        _ => Err(Unfit::new("content", "WhatsApp Web cannot send this")),
    }
}

/// The file as WAHA takes it. Its bytes, where we have them, need no address that WAHA could not reach.
fn whole(file: &OutboundFile, loaded: &LoadedFile, mime_type: &str) -> Result<Value, Unfit> {
    let mut value = Map::new();
    value.insert("mimetype".to_owned(), mime_type.into());
    if let Some(name) = &file.filename {
        value.insert("filename".to_owned(), name.as_str().into());
    }
    match (&loaded.bytes, &loaded.link) {
        (Some(bytes), _) => value.insert("data".to_owned(), STANDARD.encode(bytes).into()),
        (None, Some(link)) => value.insert("url".to_owned(), link.as_str().into()),
        (None, None) => return Err(Unfit::new("content.files", "the file is not loaded")),
    };
    Ok(Value::Object(value))
}

/// Where an answer names the recipient beside the message's id.
const RECIPIENT: [&str; 6] = [
    "/to",
    "/key/remoteJid",
    "/key/remoteJidAlt",
    "/_data/key/remoteJid",
    "/_data/key/remoteJidAlt",
    "/_data/Info/RecipientAlt",
];

/// What a 2xx says. Engines answer with WAHA's form of the message, with their own, or with nothing.
fn sent(message: &OutboundMessage, answer: &ProviderResponse) -> Result<Sent, Failure> {
    let body: Value = answer.json().unwrap_or_default();
    let named = named(&body);
    let reference = match named {
        Some(id) => id.reference(true),
        None => unnamed(message)?,
    };
    let people = RECIPIENT.iter().filter_map(|at| body.pointer(at).and_then(Value::as_str));
    let people = named.and_then(|id| id.chat).into_iter().chain(people).filter_map(ids::person);
    let ours = Address::of(&message.from.address);
    let people = people.filter(|address| Some(address) != ours.as_ref());
    let ack = body["ack"].as_i64();
    Ok(Sent {
        references: vec![reference],
        status: match ack {
            Some(-1) => {
                return Err(Failure::new(
                    FailureClass::Permanent(Cause::Message),
                    "WhatsApp refused the message",
                ));
            }
            Some(1..) => DeliveryStatus::Sent,
            _ => DeliveryStatus::Sending,
        },
        recipient: jids::further(&message.to, people),
    })
}

/// The id of the message that an answer shows.
pub(super) fn named(body: &Value) -> Option<Id<'_>> {
    let places = ["/id", "/id/_serialized", "/_data/id/_serialized", "/key/id", "/_data/key/id"];
    let mut named = places.iter().filter_map(|at| body.pointer(at).and_then(Value::as_str));
    named.find_map(Id::read)
}

/// The reference of what was taken without being named: the id that we chose. A file has none; it was sent, but only asking
/// can find out as what.
fn unnamed(message: &OutboundMessage) -> Result<MessageRef, Failure> {
    let is_file = matches!(message.content, OutboundContent::Media { .. });
    let chosen = ids::chosen(&message.id).filter(|_| !is_file);
    chosen.map(|id| ids::reference(true, &id)).ok_or_else(|| {
        Failure::new(FailureClass::Indeterminate, "WAHA took the message and did not name it")
    })
}

fn chat(message: &OutboundMessage) -> Result<String, Unfit> {
    ids::chat_of_message(message).ok_or_else(|| fit::unreachable(message))
}

/// WAHA's name of the message that this one is about.
fn known(
    message: &OutboundMessage,
    reference: &MessageRef,
    chat: &str,
    field: &str,
) -> Result<String, Unfit> {
    ids::named_in(message, reference, chat)
        .ok_or_else(|| Unfit::new(field, "is not a message of WhatsApp Web"))
}

/// No endpoint of WAHA takes stickers on all engines.
fn no_sticker(files: &[OutboundFile]) -> Result<(), Unfit> {
    match files.iter().any(|file| file.media == MediaKind::Sticker) {
        true => Err(fit::unable("content.files", "stickers")),
        false => Ok(()),
    }
}

/// The status that a listed message has.
pub(super) fn status(ack: Option<i64>) -> DeliveryStatus {
    let number = ack.map(|ack| ack.to_string());
    let status = statuses::status_of(number.as_deref().or(Some("0")), None);
    status.unwrap_or(DeliveryStatus::Sending)
}
