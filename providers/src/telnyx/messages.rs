//! Messages that people send us: SMS, MMS, and WhatsApp where Telnyx carries it.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>

use serde_json::value::RawValue;

use super::notices;
use super::routing::{addresses, author};
use super::webhook::{Scope, Unreadable};
use super::whatsapp;
use super::wire::{WireCost, WireMedia, WireMessage};
use crate::outside;
use crate::sms::{Keyword, Keywords};
use crate::{
    Attachment, Channel, Content, Context, DeliveryStatus, Direction, EventKind, MediaKind,
    Message, MessageRef, Money, Party, unknown,
};

/// What every messaging profile heeds by itself.
/// <https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out>
const KEYWORDS: Keywords = Keywords {
    stop: &["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"],
    start: &["START", "UNSTOP"],
};

/// What surrounds what a message says.
pub(super) const ENVELOPE: [&str; 19] = [
    "autoresponse_type",
    "cc",
    "completed_at",
    "cost",
    "cost_breakdown",
    "direction",
    "encoding",
    "errors",
    "from",
    "id",
    "messaging_profile_id",
    "organization_id",
    "received_at",
    "record_type",
    "sent_at",
    "tags",
    "to",
    "type",
    "valid_until",
];

/// Reads `message.received`; and `message.echo`, which the business wrote on its telephone.
pub(super) fn read(
    scope: &mut Scope<'_>,
    payload: &RawValue,
    direction: Direction,
) -> Result<(), Unreadable> {
    let wire: WireMessage = outside::part(payload)?;
    let Some(channel) = channel(&wire) else {
        return notices::read(scope, payload);
    };
    let reference = reference(&wire)?;
    let far_end = match direction {
        Direction::Inbound => &wire.from,
        Direction::Outbound => &wire.to,
    };
    let person = far_end.0.first().and_then(author);
    let person =
        person.ok_or_else(|| Unreadable("the message names nobody at the other end".to_owned()))?;
    let (content, surroundings) = match channel {
        Channel::Whatsapp => {
            let told = whatsapp::read(&wire, &outside::part(payload)?);
            if let Some(done) = told.done {
                scope.push(None, done);
                return Ok(());
            }
            (told.content, told.context)
        }
        _ => (content(&wire).unwrap_or_else(|_| wordless(payload)), Context::default()),
    };
    let told = wire.autoresponse_type.get().and_then(opt_out);
    // It is told with some keywords only, and what a profile adds to them.
    let keyword = match &content {
        Content::Text { body }
            if channel == Channel::Sms && told.is_none() && direction == Direction::Inbound =>
        {
            KEYWORDS.find(body)
        }
        _ => None,
    };
    let surroundings = Context {
        group_id: surroundings.group_id.clone().or_else(|| group(&wire)),
        opt_out: told.or_else(|| (keyword == Some(Keyword::Stop)).then(|| "stop".to_owned())),
        opt_in_word: keyword == Some(Keyword::Start),
        cost: wire.cost.as_ref().and_then(money),
        ..surroundings
    };
    let message = Message {
        reference,
        channel,
        direction,
        party: Party { addresses: vec![person], ..Party::default() },
        content,
        context: surroundings,
        status: (direction == Direction::Outbound).then_some(DeliveryStatus::Sent),
        historical: false,
    };
    scope.push(None, EventKind::Message(Box::new(message)));
    Ok(())
}

/// An SMS without words and files is an empty one, unless its words stand elsewhere.
fn wordless(payload: &RawValue) -> Content {
    let all = outside::part(payload).unwrap_or_default();
    match unknown::words(unknown::members(&all, &ENVELOPE)) {
        None => Content::Text { body: String::new() },
        words => Content::Unsupported { what: None, code: None, detail: words },
    }
}

/// The message's id, the same in all events about it.
pub(super) fn reference(wire: &WireMessage) -> Result<MessageRef, Unreadable> {
    let id = wire.id.0.clone().map(MessageRef);
    id.ok_or_else(|| Unreadable("the message has no `id`".to_owned()))
}

pub(super) fn money(cost: &WireCost) -> Option<Money> {
    Money::parse(cost.amount.get()?, cost.currency.get()?)
}

/// `None` for channels that are none of ours (RCS): what is told of their messages is a notice.
pub(super) fn channel(wire: &WireMessage) -> Option<Channel> {
    match wire.kind.get().unwrap_or("SMS").to_ascii_uppercase().as_str() {
        "SMS" | "MMS" => Some(Channel::Sms),
        "WHATSAPP" => Some(Channel::Whatsapp),
        _ => None,
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
