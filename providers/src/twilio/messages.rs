//! Messages of people, by SMS, MMS or WhatsApp.
//! <https://www.twilio.com/docs/messaging/guides/webhook-request>

use super::address::{account, channel, correspondent, scheme, whatsapp_user};
use super::webhook::{Scope, Unreadable};
use super::{content, notices, statuses};
use crate::form::Form;
use crate::sms::{self, Keyword, Keywords};
use crate::{
    Channel, Content, Context, Direction, EventKind, Line, Message, MessageRef, Party, Referral,
};

/// One id under three names; the later ones are kept by Twilio for old programs.
const ID_NAMES: [&str; 3] = ["MessageSid", "SmsSid", "SmsMessageSid"];

/// What Twilio heeds by itself on numbers whose messaging service has no keywords of its own. Only such a service makes it
/// say so (`OptOutType`).
/// <https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out>
const KEYWORDS: Keywords = Keywords {
    stop: &["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"],
    start: &["START", "YES", "UNSTOP"],
};

/// Whether these are news of a message.
pub(super) fn is_message(form: &Form<'_>) -> bool {
    form.any(&ID_NAMES).is_some()
}

/// Our line: who received what arrived, who sent everything else. A message that a messaging service has not yet
/// given to one of its numbers has no sender, and one that it sent over RCS is known by its id alone.
pub(super) fn line(form: &Form<'_>) -> Line {
    let ours = if statuses::has_arrived(form) { form.get("To") } else { form.get("From") };
    let ours = ours.filter(|ours| scheme(ours).is_none());
    ours.and_then(correspondent).map_or_else(|| account(form), Line::Address)
}

/// Reads a message of a person, or a status of one.
pub(super) fn read(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let id = form.any(&ID_NAMES).unwrap_or_default().to_owned();
    // A status of an inbound message says the same word, but nothing of what was written.
    let is_written = form.has("Body") || form.has("NumMedia");
    if !is_written || !statuses::has_arrived(form) {
        return statuses::read(scope, id);
    }
    if notices::is_foreign(form) {
        notices::read_foreign(scope, &id);
        return Ok(());
    }
    let party = party(form);
    if party.addresses.is_empty() {
        let reason = "the message names nobody who wrote it";
        return Err(Unreadable(reason.to_owned()));
    }
    let key = format!("{id}:message");
    let (channel, content) = (channel(form, Channel::Sms), content::read(form));
    let message = Message {
        reference: MessageRef(id),
        channel,
        direction: Direction::Inbound,
        party,
        context: context(form, keyword(form, channel, &content)),
        content,
        status: None,
        historical: false,
    };
    let kind = EventKind::Message(Box::new(message));
    scope.push(key, scope.at, line(form), kind);
    Ok(())
}

/// `From` is where answers go. WhatsApp's own id of the person may be an older spelling of the same number, and
/// people who hide their number have only a user id.
fn party(form: &Form<'_>) -> Party {
    let addresses = whatsapp_user(form, "From");
    Party { addresses, name: form.owned("ProfileName"), username: form.owned("Username") }
}

/// The keyword that the whole message is, where Twilio heeds keywords unasked and does not say so: in SMS to telephone numbers.
/// Who writes to a short code is only heeded by a messaging service.
fn keyword(form: &Form<'_>, channel: Channel, content: &Content) -> Option<Keyword> {
    let to_short_code = form.get("To").is_some_and(|to| sms::is_short_code(to.trim()));
    match content {
        Content::Text { body }
            if channel == Channel::Sms && !to_short_code && form.get("OptOutType").is_none() =>
        {
            KEYWORDS.find(body)
        }
        _ => None,
    }
}

fn context(form: &Form<'_>, keyword: Option<Keyword>) -> Context {
    let told = form.get("OptOutType").map(|word| word.trim().to_ascii_lowercase());
    Context {
        reply_to: form.owned("OriginalRepliedMessageSid").map(MessageRef),
        forwarded: form.get("Forwarded") == Some("true"),
        frequently_forwarded: form.get("FrequentlyForwarded") == Some("true"),
        product: None,
        referral: referral(form),
        by: None,
        group_id: None,
        opt_out: told.or_else(|| (keyword == Some(Keyword::Stop)).then(|| "stop".to_owned())),
        opt_in_word: keyword == Some(Keyword::Start),
        cost: None,
        parts: None,
    }
}

fn referral(form: &Form<'_>) -> Option<Referral> {
    let referral = Referral {
        source_url: form.owned("ReferralSourceUrl"),
        source_id: form.owned("ReferralSourceId"),
        source_type: form.owned("ReferralSourceType"),
        headline: form.owned("ReferralHeadline"),
        body: form.owned("ReferralBody"),
        media_url: form.owned("ReferralMediaUrl"),
        click_id: form.owned("ReferralCtwaClid"),
    };
    (referral != Referral::default()).then_some(referral)
}
