//! Calls by TeXML: status callbacks, recordings, machine detection, menus, and the fetches of instructions.
//! <https://developers.telnyx.com/docs/voice/programmable-voice/texml-instruction-fetching>
//!
//! `CallSid` is opaque: a UUID or a call-control id, never `CA…`.

use super::routing::{Routing, caller_name};
use super::voice::{RECORDING_LIFE, answered_by};
use super::webhook::{Unreadable, digest};
use super::wire::Quality;
use crate::form::Form;
use crate::lenient::rfc3339;
use crate::outside;
use crate::twiml;
use crate::{
    Address, Batch, CallFact, CallProgress, CallRef, CallStage, Channel, Direction, EventKind,
    KeyId, Notice, Recording, Reply, Severity, Timestamp,
};

/// No instruction. Telnyx wants TeXML for every fetch, and takes it for callbacks.
const NO_INSTRUCTION: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

/// Fields whose values are only noted: news of a conference, a stream, a transcript.
const NOTED: [&str; 3] = ["StatusCallbackEvent", "StreamEvent", "TranscriptionEvent"];

/// A conference's end names the call that ended it.
const ID_NAMES: [&str; 2] = ["CallSid", "CallSidEndingConference"];

/// Reads the fields of a TeXML request that is known to be Telnyx's. It is about one call, or one conference.
pub(super) fn read(fields: &[u8], arrived: Timestamp, signed_with: Option<KeyId>) -> Batch {
    let mut batch = Batch::empty(Reply::xml(NO_INSTRUCTION), signed_with, arrived);
    let form = Form::parse(fields);
    let routing = Routing::of_form(&form);
    let line = routing.line(routing.direction());
    let named = ["OccurredAt", "Timestamp"];
    let told = named.iter().find_map(|name| form.get(name).and_then(rfc3339));
    let at = told.unwrap_or(arrived);
    let item = match (form.any(&ID_NAMES), form.get("ConferenceSid")) {
        (Some(id), _) => call(id, &form, routing.direction(), at).map(|progress| {
            if let Some(leg) = dialled_leg(&form, &progress) {
                let key = format!("{}:dial:{}", leg.call.id, digest(fields));
                batch.push(key, at, line.clone(), EventKind::Call(Box::new(leg)));
            }
            let key = key(&progress, &form, fields);
            (key, EventKind::Call(Box::new(progress)))
        }),
        (None, Some(id)) => {
            let key = format!("{id}:{}", digest(fields));
            Ok((key, EventKind::Notice(conference(&form))))
        }
        (None, None) => Err(Unreadable("the request names no call".to_owned())),
    };
    match item {
        Ok((key, kind)) => batch.push(key, at, line, kind),
        Err(Unreadable(reason)) => {
            batch.keep(String::new(), line, reason, &outside::text(fields));
        }
    }
    batch
}

/// The leg that `<Dial>` made, once it is over: how it ended.
fn dialled_leg(form: &Form<'_>, parent: &CallProgress) -> Option<CallProgress> {
    let id = form.owned("DialCallSid")?;
    let stage = match stage(form.get("DialCallStatus")?).ok()?? {
        CallStage::InProgress => CallStage::Completed,
        stage => stage,
    };
    let seconds = form.number("DialCallDuration").filter(|_| stage == CallStage::Completed);
    let duration = seconds.map(|seconds| CallFact::Duration { seconds });
    let passed = twiml::passed_on(form);
    let facts = duration.into_iter().chain(twiml::of_leg(stage, passed.as_ref())).collect();
    let (session, parent) = (parent.call.session.clone(), Some(parent.call.id.clone()));
    Some(CallProgress {
        call: CallRef { id, session, parent, control: None },
        channel: Channel::Voip,
        direction: Some(Direction::Outbound),
        from: None,
        to: None,
        name: None,
        stage: Some(stage),
        sequence: None,
        facts,
    })
}

/// TeXML requests have no id. Callbacks about progress and recordings are known by what they say; of everything else
/// a digest is the key, so that only the same request is the same news. Two equal inputs into one menu cannot be told
/// from a redelivery.
fn key(progress: &CallProgress, form: &Form<'_>, fields: &[u8]) -> String {
    let id = &progress.call.id;
    let recording = form.get("RecordingSid").zip(form.get("RecordingStatus"));
    match (progress.stage, progress.sequence, recording) {
        (Some(stage), Some(sequence), _) => format!("{id}:{}:{sequence}", stage.word()),
        (None, _, Some((recording, status))) => format!("{id}:{recording}:{status}"),
        _ => format!("{id}:{}", digest(fields)),
    }
}

fn call(
    id: &str,
    form: &Form<'_>,
    direction: Option<Direction>,
    at: Timestamp,
) -> Result<CallProgress, Unreadable> {
    let caller = |names: &[&str]| form.any(names).and_then(Address::caller);
    let (from, to) = (caller(&["From", "Caller"]), caller(&["To", "Called"]));
    let stage = match form.get("CallStatus") {
        Some(word) if is_progress(form) => stage(word)?,
        _ => None,
    };
    let facts = facts(form, stage, at)?;
    if stage.is_none() && facts.is_empty() && from.is_none() && to.is_none() {
        return Err(Unreadable("the request says nothing of the call".to_owned()));
    }
    let name = form.any(&["CallerId", "CallerName"]);
    let control = form.owned("CallControlId");
    Ok(CallProgress {
        call: CallRef {
            id: id.to_owned(),
            session: form.owned("CallSessionId"),
            parent: form.owned("ParentCallSid"),
            control: control.filter(|control| control != id),
        },
        channel: Channel::Voip,
        direction,
        name: caller_name(name, from.as_ref(), direction),
        from,
        to,
        stage,
        sequence: form.number("SequenceNumber"),
        facts,
    })
}

/// Whether `CallStatus` is news. Callbacks about recordings and transcripts repeat it, minutes later at times.
fn is_progress(form: &Form<'_>) -> bool {
    let about_files = ["RecordingStatus", "TranscriptionSid", "TranscriptionText", "Transcript"];
    form.get("CallbackSource").is_some() || form.any(&about_files).is_none()
}

/// `CallStatus`. A pressed key comes as a status too, and changes nothing.
fn stage(word: &str) -> Result<Option<CallStage>, Unreadable> {
    Ok(Some(match word {
        "queued" => CallStage::Queued,
        "initiated" => CallStage::Initiated,
        "ringing" => CallStage::Ringing,
        "in-progress" | "answered" => CallStage::InProgress,
        "completed" => CallStage::Completed,
        "busy" => CallStage::Busy,
        "failed" => CallStage::Failed,
        "no-answer" => CallStage::NoAnswer,
        "canceled" | "cancelled" => CallStage::Canceled,
        "dtmf" => return Ok(None),
        unknown => return Err(Unreadable(format!("unknown call status `{unknown}`"))),
    }))
}

fn facts(
    form: &Form<'_>,
    stage: Option<CallStage>,
    at: Timestamp,
) -> Result<Vec<CallFact>, Unreadable> {
    let text = |name: &str| form.owned(name);
    let mut facts = Vec::new();
    facts.extend(text("AnsweredBy").map(answered_by));
    let answered_at = form.get("AnsweredTime").and_then(rfc3339);
    facts.extend(answered_at.map(|at| CallFact::AnsweredAt { at }));
    // Before the end, and of calls that nobody answered, `CallDuration` counts something else.
    let seconds = form.number("CallDuration");
    let seconds = seconds.filter(|_| stage == Some(CallStage::Completed));
    facts.extend(seconds.map(|seconds| CallFact::Duration { seconds }));
    let (cause, source) = (text("HangupCause"), text("HangupSource"));
    if cause.is_some() || source.is_some() {
        facts.push(CallFact::Hangup { cause, source, sip_code: None });
    }
    facts.extend(mos(form).map(|mos| CallFact::Quality { mos }));
    let recording = recording(form, at)?;
    facts.extend(recording.map(|recording| CallFact::Recorded { recording }));
    let digits = text("Digits").or_else(|| text("Digit"));
    facts.extend(digits.map(|digits| CallFact::Digits { digits }));
    facts.extend(text("SpeechResult").map(|text| CallFact::Speech { text }));
    facts.extend(transcript(form));
    facts.extend(
        text("ErrorCode").map(|code| CallFact::Error { code, detail: text("ErrorMessage") }),
    );
    let noted = NOTED.iter().filter_map(|name| form.get(name).map(|word| (name, word)));
    let passed = twiml::passed_on(form);
    if passed.is_none() {
        let dialled = form.get("DialCallStatus");
        facts.extend(dialled.map(|word| CallFact::Noted { what: format!("dial-{word}") }));
    }
    facts.extend(passed);
    facts.extend(noted.map(|(name, word)| CallFact::Noted { what: format!("{name}: {word}") }));
    Ok(facts)
}

/// `CallQualityStats` is JSON in a field.
fn mos(form: &Form<'_>) -> Option<String> {
    let quality: Quality = outside::read(form.get("CallQualityStats")?.as_bytes()).ok()?;
    quality.mos.0
}

/// A recording that was begun, saved or lost. Where a transcript names the recording it is made of, that is no news.
fn recording(form: &Form<'_>, at: Timestamp) -> Result<Option<Recording>, Unreadable> {
    let status = match form.get("RecordingStatus") {
        Some("in-progress") => "in_progress",
        Some(word @ ("completed" | "absent" | "failed")) => word,
        Some(unknown) => {
            return Err(Unreadable(format!("unknown recording status `{unknown}`")));
        }
        None if form.get("RecordingUrl").is_none() => return Ok(None),
        None if form.any(&["TranscriptionSid", "TranscriptionText"]).is_some() => {
            return Ok(None);
        }
        None => "completed",
    };
    let url = form.owned("RecordingUrl");
    let channels = form.get("RecordingChannels").map(|word| match word {
        "1" => "single",
        "2" => "dual",
        word => word,
    });
    Ok(Some(Recording {
        id: form.owned("RecordingSid"),
        status: status.to_owned(),
        expires_at: url.as_ref().map(|_| at + RECORDING_LIFE),
        url,
        duration_seconds: form.number("RecordingDuration"),
        channels: channels.map(ToOwned::to_owned),
        source: form.owned("RecordingSource"),
        started_at: form.get("RecordingStartTime").and_then(rfc3339),
        error: None,
    }))
}

/// The words of a recording, or what became of them; the words of a call that goes on (`<Transcription>`), part by part.
/// <https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/transcription>
fn transcript(form: &Form<'_>) -> Option<CallFact> {
    let words = form.owned("TranscriptionText").or_else(|| form.owned("Transcript"));
    let track = form.any(&["TranscriptionTrack", "Track"]);
    let track = track.map(|word| word.strip_suffix("_track").unwrap_or(word).to_owned());
    let is_final = form.any(&["IsFinal", "Final"]) != Some("false");
    let words = words.map(|text| CallFact::Transcribed { text, track, is_final });
    let status = form.get("TranscriptionStatus");
    words.or_else(|| {
        status.map(|word| CallFact::Noted { what: format!("TranscriptionStatus: {word}") })
    })
}

/// A conference as a whole is no call.
fn conference(form: &Form<'_>) -> Notice {
    let topic = "texml.conference";
    let title = match form.get("StatusCallbackEvent") {
        Some(event) => format!("{topic}: {event}"),
        None => topic.to_owned(),
    };
    Notice {
        topic: topic.to_owned(),
        title,
        severity: Severity::Info,
        number: None,
        template: None,
        preference: None,
        data: form.to_json(),
    }
}
