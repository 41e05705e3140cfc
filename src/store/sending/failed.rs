//! Failures that are told of messages after the provider had taken them: the verdict on each is written down.
//!
//! A message that was taken and then failed may only be sent again for news that is really about its last attempt, told once,
//! while it has not arrived. Whoever calls this knows that the news is new ([`message_statuses`] has a row for each message,
//! attempt and status) and which attempt it is about; the rest is looked at here, with the message locked.
//!
//! [`message_statuses`]: crate::store::messages

use providers::{Address, Cause, DeliveryStatus, Failure, FailureClass, OutboundContent, Template};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::effects::{self, Touched};
use super::lanes;
use super::statuses;
use crate::clock::Timestamp;
use crate::metrics;
use crate::model::failure::describe;
use crate::model::verdict::{self, Door, Tried, Verdict};
use crate::model::{AccountId, Lane, MessageId, OrganizationId, Outcome, QueueState, hold_key};
use crate::store::events::Outbox;
use crate::store::session::{dialect, on};
use crate::store::{Session, StoreError, types};

/// A failure that was told of a message that had been taken.
#[derive(Debug)]
pub(in crate::store) struct FailedLater {
    /// Whose message.
    pub(in crate::store) organization: OrganizationId,
    /// The message.
    pub(in crate::store) message: Uuid,
    /// The attempt it is about.
    pub(in crate::store) attempt: i64,
    /// Whether it is about the message as a whole: not about a further part of it, nor about one of several recipients.
    pub(in crate::store) whole: bool,
    /// What went wrong.
    pub(in crate::store) failure: Failure,
    /// When, by the provider's clock.
    pub(in crate::store) at: Timestamp,
}

/// Which messages may be judged, by where they stand in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Standing {
    /// Those that were taken, those of which nobody knows, and those whose refusal the status disproves.
    Taken,
    /// Those whose attempt has just been settled: the answer to it may have been lost, or have said that it is to be tried
    /// again, when the status proves that it had been taken.
    JustSettled,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    channel: String,
    state: String,
    attempts: i64,
    throttled: i64,
    resends: i64,
    most_resends: i64,
    content: Json<OutboundContent>,
    fallback: Option<Json<Template>>,
    expires_at: Timestamp,
    status: String,
    account_id: AccountId,
    provider: String,
    started_at: Timestamp,
    failed_later: Option<Json<Value>>,
    kind: String,
    value: String,
    group_id: Option<String>,
}

/// Judges a failure, if it is about the last attempt for a message that has not arrived. The head must be locked.
pub(in crate::store) async fn judge(
    session: &mut Session,
    outbox: &mut Outbox,
    told: &FailedLater,
    standing: Standing,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = find(session, told).await? else { return Ok(()) };
    let state = types::queue_state(&row.state)?;
    let may_be_judged = match standing {
        Standing::Taken => {
            // A refusal that turns out to be none: the provider had taken it all the same.
            let was_refused = state == QueueState::Due && row.failed_later.is_none();
            matches!(state, QueueState::Sent | QueueState::Unknown) || was_refused
        }
        Standing::JustSettled => {
            matches!(state, QueueState::Sent | QueueState::Unknown | QueueState::Due)
        }
    };
    let has_arrived =
        types::delivery_status(&row.status)?.rank() >= DeliveryStatus::Delivered.rank();
    if !may_be_judged || has_arrived {
        return Ok(());
    }
    let lane = Lane { organization_id: told.organization, channel: types::channel(&row.channel)? };
    let tried = Tried {
        attempts: row.attempts,
        throttled: row.throttled,
        resends: row.resends,
        most_resends: row.most_resends,
        content: row.content.0.clone(),
        fallback: row.fallback.as_ref().map(|Json(template)| template.clone()),
        expires_at: row.expires_at,
        factor: 1.0,
    };
    let failure = match told.whole {
        true if row.group_id.is_some() => verdict::in_a_group(told.failure.clone()),
        true => told.failure.clone(),
        // The other parts, or the others in a group, may have got it: it is not sent again, and nobody is left alone for it.
        false => Failure { class: FailureClass::Permanent(Cause::Message), ..told.failure.clone() },
    };
    let Verdict { outcome, effect } =
        verdict::decide(Door::Status, &tried, failure, now, chance(told.message));
    let template = match &tried.content {
        OutboundContent::Template(template) => Some(template),
        _ => None,
    };
    // What is given up waits for nothing.
    let waits = effect.holds_template && matches!(outcome, Outcome::Again { .. });
    let hold = template
        .filter(|_| waits)
        .map(|template| hold_key(row.account_id, &template.name, template.language.as_deref()));
    write(session, outbox, lane, told, &outcome, hold.as_deref(), now).await?;
    if let Outcome::Again { resend: true, .. } = outcome {
        metrics::resend(&row.provider);
    }
    let to = Address::from_parts(&row.kind, &row.value);
    let touched = Touched {
        account_id: row.account_id,
        provider: &row.provider,
        failure: Some(&told.failure),
        effect,
        door: Door::Status,
        left_at: row.started_at,
        told_at: told.at,
        to: to.as_ref(),
        template,
        proves: false,
    };
    effects::apply(session, outbox, lane, &[touched], now).await
}

/// Judges what a status told of an attempt before it was known to have ended, if it told that it failed.
pub(super) async fn judge_told(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    (message, attempt): (MessageId, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "select detail, at from message_statuses where organization_id = $1 and message_id = $2
               and status = 'failed' and recipient = '' and attempt = $3";
    let found: Option<(Option<Json<Value>>, Timestamp)> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(message).bind(attempt);
        query.fetch_optional(c).await
    })?;
    let Some((detail, at)) = found else { return Ok(()) };
    let failure = failure_in(detail.as_ref().map(|Json(detail)| detail));
    let told = FailedLater { organization, message: message.0, attempt, whole: true, failure, at };
    judge(session, outbox, &told, Standing::JustSettled, now).await
}

/// The message with its last attempt, locked, if the news is about that attempt.
async fn find(session: &mut Session, told: &FailedLater) -> Result<Option<Row>, StoreError> {
    let sql = "select o.channel, o.state, o.attempts, o.throttled, o.resends, o.most_resends, o.content,
                   o.fallback, o.expires_at, m.status, a.account_id, a.provider, a.started_at,
                   a.failed_later, i.kind, i.value, o.group_id
               from outbound o join messages m on m.organization_id = o.organization_id and m.id = o.message_id
               join send_attempts a on a.organization_id = o.organization_id and a.message_id = o.message_id
                   and a.attempt = o.attempts
               join contact_identities i on i.organization_id = o.organization_id and i.id = o.identity_id
               where o.organization_id = $1 and o.message_id = $2 and o.attempts = $3";
    let sql = dialect!(session, sqlite: sql.to_owned(), postgres: format!("{sql} for update of o"));
    let sql = sqlx::AssertSqlSafe(sql);
    Ok(on!(session, |c| {
        let query = sqlx::query_as(sql).bind(told.organization).bind(told.message);
        query.bind(told.attempt).fetch_optional(c).await
    })?)
}

/// Writes queue row, status, journal and event together.
async fn write(
    session: &mut Session,
    outbox: &mut Outbox,
    lane: Lane,
    told: &FailedLater,
    outcome: &Outcome,
    hold: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let failure = outcome.failure().unwrap_or(&told.failure);
    let described = describe(failure);
    let (state, status, due_at, resends, content, then) = match outcome {
        Outcome::Again { at, resend, content, .. } => {
            let content = content.as_ref().map(|content| json!(content));
            let then = if *resend { "sent_again" } else { "template_sent" };
            (QueueState::Due, DeliveryStatus::Queued, Some(*at), i64::from(*resend), content, then)
        }
        Outcome::Unknown(_) => {
            (QueueState::Unknown, DeliveryStatus::Unknown, None, 0, None, "unknown")
        }
        Outcome::Dead(_) | Outcome::Sent(_) => {
            (QueueState::Dead, DeliveryStatus::Failed, None, 0, None, "given_up")
        }
    };
    let queue = "update outbound set state = $3, due_at = coalesce($4, due_at), resends = resends + $5, last_failure = $6,
                     content = coalesce($7, content), template_hold = $8, updated_at = $9, worker_id = null, claim_id = null
                 where organization_id = $1 and message_id = $2";
    let journal = "update send_attempts set failed_later = $4
                   where organization_id = $1 and message_id = $2 and attempt = $3";
    let note =
        json!({ "at": told.at, "failure": described, "then": then, "next_attempt_at": due_at });
    on!(session, |c| {
        let query = sqlx::query(queue).bind(told.organization).bind(told.message);
        let query = query.bind(state.word()).bind(due_at).bind(resends).bind(Json(&described));
        let query = query.bind(content.as_ref().map(Json)).bind(hold).bind(now);
        query.execute(&mut *c).await?;
        let query = sqlx::query(journal).bind(told.organization).bind(told.message);
        query.bind(told.attempt).bind(Json(&note)).execute(c).await.map(drop)
    })?;
    statuses::reopen(session, told.organization, told.message, status, now).await?;
    if status == DeliveryStatus::Failed {
        statuses::show_failure(session, told.organization, told.message, &described).await?;
    }
    let mut data = json!({ "status": status.word(), "at": told.at, "failure": described });
    if let Some(at) = due_at {
        data["next_attempt_at"] = json!(at);
        lanes::wake(session, lane, at).await?;
    }
    outbox.push(told.organization, "message.status", told.message, Some(data));
    Ok(())
}

/// A number between 0 and 1 that is the same for a message each time.
fn chance(message: Uuid) -> f64 {
    f64::from(message.as_bytes()[15]) / 255.0
}

/// What a history row of a failed attempt says went wrong.
pub(in crate::store) fn failure_in(detail: Option<&Value>) -> Failure {
    crate::model::failure::described(detail.map_or(&Value::Null, |detail| &detail["failure"]))
}
