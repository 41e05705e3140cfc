//! Messages of people, by SMS, MMS or WhatsApp.
//! <https://www.twilio.com/docs/messaging/guides/webhook-request>

use super::address::{account, channel, correspondent, user};
use super::webhook::{Scope, Unreadable};
use super::{content, statuses};
use crate::form::Form;
use crate::{
    Address, Channel, Context, Direction, EventKind, Line, Message, MessageRef, Party, PhoneNumber,
    Referral,
};

/// One id under three names; the later ones are kept by Twilio for old programs.
const ID_NAMES: [&str; 3] = ["MessageSid", "SmsSid", "SmsMessageSid"];

/// Whether these are news of a message.
pub(super) fn is_message(form: &Form<'_>) -> bool {
    form.any(&ID_NAMES).is_some()
}

/// Our line: who received what arrived, who sent everything else. A message that a messaging service has not yet
/// given to one of its numbers has no sender.
pub(super) fn line(form: &Form<'_>) -> Line {
    let ours = if statuses::has_arrived(form) { form.get("To") } else { form.get("From") };
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
    let party = party(form);
    if party.addresses.is_empty() {
        let reason = "the message names nobody who wrote it";
        return Err(Unreadable(reason.to_owned()));
    }
    let key = format!("{id}:message");
    let message = Message {
        reference: MessageRef(id),
        channel: channel(form, Channel::Sms),
        direction: Direction::Inbound,
        party,
        content: content::read(form)?,
        context: context(form),
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
    let wa_id = form.get("WaId").and_then(|digits| PhoneNumber::international(digits.trim()).ok());
    let known = [
        form.get("From").and_then(correspondent),
        wa_id.map(Address::Phone),
        form.get("ExternalUserId").and_then(user),
    ];
    let mut addresses = Vec::new();
    for address in known.into_iter().flatten() {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Party { addresses, name: form.owned("ProfileName"), username: form.owned("Username") }
}

fn context(form: &Form<'_>) -> Context {
    let opt_out = form.get("OptOutType");
    Context {
        reply_to: form.owned("OriginalRepliedMessageSid").map(MessageRef),
        forwarded: form.get("Forwarded") == Some("true"),
        frequently_forwarded: form.get("FrequentlyForwarded") == Some("true"),
        product: None,
        referral: referral(form),
        group_id: None,
        opt_out: opt_out.map(|word| word.trim().to_ascii_lowercase()),
        cost: None,
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
