//! Messages, and what is done to them: reactions, edits, revocations.
//! <https://waha.devlike.pro/docs/how-to/events/#message>

use serde_json::value::RawValue;

use super::content::{self, Raw};
use super::edits;
use super::envelopes::{Envelope, outbound_status, push, reference};
use super::ids::{self, Id};
use super::webhook::{Scope, Unreadable};
use super::wire::{Chosen, ReplyTo, Vote, WireMessage, time};
use crate::bridge::record::Record;
use crate::bridge::surroundings::Answered;
use crate::bridge::{ads, presses, says, surroundings};
use crate::{Content, EventKind, MessageRef, StatusChange};
use crate::{outside, unknown};

/// What surrounds what a message says.
const SURROUNDINGS: [&str; 12] = [
    "_data",
    "ack",
    "ackName",
    "author",
    "from",
    "fromMe",
    "id",
    "participant",
    "replyTo",
    "source",
    "timestamp",
    "to",
];

/// Reads `message` or `message.any`.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(payload)?;
    let raw = Raw::of(&wire);
    let Some(envelope) = Envelope::of(&wire, &raw)? else {
        return Ok(());
    };
    if envelope.ours && wire.source.get() == Some("api") {
        return sent_through_the_api(scope, &wire, &envelope);
    }
    let record = raw.record();
    if record.encrypted_edit().is_some() {
        return edits::read_message(scope, &wire, &envelope, &record);
    }
    if raw.is_of_no_concern(&record) {
        return Ok(());
    }
    let said = content::read(&wire, &raw, &record, envelope.id);
    let mut context = envelope.context();
    let contexts = || raw.contexts(&record);
    (context.forwarded, context.frequently_forwarded) = surroundings::forwarded(contexts());
    context.referral = ads::referral(contexts());
    context.reply_to = answered(&wire, &raw, &record).map(|id| quoted(scope, &envelope, id));
    context.parts = said.parts.map(Box::new);
    let says = says::or_welcome(said.content, context.referral.is_some());
    let says = unknown::or_words(Ok::<_, Unreadable>(says), None, (payload, &SURROUNDINGS));
    let key = format!("{}:message", envelope.reference.0);
    push(scope, key, &wire, envelope, says, context);
    Ok(())
}

/// Reads `poll.vote` or `poll.vote.failed`: somebody chose options of a poll, and these are all that they chose. One that failed
/// could not be decrypted.
pub(super) fn read_vote(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: Vote<'_> = outside::part(payload)?;
    let vote = wire.vote.ok_or_else(|| Unreadable("`vote` is missing".to_owned()))?;
    let mut message: WireMessage<'_> = outside::part(vote)?;
    message.data = wire.data.or(message.data);
    let Some(envelope) = Envelope::of(&message, &Raw::of(&message))? else {
        return Ok(());
    };
    let is_failed = scope.event == "poll.vote.failed";
    let chosen: Chosen = outside::part(vote)?;
    let chosen = presses::options(&chosen.selected_options).filter(|_| !is_failed);
    let (says, parts) = presses::vote(chosen, "poll.vote");
    let mut context = envelope.context();
    let poll = wire.poll.unwrap_or_default();
    if poll.id.get().is_some() {
        let ours = poll.from_me.unwrap_or(!envelope.ours);
        context.reply_to = Some(reference(&poll.id, ours, "poll.id")?);
    }
    context.parts = parts.map(Box::new);
    let key = format!("{}:message", envelope.reference.0);
    push(scope, key, &message, envelope, says, context);
    Ok(())
}

/// The echo of what was sent through the server's API, which may come before the answer to the sending. Whoever sent it has
/// it already; the echo only says that it is on its way.
fn sent_through_the_api(
    scope: &mut Scope<'_>,
    wire: &WireMessage<'_>,
    envelope: &Envelope<'_>,
) -> Result<(), Unreadable> {
    let status = outbound_status(wire)?;
    let change = StatusChange {
        reference: envelope.reference.clone(),
        ours: None,
        status,
        recipient: None,
        failure: None,
        pricing: None,
        cost: None,
    };
    let key = format!("{}:{}", envelope.reference.0, status.word());
    scope.push(key, time(&wire.timestamp), EventKind::Status(change));
    scope.name(envelope.party.addresses.iter().cloned());
    Ok(())
}

/// Reads `message.reaction`.
pub(super) fn read_reaction(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(payload)?;
    let Some(envelope) = Envelope::of(&wire, &Raw::of(&wire))? else {
        return Ok(());
    };
    if envelope.ours && wire.source.get() == Some("api") {
        return sent_through_the_api(scope, &wire, &envelope);
    }
    let says =
        unknown::or_words(reacted(&wire, &envelope), Some("reaction"), (payload, &SURROUNDINGS));
    let key = format!("{}:message", envelope.reference.0);
    let context = envelope.context();
    push(scope, key, &wire, envelope, says, context);
    Ok(())
}

fn reacted(wire: &WireMessage<'_>, envelope: &Envelope<'_>) -> Result<Content, Unreadable> {
    let missing = || Unreadable("`reaction` is missing".to_owned());
    let reaction = wire.reaction.as_ref().ok_or_else(missing)?;
    // A bare id is most likely the other side's: people react to what they were written.
    let target = reference(&reaction.message_id, !envelope.ours, "reaction.messageId")?;
    Ok(Content::Reaction { target, emoji: reaction.text.0.clone() })
}

/// The message that one answers, as WAHA tells it or, where it does not, as the engine recorded it.
fn answered<'w>(
    wire: &'w WireMessage<'_>,
    raw: &'w Raw,
    record: &Record<'w>,
) -> Option<Answered<'w>> {
    let told = |reply: &'w ReplyTo| {
        let id = reply.id.get().filter(|id| Id::read(id).is_some())?;
        Some(Answered { id, author: reply.participant.get(), ours: None })
    };
    let told = wire.reply_to.as_ref().and_then(told);
    told.or_else(|| surroundings::about(record))
        .or_else(|| surroundings::answered(raw.contexts(record)))
}

/// Our name for the message that is answered. Its id is mostly bare, so its author tells whose it is.
fn quoted(scope: &Scope<'_>, envelope: &Envelope<'_>, answered: Answered<'_>) -> MessageRef {
    let author = answered.author.and_then(ids::person);
    let theirs = &envelope.party.addresses;
    let by_author = || {
        let ours = scope.ours();
        surroundings::is_of_ours(author.as_ref(), envelope.ours, &envelope.chat, &ours, theirs)
    };
    let ours = answered.ours.unwrap_or_else(by_author);
    Id::read(answered.id).map_or_else(|| ids::reference(ours, answered.id), |id| id.reference(ours))
}
