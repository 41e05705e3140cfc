//! What a message says: one block for each type of message.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use super::messages::{explain, required};
use super::webhook::Unreadable;
use super::wire::{self, WireError, WireMessage};
use crate::lenient::Maybe;
use crate::{Attachment, ContactCard, Content, MediaKind, MessageRef, OrderItem};

/// Reads the block that the message's type names. An unknown type is an error: the item is kept until we know it.
pub(super) fn read(wire: &WireMessage, errors: &[WireError]) -> Result<Content, Unreadable> {
    Ok(match wire.kind.as_str() {
        "text" => Content::Text {
            body: required(wire.text.as_ref(), "text")?.body.clone(),
        },
        "image" => media(MediaKind::Image, wire.image.as_ref(), "image")?,
        "audio" => audio(required(wire.audio.as_ref(), "audio")?)?,
        "voice" => media(MediaKind::Voice, wire.voice.as_ref(), "voice")?,
        "video" => media(MediaKind::Video, wire.video.as_ref(), "video")?,
        "document" => media(MediaKind::Document, wire.document.as_ref(), "document")?,
        "sticker" => media(MediaKind::Sticker, wire.sticker.as_ref(), "sticker")?,
        "location" => location(required(wire.location.as_ref(), "location")?)?,
        "contacts" => {
            let cards = required(wire.contacts.as_ref(), "contacts")?
                .iter()
                .map(card)
                .collect();
            Content::Contacts { cards }
        }
        "interactive" => match &wire.interactive {
            Some(interactive) => read_interactive(interactive)?,
            None => unsupported(wire, errors),
        },
        "button" => {
            let button = required(wire.button.as_ref(), "button")?;
            let text = button.text.0.clone().unwrap_or_default();
            let id = button.payload.0.clone().unwrap_or_else(|| text.clone());
            Content::ButtonReply { id, title: text }
        }
        "reaction" => {
            let reaction = required(wire.reaction.as_ref(), "reaction")?;
            let target = MessageRef(reaction.message_id.clone());
            Content::Reaction {
                target,
                emoji: reaction.emoji.0.clone(),
            }
        }
        "order" => order(required(wire.order.as_ref(), "order")?),
        "system" => {
            let system = required(wire.system.as_ref(), "system")?;
            let event = system
                .kind
                .0
                .clone()
                .unwrap_or_else(|| "changed".to_owned());
            Content::System {
                event,
                body: system.body.0.clone(),
            }
        }
        "request_welcome" => Content::Welcome,
        "unsupported" | "media_placeholder" => unsupported(wire, errors),
        other => return Err(Unreadable(format!("unknown message type `{other}`"))),
    })
}

fn media(kind: MediaKind, wire: Option<&wire::Media>, name: &str) -> Result<Content, Unreadable> {
    let wire = required(wire, name)?;
    if wire.id.get().is_none() && wire.url.get().is_none() {
        return Err(Unreadable(format!("the block `{name}` names no file")));
    }
    let attachment = Attachment {
        kind,
        media_id: wire.id.0.clone(),
        url: wire.url.0.clone(),
        mime_type: wire.mime_type.0.clone(),
        filename: wire.filename.0.clone(),
        size: None,
        sha256: wire.sha256.0.clone(),
    };
    Ok(Content::Media {
        attachments: vec![attachment],
        caption: wire.caption.0.clone(),
    })
}

fn audio(wire: &wire::Media) -> Result<Content, Unreadable> {
    let voice = wire.voice.unwrap_or_default();
    media(
        if voice {
            MediaKind::Voice
        } else {
            MediaKind::Audio
        },
        Some(wire),
        "audio",
    )
}

fn location(wire: &wire::Location) -> Result<Content, Unreadable> {
    let in_range = |degrees: Option<f64>, limit: f64| degrees.filter(|d| d.abs() <= limit);
    let place = in_range(wire.latitude, 90.0).zip(in_range(wire.longitude, 180.0));
    let (latitude, longitude) =
        place.ok_or_else(|| Unreadable("the location has no usable coordinates".to_owned()))?;
    Ok(Content::Location {
        latitude,
        longitude,
        name: wire.name.0.clone(),
        address: wire.address.0.clone(),
        url: wire.url.0.clone(),
    })
}

fn card(wire: &wire::WireCard) -> ContactCard {
    let join = |parts: &[&Maybe], separator: &str| {
        parts
            .iter()
            .filter_map(|part| part.get())
            .collect::<Vec<_>>()
            .join(separator)
    };
    let name = wire.name.formatted_name.0.clone();
    let phone = |part: &wire::CardPart| part.phone.0.clone().or(part.wa_id.0.clone());
    let line = |place: &wire::CardAddress| {
        join(
            &[
                &place.street,
                &place.city,
                &place.state,
                &place.zip,
                &place.country,
            ],
            ", ",
        )
    };
    ContactCard {
        name: name.unwrap_or_else(|| join(&[&wire.name.first_name, &wire.name.last_name], " ")),
        phones: wire.phones.iter().filter_map(phone).collect(),
        emails: wire
            .emails
            .iter()
            .filter_map(|part| part.email.0.clone())
            .collect(),
        organization: wire.org.as_ref().and_then(|org| org.company.0.clone()),
        addresses: wire
            .addresses
            .iter()
            .map(line)
            .filter(|line| !line.is_empty())
            .collect(),
        urls: wire
            .urls
            .iter()
            .filter_map(|part| part.url.0.clone())
            .collect(),
        birthday: wire.birthday.0.clone(),
    }
}

fn read_interactive(wire: &wire::Interactive) -> Result<Content, Unreadable> {
    Ok(match wire.kind.as_str() {
        "button_reply" => {
            let choice = required(wire.button_reply.as_ref(), "interactive.button_reply")?;
            Content::ButtonReply {
                id: choice.id.clone(),
                title: choice.title.clone(),
            }
        }
        "list_reply" => {
            let choice = required(wire.list_reply.as_ref(), "interactive.list_reply")?;
            Content::ListReply {
                id: choice.id.clone(),
                title: choice.title.clone(),
                description: choice.description.0.clone(),
            }
        }
        "nfm_reply" => {
            let form = required(wire.nfm_reply.as_ref(), "interactive.nfm_reply")?;
            Content::FormReply {
                name: form.name.0.clone(),
                body: form.body.0.clone(),
                response: form_response(&form.response_json),
            }
        }
        "call_permission_reply" => {
            let reply = wire.call_permission_reply.as_ref();
            let reply = required(reply, "interactive.call_permission_reply")?;
            Content::CallPermissionReply {
                granted: reply.response == "accept",
                permanent: reply.is_permanent.unwrap_or_default(),
                expires_at: reply.expiration_timestamp.number(),
                source: reply.response_source.0.clone(),
            }
        }
        other => return Err(Unreadable(format!("unknown interactive type `{other}`"))),
    })
}

/// `response_json` is an object written as a text; what is not is kept as it came.
fn form_response(value: &serde_json::Value) -> serde_json::Value {
    let text = value.as_str().unwrap_or_default();
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(object @ serde_json::Value::Object(_)) => object,
        _ => value.clone(),
    }
}

fn order(wire: &wire::Order) -> Content {
    let text = |maybe: &Maybe| maybe.0.clone().unwrap_or_default();
    let item = |item: &wire::ProductItem| OrderItem {
        product_id: text(&item.product_retailer_id),
        quantity: text(&item.quantity),
        price: text(&item.item_price),
        currency: text(&item.currency),
    };
    Content::Order {
        catalog_id: text(&wire.catalog_id),
        text: wire.text.0.clone(),
        items: wire.product_items.iter().map(item).collect(),
    }
}

/// Meta passes on that there was a message, not what it said.
fn unsupported(wire: &WireMessage, errors: &[WireError]) -> Content {
    let error = wire.errors.first().or(errors.first());
    let named = wire
        .unsupported
        .as_ref()
        .and_then(|unsupported| unsupported.kind.0.clone());
    let what = named.or_else(|| (wire.kind != "unsupported").then(|| wire.kind.clone()));
    Content::Unsupported {
        what,
        code: error.and_then(|error| error.code.0.clone()),
        detail: error.and_then(explain),
    }
}
