//! Telephone calls: how far they have come, and what became known about them.

use serde::Serialize;

use crate::{Address, Channel, Direction, Money, Timestamp};

/// The provider's ids of a call. A call with several legs has one row a leg, joined by [`CallRef::session`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct CallRef {
    /// The stable id of this leg (Twilio: `CallSid`, Telnyx: `call_leg_id`, Meta: `wacid`).
    pub id: String,
    /// The whole conversation, if the provider joins legs (Telnyx: `call_session_id`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The leg this one was dialled from (Twilio: `ParentCallSid`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The handle for commands, where it differs from the id (Telnyx: `call_control_id`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
}

/// How far a call has come. A call only moves to a stage of a higher [`CallStage::rank`]; the stages that end it
/// share the highest rank, and the first of them stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    /// Accepted by the provider, not yet dialled.
    Queued,
    /// Dialled, or arrived.
    Initiated,
    /// Ringing at the other end.
    Ringing,
    /// Answered and going on.
    InProgress,
    /// Answered, and over.
    Completed,
    /// The other end was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The other end refused it.
    Rejected,
    /// The caller gave up before it was answered.
    Canceled,
    /// It could not be set up.
    Failed,
}

/// A recording: where it can be had, not its sound.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Recording {
    /// The provider's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `in_progress`, `completed`, `absent` or `failed`.
    pub status: String,
    /// Where it is. Twilio's needs authentication; Telnyx's lives for ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its length in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// `single` or `dual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<String>,
    /// What made it, in the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Until when the URL is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One thing that became known about a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum CallFact {
    /// Who or what answered: `human`, `machine`, `fax` or `unknown`.
    AnsweredBy {
        /// One of the four words.
        who: String,
        /// The provider's own, finer word.
        detail: String,
    },
    /// How long it lasted from answer to end, in seconds.
    Duration {
        /// Whole seconds.
        seconds: i64,
    },
    /// When it was answered.
    AnsweredAt {
        /// The instant.
        at: Timestamp,
    },
    /// Why it ended.
    Hangup {
        /// The provider's word for the cause.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        /// Which side hung up: `caller`, `callee` or `unknown`.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// The SIP response code.
        #[serde(skip_serializing_if = "Option::is_none")]
        sip_code: Option<String>,
    },
    /// A recording was begun, saved or lost.
    Recorded {
        /// The recording.
        recording: Recording,
    },
    /// Words that were spoken.
    Transcribed {
        /// The words.
        text: String,
        /// `inbound` or `outbound`, if told apart.
        #[serde(skip_serializing_if = "Option::is_none")]
        track: Option<String>,
        /// Whether this part of the text is final.
        is_final: bool,
    },
    /// What was said is written down in a document.
    TranscriptSaved {
        /// The provider's id of the document.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Where the provider says it is. Often short-lived and behind authentication.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Its media type.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
    },
    /// What it cost.
    Cost {
        /// The total so far.
        total: Money,
    },
    /// Keys that were pressed.
    Digits {
        /// The keys.
        digits: String,
    },
    /// What was said into a menu.
    Speech {
        /// The words.
        text: String,
    },
    /// How good the sound was: mean opinion score, 1 to 5.
    Quality {
        /// The score, a decimal number.
        mos: String,
    },
    /// The provider reports an error.
    Error {
        /// Its code.
        code: String,
        /// Its explanation.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// It was passed on to somebody: by this it is told whether anybody talked, whatever the call's own stage says.
    PassedOn {
        /// Where to: `dial` (another telephone), `queue`, `leg` (another leg of the same conversation) or `conference`.
        to: String,
        /// What became of it, in the provider's word.
        how: String,
        /// Whether somebody took it.
        taken: bool,
        /// Whether that is over, however it went.
        over: bool,
        /// How long they talked, in seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<i64>,
        /// How long the caller waited for it, in seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        waited: Option<i64>,
    },
    /// Something else happened, of no consequence to the call's state: played, spoken, dequeued.
    Noted {
        /// What happened, in the provider's word.
        what: String,
    },
}

/// News of a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallProgress {
    /// Which call.
    pub call: CallRef,
    /// What carries it: `voip`, or `whatsapp` for calls within WhatsApp.
    pub channel: Channel,
    /// Which way it goes, if the provider says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Who called. `None` when withheld or not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// Who was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// The name the caller goes by, if told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How far it has come, if this is news of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<CallStage>,
    /// The provider's own order within the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// What became known.
    pub facts: Vec<CallFact>,
}

impl CallStage {
    /// All stages, in order of life.
    pub const ALL: [CallStage; 10] = [
        CallStage::Queued,
        CallStage::Initiated,
        CallStage::Ringing,
        CallStage::InProgress,
        CallStage::Completed,
        CallStage::Busy,
        CallStage::NoAnswer,
        CallStage::Rejected,
        CallStage::Canceled,
        CallStage::Failed,
    ];

    /// The stage's word.
    pub fn word(self) -> &'static str {
        match self {
            CallStage::Queued => "queued",
            CallStage::Initiated => "initiated",
            CallStage::Ringing => "ringing",
            CallStage::InProgress => "in_progress",
            CallStage::Completed => "completed",
            CallStage::Busy => "busy",
            CallStage::NoAnswer => "no_answer",
            CallStage::Rejected => "rejected",
            CallStage::Canceled => "canceled",
            CallStage::Failed => "failed",
        }
    }

    /// The stage of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.word() == word)
    }

    /// Its place in a call's life; all stages that end a call share the last place.
    pub fn rank(self) -> i16 {
        match self {
            CallStage::Queued => 0,
            CallStage::Initiated => 1,
            CallStage::Ringing => 2,
            CallStage::InProgress => 3,
            _ => 4,
        }
    }

    /// Whether the call is over.
    pub fn is_final(self) -> bool {
        self.rank() == 4
    }
}
