//! Calls by the Voice API (Call Control): what an event tells of a leg.
//! <https://developers.telnyx.com/docs/voice/programmable-voice/voice-api-webhooks>
//!
//! A hangup does not say whether the call had been answered. `normal_clearing` and every other cause that is not
//! plainly a failure is therefore [`CallStage::Completed`], and the call's state machine, which knows, may turn a
//! completed call that was never in progress into one that was canceled or not answered. For the same reason a hangup
//! gives no duration: it lasted from [`CallFact::AnsweredAt`] to the hangup's own time.

use chrono::TimeDelta;
use serde_json::Value;
use serde_json::value::RawValue;

use super::details::titled;
use super::notices;
use super::routing::caller_name;
use super::webhook::{Scope, Unreadable};
use super::wire::{
    CallCost, Detection, Hangup, Keys, RecordingUrls, SavedRecording, Transcription, WireCall,
};
use crate::lenient::rfc3339;
use crate::outside;
use crate::{
    Address, CallFact, CallProgress, CallRef, CallStage, Channel, EventKind, Money, Recording,
    Timestamp,
};

/// How long the URL of a recording lives.
pub(super) const RECORDING_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Events that change a call's stage or tell something of their own.
const READ: [&str; 16] = [
    "call.answered",
    "call.bridged",
    "call.cost",
    "call.dtmf.received",
    "call.enqueued",
    "call.gather.ended",
    "call.hangup",
    "call.initiated",
    "call.machine.detection.ended",
    "call.machine.premium.detection.ended",
    "call.recording.error",
    "call.recording.saved",
    "call.recording.transcription.saved",
    "call.transcription",
    "conference.participant.joined",
    "conference.recording.saved",
];

/// Families of events about calls, by how their types begin. What has no reader of its own is only noted, documented or not.
const FAMILIES: [&str; 4] = ["call.", "conference.", "siprec.", "streaming."];

pub(super) fn is_known(event_type: &str) -> bool {
    FAMILIES.iter().any(|family| event_type.starts_with(family))
}

/// Whether an event says something of a leg that must not be lost where it cannot be read.
pub(super) fn is_of_a_leg(event_type: &str) -> bool {
    READ.contains(&event_type)
}

/// Reads one event of a call. Where the leg's id is missing its control id stands in, and the session joins the two.
/// A conference as a whole is no call: its events that name neither are notices, as is whatever has no reader of its own.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireCall = outside::part(payload)?;
    let control = wire.call_control_id.0.clone();
    let Some(id) = wire.call_leg_id.0.clone().or(control.clone()) else {
        if !is_of_a_leg(&scope.event_type) || scope.event_type.starts_with("conference.") {
            return notices::read(scope, payload);
        }
        return Err(Unreadable("the event names no call".to_owned()));
    };
    let (stage, facts) = news(scope, payload)?;
    let from = wire.from.get().and_then(Address::caller);
    let progress = CallProgress {
        channel: Channel::Voip,
        direction: scope.direction,
        to: wire.to.get().and_then(Address::caller),
        name: caller_name(wire.caller_id_name.get(), from.as_ref(), scope.direction),
        from,
        stage,
        sequence: None,
        facts,
        call: CallRef {
            control: control.filter(|control| *control != id),
            session: wire.call_session_id.0,
            parent: None,
            id,
        },
    };
    scope.push(None, EventKind::Call(Box::new(progress)));
    Ok(())
}

type News = (Option<CallStage>, Vec<CallFact>);

fn news(scope: &Scope<'_>, payload: &RawValue) -> Result<News, Unreadable> {
    let fact = match scope.event_type.as_str() {
        "call.initiated" => return Ok((Some(CallStage::Initiated), Vec::new())),
        "call.answered" => {
            let facts = vec![CallFact::AnsweredAt { at: scope.at }];
            return Ok((Some(CallStage::InProgress), facts));
        }
        "call.hangup" => return hangup(payload),
        "call.bridged" => Some(passed_on("leg", "bridged", true)),
        "call.enqueued" => {
            return Ok((None, vec![passed_on("queue", "enqueued", false), noted(scope, payload)?]));
        }
        "conference.participant.joined" => Some(passed_on("conference", "joined", false)),
        "call.gather.ended" => return Ok((None, gathered(scope, payload)?)),
        "call.dtmf.received" => {
            let keys: Keys = outside::part(payload)?;
            keys.digit.0.map(|digits| CallFact::Digits { digits })
        }
        "call.machine.detection.ended" | "call.machine.premium.detection.ended" => {
            let wire: Detection = outside::part(payload)?;
            wire.result.0.map(answered_by)
        }
        "call.recording.saved" | "conference.recording.saved" => Some(saved(scope.at, payload)?),
        "call.recording.error" => Some(lost(payload)?),
        "call.recording.transcription.saved" | "call.transcription" => transcribed(payload)?,
        "call.cost" => cost(payload)?,
        _ => None,
    };
    let fact = fact.map_or_else(|| noted(scope, payload), Ok)?;
    Ok((None, vec![fact]))
}

/// Telnyx tells when a call is passed on; when that is over, the call's end tells.
fn passed_on(to: &str, how: &str, taken: bool) -> CallFact {
    let (to, how) = (to.to_owned(), how.to_owned());
    CallFact::PassedOn { to, how, taken, over: false, seconds: None, waited: None }
}

/// What has no consequence for the call, and what a known event says without its own words.
fn noted(scope: &Scope<'_>, payload: &RawValue) -> Result<CallFact, Unreadable> {
    let data: Value = outside::part(payload)?;
    let what = titled(&scope.event_type, &data);
    Ok(CallFact::Noted { what })
}

fn hangup(payload: &RawValue) -> Result<News, Unreadable> {
    let wire: Hangup = outside::part(payload)?;
    let stage = match wire.hangup_cause.get().unwrap_or_default() {
        "user_busy" => CallStage::Busy,
        "no_answer" | "timeout" => CallStage::NoAnswer,
        "call_rejected" => CallStage::Rejected,
        "originator_cancel" => CallStage::Canceled,
        "not_found" => CallStage::Failed,
        // A cause we do not know ends the call all the same: left open, it would never end.
        _ => CallStage::Completed,
    };
    let sip_code = wire.sip_hangup_cause.0;
    let mut facts = vec![CallFact::Hangup {
        cause: wire.hangup_cause.0,
        source: wire.hangup_source.0,
        sip_code: sip_code.filter(|code| code != "unspecified"),
    }];
    let quality = wire.call_quality_stats.and_then(|stats| stats.inbound);
    let mos = quality.and_then(|quality| quality.mos.0);
    facts.extend(mos.map(|mos| CallFact::Quality { mos }));
    Ok((Some(stage), facts))
}

/// Keys that were gathered, and how the gathering ended unless it went well.
fn gathered(scope: &Scope<'_>, payload: &RawValue) -> Result<Vec<CallFact>, Unreadable> {
    let wire: Keys = outside::part(payload)?;
    let went_well = wire.digits.get().is_some() && wire.status.get() == Some("valid");
    let digits = wire.digits.0.map(|digits| CallFact::Digits { digits });
    let mut facts: Vec<CallFact> = digits.into_iter().collect();
    if !went_well {
        facts.push(noted(scope, payload)?);
    }
    Ok(facts)
}

/// Plain and premium detection, and TeXML's words.
pub(super) fn answered_by(detail: String) -> CallFact {
    let who = match detail.as_str() {
        "human" | "human_residence" | "human_business" => "human",
        "fax" | "fax_detected" => "fax",
        word if word.starts_with("machine") => "machine",
        _ => "unknown",
    };
    CallFact::AnsweredBy { who: who.to_owned(), detail }
}

fn saved(at: Timestamp, payload: &RawValue) -> Result<CallFact, Unreadable> {
    let wire: SavedRecording = outside::part(payload)?;
    let started_at = wire.recording_started_at.get().and_then(rfc3339);
    let ended_at = wire.recording_ended_at.get().and_then(rfc3339);
    let length = started_at.zip(ended_at).map(|(start, end)| end - start);
    let pick = |urls: Option<RecordingUrls>| urls.and_then(|urls| urls.mp3.0.or(urls.wav.0));
    let short_lived = pick(wire.recording_urls);
    let expires_at = short_lived.as_ref().map(|_| at + RECORDING_LIFE);
    let recording = Recording {
        id: wire.recording_id.0,
        status: "completed".to_owned(),
        // Public URLs last, but exist only for accounts that asked for them.
        url: short_lived.or_else(|| pick(wire.public_recording_urls)),
        duration_seconds: length.map(|l| l.num_seconds()).filter(|seconds| *seconds >= 0),
        channels: wire.channels.0,
        source: None,
        started_at,
        expires_at,
        error: None,
    };
    Ok(CallFact::Recorded { recording })
}

fn lost(payload: &RawValue) -> Result<CallFact, Unreadable> {
    let wire: SavedRecording = outside::part(payload)?;
    let recording = Recording {
        id: wire.recording_id.0,
        status: "failed".to_owned(),
        error: wire.reason.0,
        ..Recording::default()
    };
    Ok(CallFact::Recorded { recording })
}

/// Live, part by part, or of a recording as a whole. `None` when there are no words.
fn transcribed(payload: &RawValue) -> Result<Option<CallFact>, Unreadable> {
    let wire: Transcription = outside::part(payload)?;
    let whole = wire.transcription_text.0;
    let data = wire.transcription_data.unwrap_or_default();
    let is_final = whole.is_some() || data.is_final.get() == Some("true");
    let text = whole.or(data.transcript.0);
    Ok(text.map(|text| CallFact::Transcribed { text, track: data.transcription_track.0, is_final }))
}

/// The currency stands at the parts only. `None` when the sum could not be made up (yet).
fn cost(payload: &RawValue) -> Result<Option<CallFact>, Unreadable> {
    let wire: CallCost = outside::part(payload)?;
    let currency = wire.cost_parts.iter().find_map(|part| part.currency.get());
    let total = wire.total_cost.get().zip(currency);
    let total = total.and_then(|(amount, currency)| Money::parse(amount, currency));
    Ok(total.map(|total| CallFact::Cost { total }))
}
