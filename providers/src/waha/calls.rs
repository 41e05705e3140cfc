//! Calls within WhatsApp. A linked device hears of them and cannot take them.
//! <https://waha.devlike.pro/docs/how-to/events/#callreceived>

use serde_json::value::RawValue;

use super::ids;
use super::webhook::{Scope, Unreadable};
use super::wire::{Call, time};
use crate::outside;
use crate::{CallFact, CallProgress, CallRef, CallStage, Channel, Direction, EventKind};

/// Reads `call.received`, `call.accepted` or `call.rejected`.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: Call = outside::part(payload)?;
    let id = wire.id.0.clone().ok_or_else(|| Unreadable("`id` is missing".to_owned()))?;
    let stage = match scope.event {
        "call.accepted" => CallStage::InProgress,
        "call.rejected" => CallStage::Rejected,
        _ => CallStage::Ringing,
    };
    let ours = ids::sorted(scope.ours());
    let from = wire.from.get().and_then(ids::person);
    let is_ours = from.as_ref().is_some_and(|caller| ours.contains(caller));
    let direction = if is_ours { Direction::Outbound } else { Direction::Inbound };
    let noted = |is: Option<bool>, what: &str| {
        is.unwrap_or_default().then(|| CallFact::Noted { what: what.to_owned() })
    };
    let facts = [noted(wire.is_video, "video"), noted(wire.is_group, "group")];
    let key = format!("call:{id}:{}", stage.word());
    let progress = CallProgress {
        call: CallRef { id, session: None, parent: None, control: None },
        channel: Channel::Whatsapp,
        direction: Some(direction),
        from,
        to: ours.into_iter().next().filter(|_| !is_ours),
        name: None,
        stage: Some(stage),
        sequence: None,
        facts: facts.into_iter().flatten().collect(),
    };
    let others = ["/callerPn", "/CallCreatorAlt"].into_iter();
    let others = others.filter_map(|at| wire.data.pointer(at)?.as_str().and_then(ids::person));
    let people: Vec<_> = progress.from.iter().filter(|_| !is_ours).cloned().chain(others).collect();
    scope.push(key, time(&wire.timestamp), EventKind::Call(Box::new(progress)));
    scope.name(people);
    Ok(())
}
