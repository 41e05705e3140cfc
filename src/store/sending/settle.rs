//! Settling: writing down what became of attempts, many in one transaction.

use providers::{Address, DeliveryStatus, Failure, Sent};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::effects::{self, Touched};
use super::failed::{self, FailedLater, Standing};
use super::statuses::{self, Move};
use super::{lanes, references};
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::failure::describe;
use crate::model::verdict::Door;
use crate::model::{ClaimId, Lane, MessageId, OrganizationId, Outcome, QueueState, Settled};
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::intake::Joining;
use crate::store::messages::provider_ref;
use crate::store::{Session, Store, StoreError};

/// Writes down what became of attempts of one lane, held under `claim`. Statuses that came before joins here, and what answers
/// say of recipients is learned. The session is one of the store's.
pub async fn settle(
    store: &Store,
    mut session: Session,
    ids: &Ids,
    lane: Lane,
    claim: ClaimId,
    settled: &[Settled],
    now: Timestamp,
) -> Result<(), StoreError> {
    let organization = lane.organization_id;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    close_attempts(&mut session, organization, settled).await?;
    // An outcome that came too late: the message was given to somebody else meanwhile, who decides.
    let held = move_on(&mut session, organization, claim, settled, now).await?;
    let ours = |settled: &&Settled| held.iter().any(|held| held.message == settled.id);
    let mut sent = Vec::new();
    for settled in settled {
        match &settled.outcome {
            // What the provider has, it has, whoever holds the message now.
            Outcome::Sent(what) => sent.push((settled, what)),
            Outcome::Again { failure, .. } if ours(&settled) => {
                note(&mut session, &mut outbox, organization, settled, failure, None).await?;
            }
            Outcome::Dead(failure) if ours(&settled) => {
                let status = Some(DeliveryStatus::Failed);
                note(&mut session, &mut outbox, organization, settled, failure, status).await?;
            }
            Outcome::Unknown(failure) if ours(&settled) => {
                let status = Some(DeliveryStatus::Unknown);
                note(&mut session, &mut outbox, organization, settled, failure, status).await?;
            }
            Outcome::Again { .. } | Outcome::Dead(_) | Outcome::Unknown(_) => {}
        }
    }
    let all: Vec<MessageId> = settled.iter().map(|settled| settled.id).collect();
    known_after_all(&mut session, organization, &all).await?;
    let keys = references::name(&mut session, &mut outbox, organization, &sent, now).await?;
    // Of what never left, the last attempt was judged long ago.
    let is_settled = |held: &Held| {
        settled.iter().any(|s| s.id == held.message && s.attempt == Some(held.attempt))
    };
    for held in held.into_iter().filter(is_settled) {
        if let Some(told) = held.failed_before(organization) {
            failed::judge(&mut session, &mut outbox, &told, Standing::JustSettled, now).await?;
        }
    }
    let joining = Joining { session, outbox, ids, memory: &store.people, now };
    let (mut session, mut outbox, people) =
        joining.join(organization, &keys, &recipients(&sent)).await?;
    let touching: Vec<Touched<'_>> =
        settled.iter().filter(|settled| settled.touches_others()).map(Touched::from).collect();
    effects::apply(&mut session, &mut outbox, lane, &touching, now).await?;
    outbox.flush(&mut session, now).await?;
    if let Some(at) = first_again(settled) {
        lanes::wake(&mut session, lane, at).await?;
    }
    session.commit().await?;
    people.keep();
    Ok(())
}

/// The recipients whom answers name by further addresses, each with all of them.
fn recipients<'a>(sent: &[(&'a Settled, &'a Sent)]) -> Vec<Vec<&'a Address>> {
    let named = |(settled, what): &(&'a Settled, &'a Sent)| {
        let to = settled.to.as_ref().filter(|_| !what.recipient.is_empty())?;
        let others = what.recipient.iter().filter(|address| *address != to);
        Some(std::iter::once(to).chain(others).collect::<Vec<_>>())
    };
    sent.iter().filter_map(named).filter(|addresses| addresses.len() > 1).collect()
}

/// A message that was still held under the claim.
#[derive(Debug, sqlx::FromRow)]
struct Held {
    message: MessageId,
    attempt: i64,
    /// What a status told of this attempt before its answer was settled, if it told that it failed.
    failed: Option<Json<Value>>,
    failed_at: Option<Timestamp>,
}

impl Held {
    fn failed_before(self, organization: OrganizationId) -> Option<FailedLater> {
        Some(FailedLater {
            organization,
            message: self.message.0,
            attempt: self.attempt,
            whole: true,
            failure: failed::failure_in(self.failed.as_ref().map(|Json(detail)| detail)),
            at: self.failed_at?,
        })
    }
}

/// When the first of them is tried again.
fn first_again(settled: &[Settled]) -> Option<Timestamp> {
    let at = |settled: &Settled| match settled.outcome {
        Outcome::Again { at, .. } => Some(at),
        _ => None,
    };
    settled.iter().filter_map(at).min()
}

async fn close_attempts(
    session: &mut Session,
    organization: OrganizationId,
    settled: &[Settled],
) -> Result<(), StoreError> {
    let journalled: Vec<(&Settled, i64)> =
        settled.iter().filter_map(|s| Some((s, s.attempt?))).collect();
    let failure = |s: &Settled| s.outcome.failure().cloned();
    let codes: Vec<Option<String>> =
        journalled.iter().map(|(s, _)| failure(s).and_then(|f| f.code)).collect();
    let details: Vec<Option<String>> =
        journalled.iter().map(|(s, _)| failure(s).map(|f| f.detail)).collect();
    let reference = |settled: &Settled| match &settled.outcome {
        Outcome::Sent(sent) => {
            sent.references.first().map(|first| provider_ref(settled.provider, &first.0))
        }
        _ => None,
    };
    let exchanges: Vec<Value> = journalled.iter().map(|(s, _)| s.exchanges.clone()).collect();
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; journalled.len()]))
        .column("i", Column::Uuid(journalled.iter().map(|(s, _)| s.id.0).collect()))
        .column("n", Column::Int(journalled.iter().map(|(_, n)| *n).collect()))
        .column("at", Column::Time(journalled.iter().map(|(s, _)| s.at).collect()))
        .column("oc", Column::Text(journalled.iter().map(|(s, _)| s.outcome.word()).collect()))
        .column("cd", Column::MaybeText(codes.iter().map(Option::as_deref).collect()))
        .column("dt", Column::MaybeText(details.iter().map(Option::as_deref).collect()))
        .column("ex", Column::Json(exchanges.iter().map(|e| Some(Json(e))).collect()))
        .column("r", Column::MaybeUuid(journalled.iter().map(|(s, _)| reference(s)).collect()))
        .execute(
            session,
            "update send_attempts set finished_at = k.at, outcome = k.oc, code = k.cd, detail = k.dt,
             exchanges = k.ex, provider_ref = coalesce(k.r, send_attempts.provider_ref) from k
             where send_attempts.organization_id = k.o and send_attempts.message_id = k.i
             and send_attempts.attempt = k.n",
        )
        .await
}

/// Moves the messages to where they stand now. Returns those that were still held under the claim.
async fn move_on(
    session: &mut Session,
    organization: OrganizationId,
    claim: ClaimId,
    settled: &[Settled],
    now: Timestamp,
) -> Result<Vec<Held>, StoreError> {
    let state = |settled: &Settled| match &settled.outcome {
        Outcome::Sent(_) => QueueState::Sent.word(),
        Outcome::Again { .. } => QueueState::Due.word(),
        Outcome::Dead(_) => QueueState::Dead.word(),
        Outcome::Unknown(_) => QueueState::Unknown.word(),
    };
    let due = |settled: &Settled| match &settled.outcome {
        Outcome::Again { at, .. } => *at,
        _ => now,
    };
    let throttled =
        |s: &Settled| i64::from(matches!(s.outcome, Outcome::Again { throttled: true, .. }));
    let failures: Vec<Option<Value>> =
        settled.iter().map(|s| s.outcome.failure().map(describe)).collect();
    let contents: Vec<Option<Value>> = settled
        .iter()
        .map(|s| match &s.outcome {
            Outcome::Again { content, .. } => content.as_ref().map(|content| json!(content)),
            _ => None,
        })
        .collect();
    let resends = |s: &Settled| i64::from(matches!(s.outcome, Outcome::Again { resend: true, .. }));
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; settled.len()]))
        .column("i", Column::Uuid(settled.iter().map(|s| s.id.0).collect()))
        .column("cl", Column::Uuid(vec![claim.claim; settled.len()]))
        .column("st", Column::Text(settled.iter().map(state).collect()))
        .column("du", Column::Time(settled.iter().map(due).collect()))
        .column("th", Column::Int(settled.iter().map(throttled).collect()))
        .column("fl", Column::Json(failures.iter().map(|f| f.as_ref().map(Json)).collect()))
        .column("ct", Column::Json(contents.iter().map(|c| c.as_ref().map(Json)).collect()))
        .column("rs", Column::Int(settled.iter().map(resends).collect()))
        .column(
            "hd",
            Column::MaybeText(settled.iter().map(|s| s.template_hold.as_deref()).collect()),
        )
        .column("now", Column::Time(vec![now; settled.len()]))
        .query(
            session,
            "update outbound set state = k.st, due_at = k.du, last_failure = k.fl, updated_at = k.now,
             throttled = case k.th when 1 then throttled + 1 else 0 end, resends = resends + k.rs,
             content = coalesce(k.ct, outbound.content), template_hold = k.hd, worker_id = null, claim_id = null
             from k where outbound.organization_id = k.o and outbound.message_id = k.i
             and ((outbound.state = 'claimed' and outbound.claim_id = k.cl)
                  or (k.st = 'sent' and outbound.state in ('claimed', 'unknown', 'due')))
             returning message_id as message, attempts as attempt,
                 (select f.detail from message_statuses f where f.organization_id = outbound.organization_id
                  and f.message_id = outbound.message_id and f.status = 'failed' and f.recipient = ''
                  and f.attempt = outbound.attempts) as failed,
                 (select f.at from message_statuses f where f.organization_id = outbound.organization_id
                  and f.message_id = outbound.message_id and f.status = 'failed' and f.recipient = ''
                  and f.attempt = outbound.attempts) as failed_at",
        )
        .await
}

/// A status that carries our id may have come before the answer was there or given up: then it is known whether the message
/// arrived, and one that arrived is not tried again.
pub(super) async fn known_after_all(
    session: &mut Session,
    organization: OrganizationId,
    messages: &[MessageId],
) -> Result<(), StoreError> {
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; messages.len()]))
        .column("i", Column::Uuid(messages.iter().map(|id| id.0).collect()))
        .execute(
            session,
            "update outbound set state = 'sent'
             from k join messages m on m.organization_id = k.o and m.id = k.i
             where outbound.organization_id = k.o and outbound.message_id = k.i
             and ((m.status in ('sent', 'delivered', 'read', 'played') and outbound.state in ('unknown', 'due'))
                  or (m.status in ('delivered', 'read', 'played') and outbound.state = 'dead'))",
        )
        .await
}

/// Shows on the timeline what went wrong, and moves the status if there is a new one.
async fn note(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    settled: &Settled,
    failure: &Failure,
    status: Option<DeliveryStatus>,
) -> Result<(), StoreError> {
    let described = describe(failure);
    if let Some(status) = status {
        let (message, attempt) = (settled.id, settled.attempt.unwrap_or_default());
        let moved = Move { message, attempt, status, at: settled.at };
        statuses::advance(session, outbox, organization, &[moved], Some(&described)).await?;
    } else if let Outcome::Again { at, .. } = &settled.outcome {
        let data = json!({ "failure": described, "next_attempt_at": at });
        outbox.push(organization, "message.delayed", settled.id.0, Some(data));
    }
    Ok(())
}

impl<'a> From<&'a Settled> for Touched<'a> {
    fn from(settled: &'a Settled) -> Self {
        Touched {
            account_id: settled.account_id,
            provider: settled.provider,
            failure: settled.outcome.failure(),
            effect: settled.effect,
            door: Door::Answer,
            left_at: settled.at,
            told_at: settled.at,
            to: settled.to.as_ref(),
            template: settled.template.as_ref(),
            proves: settled.probing && matches!(settled.outcome, Outcome::Sent(_)),
        }
    }
}
