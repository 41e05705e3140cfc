//! What a message says: one block for each type of message.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde_json::Value;
use serde_json::value::RawValue;

use super::envelope::{Unreadable, block, id};
use super::errors;
use super::wire::{self, WireMessage, Word};
use crate::{Attachment, ContactCard, Content, MediaKind, MessageRef, OrderItem};
use crate::{outside, unknown};

/// What the message itself is written with, beside what it says.
const ENVELOPE: [&str; 15] = [
    "context",
    "errors",
    "from",
    "from_parent_user_id",
    "from_user_id",
    "group_id",
    "history_context",
    "id",
    "identity",
    "referral",
    "timestamp",
    "to",
    "to_parent_user_id",
    "to_user_id",
    "type",
];

/// What the message says. Somebody wrote, whatever the kind: what cannot be read is [`Content::Unsupported`], with the words
/// that stand in it. `raw` is all of the message; `errors` are those that stand beside it.
pub(super) fn read(wire: &WireMessage<'_>, errors: &[&RawValue], raw: &RawValue) -> Content {
    known(wire).unwrap_or_else(|_| unsupported(wire, errors, raw))
}

/// Reads the block that the message's type names. Where no type is named, the block that is there names it.
fn known(wire: &WireMessage<'_>) -> Result<Content, Unreadable> {
    let kind = match wire.kind.trim() {
        "" => wire.block_there().unwrap_or_default(),
        kind => kind,
    };
    match kind {
        "text" => {
            let text: wire::Text<'_> = block(wire.text, "text")?;
            let body = text.body.into_owned();
            Ok(Content::Text { body })
        }
        "image" => media(MediaKind::Image, wire.image, "image"),
        "audio" => media(MediaKind::Audio, wire.audio, "audio"),
        "voice" => media(MediaKind::Voice, wire.voice, "voice"),
        "video" => media(MediaKind::Video, wire.video, "video"),
        "document" => media(MediaKind::Document, wire.document, "document"),
        "sticker" => media(MediaKind::Sticker, wire.sticker, "sticker"),
        "location" => location(block(wire.location, "location")?),
        "contacts" => {
            let cards: Vec<wire::WireCard<'_>> = block(wire.contacts, "contacts")?;
            let cards = cards.into_iter().map(card).collect();
            Ok(Content::Contacts { cards })
        }
        "interactive" => interactive(&block(wire.interactive, "interactive")?),
        "button" => button(block(wire.button, "button")?),
        "reaction" => {
            let reaction: wire::Reaction<'_> = block(wire.reaction, "reaction")?;
            let target = id(&reaction.message_id, "message_id")?.to_owned();
            Ok(Content::Reaction { target: MessageRef(target), emoji: reaction.emoji.owned() })
        }
        "order" => Ok(order(block(wire.order, "order")?)),
        "system" => {
            let system: wire::System<'_> = block(wire.system, "system")?;
            let event = system.kind.owned();
            Ok(Content::System {
                event: event.unwrap_or_else(|| "unspecified".to_owned()),
                body: system.body.owned(),
            })
        }
        "request_welcome" => Ok(Content::Welcome),
        other => Err(Unreadable(format!("unknown message type `{other}`"))),
    }
}

fn media(kind: MediaKind, raw: Option<&RawValue>, name: &str) -> Result<Content, Unreadable> {
    let wire: wire::Media<'_> = block(raw, name)?;
    let url = wire.url.owned().or(wire.link.owned());
    if wire.id.get().is_none() && url.is_none() {
        return Err(Unreadable(format!("the block `{name}` names no file")));
    }
    let is_voice = kind == MediaKind::Audio && wire.voice.unwrap_or_default();
    let attachment = Attachment {
        kind: if is_voice { MediaKind::Voice } else { kind },
        media_id: wire.id.owned(),
        url,
        mime_type: wire.mime_type.owned(),
        filename: wire.filename.owned(),
        size: None,
        sha256: wire.sha256.owned(),
    };
    Ok(Content::Media { attachments: vec![attachment], caption: wire.caption.owned() })
}

fn location(wire: wire::Location<'_>) -> Result<Content, Unreadable> {
    let in_range = |degrees: Option<f64>, limit: f64| degrees.filter(|d| d.abs() <= limit);
    let place = in_range(wire.latitude, 90.0).zip(in_range(wire.longitude, 180.0));
    let (latitude, longitude) =
        place.ok_or_else(|| Unreadable("the location has no usable coordinates".to_owned()))?;
    Ok(Content::Location {
        latitude,
        longitude,
        name: wire.name.owned(),
        address: wire.address.owned(),
        url: wire.url.owned(),
    })
}

fn card(wire: wire::WireCard<'_>) -> ContactCard {
    let name = wire.name.formatted_name.owned();
    let parts = [wire.name.first_name, wire.name.last_name];
    let all = |parts: Vec<wire::CardPart<'_>>, pick: fn(wire::CardPart<'_>) -> Option<String>| {
        parts.into_iter().filter_map(pick).collect()
    };
    let line = |place: wire::CardAddress<'_>| {
        let wire::CardAddress { street, city, state, zip, country } = place;
        join(&[street, city, state, zip, country], ", ")
    };
    ContactCard {
        name: name.unwrap_or_else(|| join(&parts, " ")),
        phones: all(wire.phones, |part| part.phone.owned().or(part.wa_id.owned())),
        emails: all(wire.emails, |part| part.email.owned()),
        organization: wire.org.and_then(|org| org.company.owned()),
        addresses: wire.addresses.into_iter().map(line).filter(|line| !line.is_empty()).collect(),
        urls: all(wire.urls, |part| part.url.owned()),
        birthday: wire.birthday.owned(),
    }
}

fn join(parts: &[Word<'_>], separator: &str) -> String {
    let parts: Vec<&str> = parts.iter().filter_map(Word::get).collect();
    parts.join(separator)
}

/// An answer to a message with buttons, a list or a form.
fn interactive(wire: &wire::Interactive<'_>) -> Result<Content, Unreadable> {
    let kind = match wire.kind.get() {
        None => wire.block_there().unwrap_or_default(),
        Some(kind) => kind,
    };
    match kind {
        "button_reply" => {
            let choice: wire::Choice<'_> = block(wire.button_reply, "button_reply")?;
            Ok(Content::ButtonReply { id: choice.id.into_owned(), title: choice.title.or_empty() })
        }
        "list_reply" => {
            let choice: wire::Choice<'_> = block(wire.list_reply, "list_reply")?;
            Ok(Content::ListReply {
                id: choice.id.into_owned(),
                title: choice.title.or_empty(),
                description: choice.description.owned(),
            })
        }
        "nfm_reply" => {
            let form: wire::FormReply<'_> = block(wire.nfm_reply, "nfm_reply")?;
            Ok(Content::FormReply {
                name: form.name.owned(),
                body: form.body.owned(),
                response: form_response(form.response_json),
            })
        }
        "call_permission_reply" => {
            call_permission(block(wire.call_permission_reply, "call_permission_reply")?)
        }
        other => Err(Unreadable(format!("unknown interactive type `{other}`"))),
    }
}

/// `response_json` is an object written as a text; what is not is kept as it came.
fn form_response(value: Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    match outside::read(text.as_bytes()) {
        Ok(object @ Value::Object(_)) => object,
        _ => value,
    }
}

fn call_permission(wire: wire::CallPermission<'_>) -> Result<Content, Unreadable> {
    let granted = match wire.response.as_ref() {
        "accept" => true,
        "reject" => false,
        other => return Err(Unreadable(format!("unknown call permission `{other}`"))),
    };
    Ok(Content::CallPermissionReply {
        granted,
        permanent: wire.is_permanent.unwrap_or_default(),
        expires_at: wire.expiration_timestamp.number(),
        source: wire.response_source.owned(),
    })
}

/// A quick reply to a template of ours.
fn button(wire: wire::Button<'_>) -> Result<Content, Unreadable> {
    let (payload, text) = (wire.payload.owned(), wire.text.owned());
    let id = payload.or_else(|| text.clone());
    let id = id.ok_or_else(|| Unreadable("the button has neither payload nor text".to_owned()))?;
    let title = text.unwrap_or_default();
    Ok(Content::ButtonReply { id, title })
}

fn order(wire: wire::Order<'_>) -> Content {
    let item = |item: wire::ProductItem<'_>| OrderItem {
        product_id: item.product_retailer_id.or_empty(),
        quantity: item.quantity.or_empty(),
        price: item.item_price.or_empty(),
        currency: item.currency.or_empty(),
    };
    Content::Order {
        catalog_id: wire.catalog_id.or_empty(),
        text: wire.text.owned(),
        items: wire.product_items.into_iter().map(item).collect(),
    }
}

/// A message of which Meta passes on only that there was one, or one that we cannot read. An answer may come without its block
/// and with an error instead.
fn unsupported(wire: &WireMessage<'_>, errors: &[&RawValue], raw: &RawValue) -> Content {
    let all: Value = outside::part(raw).unwrap_or_default();
    let part = |name: &str| all[name]["type"].as_str();
    let is_named_by_type = !["", "unsupported"].contains(&wire.kind.trim());
    let named = || is_named_by_type.then_some(wire.kind.as_ref());
    let first = || {
        let is_untyped = wire.kind.trim().is_empty();
        is_untyped.then(|| unknown::members(&all, &ENVELOPE).next()).flatten()
    };
    let answer = (wire.kind == "interactive").then(|| part("interactive")).flatten();
    let what = part("unsupported").or(answer).or_else(named);
    let what = what.or_else(|| first().map(|(name, _)| name));
    let error = errors::first(&wire.errors).or_else(|| errors::first(errors));
    let explained = error.map_or((None, None), |error| {
        let detail = errors::explain(&error);
        (error.code.owned(), detail)
    });
    unknown::content(what, unknown::members(&all, &ENVELOPE), explained)
}
