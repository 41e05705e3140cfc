//! What Telnyx can carry, and how much of it, as far as it can be known without asking.
//! <https://developers.telnyx.com/api-reference/messages/send-a-message>

use crate::by_link::{self, FileLimits};
use crate::sms::{SmsSender, check_parts, check_words, is_short_code};
use crate::{Address, Channel, OutboundContent, OutboundMessage, Unfit};

/// Parts of an SMS; what takes more is refused (40302).
/// <https://developers.telnyx.com/docs/messaging/messages/message-encoding>
const SMS_PARTS: usize = 10;

/// Characters beside files. An MMS has no parts: carriers take several thousand characters, and 1 MB holds for everything
/// together.
/// <https://support.telnyx.com/en/articles/4450150-faqs-about-mms-at-telnyx>
const MMS_TEXT: usize = 5_000;

/// <https://developers.telnyx.com/docs/messaging/messages/mms-transcoding>
const FILES: FileLimits = FileLimits { most: 10, together: 1_000_000 };

/// Whether `message` can be sent. Names can only send for a messaging profile.
pub(super) fn check(message: &OutboundMessage, has_profile: bool) -> Result<(), Unfit> {
    if message.channel != Channel::Sms {
        return Err(Unfit::new("channel", "only SMS and MMS are sent through Telnyx"));
    }
    match SmsSender::parse(&message.from.address) {
        None => {
            let reason = "must be a telephone number, a short code or a name of at most 11 letters";
            return Err(Unfit::new("from", reason));
        }
        Some(SmsSender::Name(_)) if !has_profile => {
            let reason = "a name can send only if the account has a messaging_profile_id";
            return Err(Unfit::new("from", reason));
        }
        Some(_) => {}
    }
    let is_reachable = match &message.to {
        Address::Phone(_) => true,
        Address::Handle(text) => is_short_code(text),
        _ => false,
    };
    if !is_reachable {
        return Err(Unfit::new("to", "must be a telephone number or a short code"));
    }
    if message.group.is_some() {
        let reason =
            "Telnyx cannot answer in a group: name a person of it by `to` to write to them alone";
        return Err(Unfit::new("reply_to", reason));
    }
    if message.reply_to.is_some() {
        return Err(Unfit::new("reply_to", "SMS cannot answer a single message"));
    }
    content(message)
}

fn content(message: &OutboundMessage) -> Result<(), Unfit> {
    let missing = match &message.content {
        OutboundContent::Text { body, .. } => {
            return check_parts("content.body", body, SMS_PARTS);
        }
        OutboundContent::Media { files, caption } => {
            if let Some(caption) = caption {
                check_words("content.caption", caption, MMS_TEXT)?;
            }
            by_link::no_sticker(files)?;
            return by_link::check(message, files, &FILES);
        }
        OutboundContent::Location { .. } => "a location",
        OutboundContent::Contacts { .. } => "business cards",
        OutboundContent::Reaction { .. } => "a reaction",
        OutboundContent::Buttons { .. } => "buttons",
        OutboundContent::List { .. } => "a list",
        OutboundContent::CtaUrl { .. } => "a button that opens a page",
        OutboundContent::LocationRequest { .. } => "a request for a place",
        OutboundContent::Flow(_) => "a form",
        OutboundContent::Products { .. } => "products",
        OutboundContent::Poll { .. } => "a poll",
        OutboundContent::Template(_) => "a template",
    };
    Err(Unfit::new("content", format!("SMS cannot carry {missing}")))
}
