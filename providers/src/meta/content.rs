//! What a message says: one block for each type of message.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde_json::value::RawValue;

use super::envelope::{Unreadable, block, id};
use super::errors;
use super::wire::{self, WireMessage, Word};
use crate::outside;
use crate::{Attachment, ContactCard, Content, MediaKind, MessageRef, OrderItem};

/// Reads the block that the message's type names. An unknown type is an error: the item is kept until we know it.
/// `errors` are those that stand beside the message.
pub(super) fn read(wire: &WireMessage<'_>, errors: &[&RawValue]) -> Result<Content, Unreadable> {
    match wire.kind.as_ref() {
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
        "interactive" => interactive(wire, errors),
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
        "unsupported" | "media_placeholder" => unsupported(wire, errors),
        other => Err(Unreadable(format!("unknown message type `{other}`"))),
    }
}

fn media(kind: MediaKind, raw: Option<&RawValue>, name: &str) -> Result<Content, Unreadable> {
    let wire: wire::Media<'_> = block(raw, name)?;
    if wire.id.get().is_none() && wire.url.get().is_none() {
        return Err(Unreadable(format!("the block `{name}` names no file")));
    }
    let is_voice = kind == MediaKind::Audio && wire.voice.unwrap_or_default();
    let attachment = Attachment {
        kind: if is_voice { MediaKind::Voice } else { kind },
        media_id: wire.id.owned(),
        url: wire.url.owned(),
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

/// An answer to a message with buttons, a list or a form. It may come without its block and with an error instead.
fn interactive(wire: &WireMessage<'_>, errors: &[&RawValue]) -> Result<Content, Unreadable> {
    let Some(raw) = wire.interactive else {
        return unsupported(wire, errors);
    };
    let wire: wire::Interactive<'_> = block(Some(raw), "interactive")?;
    match wire.kind.as_ref() {
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
fn form_response(value: serde_json::Value) -> serde_json::Value {
    let text = value.as_str().unwrap_or_default();
    match outside::read(text.as_bytes()) {
        Ok(object @ serde_json::Value::Object(_)) => object,
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

/// Meta passes on that there was a message, not what it said.
fn unsupported(wire: &WireMessage<'_>, errors: &[&RawValue]) -> Result<Content, Unreadable> {
    let named = match wire.unsupported {
        Some(_) => block::<wire::Unsupported<'_>>(wire.unsupported, "unsupported")?.kind,
        None => Word::default(),
    };
    let is_named_by_type = wire.kind != "unsupported";
    let error = errors::first(&wire.errors).or_else(|| errors::first(errors));
    let (code, detail) = error.map_or((None, None), |error| {
        let detail = errors::explain(&error);
        (error.code.owned(), detail)
    });
    let what = named.owned();
    Ok(Content::Unsupported {
        what: what.or_else(|| is_named_by_type.then(|| wire.kind.clone().into_owned())),
        code,
        detail,
    })
}
