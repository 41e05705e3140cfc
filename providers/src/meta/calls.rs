//! Calls within WhatsApp.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/calling>

use serde_json::value::RawValue;

use super::envelope::{Scope, Unreadable, id, time};
use super::people::{People, Who};
use super::wire::{Status, WireCall};
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
    let stage = match wire.event.as_ref() {
        "connect" => CallStage::Initiated,
        "terminate" => ended(&wire, &mut facts),
        other => return Err(Unreadable(format!("unknown call event `{other}`"))),
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
    let key = format!("{call_id}:{}", wire.event);
    scope.push(key, at, EventKind::Call(Box::new(progress)));
    scope.name(party);
    Ok(())
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
    let stage = match wire.status.to_ascii_uppercase().as_str() {
        "RINGING" => CallStage::Ringing,
        "ACCEPTED" => CallStage::InProgress,
        "REJECTED" => CallStage::Rejected,
        other => return Err(Unreadable(format!("unknown call status `{other}`"))),
    };
    let callee = statuses::recipient(wire, false);
    let progress = CallProgress {
        direction: Some(Direction::Outbound),
        to: address(callee),
        ..progress(&wire.id, stage)
    };
    let key = format!("{}:{}", wire.id, stage.word());
    scope.push(key, at, EventKind::Call(Box::new(progress)));
    scope.name(people.party(callee));
    Ok(())
}

/// The first address of somebody, if they are named at all.
fn address(who: Who<'_>) -> Option<Address> {
    who.addresses().into_iter().next()
}

fn progress(id: &str, stage: CallStage) -> CallProgress {
    CallProgress {
        call: CallRef { id: id.to_owned(), session: None, parent: None, control: None },
        channel: Channel::Whatsapp,
        direction: None,
        from: None,
        to: None,
        name: None,
        stage: Some(stage),
        sequence: None,
        facts: Vec::new(),
    }
}
