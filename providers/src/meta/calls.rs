//! Calls within WhatsApp.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/calling>

use serde_json::value::RawValue;

use super::messages::{People, address};
use super::webhook::{Scope, Unreadable};
use super::wire::{Status, WireCall};
use crate::lenient::unix_time;
use crate::{CallFact, CallProgress, CallRef, CallStage, Channel, Direction, EventKind, Timestamp};

/// Reads one of `value.calls[]`: a call arrives (`connect`) or is over (`terminate`).
pub(super) fn read(
    scope: &mut Scope<'_>,
    people: &People,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: WireCall = serde_json::from_str(raw.get())?;
    if wire.id.trim().is_empty() {
        return Err(Unreadable("the call has no `id`".to_owned()));
    }
    let at = wire.timestamp.get().and_then(unix_time).unwrap_or(scope.at);
    let direction = match wire.direction.get() {
        Some("USER_INITIATED") => Some(Direction::Inbound),
        Some("BUSINESS_INITIATED") => Some(Direction::Outbound),
        _ => None,
    };
    let mut facts = Vec::new();
    let stage = match wire.event.as_str() {
        "connect" => CallStage::Initiated,
        "terminate" => {
            let seconds = wire.duration.number();
            facts.extend(seconds.map(|seconds| CallFact::Duration { seconds }));
            let answered = wire.start_time.get().and_then(unix_time);
            facts.extend(answered.map(|at| CallFact::AnsweredAt { at }));
            match wire.status.get().map(str::to_ascii_uppercase).as_deref() {
                Some("FAILED") => CallStage::Failed,
                _ if seconds.unwrap_or_default() > 0 || answered.is_some() => CallStage::Completed,
                _ => CallStage::NoAnswer,
            }
        }
        other => return Err(Unreadable(format!("unknown call event `{other}`"))),
    };
    let party = match direction {
        Some(Direction::Outbound) => people.party(wire.to.get(), None, None),
        _ => people.party(wire.from.get(), None, None),
    };
    let key = format!("{}:{}", wire.id, wire.event);
    let progress = CallProgress {
        from: wire.from.get().and_then(address),
        to: wire.to.get().and_then(address),
        name: party.name,
        direction,
        facts,
        ..progress(wire.id, Some(stage))
    };
    scope.batch.push(
        key,
        at,
        scope.line.clone(),
        EventKind::Call(Box::new(progress)),
    );
    Ok(())
}

/// Reads a status of `type` `call`: a call of ours rings, is taken or is refused.
pub(super) fn read_status(
    scope: &mut Scope<'_>,
    wire: &Status,
    at: Timestamp,
) -> Result<(), Unreadable> {
    let stage = match wire.status.to_ascii_uppercase().as_str() {
        "RINGING" => CallStage::Ringing,
        "ACCEPTED" => CallStage::InProgress,
        "REJECTED" => CallStage::Rejected,
        other => return Err(Unreadable(format!("unknown call status `{other}`"))),
    };
    let progress = CallProgress {
        direction: Some(Direction::Outbound),
        to: wire.recipient_id.get().and_then(address),
        ..progress(wire.id.clone(), Some(stage))
    };
    let key = format!("{}:{}", wire.id, stage.word());
    scope.batch.push(
        key,
        at,
        scope.line.clone(),
        EventKind::Call(Box::new(progress)),
    );
    Ok(())
}

fn progress(id: String, stage: Option<CallStage>) -> CallProgress {
    CallProgress {
        call: CallRef {
            id,
            session: None,
            parent: None,
            control: None,
        },
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
