//! Calls within WhatsApp. A linked device hears of them and cannot take them.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde_json::value::RawValue;

use super::webhook::{Scope, Unreadable};
use super::wire::Call;
use crate::bridge::jids;
use crate::lenient::rfc3339;
use crate::outside;
use crate::{CallFact, CallProgress, CallRef, CallStage, Channel, Direction, EventKind};

/// Reads `call`.
pub(super) fn read(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let wire: Call = outside::part(data)?;
    let id = wire.id.0.clone().ok_or_else(|| Unreadable("`id` is missing".to_owned()))?;
    let stage = match wire.status.get().unwrap_or("missing") {
        "offer" | "ringing" | "preaccept" | "transport" | "relaylatency" => CallStage::Ringing,
        "accept" => CallStage::InProgress,
        "reject" => CallStage::Rejected,
        "timeout" => CallStage::NoAnswer,
        // Whether anybody had taken it is not told: what nobody is known to have taken was missed.
        "terminate" => CallStage::Canceled,
        other => return Err(Unreadable(format!("unknown `status`: {other}"))),
    };
    let named = [wire.from.get(), wire.caller_pn.get(), wire.chat_id.get()];
    let people = jids::sorted(named.into_iter().flatten().filter_map(jids::person));
    let is_ours = scope.ours.as_ref().is_some_and(|ours| people.first() == Some(ours));
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
        from: people.first().cloned(),
        to: scope.ours.clone().filter(|_| !is_ours),
        name: None,
        stage: Some(stage),
        sequence: None,
        facts: facts.into_iter().flatten().collect(),
    };
    let at = wire.date.get().and_then(rfc3339);
    // The offer's time stands in all that follows it.
    let at = at.filter(|_| stage == CallStage::Ringing);
    scope.push(key, at, EventKind::Call(Box::new(progress)));
    scope.name(people);
    Ok(())
}
