//! What shall go wrong, for how many requests, and whose.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::SandboxAccount;

/// How many faults may wait at once.
const ARMED: usize = 1_000;

/// Something that shall go wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// At which provider: `meta`, `twilio`, `telnyx`, `waha`.
    pub provider: String,
    /// Only for this account: its id, or a number or handle of one of its lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only for this recipient: digits are compared, or a user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For so many requests or messages, 1 without it. Ignored with `always`.
    #[serde(default = "once")]
    pub next: u32,
    /// Until the faults are cleared.
    #[serde(default)]
    pub always: bool,
    /// For which requests; sends, unless it says otherwise.
    #[serde(default)]
    pub on: On,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

fn once() -> u32 {
    1
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Those that send a message.
    #[default]
    Send,
    /// Those that upload or fetch files.
    Media,
    /// All others.
    Other,
    /// All.
    Any,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// The request is looked at only after so long.
    DelayBefore {
        /// Milliseconds.
        ms: u64,
    },
    /// The request is done, statuses go out, and the answer comes only after so long.
    DelayAfter {
        /// Milliseconds.
        ms: u64,
    },
    /// Refused with this HTTP status and the provider's own error body.
    Status {
        /// 400 to 599.
        status: u16,
        /// The provider's error code; without it, the one that goes with the status.
        #[serde(default)]
        code: Option<u32>,
        /// Seconds of a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The connection is closed before anything was done.
    DropBefore,
    /// The request is done, and then the connection is closed without an answer.
    DropAfter,
    /// The message is taken; later a status says that it failed with this code.
    FailStatus {
        /// The provider's error code; 0 where the status names none.
        code: u32,
    },
    /// The message is taken and delivered; then a status says that it failed with this code.
    FailLate {
        /// The provider's error code; 0 where the status names none.
        code: u32,
    },
    /// Every status webhook of the message comes twice.
    DuplicateWebhooks,
    /// The status webhooks of the message come in reverse order.
    ReorderWebhooks,
    /// The message's status webhooks never come.
    LoseWebhooks,
    /// The file is gone.
    ExpiredMedia,
    /// The account's token is refused.
    RevokedToken,
    /// The recipient has blocked us.
    RecipientBlocked,
}

/// What a fault is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) provider: &'a str,
    pub(super) account: Option<&'a SandboxAccount>,
    pub(super) on: On,
    pub(super) to: Option<&'a str>,
}

/// The faults that wait for their occasion.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Arms a fault; `false` if too many wait already.
    pub(super) fn arm(&mut self, fault: Fault) -> bool {
        let room = self.0.len() < ARMED;
        if room {
            self.0.push(fault);
        }
        room
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Those that wait.
    pub(super) fn armed(&self) -> &[Fault] {
        &self.0
    }

    /// Takes the first fault for this occasion whose kind `fits`, and counts it down.
    pub(super) fn take<T>(
        &mut self,
        occasion: Occasion<'_>,
        fits: impl Fn(&FaultKind) -> Option<T>,
    ) -> Option<T> {
        let (index, found) = self.0.iter().enumerate().find_map(|(index, fault)| {
            let found = fits(&fault.kind)?;
            fault.is_for(occasion).then_some((index, found))
        })?;
        let fault = &mut self.0[index];
        fault.next = fault.next.saturating_sub(1);
        if fault.next == 0 && !fault.always {
            self.0.remove(index);
        }
        Some(found)
    }
}

impl Fault {
    fn is_for(&self, occasion: Occasion<'_>) -> bool {
        let named = |text: &String| occasion.account.is_some_and(|account| account.is_named(text));
        let meant = |to: &String| occasion.to.is_some_and(|other| same_person(to, other));
        // These are about something else than a kind of request.
        let anywhere = matches!(self.kind, FaultKind::ExpiredMedia | FaultKind::RevokedToken);
        self.provider == occasion.provider
            && self.account.as_ref().is_none_or(named)
            && self.to.as_ref().is_none_or(meant)
            && (anywhere || self.on == On::Any || self.on == occasion.on)
    }
}

fn same_person(one: &str, other: &str) -> bool {
    let plain =
        |text: &str| text.trim_start_matches("whatsapp:").trim_start_matches('+').to_owned();
    let other = plain(other);
    plain(one) == other.split('@').next().unwrap_or_default()
}

/// How long a delay fault lasts.
pub(super) fn delay_before(kind: &FaultKind) -> Option<Duration> {
    match kind {
        FaultKind::DelayBefore { ms } => Some(Duration::from_millis(*ms)),
        _ => None,
    }
}

/// How long the answer is held back.
pub(super) fn delay_after(kind: &FaultKind) -> Option<Duration> {
    match kind {
        FaultKind::DelayAfter { ms } => Some(Duration::from_millis(*ms)),
        _ => None,
    }
}
