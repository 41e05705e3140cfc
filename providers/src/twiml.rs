//! What TwiML and its kin, TeXML, tell of a call that was passed on: the requests that follow `<Dial>` and `<Enqueue>`.
//! <https://www.twilio.com/docs/voice/twiml/dial#action>, <https://www.twilio.com/docs/voice/twiml/enqueue#action>

use crate::form::Form;
use crate::{CallFact, CallStage};

/// What became of the call that was passed on; `None` if the request does not tell. Joining a conference is not yet
/// talking to anybody: who dials one waits in it.
pub(crate) fn passed_on(form: &Form<'_>) -> Option<CallFact> {
    dialled(form).or_else(|| queued(form))
}

fn dialled(form: &Form<'_>) -> Option<CallFact> {
    let how = form.get("DialCallStatus")?.trim();
    let is_leg = form.any(&["DialCallSid", "DialBridged", "DialCallDuration"]).is_some();
    if !is_leg && how == "answered" {
        return None;
    }
    let seconds = form.number("DialCallDuration").filter(|seconds| *seconds >= 0);
    let taken = match (form.get("DialBridged").map(str::trim), seconds) {
        (Some("true"), _) => true,
        (Some("false"), _) => false,
        // Whoever answered and hung up within the second talked to nobody.
        (_, Some(seconds)) => seconds > 0 && is_taken(how),
        (_, None) => is_taken(how),
    };
    let seconds = seconds.filter(|_| taken);
    let (to, how) = ("dial".to_owned(), how.to_owned());
    Some(CallFact::PassedOn { to, how, taken, over: true, seconds, waited: None })
}

/// Whether a dialled leg with this status was answered.
fn is_taken(status: &str) -> bool {
    matches!(status, "completed" | "answered" | "in-progress")
}

fn queued(form: &Form<'_>) -> Option<CallFact> {
    let how = form.get("QueueResult")?.trim();
    let taken = matches!(how, "bridged" | "redirected-from-bridged");
    let waited = form.number("QueueTime").filter(|seconds| *seconds >= 0);
    let (to, how) = ("queue".to_owned(), how.to_owned());
    Some(CallFact::PassedOn { to, how, taken, over: true, seconds: None, waited })
}

/// What the leg that `<Dial>` made has to say of itself beside its stage: that nobody was put through to whoever answered.
pub(crate) fn of_leg(stage: CallStage, passed: Option<&CallFact>) -> Option<CallFact> {
    match passed {
        Some(CallFact::PassedOn { taken: false, .. }) if stage == CallStage::Completed => {
            passed.cloned()
        }
        _ => None,
    }
}
