//! Things that happen to a call beside its status: it is recorded, written down, answered by a machine, streamed.
//!
//! Most of these callbacks name the account and the call, and no number.

use serde::Deserialize;

use super::calls::{about, id, line, push, time};
use super::facts;
use super::webhook::{Scope, Unreadable};
use crate::form::Form;
use crate::lenient::Maybe;
use crate::outside;
use crate::{CallFact, CallProgress, EventKind, Notice, Severity};

/// A recording was begun, saved or lost.
/// <https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>
pub(super) fn recording(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let status = match form.get("RecordingStatus").unwrap_or_default().trim() {
        "in-progress" => "in_progress",
        known @ ("completed" | "absent" | "failed") => known,
        other => return Err(Unreadable(format!("unknown recording status `{other}`"))),
    };
    let recording = facts::recording(form, status);
    let key = match &recording.id {
        Some(recording) => format!("{recording}:{status}"),
        None => format!("{}:recording:{status}", id(form)),
    };
    push_fact(scope, key, CallFact::Recorded { recording });
    Ok(())
}

/// Answering-machine detection that did not keep the call waiting.
/// <https://www.twilio.com/docs/voice/answering-machine-detection#async-amd>
pub(super) fn answered_by(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let word = scope.form.get("AnsweredBy").unwrap_or_default();
    let fact = facts::answered_by(word)
        .ok_or_else(|| Unreadable(format!("unknown `AnsweredBy`: `{word}`")))?;
    let key = format!("{}:answered-by:{word}", id(scope.form));
    push_fact(scope, key, fact);
    Ok(())
}

/// The text of a recording that `<Record>` was told to transcribe.
/// <https://www.twilio.com/docs/voice/twiml/record#transcribecallback>
pub(super) fn transcription(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let status = form.get("TranscriptionStatus").unwrap_or_default().trim();
    let fact = match status {
        "completed" => CallFact::Transcribed {
            text: form.owned("TranscriptionText").unwrap_or_default(),
            track: None,
            is_final: true,
        },
        "failed" => noted("transcription-failed"),
        other => {
            return Err(Unreadable(format!("unknown transcription status `{other}`")));
        }
    };
    let key = match form.get("TranscriptionSid") {
        Some(transcription) => format!("{transcription}:{status}"),
        None => format!("{}:transcription:{}", id(form), scope.distinction()),
    };
    push_fact(scope, key, fact);
    Ok(())
}

/// `TranscriptionData`, JSON in a parameter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TranscriptionData {
    transcript: Maybe,
}

/// The text of a call that goes on, piece by piece.
/// <https://www.twilio.com/docs/voice/twiml/transcription#statuscallbackurl>
pub(super) fn live_transcription(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let event = form.get("TranscriptionEvent").unwrap_or_default().trim();
    let fact = match event {
        "transcription-started" | "transcription-stopped" => noted(event),
        "transcription-content" => {
            let data = form.get("TranscriptionData").unwrap_or_default();
            let data: TranscriptionData = outside::read(data.as_bytes())
                .map_err(|error| Unreadable(format!("`TranscriptionData`: {error}")))?;
            CallFact::Transcribed {
                text: data.transcript.0.unwrap_or_default(),
                track: form.get("Track").map(track),
                is_final: form.get("Final").map(str::trim) == Some("true"),
            }
        }
        "transcription-error" => CallFact::Error {
            code: form.owned("TranscriptionErrorCode").unwrap_or_else(|| event.to_owned()),
            detail: form.owned("TranscriptionError"),
        },
        other => return Err(Unreadable(format!("unknown transcription event `{other}`"))),
    };
    let transcription = form.owned("TranscriptionSid").unwrap_or_else(|| id(form));
    let key = match form.get("SequenceId") {
        Some(number) => format!("{transcription}:{event}:{number}"),
        None => format!("{transcription}:{event}:{}", scope.distinction()),
    };
    push_fact(scope, key, fact);
    Ok(())
}

/// `inbound_track` is what the other end says, `outbound_track` what it hears.
fn track(word: &str) -> String {
    let word = word.trim();
    word.strip_suffix("_track").unwrap_or(word).to_owned()
}

/// Whether this is news of a conference as a whole, which names no call.
pub(super) fn is_of_conference(form: &Form<'_>) -> bool {
    form.has("ConferenceSid")
        && form.has("StatusCallbackEvent")
        && form.any(&["CallSid", "CallSidEndingConference"]).is_none()
}

/// A conference as a whole is no call: what is told of it alone is a notice.
pub(super) fn conference(scope: &mut Scope<'_>) {
    let form = scope.form;
    let event = form.get("StatusCallbackEvent").unwrap_or_default().trim();
    let topic = "voice.conference";
    let notice = Notice {
        topic: topic.to_owned(),
        title: format!("{topic}: {}", with_reason(form, event)),
        severity: Severity::Info,
        number: None,
        template: None,
        preference: None,
        data: form.to_json(),
    };
    let number = form.get("SequenceNumber").unwrap_or_default();
    let key = format!("{}:{event}:{number}", id(form));
    let at = time(form).unwrap_or(scope.at);
    scope.push(key, at, line(form), EventKind::Notice(notice));
}

/// What happened to a conference, and why it ended.
fn with_reason(form: &Form<'_>, event: &str) -> String {
    match form.get("ReasonConferenceEnded").map(str::trim) {
        Some(reason) if !reason.is_empty() => format!("{event}, {reason}"),
        _ => event.to_owned(),
    }
}

/// Conferences and media streams report events that change nothing about the call.
/// <https://www.twilio.com/docs/voice/twiml/conference#statuscallback>,
/// <https://www.twilio.com/docs/voice/twiml/stream#statuscallback>
pub(super) fn other(scope: &mut Scope<'_>) -> Result<(), Unreadable> {
    let form = scope.form;
    let event = form.any(&["StreamEvent", "StatusCallbackEvent"]);
    let Some(event) = event.map(str::trim) else {
        let reason = "it says nothing we know about the call";
        return Err(Unreadable(reason.to_owned()));
    };
    let source = form.any(&["StreamSid", "ConferenceSid"]);
    let source = source.map_or_else(|| id(form), ToOwned::to_owned);
    let key = match form.get("SequenceNumber") {
        Some(number) => format!("{source}:{event}:{number}"),
        None => format!("{source}:{event}:{}", id(form)),
    };
    let fact = noted(&with_reason(form, event));
    push_fact(scope, key, fact);
    Ok(())
}

fn noted(what: &str) -> CallFact {
    CallFact::Noted { what: what.to_owned() }
}

fn push_fact(scope: &mut Scope<'_>, key: String, fact: CallFact) {
    let call = CallProgress {
        // A number that counts something else: the conference's events, the parts of a transcription.
        sequence: None,
        facts: vec![fact],
        ..about(scope.form)
    };
    push(scope, key, call);
}
