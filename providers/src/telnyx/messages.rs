//! Messages that people send us: SMS, MMS, and WhatsApp where Telnyx carries it.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>

use serde_json::value::RawValue;

use super::routing::{addresses, author};
use super::webhook::{Scope, Unreadable};
use super::whatsapp;
use super::wire::{WireCost, WireMedia, WireMessage};
use crate::outside;
use crate::sms::{Keyword, Keywords};
use crate::{
    Attachment, Channel, Content, Context, Direction, EventKind, MediaKind, Message, MessageRef,
    Money, Party,
};

/// What every messaging profile heeds by itself.
/// <https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out>
const KEYWORDS: Keywords = Keywords {
    stop: &["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"],
    start: &["START", "UNSTOP"],
};

/// Reads `message.received`.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage = outside::part(payload)?;
    let reference = reference(&wire)?;
    let sender = wire.from.0.first().and_then(author);
    let sender =
        sender.ok_or_else(|| Unreadable("the message names nobody who wrote it".to_owned()))?;
    let channel = channel(&wire)?;
    let (content, reply_to) = match channel {
        Channel::Whatsapp => whatsapp::read(&wire)?,
        _ => (content(&wire)?, None),
    };
    let told = wire.autoresponse_type.get().and_then(opt_out);
    // It is told with some keywords only, and what a profile adds to them.
    let keyword = match &content {
        Content::Text { body } if channel == Channel::Sms && told.is_none() => KEYWORDS.find(body),
        _ => None,
    };
    let surroundings = Context {
        reply_to,
        group_id: group(&wire),
        opt_out: told.or_else(|| (keyword == Some(Keyword::Stop)).then(|| "stop".to_owned())),
        opt_in_word: keyword == Some(Keyword::Start),
        cost: wire.cost.as_ref().and_then(money),
        ..Context::default()
    };
    let message = Message {
        reference,
        channel,
        direction: Direction::Inbound,
        party: Party { addresses: vec![sender], ..Party::default() },
        content,
        context: surroundings,
        status: None,
        historical: false,
    };
    scope.push(None, EventKind::Message(Box::new(message)));
    Ok(())
}

/// The message's id, the same in all events about it.
pub(super) fn reference(wire: &WireMessage) -> Result<MessageRef, Unreadable> {
    let id = wire.id.0.clone().map(MessageRef);
    id.ok_or_else(|| Unreadable("the message has no `id`".to_owned()))
}

pub(super) fn money(cost: &WireCost) -> Option<Money> {
    Money::parse(cost.amount.get()?, cost.currency.get()?)
}

/// RCS is none of our channels: such messages are kept until it is one.
fn channel(wire: &WireMessage) -> Result<Channel, Unreadable> {
    let kind = wire.kind.get().unwrap_or("SMS");
    match kind.to_ascii_uppercase().as_str() {
        "SMS" | "MMS" => Ok(Channel::Sms),
        "WHATSAPP" => Ok(Channel::Whatsapp),
        _ => Err(Unreadable(format!("unknown message type `{kind}`"))),
    }
}

/// Words, files, or both. An MMS may have a subject, which stands above its words.
pub(super) fn content(wire: &WireMessage) -> Result<Content, Unreadable> {
    let is_mms = wire.kind.get() == Some("MMS");
    let subject = wire.subject.0.clone().filter(|_| is_mms);
    let words = match (subject, wire.text.0.clone()) {
        (Some(subject), Some(text)) if subject != text => Some(format!("{subject}\n{text}")),
        (subject, text) => text.or(subject),
    };
    if wire.media.is_empty() {
        let body = words.ok_or_else(|| Unreadable("the message is empty".to_owned()))?;
        return Ok(Content::Text { body });
    }
    Ok(Content::Media { attachments: wire.media.iter().map(attachment).collect(), caption: words })
}

/// A file. The link works without authentication for 30 days, and is gone then.
fn attachment(wire: &WireMedia) -> Attachment {
    Attachment {
        kind: MediaKind::of_mime_type(wire.content_type.get().unwrap_or_default()),
        media_id: None,
        url: wire.url.0.clone(),
        mime_type: wire.content_type.0.clone(),
        filename: None,
        size: wire.size.number(),
        sha256: wire.hash_sha256.0.clone().or(wire.sha256.0.clone()),
    }
}

/// A group MMS has no id: it is known by who takes part, ourselves included, in an order that no event changes.
fn group(wire: &WireMessage) -> Option<String> {
    if wire.to.0.len() + wire.cc.0.len() < 2 {
        return None;
    }
    let ends = [&wire.from, &wire.to, &wire.cc];
    let mut members: Vec<String> =
        ends.into_iter().flat_map(addresses).map(|address| address.value().to_owned()).collect();
    members.sort();
    members.dedup();
    (members.len() > 2).then(|| members.join(","))
}

/// What Telnyx took the message for: it has answered it already, and keeps the block itself.
/// <https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out>
fn opt_out(word: &str) -> Option<String> {
    let known = match word.to_ascii_uppercase().as_str() {
        "STOP" | "OPT_OUT" => "stop",
        "START" | "OPT_IN" => "start",
        "HELP" | "INFO" => "help",
        _ => return None,
    };
    Some(known.to_owned())
}
