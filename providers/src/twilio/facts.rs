//! What becomes known about a call along with its status.
//! <https://www.twilio.com/docs/voice/twiml#request-parameters>

use super::calls::time;
use super::errors;
use crate::form::Form;
use crate::lenient::rfc2822;
use crate::twiml;
use crate::{CallFact, CallStage, Recording};

/// Everything that a request with a call's status may tell beside it.
pub(super) fn of_progress(form: &Form<'_>, stage: CallStage) -> Vec<CallFact> {
    let noted = |what: String| CallFact::Noted { what };
    let forwarded = form.get("ForwardedFrom");
    // A request for instructions says `in-progress` too, long after; only the callback comes at the moment itself.
    let is_callback = form.get("CallbackSource") == Some("call-progress-events");
    let answered = (stage == CallStage::InProgress && is_callback).then(|| time(form));
    let facts = [
        forwarded.map(|number| noted(format!("forwarded from {}", number.trim()))),
        answered.flatten().map(|at| CallFact::AnsweredAt { at }),
        form.get("AnsweredBy")
            .map(|who| answered_by(who).unwrap_or_else(|| noted(format!("answered by {who}")))),
        // `Duration` is in minutes, rounded up, and is left alone.
        duration(form, "CallDuration", stage),
        hangup(form, "SipResponseCode", stage),
        recorded(form),
        digits(form),
        form.owned("SpeechResult").map(|text| CallFact::Speech { text }),
        error(form),
    ];
    facts.into_iter().flatten().collect()
}

/// What the action of `<Dial>` tells about the leg it made.
pub(super) fn of_dialled_leg(
    form: &Form<'_>,
    stage: CallStage,
    passed: Option<&CallFact>,
) -> Vec<CallFact> {
    let facts = [
        duration(form, "DialCallDuration", stage),
        hangup(form, "DialSipResponseCode", stage),
        twiml::of_leg(stage, passed),
    ];
    facts.into_iter().flatten().collect()
}

/// Who or what answered. `None` for a word we do not know.
/// <https://www.twilio.com/docs/voice/answering-machine-detection>
pub(super) fn answered_by(word: &str) -> Option<CallFact> {
    let word = word.trim();
    let who = match word {
        "human" | "fax" | "unknown" => word,
        _ if word.starts_with("machine") => "machine",
        _ => return None,
    };
    Some(CallFact::AnsweredBy { who: who.to_owned(), detail: word.to_owned() })
}

fn duration(form: &Form<'_>, name: &str, stage: CallStage) -> Option<CallFact> {
    let seconds = form.number(name).filter(|seconds| *seconds >= 0)?;
    (stage == CallStage::Completed).then_some(CallFact::Duration { seconds })
}

/// Why it ended, where SIP tells. `<Record>` says `hangup` instead of a key when the caller hung up.
fn hangup(form: &Form<'_>, sip_code: &str, stage: CallStage) -> Option<CallFact> {
    let sip_code = form.owned(sip_code).filter(|_| stage.is_final());
    let by_caller = form.get("Digits") == Some("hangup");
    (sip_code.is_some() || by_caller).then(|| CallFact::Hangup {
        cause: None,
        source: by_caller.then(|| "caller".to_owned()),
        sip_code,
    })
}

fn digits(form: &Form<'_>) -> Option<CallFact> {
    let digits = form.owned("Digits").filter(|digits| digits != "hangup")?;
    Some(CallFact::Digits { digits })
}

fn error(form: &Form<'_>) -> Option<CallFact> {
    Some(CallFact::Error { code: errors::code(form)?, detail: form.owned("ErrorMessage") })
}

/// A recording that a status or an action mentions. It is over by then; an error beside it is the call's.
pub(super) fn recorded(form: &Form<'_>) -> Option<CallFact> {
    form.get("RecordingUrl")?;
    let recording = Recording { error: None, ..recording(form, "completed") };
    Some(CallFact::Recorded { recording })
}

/// A recording, from parameters that are the same wherever one is mentioned.
/// <https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>
pub(super) fn recording(form: &Form<'_>, status: &str) -> Recording {
    let channels = form.get("RecordingChannels").map(|text| match text.trim() {
        "1" | "mono" => "single",
        "2" => "dual",
        other => other,
    });
    let detail = form.owned("ErrorMessage");
    Recording {
        id: recording_id(form),
        status: status.to_owned(),
        url: form.owned("RecordingUrl"),
        // -1 while it goes on.
        duration_seconds: form.number("RecordingDuration").filter(|seconds| *seconds >= 0),
        channels: channels.map(ToOwned::to_owned),
        source: form.owned("RecordingSource"),
        started_at: form.get("RecordingStartTime").and_then(rfc2822),
        expires_at: None,
        error: errors::code(form).map(|code| match detail {
            Some(detail) => format!("{code}: {detail}"),
            None => code,
        }),
    }
}

/// The recording's SID; actions may give its URL only, which ends in it.
pub(super) fn recording_id(form: &Form<'_>) -> Option<String> {
    form.owned("RecordingSid").or_else(|| {
        let last = form.get("RecordingUrl")?.rsplit('/').next()?;
        last.starts_with("RE").then(|| last.to_owned())
    })
}
