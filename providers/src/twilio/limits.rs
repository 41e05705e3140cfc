//! What Twilio can carry, and how much of it, as far as it can be known without asking.
//! <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>

use super::address::{recipient, sender};
use super::is_sid;
use crate::by_link::{self, FileLimits};
use crate::sms::check_words;
use crate::{
    Channel, Failure, MediaKind, OutboundContent, OutboundFile, OutboundMessage, Template, Unfit,
    media_type,
};

/// Characters of a message's words.
const BODY: usize = 1_600;

/// <https://www.twilio.com/docs/messaging/guides/accepted-mime-types>
const MMS_FILES: FileLimits = FileLimits { most: 10, together: 5 * 1_024 * 1_024 };

/// <https://www.twilio.com/docs/whatsapp/guidance-whatsapp-media-messages>
const WHATSAPP_FILES: FileLimits = FileLimits { most: 1, together: 16 * 1_024 * 1_024 };

/// Whether `message` can be sent.
pub(super) fn check(message: &OutboundMessage) -> Result<(), Unfit> {
    let channel = message.channel;
    if !matches!(channel, Channel::Sms | Channel::Whatsapp) {
        return Err(Unfit::new("channel", "messages go by sms or whatsapp"));
    }
    if sender(channel, &message.from.address).is_none() {
        let reason = match channel {
            Channel::Whatsapp => "must be a telephone number in E.164 form",
            _ => "must be a telephone number, a short code or a name of at most 11 letters",
        };
        return Err(Unfit::new("from", reason));
    }
    if recipient(channel, &message.to).is_none() {
        let reason = match channel {
            Channel::Whatsapp => "must be a telephone number or a WhatsApp user id",
            _ => "must be a telephone number",
        };
        return Err(Unfit::new("to", reason));
    }
    if message.group.is_some() {
        let reason = "Twilio has no groups: name a person by `to` to write to them alone";
        return Err(Unfit::new("reply_to", reason));
    }
    if message.reply_to.is_some() {
        return Err(Unfit::new("reply_to", "Twilio cannot send a message as an answer to another"));
    }
    content(message)
}

fn content(message: &OutboundMessage) -> Result<(), Unfit> {
    let is_whatsapp = message.channel == Channel::Whatsapp;
    match &message.content {
        OutboundContent::Text { body, .. } => check_words("content.body", body, BODY),
        OutboundContent::Media { files, caption } => {
            if let Some(caption) = caption {
                check_caption(message.channel, files, caption)?;
            }
            match is_whatsapp {
                true => files.iter().enumerate().try_for_each(check_sticker)?,
                false => by_link::no_sticker(files)?,
            }
            let limits = if is_whatsapp { WHATSAPP_FILES } else { MMS_FILES };
            by_link::check(message, files, &limits)
        }
        OutboundContent::Location { latitude, longitude, name, address } => {
            if !is_whatsapp {
                return Err(Unfit::new("content", "SMS cannot carry a location"));
            }
            check_degrees("content.latitude", *latitude, 90.0)?;
            check_degrees("content.longitude", *longitude, 180.0)?;
            for (field, words) in [("content.name", name), ("content.address", address)] {
                words.as_deref().map_or(Ok(()), |words| check_words(field, words, BODY))?;
            }
            Ok(())
        }
        OutboundContent::Template(template) => check_template(template),
        OutboundContent::Contacts { .. } => {
            Err(Unfit::new("content", "Twilio cannot send business cards"))
        }
        OutboundContent::Reaction { .. } => {
            Err(Unfit::new("content", "Twilio cannot send reactions"))
        }
        OutboundContent::Buttons { .. } | OutboundContent::List { .. } => {
            Err(only_as_template("buttons and lists"))
        }
        OutboundContent::CtaUrl { .. } => Err(only_as_template("buttons that open a page")),
        OutboundContent::Flow(_) => Err(only_as_template("forms")),
        OutboundContent::Products { .. } => Err(only_as_template("products")),
        OutboundContent::LocationRequest { .. } => {
            Err(Unfit::new("content", "Twilio cannot send requests for a place"))
        }
        OutboundContent::Poll { .. } => Err(Unfit::new("content", "Twilio cannot send polls")),
    }
}

fn only_as_template(what: &str) -> Unfit {
    let reason = format!(
        "Twilio sends {what} only as templates: make one in its Content Template Builder and send that"
    );
    Unfit::new("content", reason)
}

/// WhatsApp shows no words beside sounds and stickers, and Twilio drops them silently.
fn check_caption(channel: Channel, files: &[OutboundFile], caption: &str) -> Result<(), Unfit> {
    let is_mute = |file: &OutboundFile| {
        matches!(file.media, MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker)
    };
    if channel == Channel::Whatsapp && files.iter().any(is_mute) {
        let reason = "WhatsApp shows no caption with audio, voice messages and stickers";
        return Err(Unfit::new("content.caption", reason));
    }
    check_words("content.caption", caption, BODY)
}

/// A picture of another type would go as a picture.
fn check_sticker((index, file): (usize, &OutboundFile)) -> Result<(), Unfit> {
    let is_webp = |given: &str| media_type::essence(given) == "image/webp";
    if file.media != MediaKind::Sticker || file.mime_type.as_deref().is_none_or(is_webp) {
        return Ok(());
    }
    let field = format!("content.files[{index}].mime_type");
    Err(Unfit::new(field, "stickers must be image/webp; send other pictures as image"))
}

fn check_degrees(field: &str, degrees: f64, limit: f64) -> Result<(), Unfit> {
    if degrees.abs() <= limit {
        return Ok(());
    }
    Err(Unfit::new(field, format!("must be between -{limit} and {limit} degrees")))
}

fn check_template(template: &Template) -> Result<(), Unfit> {
    if !is_sid("HX", &template.name) {
        let reason = "must be the template's ContentSid, HX and 32 hexadecimal digits";
        return Err(Unfit::new("content.name", reason));
    }
    if template.components.is_some() {
        let reason = "Twilio fills templates by `variables` only";
        return Err(Unfit::new("content.components", reason));
    }
    if template.header.is_some() {
        let reason = "Twilio's templates name their files themselves: give what varies of the address in `variables`";
        return Err(Unfit::new("content.header", reason));
    }
    Ok(())
}

/// The same refusal at the moment of sending.
pub(super) fn refuse(unfit: &Unfit) -> Failure {
    let class = crate::FailureClass::Permanent(crate::Cause::Message);
    Failure::new(class, unfit.to_string())
}
