//! Calls within WhatsApp.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/calling>

use serde_json::value::RawValue;

use super::envelope::{Scope, Unreadable, id, time};
use super::people::{People, Who};
use super::wire::{Status, Transcript, WireCall};
use super::{errors, statuses};
use crate::lenient::unix_time;
use crate::outside;
use crate::{
    Address, CallFact, CallProgress, CallRef, CallStage, Channel, Direction, EventKind, Timestamp,
};

/// Reads one of `value.calls[]`: a call arrives (`connect`) or is over (`terminate`). `errors` are those that stand
/// beside it.
pub(super) fn read(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    errors: &[&RawValue],
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: WireCall<'_> = outside::part(raw)?;
    let call_id = id(&wire.id, "id")?;
    let at = match wire.timestamp.get() {
        None => scope.at,
        timestamp => time(timestamp)?,
    };
    let mut facts = Vec::new();
    let mut key = format!("{call_id}:{}", wire.event);
    let stage = match id(&wire.event, "event")? {
        "call_created" | "connect" => Some(CallStage::Initiated),
        "terminate" => Some(ended(&wire, &mut facts)),
        "call_transcription_available" => {
            let document = transcript(&wire);
            if let CallFact::TranscriptSaved { id: Some(document), .. } = &document {
                key = format!("{key}:{document}");
            }
            facts.push(document);
            None
        }
        // What happened does not change how the call stands, as far as we know.
        other => {
            facts.push(CallFact::Noted { what: other.to_owned() });
            None
        }
    };
    facts.extend(errors::first(errors).map(|error| {
        let detail = errors::explain(&error);
        let code = error.code.owned().unwrap_or_else(|| "unknown".to_owned());
        CallFact::Error { code, detail }
    }));
    let from = Who {
        number: wire.from.get(),
        user_id: wire.from_user_id.get(),
        parent_user_id: wire.from_parent_user_id.get(),
    };
    let to = Who {
        number: wire.to.get(),
        user_id: wire.to_user_id.get(),
        parent_user_id: wire.to_parent_user_id.get(),
    };
    let direction = direction(scope, &wire);
    let party = people.party(match direction {
        Some(Direction::Outbound) => to,
        _ => from,
    });
    let progress = CallProgress {
        direction,
        from: address(from),
        to: address(to),
        name: party.name.clone(),
        facts,
        ..progress(call_id, stage)
    };
    scope.push(key, at, EventKind::Call(Box::new(progress)));
    scope.name(party);
    Ok(())
}

/// The document in which what was said is written down.
fn transcript(wire: &WireCall<'_>) -> CallFact {
    let read = wire.call_transcript.and_then(|raw| outside::part::<Transcript<'_>>(raw).ok());
    let document = read.and_then(|transcript| transcript.document).unwrap_or_default();
    CallFact::TranscriptSaved {
        id: document.id.owned(),
        url: document.url.owned(),
        mime_type: document.mime_type.owned(),
    }
}

/// Whether somebody answered a call that is over, and how long it lasted.
fn ended(wire: &WireCall<'_>, facts: &mut Vec<CallFact>) -> CallStage {
    let seconds = wire.duration.number();
    facts.extend(seconds.map(|seconds| CallFact::Duration { seconds }));
    let answered = wire.start_time.get().and_then(unix_time);
    facts.extend(answered.map(|at| CallFact::AnsweredAt { at }));
    let has_failed = |word: &str| word.eq_ignore_ascii_case("failed");
    if wire.status.get().is_some_and(has_failed) {
        CallStage::Failed
    } else if answered.is_some() || seconds.is_some_and(|seconds| seconds > 0) {
        CallStage::Completed
    } else {
        CallStage::NoAnswer
    }
}

/// Meta names the direction of most calls; of the others, those from our own number are ours.
fn direction(scope: &Scope<'_>, wire: &WireCall<'_>) -> Option<Direction> {
    match (wire.direction.get(), scope.number.as_deref()) {
        (Some("USER_INITIATED"), _) => Some(Direction::Inbound),
        (Some("BUSINESS_INITIATED"), _) => Some(Direction::Outbound),
        (None, Some(ours)) if wire.from.get() == Some(ours) => Some(Direction::Outbound),
        (None, Some(ours)) if wire.to.get() == Some(ours) => Some(Direction::Inbound),
        _ => None,
    }
}

/// Reads a status of `type` `call`: a call of ours rings, is taken or is refused.
pub(super) fn read_status(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    wire: &Status<'_>,
    at: Timestamp,
) -> Result<(), Unreadable> {
    let word = id(&wire.status, "status")?.to_ascii_uppercase();
    let stage = match word.as_str() {
        "RINGING" => Some(CallStage::Ringing),
        "ACCEPTED" => Some(CallStage::InProgress),
        "REJECTED" => Some(CallStage::Rejected),
        _ => None,
    };
    let noted = stage.is_none().then(|| CallFact::Noted { what: word.to_ascii_lowercase() });
    let callee = statuses::recipient(wire, false);
    let progress = CallProgress {
        direction: Some(Direction::Outbound),
        to: address(callee),
        facts: noted.into_iter().collect(),
        ..progress(&wire.id, stage)
    };
    let key = format!("{}:{}", wire.id, stage.map_or(word.as_str(), |stage| stage.word()));
    scope.push(key, at, EventKind::Call(Box::new(progress)));
    scope.name(people.party(callee));
    Ok(())
}

/// The first address of somebody, if they are named at all.
fn address(who: Who<'_>) -> Option<Address> {
    who.addresses().into_iter().next()
}

fn progress(id: &str, stage: Option<CallStage>) -> CallProgress {
    CallProgress {
        call: CallRef { id: id.to_owned(), session: None, parent: None, control: None },
        channel: Channel::Whatsapp,
        direction: None,
        from: None,
        to: None,
        name: None,
        stage,
        sequence: None,
        facts: Vec::new(),
    }
}
