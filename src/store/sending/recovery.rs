//! What other processes left behind: claims of dead workers, lanes that nobody woke, rows that have served.

use uuid::Uuid;

use super::statuses::{self, Move};
use super::{failed, lanes};
use crate::clock::Timestamp;
use crate::model::failure::describe;
use crate::model::{Lane, MessageId, OrganizationId};
use crate::store::events::Outbox;
use crate::store::session::on;
use crate::store::{Session, StoreError, types};

/// How many messages one look takes over.
const CHUNK: i64 = 1_000;

/// How many rows one statement of a sweep deletes: others wait for SQLite's writer meanwhile.
const DELETED: i64 = 250;

/// A message whose sender died.
#[derive(Debug, Clone, Copy)]
pub struct Orphan {
    /// Its lane.
    pub lane: Lane,
    /// Its id.
    pub id: MessageId,
    /// The attempt that was under way: then it may have been sent.
    pub open_attempt: Option<i64>,
}

/// Says that a process is alive.
pub async fn seen(session: &mut Session, worker: Uuid, now: Timestamp) -> Result<(), StoreError> {
    let sql = "insert into senders (id, seen_at) values ($1, $2)
               on conflict (id) do update set seen_at = excluded.seen_at /* every organization: a process */";
    on!(session, |c| sqlx::query(sql).bind(worker).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// Forgets a process that has ended, and those long dead.
pub async fn gone(
    session: &mut Session,
    worker: Uuid,
    dead_before: Timestamp,
) -> Result<(), StoreError> {
    let sql = "delete from senders where (id = $1 or seen_at < $2) and not exists (
                   select 1 from outbound o where o.state = 'claimed' and o.worker_id = senders.id)
               /* every organization: processes */";
    on!(session, |c| {
        sqlx::query(sql).bind(worker).bind(dead_before).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Messages whose worker was not seen since `dead_before`, or was never seen and claimed them before then.
pub async fn orphans(
    session: &mut Session,
    dead_before: Timestamp,
) -> Result<Vec<Orphan>, StoreError> {
    let sql = "select o.organization_id, o.channel, o.message_id,
                   (select max(a.attempt) from send_attempts a where a.organization_id = o.organization_id
                    and a.message_id = o.message_id and a.finished_at is null)
               from outbound o left join senders w on w.id = o.worker_id
               where o.state = 'claimed' and o.updated_at < $1 and (w.id is null or w.seen_at < $1)
               limit $2 /* every organization: what dead processes left */";
    type Found = (OrganizationId, String, MessageId, Option<i64>);
    let found: Vec<Found> =
        on!(session, |c| { sqlx::query_as(sql).bind(dead_before).bind(CHUNK).fetch_all(c).await })?;
    let orphan = |(organization_id, channel, id, open_attempt): Found| {
        let lane = Lane { organization_id, channel: types::channel(&channel)? };
        Ok(Orphan { lane, id, open_attempt })
    };
    found.into_iter().map(orphan).collect()
}

/// Takes an orphan from its worker: what never left is due again, what may have left is unknown. `false` if somebody has
/// moved it meanwhile. The head must be locked.
pub async fn adopt(
    session: &mut Session,
    outbox: &mut Outbox,
    orphan: &Orphan,
    dead_before: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let organization = orphan.lane.organization_id;
    let sql = "update outbound set state = $4, due_at = $5, updated_at = $5, worker_id = null, claim_id = null
               where organization_id = $1 and message_id = $2 and state = 'claimed' and updated_at < $3
               and ($6 = (select count(*) from send_attempts a where a.organization_id = $1
                          and a.message_id = $2 and a.finished_at is null))";
    let (state, open) = match orphan.open_attempt {
        Some(_) => ("unknown", 1_i64),
        None => ("due", 0_i64),
    };
    let adopted = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(orphan.id).bind(dead_before);
        let query = query.bind(state).bind(now).bind(open);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    if adopted == 0 {
        return Ok(false);
    }
    match orphan.open_attempt {
        None => lanes::wake(session, orphan.lane, now).await?,
        Some(attempt) => {
            let detail = "the process that sent it ended before the answer came";
            let close =
                "update send_attempts set finished_at = $4, outcome = 'indeterminate', detail = $5
                         where organization_id = $1 and message_id = $2 and attempt = $3";
            on!(session, |c| {
                let query = sqlx::query(close).bind(organization).bind(orphan.id).bind(attempt);
                query.bind(now).bind(detail).execute(c).await.map(drop)
            })?;
            let failure = providers::Failure::new(providers::FailureClass::Indeterminate, detail);
            let status = providers::DeliveryStatus::Unknown;
            let moves = [Move { message: orphan.id, attempt, status, at: now }];
            let described = describe(&failure);
            statuses::advance(session, outbox, organization, &moves, Some(&described)).await?;
            super::settle::known_after_all(session, organization, &[orphan.id]).await?;
            failed::judge_told(session, outbox, organization, (orphan.id, attempt), now).await?;
        }
    }
    Ok(true)
}

/// Messages of which nobody knows whether they were sent, changed between these times, oldest first.
pub async fn unknown(
    session: &mut Session,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Lane, MessageId)>, StoreError> {
    let sql = "select organization_id, channel, message_id from outbound
               where state = 'unknown' and updated_at >= $1 and updated_at < $2
               order by updated_at limit $3 /* every organization: what is to be asked for */";
    let found: Vec<(OrganizationId, String, MessageId)> = on!(session, |c| {
        sqlx::query_as(sql).bind(from).bind(until).bind(CHUNK).fetch_all(c).await
    })?;
    let message = |(organization_id, channel, id): (OrganizationId, String, MessageId)| {
        Ok((Lane { organization_id, channel: types::channel(&channel)? }, id))
    };
    found.into_iter().map(message).collect()
}

/// Wakes lanes in which something is due although their row says otherwise. It never should; a sweep makes sure.
pub async fn mend_lanes(session: &mut Session, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "update lanes set due_at = $1 where (due_at is null or due_at > $1) and exists (
                   select 1 from outbound o where o.organization_id = lanes.organization_id
                   and o.channel = lanes.channel and o.state = 'due' and o.due_at <= $1)
                   /* every organization: a sweep */";
    Ok(on!(session, |c| {
        sqlx::query(sql).bind(now).execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// Deletes an organization's queue rows of messages from before `before` that were sent or canceled, their journal, and the
/// answers to its requests, what was noted of those that never came to an end, and suppressions that have ended. Returns how
/// many; call again while it returns many.
pub async fn delete_served(
    session: &mut Session,
    organization: OrganizationId,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let messages = "delete from outbound where organization_id = $1 and message_id in (
                        select message_id from outbound where organization_id = $1 and message_id < $2
                        and state in ('sent', 'canceled') order by message_id limit $3)";
    let journal = "delete from send_attempts where organization_id = $1 and message_id in (
                       select a.message_id from send_attempts a where a.organization_id = $1 and a.message_id < $2
                       and not exists (select 1 from outbound o where o.organization_id = $1
                                       and o.message_id = a.message_id) order by a.message_id limit $3)";
    let answers = "delete from idempotency_keys where organization_id = $1 and key in (
                       select key from idempotency_keys where organization_id = $1 and created_at < $2
                       order by created_at limit $3)";
    let pieces = "delete from idempotency_pieces where organization_id = $1 and created_at < $2";
    let progress =
        "delete from idempotency_progress where organization_id = $1 and created_at < $2";
    let pairs = "delete from lane_pairs where organization_id = $1 and refilled_at < $2";
    let suppressions = "delete from suppressions where organization_id = $1 and until < $2";
    let old = crate::ids::first_at(before);
    Ok(on!(session, |c| {
        let mut deleted = 0;
        for sql in [messages, journal] {
            let query = sqlx::query(sql).bind(organization).bind(old).bind(DELETED);
            deleted += query.execute(&mut *c).await?.rows_affected();
        }
        let query = sqlx::query(answers).bind(organization).bind(before).bind(DELETED);
        deleted += query.execute(&mut *c).await?.rows_affected();
        for sql in [pieces, progress, pairs, suppressions] {
            let query = sqlx::query(sql).bind(organization).bind(before);
            deleted += query.execute(&mut *c).await?.rows_affected();
        }
        deleted
    }))
}
