//! Telephone calls: they arrive, get further, ask what to do next, and end.
//! <https://www.twilio.com/docs/voice/twiml#request-parameters>

use super::address::{account, caller, channel, whatsapp_user};
use super::callbacks;
use super::facts;
use super::webhook::{Scope, Unreadable};
use crate::form::Form;
use crate::lenient::{rfc2822, rfc3339};
use crate::twiml;
use crate::{
    Address, CallFact, CallProgress, CallRef, CallStage, Channel, Direction, EventKind, Line,
    Timestamp,
};

/// A conference's end names the call that ended it. What else is told of a conference as a whole stands where a call does.
const ID_NAMES: [&str; 3] = ["CallSid", "CallSidEndingConference", "ConferenceSid"];

/// How a browser or a telephone application is written: one of ours, never a person's.
const CLIENT: &str = "client:";

/// Whether these are news of a call.
pub(super) fn is_call(form: &Form<'_>) -> bool {
    form.any(&ID_NAMES).is_some()
}

/// The call's id.
pub(super) fn id(form: &Form<'_>) -> String {
    form.any(&ID_NAMES).unwrap_or_default().to_owned()
}

/// Our line: who was called if the call came in, who called if it went out. A leg that `<Dial>` made may show our
/// number or that of the person who called first.
pub(super) fn line(form: &Form<'_>) -> Line {
    let (from, to) = sides(form);
    let ours = match form.get("Direction").map(str::trim) {
        Some("outbound-dial") => either(from, to),
        // Whoever calls from a browser of ours has no line of their own; whom they called has not either.
        Some(_) if is_from_client(form) => None,
        Some(_) => match direction(form) {
            Some(Direction::Inbound) => to.map(Line::Address),
            Some(Direction::Outbound) => from.map(Line::Address),
            None => either(to, from),
        },
        None => either(to, from),
    };
    ours.unwrap_or_else(|| account(form))
}

fn either(likelier: Option<Address>, other: Option<Address>) -> Option<Line> {
    match (likelier, other) {
        (Some(likelier), Some(other)) => Some(Line::Either(likelier, other)),
        (Some(only), None) | (None, Some(only)) => Some(Line::Address(only)),
        (None, None) => None,
    }
}

/// Who called and who was called, unless it is a browser of ours. `Caller` and `Called` repeat them for old programs.
fn sides(form: &Form<'_>) -> (Option<Address>, Option<Address>) {
    let side = |names: [&str; 2]| form.any(&names).filter(|text| !is_client(text)).and_then(caller);
    (side(FROM), side(TO))
}

const FROM: [&str; 2] = ["From", "Caller"];
const TO: [&str; 2] = ["To", "Called"];

fn is_client(text: &str) -> bool {
    text.trim().starts_with(CLIENT)
}

/// Whether a browser of ours began it, to call somebody; to Twilio, such a call comes in.
fn is_from_client(form: &Form<'_>) -> bool {
    form.any(&FROM).is_some_and(is_client) && !form.has("ParentCallSid")
}

/// `inbound`, `outbound-api`, `outbound-dial`; a SIP trunk's `terminating` calls leave for the telephone network, its
/// `originating` ones come from there.
fn direction(form: &Form<'_>) -> Option<Direction> {
    match form.get("Direction")?.trim() {
        "inbound" if is_from_client(form) => Some(Direction::Outbound),
        "inbound" | "trunking-originating" => Some(Direction::Inbound),
        "outbound-api" | "outbound-dial" | "outbound" | "trunking-terminating" => {
            Some(Direction::Outbound)
        }
        _ => None,
    }
}

/// Reads whatever Twilio has to say about a call. Requests that carry a call's status are about the call itself;
/// the others are about something that happened to it.
pub(super) fn read(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    if form.has("TranscriptionEvent") {
        callbacks::live_transcription(scope)
    } else if form.has("TranscriptionStatus") {
        callbacks::transcription(scope)
    } else if form.has("DialCallStatus") {
        dialled(scope)
    } else if form.has("QueueResult") {
        queued(scope)
    } else if callbacks::is_of_conference(form) {
        callbacks::conference(scope);
        Ok(())
    } else if form.has("CallStatus") {
        progress(scope)
    } else if form.has("RecordingStatus") {
        callbacks::recording(scope)
    } else if form.has("AnsweredBy") {
        callbacks::answered_by(scope)
    } else {
        callbacks::other(scope)
    }
}

/// A call that arrives, a request for instructions with what was keyed, said or recorded, or a status callback.
fn progress(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let (word, stage) = status(form, "CallStatus")?;
    let facts = facts::of_progress(form, stage);
    let id = id(form);
    let key = if let Some(number) = form.number("SequenceNumber") {
        format!("{id}:{word}:{number}")
    } else if let Some(recording) = facts::recording_id(form) {
        format!("{id}:{word}:{recording}")
    } else if form.any(&["Digits", "SpeechResult"]).is_some() {
        // The same keys may be pressed in one menu after the other: these are news each time. In one menu, they cannot be told
        // from a redelivery.
        format!("{id}:{word}:{}", scope.distinction())
    } else if let Some(who) = form.get("AnsweredBy") {
        format!("{id}:{word}:{who}")
    } else {
        format!("{id}:{word}")
    };
    let call = CallProgress { stage: Some(stage), facts, ..about(form) };
    push(scope, key, call);
    Ok(())
}

/// `<Dial>` is over: how the leg it made ended, and that the call goes on from there.
/// <https://www.twilio.com/docs/voice/twiml/dial#action>
fn dialled(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let (word, dial_stage) = status(form, "DialCallStatus")?;
    // `answered` means that the called side joined a conference; the leg is over all the same.
    let dial_stage = match dial_stage {
        CallStage::InProgress => CallStage::Completed,
        stage => stage,
    };
    let stage = if form.has("CallStatus") { Some(status(form, "CallStatus")?.1) } else { None };
    let id = id(form);
    let passed = twiml::passed_on(form);
    let noted = || CallFact::Noted { what: format!("dial-{word}") };
    let mut facts = vec![passed.clone().unwrap_or_else(noted)];
    facts.extend(facts::recorded(form));
    // Conferences and queues are no legs and have no id.
    let leg = form.owned("DialCallSid");
    let key = match &leg {
        Some(leg) => format!("{id}:dial:{leg}"),
        None => format!("{id}:dial:{word}:{}", scope.distinction()),
    };
    let call = CallProgress { stage, facts, ..about(form) };
    push(scope, key, call);
    if let Some(leg) = leg {
        let key = format!("{leg}:dial:{word}");
        let call = CallRef { id: leg, session: None, parent: Some(id), control: None };
        let leg = CallProgress {
            call,
            channel: Channel::Voip,
            direction: Some(Direction::Outbound),
            from: None,
            to: None,
            name: None,
            stage: Some(dial_stage),
            sequence: None,
            facts: facts::of_dialled_leg(form, dial_stage, passed.as_ref()),
        };
        push(scope, key, leg);
    }
    Ok(())
}

/// The call left its queue: whether anybody took it, and that it goes on from there.
/// <https://www.twilio.com/docs/voice/twiml/enqueue#action>
fn queued(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let stage = if form.has("CallStatus") { Some(status(form, "CallStatus")?.1) } else { None };
    let told = stage.map(|stage| facts::of_progress(form, stage)).unwrap_or_default();
    let facts = twiml::passed_on(form).into_iter().chain(told).collect();
    // A call may wait in the same queue twice.
    let key = format!("{}:queue:{}", id(form), scope.distinction());
    let call = CallProgress { stage, facts, ..about(form) };
    push(scope, key, call);
    Ok(())
}

/// Twilio's word for a status, and the stage it stands for.
fn status(form: &Form<'_>, name: &str) -> Result<(String, CallStage), Unreadable> {
    let word = form.get(name).unwrap_or_default().trim();
    let stage = match word.to_ascii_lowercase().as_str() {
        "queued" => CallStage::Queued,
        "initiated" => CallStage::Initiated,
        "ringing" => CallStage::Ringing,
        "in-progress" | "answered" => CallStage::InProgress,
        "completed" => CallStage::Completed,
        "busy" => CallStage::Busy,
        "no-answer" => CallStage::NoAnswer,
        "canceled" => CallStage::Canceled,
        "failed" => CallStage::Failed,
        _ => return Err(Unreadable(format!("unknown `{name}`: `{word}`"))),
    };
    Ok((word.to_owned(), stage))
}

/// What every request says about its call, without stage and facts.
pub(super) fn about(form: &Form<'_>) -> CallProgress {
    let (from, to) = sides(form);
    CallProgress {
        call: CallRef {
            id: id(form),
            session: None,
            parent: form.owned("ParentCallSid"),
            control: None,
        },
        channel: channel(form, Channel::Voip),
        direction: direction(form),
        from,
        to,
        name: form.any(&["CallerName", "ProfileName"]).map(ToOwned::to_owned),
        stage: None,
        sequence: form.number("SequenceNumber"),
        facts: Vec::new(),
    }
}

/// When it happened; requests for instructions do not say.
pub(super) fn time(form: &Form<'_>) -> Option<Timestamp> {
    let text = form.get("Timestamp")?;
    rfc2822(text).or_else(|| rfc3339(text))
}

pub(super) fn push(scope: &mut Scope<'_>, key: String, call: CallProgress) {
    let at = time(scope.form).unwrap_or(scope.at);
    let line = line(scope.form);
    let side = if call.direction == Some(Direction::Outbound) { "To" } else { "From" };
    let is_whatsapp = call.channel == Channel::Whatsapp;
    let people = is_whatsapp.then(|| whatsapp_user(scope.form, side));
    scope.push(key, at, line, EventKind::Call(Box::new(call)));
    scope.name(people.unwrap_or_default(), None);
}
