//! Sending. One request a message; a file goes along in it, or as an address that the server fetches. Evolution takes no id of
//! ours, so a sending without an answer can only be found again by what it said.
//! <https://doc.evolution-api.com/v2/api-reference/message-controller/send-text>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{EvolutionAccount, errors, statuses};
use crate::bridge::{fit, jids, reached_by};
use crate::{
    Cause, Channel, ContactCard, DeliveryStatus, Failure, FailureClass, LoadedFile, MediaKind,
    MessageRef, Messages, OutboundContent, OutboundFile, OutboundMessage, Pace, ProviderRequest,
    ProviderResponse, Sent, Step, Unfit,
};

/// Kinds of files that WhatsApp shows without words.
const WORDLESS: [MediaKind; 3] = [MediaKind::Voice, MediaKind::Audio, MediaKind::Sticker];

/// The server refuses polls with more options than this, though WhatsApp has them.
const POLL_OPTIONS: usize = 10;

impl Messages for EvolutionAccount {
    fn check(&self, message: &OutboundMessage) -> Result<(), Unfit> {
        if message.channel != Channel::Whatsapp {
            return Err(Unfit::new("channel", "a WhatsApp Web instance carries only whatsapp"));
        }
        let chat = chat(message)?;
        if let Some(reply_to) = &message.reply_to {
            key(message, reply_to, &chat, "reply_to")?;
        }
        fit::check(&message.content)?;
        match &message.content {
            OutboundContent::Media { files, caption: Some(_) }
                if files.iter().any(|file| WORDLESS.contains(&file.media)) =>
            {
                Err(Unfit::new("content.caption", "sound and stickers have no caption"))
            }
            OutboundContent::Contacts { cards } => {
                if message.reply_to.is_some() {
                    return Err(Unfit::new("reply_to", "Evolution cannot reply with cards"));
                }
                cards.iter().try_for_each(check_card)
            }
            OutboundContent::Reaction { target, .. } => {
                key(message, target, &chat, "content.target").map(|_| ())
            }
            OutboundContent::Poll { options, .. } if options.len() > POLL_OPTIONS => {
                let reason = format!("Evolution sends polls of at most {POLL_OPTIONS} options");
                Err(Unfit::new("content.options", reason))
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

impl EvolutionAccount {
    fn request(&self, message: &OutboundMessage) -> Result<ProviderRequest, Unfit> {
        self.check(message)?;
        let chat = chat(message)?;
        if let OutboundContent::Reaction { target, emoji } = &message.content {
            let key = key(message, target, &chat, "content.target")?;
            let body = json!({ "key": key, "reaction": emoji.as_deref().unwrap_or_default() });
            // The same reaction again changes nothing.
            let request = self.api.post(["message", "sendReaction"], &body);
            return Ok(ProviderRequest::repeatable(request));
        }
        let mut body = Map::new();
        // Numbers are given as digits; only LIDs and groups need their server's name.
        let number = chat.strip_suffix("@s.whatsapp.net").unwrap_or(&chat);
        body.insert("number".to_owned(), number.into());
        if let Some(reply_to) = &message.reply_to {
            // The server knows the message by its key, and quotes it from its own store.
            let quoted = json!({ "key": key(message, reply_to, &chat, "reply_to")? });
            body.insert("quoted".to_owned(), quoted);
        }
        let endpoint = fill(&mut body, message)?;
        let request = self.api.post(["message", endpoint], &Value::Object(body));
        Ok(ProviderRequest::once(request))
    }
}

/// Adds what the message says, and tells which endpoint takes it.
fn fill(body: &mut Map<String, Value>, message: &OutboundMessage) -> Result<&'static str, Unfit> {
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    match &message.content {
        // Never a preview: the server itself would fetch what the words link to, from the operator's network.
        OutboundContent::Text { body, preview_url: _ } => {
            put("text", body.as_str().into());
            put("linkPreview", false.into());
            Ok("sendText")
        }
        OutboundContent::Location { latitude, longitude, name, address } => {
            // Both texts must be there and not be empty.
            let place = format!("{latitude}, {longitude}");
            let named = name.as_deref().or(address.as_deref()).unwrap_or(&place);
            put("name", named.into());
            put("address", address.as_deref().unwrap_or(named).into());
            put("latitude", json!(latitude));
            put("longitude", json!(longitude));
            Ok("sendLocation")
        }
        OutboundContent::Contacts { cards } => {
            put("contact", cards.iter().map(card).collect());
            Ok("sendContact")
        }
        OutboundContent::Poll { question, options, multiple } => {
            put("name", question.as_str().into());
            put("selectableCount", if *multiple { options.len() } else { 1 }.into());
            put("values", options.as_slice().into());
            Ok("sendPoll")
        }
        OutboundContent::Media { files, caption } => {
            let (Some(file), Some(loaded)) = (files.first(), message.files.first()) else {
                return Err(Unfit::new("content.files", "the file is not loaded"));
            };
            let whole = whole(loaded)?;
            if let Some(name) = file.filename.as_deref().filter(|_| !WORDLESS.contains(&file.media))
            {
                put("fileName", name.into());
            }
            if let Some(caption) = caption {
                put("caption", caption.as_str().into());
            }
            Ok(media(file, whole, put))
        }
        _ => Err(Unfit::new("content", "WhatsApp Web cannot send this")),
    }
}

fn media(
    file: &OutboundFile,
    whole: String,
    mut put: impl FnMut(&str, Value) -> Option<Value>,
) -> &'static str {
    let kind = match file.media {
        MediaKind::Voice => {
            put("audio", whole.into());
            return "sendWhatsAppAudio";
        }
        MediaKind::Sticker => {
            put("sticker", whole.into());
            return "sendSticker";
        }
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Document => "document",
    };
    put("mediatype", kind.into());
    put("mimetype", fit::mime_type(file).into());
    put("media", whole.into());
    "sendMedia"
}

/// The file as Evolution takes it. Its bytes, where we have them, need no address that the server could not reach.
fn whole(loaded: &LoadedFile) -> Result<String, Unfit> {
    match (&loaded.bytes, &loaded.link) {
        (Some(bytes), _) => Ok(STANDARD.encode(bytes)),
        (None, Some(link)) => Ok(link.clone()),
        (None, None) => Err(Unfit::new("content.files", "the file is not loaded")),
    }
}

/// Evolution writes the card itself, from one value of each kind. What has no place in it would be lost in silence.
fn check_card(card: &ContactCard) -> Result<(), Unfit> {
    let refused = |reason: &str| Err(Unfit::new("content.cards", reason));
    let digits = |phone: &String| phone.chars().filter(char::is_ascii_digit).count();
    match card.phones.as_slice() {
        [phone] if digits(phone) > 0 => {}
        _ => return refused("each card must have exactly one telephone number"),
    }
    if card.emails.len() > 1 || card.urls.len() > 1 {
        return refused("a card can have one e-mail address and one link at most");
    }
    if !card.addresses.is_empty() || card.birthday.is_some() {
        return refused("a card can have no postal address and no birthday");
    }
    Ok(())
}

fn card(card: &ContactCard) -> Value {
    let phone = card.phones.first().map(String::as_str).unwrap_or_default();
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let mut told = json!({ "fullName": card.name, "wuid": digits, "phoneNumber": phone });
    let others = [
        ("organization", card.organization.as_ref()),
        ("email", card.emails.first()),
        ("url", card.urls.first()),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            told[name] = value.as_str().into();
        }
    }
    told
}

/// What a 2xx says.
fn sent(message: &OutboundMessage, answer: &ProviderResponse) -> Result<Sent, Failure> {
    let body: Value = answer.json().unwrap_or_default();
    let id = body["key"]["id"].as_str().filter(|id| jids::is_bare_id(id));
    let id = id.ok_or_else(|| {
        let detail = "Evolution took the message and did not name it";
        Failure::new(FailureClass::Indeterminate, detail)
    })?;
    let status = statuses::status_of(body["status"].as_str());
    let places = [&body["key"]["remoteJid"], &body["key"]["remoteJidAlt"]];
    let people = places.into_iter().filter_map(|jid| jids::person(jid.as_str()?));
    Ok(Sent {
        references: vec![jids::reference(true, id)],
        status: match status {
            Ok(DeliveryStatus::Failed) => {
                return Err(Failure::new(
                    FailureClass::Permanent(Cause::Message),
                    "WhatsApp refused the message",
                ));
            }
            Ok(status) if status >= DeliveryStatus::Sent => DeliveryStatus::Sent,
            _ => DeliveryStatus::Sending,
        },
        recipient: jids::further(&message.to, people),
    })
}

/// The JID of the chat.
fn chat(message: &OutboundMessage) -> Result<String, Unfit> {
    jids::chat_of_message(message, jids::NUMBERS).ok_or_else(|| fit::unreachable(message))
}

/// Evolution's key of the message that this one is about. In groups its author is part of it.
fn key(
    message: &OutboundMessage,
    reference: &MessageRef,
    chat: &str,
    field: &str,
) -> Result<Value, Unfit> {
    let unknown = || Unfit::new(field, "is not a message of WhatsApp Web");
    let mut key = message_key(reference, chat).ok_or_else(unknown)?;
    let (ours, _) = jids::taken_apart(reference).ok_or_else(unknown)?;
    if let Some(author) = jids::author_of(message, ours, jids::NUMBERS) {
        key["participant"] = author.into();
    }
    Ok(key)
}

/// Evolution's key of a message in this chat; `None` if the reference is not one of this provider's.
pub(super) fn message_key(reference: &MessageRef, chat: &str) -> Option<Value> {
    let (ours, id) = jids::taken_apart(reference)?;
    Some(json!({ "remoteJid": chat, "fromMe": ours, "id": id }))
}
