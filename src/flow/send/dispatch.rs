//! Sending one message: its requests, their answers, and what became of it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use providers::{
    Account, Address, Cause, Failure, FailureClass, LoadedFile, MessageRef, Messages,
    OutboundContent, OutboundMessage, ProviderRequest, ProviderResponse, Sent, Step,
};
use serde_json::{Value, json};

use super::take::Batch;
use super::{by_number, exchanges};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::metrics;
use crate::model::verdict::{self, Door, Tried, Verdict};
use crate::model::{Claimed, Lane, Outcome, Settled, hold_key};
use crate::transport::Lost;

/// How many requests one message may take.
const STEPS: usize = 4;

/// A message whose first request is ready to leave.
pub(super) struct Shipment {
    pub(super) claimed: Claimed,
    pub(super) message: OutboundMessage,
    pub(super) first: ProviderRequest,
    /// Its number in the journal.
    pub(super) attempt: i64,
}

/// How the lane was doing when a message was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneState {
    /// The share of its pace that it used.
    pub(super) factor: f64,
    /// Whether its account was being tried again after it had refused everything.
    pub(super) probing: bool,
}

/// Puts a claimed message into the provider's hands as far as that is possible without sending anything.
pub(super) fn prepare(
    account: &DirectoryAccount,
    message: &OutboundMessage,
) -> Result<ProviderRequest, Failure> {
    let messages = messages(&*account.account)?;
    match messages.step(message, &[])? {
        Step::Next(request) => Ok(*request),
        Step::Done(_) => Err(Failure::new(FailureClass::Transient, "there was nothing to send")),
    }
}

fn messages(account: &dyn Account) -> Result<&dyn Messages, Failure> {
    let class = FailureClass::Permanent(Cause::Account);
    account.messages().ok_or_else(|| Failure::new(class, "the account cannot send"))
}

/// The message as the provider's translator wants it.
pub(super) fn compose(
    gateway: &Gateway,
    lane: Lane,
    batch: &Batch,
    claimed: &Claimed,
    to: Address,
    files: Vec<LoadedFile>,
) -> OutboundMessage {
    let (account, id) = (&batch.account, claimed.id.to_string());
    OutboundMessage {
        group: claimed.group.clone(),
        files,
        reply_to: reply_to(claimed, account.provider.name),
        status_url: gateway.hook_url(account.provider.name, account.id),
        ..OutboundMessage::new(id, lane.channel, batch.from.clone(), to, claimed.content.clone())
    }
}

/// A message of another provider cannot be answered through this one: then it is sent without naming it.
fn reply_to(claimed: &Claimed, provider: &str) -> Option<MessageRef> {
    let (carrier, reference) = claimed.reply_to.as_ref()?;
    (carrier == provider).then(|| reference.clone())
}

/// Sends it, request by request.
pub(super) async fn ship(
    gateway: &Gateway,
    account: &DirectoryAccount,
    lane: LaneState,
    shipment: Shipment,
) -> Settled {
    let Shipment { claimed, mut message, first, attempt } = shipment;
    let mut journal = Vec::new();
    let waited = gateway.clock.now() - claimed.due_at;
    metrics::send_lag(account.provider.name, waited.to_std().unwrap_or_default());
    let mut result = unbroken(converse(gateway, account, &message, first, &mut journal)).await;
    if let Err(failure) = &result
        && let Some(other) = by_number::instead(&claimed, &message, failure)
        && let Ok(first) = prepare(account, &other)
    {
        message = other;
        result = unbroken(converse(gateway, account, &message, first, &mut journal)).await;
        result = result.map_err(by_number::after_all);
    }
    let verdict = match result {
        Ok(sent) => Verdict::plain(Outcome::Sent(sent)),
        Err(failure) => judge(gateway, &claimed, failure, lane.factor),
    };
    let settled = settled(gateway, account, &message.from.address, &claimed, verdict, &message.to);
    Settled {
        attempt: Some(attempt),
        exchanges: Value::Array(journal),
        probing: lane.probing,
        ..settled
    }
}

/// What a failure means that came as an answer, or before anything left.
pub(super) fn judge(
    gateway: &Gateway,
    claimed: &Claimed,
    failure: Failure,
    factor: f64,
) -> Verdict {
    let mut tried = Tried::of(claimed, factor);
    let failure = if claimed.group.is_some() { verdict::in_a_group(failure) } else { failure };
    let now = gateway.clock.now();
    // A clock that is ahead of the time that has passed makes nothing too old.
    tried.expires_at += (now - gateway.time.ages().certain()).max(TimeDelta::zero());
    verdict::decide(Door::Answer, &tried, failure, now, gateway.chance())
}

/// What is written down of a message, as far as its verdict says.
pub(super) fn settled(
    gateway: &Gateway,
    account: &DirectoryAccount,
    our_address: &str,
    claimed: &Claimed,
    verdict: Verdict,
    to: &Address,
) -> Settled {
    let Verdict { outcome, effect } = verdict;
    let names_further = matches!(&outcome, Outcome::Sent(sent) if !sent.recipient.is_empty());
    let template = match &claimed.content {
        OutboundContent::Template(template) if effect.holds_template => Some(template.clone()),
        _ => None,
    };
    Settled {
        id: claimed.id,
        identity: claimed.identity,
        attempt: None,
        account_id: account.id,
        provider: account.provider.name,
        our_address: our_address.to_owned(),
        outcome,
        effect,
        to: (effect.concerns_recipient() || names_further).then(|| to.clone()),
        template_hold: template
            .as_ref()
            .map(|template| hold_key(account.id, &template.name, template.language.as_deref())),
        template,
        probing: false,
        exchanges: Value::Null,
        at: gateway.clock.now(),
    }
}

/// A defect of ours must not leave the message claimed for as long as the process lives. Whether it left is not known.
async fn unbroken(
    conversation: impl Future<Output = Result<Sent, Failure>>,
) -> Result<Sent, Failure> {
    AssertUnwindSafe(conversation).catch_unwind().await.unwrap_or_else(|_| {
        Err(Failure::new(FailureClass::Indeterminate, "the gateway failed while it was sent"))
    })
}

async fn converse(
    gateway: &Gateway,
    account: &DirectoryAccount,
    message: &OutboundMessage,
    first: ProviderRequest,
    journal: &mut Vec<Value>,
) -> Result<Sent, Failure> {
    let messages = messages(&*account.account)?;
    let timeout = Duration::from_millis(gateway.config.sending.request_timeout_ms);
    let mut answers: Vec<ProviderResponse> = Vec::new();
    let mut request = first;
    for _ in 0..STEPS {
        let sent = gateway.transport.exchange(&request, account.behalf(), &gateway.clock, timeout);
        let answer = sent.await;
        journal.push(exchanges::record(account.provider, &request, answer.as_ref()));
        answers.push(answer.map_err(|lost| lost_is(&request, lost))?);
        match messages.step(message, &answers)? {
            Step::Done(sent) => return Ok(sent),
            Step::Next(next) => request = *next,
        }
    }
    Err(Failure::new(
        FailureClass::Transient,
        "the provider wants too many requests for one message",
    ))
}

/// What no answer means: what cannot have arrived, and what may arrive twice, is tried again; the rest is unknown.
fn lost_is(request: &ProviderRequest, lost: Lost) -> Failure {
    let word = lost.word();
    match lost {
        // Nothing gets through before the account or `outgoing.allow` is mended.
        Lost::Refused(detail) => Failure::new(FailureClass::Permanent(Cause::Account), detail),
        Lost::NeverLeft(detail) => Failure::new(FailureClass::Transient, detail),
        Lost::Unanswered(detail) if request.repeatable => {
            Failure::new(FailureClass::Transient, detail)
        }
        Lost::Unanswered(detail) => Failure::new(FailureClass::Indeterminate, detail),
    }
    .with_code(word)
}

/// The journal's entry for something that never left.
pub(super) fn unsent(failure: &Failure) -> Value {
    json!([{ "unsent": failure.detail }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_defect_nobody_knows_whether_the_message_left() {
        let failure = unbroken(async { panic!("a defect") }).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Indeterminate);
    }
}
