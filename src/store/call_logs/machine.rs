//! A call's state machine.
//!
//! Every item of news only ever adds: a stage wins over one of lower rank, a fact over its absence. So the row comes out
//! the same in whatever order the news arrives.

use providers::{CallFact, CallProgress, CallStage, Direction, Recording};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::CallRow;
use super::passed::{MEMBER, News, Passed};
use crate::clock::Timestamp;
use crate::ids;
use crate::model::Item;

impl CallRow {
    /// A call of which nothing is known but that there is news of it.
    pub(in crate::store) fn begin(
        id: Uuid,
        item: &Item,
        progress: &CallProgress,
        provider_ref: Uuid,
        now: Timestamp,
    ) -> Self {
        Self {
            organization_id: item.organization_id,
            id,
            identity_id: None,
            provider_ref,
            direction: Direction::Inbound,
            direction_known: false,
            our_address: None,
            state: CallStage::Queued,
            account_id: Some(item.account_id),
            provider_call_id: progress.call.id.clone(),
            session_id: None,
            parent_call_id: None,
            control_id: None,
            provider: item.provider.to_owned(),
            channel: progress.channel,
            answered_by: None,
            hangup_cause: None,
            hangup_source: None,
            sip_code: None,
            duration_seconds: None,
            cost_nanos: None,
            cost_currency: None,
            recordings: json!([]),
            transcript: None,
            metadata: json!({}),
            answered_at: None,
            ended_at: None,
            occurred_at: item.event.at,
            created_at: now,
            processed_at: now,
        }
    }

    /// Takes in one item of news that happened `at`.
    pub(in crate::store) fn learn(
        &mut self,
        progress: &CallProgress,
        at: Timestamp,
        now: Timestamp,
    ) {
        let silent = self.break_silence().then(|| self.standing());
        self.processed_at = now;
        // News may come in any order; the call began with the first of what is told, and that is its place on the timeline.
        self.occurred_at = self.occurred_at.min(at);
        fill(&mut self.session_id, progress.call.session.as_ref());
        if let Some(parent) = &progress.call.parent {
            self.dialled_from(parent);
        }
        fill(&mut self.control_id, progress.call.control.as_ref());
        if let Some(stage) = progress.stage {
            if stage.rank() > self.state.rank() {
                self.state = stage;
            }
            match stage {
                CallStage::InProgress => self.answered_at = Some(earliest(self.answered_at, at)),
                stage if stage.is_final() => self.ended_at = Some(earliest(self.ended_at, at)),
                _ => {}
            }
        }
        for fact in &progress.facts {
            self.learn_fact(fact, at);
        }
        // A call that was answered and is over, without a word on its length, lasted from the one to the other.
        if self.duration_seconds.is_none()
            && let (Some(answered), Some(ended)) = (self.answered_at, self.ended_at)
            && ended >= answered
        {
            self.metadata["measured_seconds"] = json!((ended - answered).num_seconds());
        }
        self.note_end();
        // What does not say that the call went on changes nothing about its silence.
        if silent.is_some_and(|before| before == self.standing()) {
            self.fall_silent(now);
        }
    }

    /// Where it lies on the timeline: there it is shown, found and passed over by the time at which it began. Its id stays
    /// what it was when it was first heard of.
    pub(super) fn place(&self) -> Uuid {
        ids::moved(self.id, self.occurred_at)
    }

    fn learn_fact(&mut self, fact: &CallFact, at: Timestamp) {
        match fact {
            CallFact::PassedOn { to, taken, over, seconds, waited, how: _ } => {
                let (taken, over, seconds, waited) = (*taken, *over, *seconds, *waited);
                self.pass(|passed| passed.learn(&News { to, taken, over, seconds, waited }, at));
            }
            CallFact::AnsweredBy { who, detail } => {
                fill(&mut self.answered_by, Some(who));
                self.metadata["answered_by_detail"] = json!(detail);
            }
            CallFact::Duration { seconds } => {
                self.duration_seconds = self.duration_seconds.max(Some(*seconds));
            }
            CallFact::AnsweredAt { at } => self.answered_at = Some(earliest(self.answered_at, *at)),
            CallFact::Hangup { cause, source, sip_code } => {
                fill(&mut self.hangup_cause, cause.as_ref());
                fill(&mut self.hangup_source, source.as_ref());
                fill(&mut self.sip_code, sip_code.as_ref());
            }
            CallFact::Recorded { recording } => self.learn_recording(recording),
            CallFact::Transcribed { text, is_final: true, .. } => {
                let before = self.transcript.take().filter(|before| before != text);
                self.transcript = Some(match before {
                    Some(before) => format!("{before}\n{text}"),
                    None => text.clone(),
                });
            }
            CallFact::TranscriptSaved { id, url, mime_type } => {
                self.metadata["transcript_document"] =
                    json!({ "id": id, "url": url, "mime_type": mime_type });
            }
            CallFact::Cost { total } => {
                let total = total.clone().abs();
                if self.cost_nanos.is_none_or(|known| known <= total.nanos()) {
                    self.cost_nanos = Some(total.nanos());
                    self.cost_currency = Some(total.currency().to_owned());
                }
            }
            CallFact::Digits { digits } => self.metadata["digits"] = json!(digits),
            CallFact::Speech { text } => self.metadata["speech"] = json!(text),
            CallFact::Quality { mos } => self.metadata["mos"] = json!(mos),
            CallFact::Error { code, detail } => {
                self.metadata["error"] = json!({ "code": code, "detail": detail });
            }
            // Kept in `call_events` only.
            CallFact::Transcribed { is_final: false, .. } | CallFact::Noted { .. } => {}
        }
    }

    /// One entry a recording; what is known later completes it, and `completed` stays completed.
    fn learn_recording(&mut self, recording: &Recording) {
        let Ok(Value::Object(mut news)) = serde_json::to_value(recording) else {
            return;
        };
        let Value::Array(known) = &mut self.recordings else {
            return;
        };
        let same =
            |entry: &&mut Value| recording.id.is_some() && entry["id"] == json!(recording.id);
        match known.iter_mut().find(same) {
            Some(Value::Object(entry)) => {
                if entry.get("status") == Some(&json!("completed")) {
                    news.remove("status");
                }
                entry.extend(news);
            }
            _ => known.push(Value::Object(news)),
        }
    }

    /// What is known of passing it on.
    pub(super) fn passed(&self) -> Passed {
        Passed::of(&self.metadata)
    }

    /// Changes what is known of passing it on.
    pub(super) fn pass(&mut self, change: impl FnOnce(&mut Passed)) {
        let mut passed = self.passed();
        change(&mut passed);
        if passed != Passed::default() {
            self.metadata[MEMBER] = json!(passed);
        }
    }

    /// Since when those talk who took it is told, and till when is the call's end.
    fn note_end(&mut self) {
        let ended = self.ended_at;
        if ended.is_some() && self.metadata.get(MEMBER).is_some() {
            self.pass(|passed| passed.until = ended);
        }
    }

    /// Whether it was answered, by its own news.
    pub(super) fn answered(&self) -> bool {
        self.answered_at.is_some() || self.duration_seconds > Some(0)
    }

    /// How long it lasted from answer to end, in seconds.
    pub(super) fn lasted(&self) -> Option<i64> {
        let measured = || self.metadata.get("measured_seconds").and_then(Value::as_i64);
        self.duration_seconds.or_else(measured)
    }

    /// How the call ended, in one word; `None` while it lasts.
    pub(in crate::store) fn outcome(&self) -> Option<&'static str> {
        outcome(self.state, self.answered(), self.direction, &self.passed())
    }
}

/// How a call in `state` ended; `None` while it lasts. Where it was passed on, that tells who talked, whatever the stage that
/// the provider last said it was in. A call that ended without having been answered was missed (inbound) or not taken
/// (outbound), whatever the provider calls its end.
pub(in crate::store) fn outcome(
    state: CallStage,
    answered: bool,
    direction: Direction,
    passed: &Passed,
) -> Option<&'static str> {
    let talked = passed.talked();
    let is_over = state.is_final() || talked.is_some() && passed.is_over();
    Some(match (state, direction) {
        _ if !is_over => return None,
        _ if talked == Some(true) => "answered",
        (_, Direction::Inbound) if talked == Some(false) => "missed",
        (CallStage::Completed, _) if answered && talked.is_none() => "answered",
        (CallStage::Completed | CallStage::NoAnswer | CallStage::Canceled, Direction::Inbound) => {
            "missed"
        }
        (CallStage::Canceled, Direction::Outbound) => "canceled",
        (CallStage::Busy, _) => "busy",
        (CallStage::Rejected, _) => "rejected",
        (CallStage::Failed, _) => "failed",
        (_, Direction::Outbound) => "no_answer",
        _ => "failed",
    })
}

fn fill(field: &mut Option<String>, news: Option<&String>) {
    if field.is_none() {
        *field = news.cloned();
    }
}

fn earliest(known: Option<Timestamp>, news: Timestamp) -> Timestamp {
    known.map_or(news, |known| known.min(news))
}

impl CallRow {
    pub(super) fn stored_metadata(&self) -> Value {
        let mut members = match &self.metadata {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        members.remove("direction_guessed");
        if !self.direction_known {
            members.insert("direction_guessed".to_owned(), json!(true));
        }
        Value::Object(members)
    }
}
