//! Whether a message keeps Meta's limits. Nothing here depends on the time, or on what Meta knows.
//!
//! Lengths are counted in Unicode characters.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>

mod choices;
mod invitations;
mod media;
mod template;

use crate::emoji;
use crate::meta::people::is_user_id;
use crate::{Address, Channel, ContactCard, OutboundContent, OutboundMessage, Unfit};

const TEXT_CHARS: usize = 4_096;

const CARD_NAME_CHARS: usize = 1_024;

/// `biz_opaque_callback_data`.
const CALLBACK_CHARS: usize = 512;

/// Refuses the first member that oversteps a limit.
pub(super) fn message(message: &OutboundMessage) -> Result<(), Unfit> {
    if message.channel != Channel::Whatsapp {
        return Err(Unfit::new("channel", "this account carries whatsapp only"));
    }
    match &message.group {
        Some(group) => in_group(group, &message.content)?,
        None => recipient(&message.to)?,
    }
    filled("id", &message.id, CALLBACK_CHARS)?;
    if let Some(reference) = &message.reply_to {
        present("reply_to", &reference.0)?;
        if matches!(message.content, OutboundContent::Reaction { .. }) {
            let reason = "a reaction names its message in content.target only";
            return Err(Unfit::new("reply_to", reason));
        }
    }
    content(message)
}

/// What Meta takes for a group of the Cloud API.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/groups/groups-messaging>
fn in_group(group: &str, content: &OutboundContent) -> Result<(), Unfit> {
    present("reply_to", group)?;
    match content {
        OutboundContent::Text { .. }
        | OutboundContent::Media { .. }
        | OutboundContent::Template(_) => Ok(()),
        OutboundContent::Reaction { .. } => {
            let reason = "Meta takes text, files and templates in groups, and no reaction: answer with a text, by `reply_to`";
            Err(Unfit::new("content.kind", reason))
        }
        other => {
            let reason = format!(
                "Meta takes text, files and templates in groups, and no {}: name a person of it by `to` to write to them alone",
                other.kind(),
            );
            Err(Unfit::new("content.kind", reason))
        }
    }
}

fn recipient(to: &Address) -> Result<(), Unfit> {
    match to {
        Address::Phone(_) => Ok(()),
        Address::WaUser(id) if is_user_id(id) => Ok(()),
        Address::WaUser(_) => Err(Unfit::new("to", "does not have the form of a WhatsApp user id")),
        Address::Email(_) | Address::WaLid(_) | Address::Handle(_) => {
            Err(Unfit::new("to", "must be a telephone number or a WhatsApp user id"))
        }
    }
}

fn content(message: &OutboundMessage) -> Result<(), Unfit> {
    match &message.content {
        OutboundContent::Text { body, .. } => filled("content.body", body, TEXT_CHARS),
        OutboundContent::Media { files, caption } => {
            media::files(files, caption.as_deref(), &message.files)
        }
        OutboundContent::Location { latitude, longitude, name, address } => {
            degrees("content.latitude", *latitude, 90.0)?;
            degrees("content.longitude", *longitude, 180.0)?;
            optional("content.name", name.as_deref(), usize::MAX)?;
            optional("content.address", address.as_deref(), usize::MAX)
        }
        OutboundContent::Contacts { cards } => contacts(cards),
        OutboundContent::Reaction { target, emoji: given } => {
            present("content.target", &target.0)?;
            emoji::check(given.as_deref())
        }
        OutboundContent::Buttons { header, body, footer, buttons } => {
            choices::around(header.as_ref(), footer.as_deref(), message.files.first())?;
            choices::buttons(body, buttons)
        }
        OutboundContent::List { header, body, footer, button, sections } => {
            choices::lines(header.as_deref(), footer.as_deref())?;
            choices::list(body, button, sections)
        }
        OutboundContent::CtaUrl { header, body, footer, text, url } => {
            choices::around(header.as_ref(), footer.as_deref(), message.files.first())?;
            invitations::page(body, text, url)
        }
        OutboundContent::LocationRequest { body } => invitations::words(body),
        OutboundContent::Flow(flow) => {
            choices::around(flow.header.as_ref(), flow.footer.as_deref(), message.files.first())?;
            invitations::flow(flow)
        }
        OutboundContent::Products { catalog_id, header, body, footer, sections } => {
            choices::lines(header.as_deref(), footer.as_deref())?;
            invitations::words(body)?;
            invitations::products(catalog_id, header.as_deref(), sections)
        }
        OutboundContent::Poll { .. } => {
            let reason = "Meta's Business Platform cannot send polls; only WhatsApp Web can";
            Err(Unfit::new("content.options", reason))
        }
        OutboundContent::Template(wanted) => template::template(wanted, &message.files),
    }
}

fn degrees(field: &str, value: f64, most: f64) -> Result<(), Unfit> {
    // What is no number is not within the limit either.
    if value.abs() <= most {
        return Ok(());
    }
    Err(Unfit::new(field, format!("must be from -{most} to {most} degrees")))
}

fn contacts(cards: &[ContactCard]) -> Result<(), Unfit> {
    if cards.is_empty() {
        return Err(Unfit::new("content.cards", "at least 1 card is needed"));
    }
    for (index, card) in cards.iter().enumerate() {
        filled(&format!("content.cards[{index}].name"), &card.name, CARD_NAME_CHARS)?;
        for phone in &card.phones {
            present(&format!("content.cards[{index}].phones"), phone)?;
        }
        if card.birthday.as_deref().is_some_and(|day| !is_day(day)) {
            let field = format!("content.cards[{index}].birthday");
            return Err(Unfit::new(field, "must have the form YYYY-MM-DD"));
        }
    }
    Ok(())
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// Refuses a text that says nothing.
fn present(field: &str, text: &str) -> Result<(), Unfit> {
    if text.trim().is_empty() {
        return Err(Unfit::new(field, "must not be empty"));
    }
    Ok(())
}

/// Refuses a text that says nothing or has more than `most` characters.
fn filled(field: &str, text: &str, most: usize) -> Result<(), Unfit> {
    present(field, text)?;
    at_most(field, text.chars().count(), most, "characters")
}

/// The same for a text that may be missing.
fn optional(field: &str, text: Option<&str>, most: usize) -> Result<(), Unfit> {
    text.map_or(Ok(()), |text| filled(field, text, most))
}

/// Refuses more than `most` of something.
fn at_most(field: &str, given: usize, most: usize, what: &str) -> Result<(), Unfit> {
    if given > most {
        return Err(Unfit::new(field, format!("at most {most} {what}, {given} were given")));
    }
    Ok(())
}
