//! Claiming: taking due messages of a lane, so that no other process takes them.

use providers::{MessageRef, OutboundContent, Template};
use sqlx::types::Json;

use super::lanes;
use crate::clock::Timestamp;
use crate::model::{ClaimId, Claimed, IdentityId, Lane, MessageId, Purpose};
use crate::store::bulk::{Column, Rows};
use crate::store::session::{dialect, on};
use crate::store::{Session, StoreError};

/// How many due messages are looked at for a claim of `limit`: those among them that must wait for an earlier message of
/// their conversation step back, so that they are not looked at again at once.
fn looked_at(limit: i64) -> i64 {
    limit.saturating_mul(2).saturating_add(32)
}

/// What limits a claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Who claims.
    pub id: ClaimId,
    /// Now.
    pub now: Timestamp,
    /// At most so many.
    pub limit: i64,
    /// An earlier message holds back its conversation only if it was accepted after this.
    pub held_back_since: Timestamp,
    /// Where those step back to that must wait for an earlier message.
    pub step_back_to: Timestamp,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    message_id: MessageId,
    identity_id: IdentityId,
    kind: String,
    value: String,
    number: Option<String>,
    content: Json<OutboundContent>,
    fallback: Option<Json<Template>>,
    purpose: Option<String>,
    reply_provider: Option<String>,
    reply_ref: Option<String>,
    group_id: Option<String>,
    attempts: i64,
    throttled: i64,
    due_at: Timestamp,
    expires_at: Timestamp,
    created_at: Timestamp,
}

/// Whether an earlier message to the same person is still to be sent: one that is due, one that is tried again, one that is
/// being sent. `is true` keeps PostgreSQL from looking among all messages of the organization by the primary key. The statements
/// that hold this are planned anew each time: a plan that was made for a short queue is of no use to a long one. They look
/// first and write by key then, whatever is believed of the queue's length.
const HELD_BACK: &str = "exists (select 1 from outbound e
    where e.identity_id = o.identity_id and e.message_id < o.message_id
    and (e.organization_id = o.organization_id) is true and e.channel = o.channel
    and e.state in ('due', 'claimed') and (e.state = 'claimed' or e.due_at <= $3 or e.attempts + e.throttled > 0)
    and e.created_at > $4)";

/// Claims due messages: single ones before bulk, the longest due first, one of a conversation at a time. The lane must be
/// locked. Also tells whether messages stepped back because an earlier one of their conversation is still to be sent.
pub async fn claim(
    session: &mut Session,
    lane: Lane,
    claim: &Claim,
) -> Result<(Vec<Claimed>, bool), StoreError> {
    let taken = format!(
        "with k as materialized (
             select organization_id as o, message_id as i from (
                 select organization_id, channel, identity_id, message_id, bulk, due_at from outbound
                 where organization_id = $1 and channel = $2 and state = 'due' and due_at <= $3
                 order by bulk, due_at, message_id limit $5) o
             where not {HELD_BACK} order by bulk, due_at, message_id limit $6)
         update outbound set state = 'claimed', worker_id = $7, claim_id = $8, updated_at = $3 from k
         where outbound.organization_id = k.o and outbound.message_id = k.i
         returning message_id"
    );
    let taken = sqlx::AssertSqlSafe(taken);
    let ids: Vec<MessageId> = on!(session, |c| {
        let query = sqlx::query_scalar(taken).bind(lane.organization_id).bind(lane.channel.word());
        let query = query.bind(claim.now).bind(claim.held_back_since).bind(looked_at(claim.limit));
        let query = query.bind(claim.limit).bind(claim.id.worker).bind(claim.id.claim);
        query.persistent(false).fetch_all(c).await
    })?;
    let claimed = load(session, lane, &ids, claim.now).await?;
    let some_are_held_back = i64::try_from(claimed.len()).unwrap_or(i64::MAX) < claim.limit
        && step_back(session, lane, claim).await?;
    Ok((claimed, some_are_held_back))
}

async fn load(
    session: &mut Session,
    lane: Lane,
    ids: &[MessageId],
    now: Timestamp,
) -> Result<Vec<Claimed>, StoreError> {
    // A number is looked for only where somebody is known by WhatsApp's own id, and taken only if it is the only one.
    let rows: Vec<Row> = Rows::new()
        .column("o", Column::Uuid(vec![lane.organization_id.0; ids.len()]))
        .column("i", Column::Uuid(ids.iter().map(|id| id.0).collect()))
        .column("now", Column::Time(vec![now; ids.len()]))
        .query(
            session,
            "select m.message_id, m.identity_id, i.kind, i.value, m.content, m.fallback, m.purpose, m.reply_provider,
                 m.reply_ref, m.group_id, m.attempts, m.throttled, m.due_at, m.expires_at, m.created_at,
                 case when i.kind = 'wa_lid' then (
                     select min(p.value) from contact_identities p left join suppressions s
                     on s.organization_id = p.organization_id and s.channel = m.channel and s.kind = p.kind
                     and s.match_key = p.match_key and s.scope = 'all' and (s.until is null or s.until > k.now)
                     where p.organization_id = i.organization_id and p.contact_id = i.contact_id and p.kind = 'phone'
                     having count(distinct p.match_key) = 1 and count(s.match_key) = 0) end as number
             from k join outbound m on m.organization_id = k.o and m.message_id = k.i
             join contact_identities i on i.organization_id = m.organization_id and i.id = m.identity_id",
        )
        .await?;
    let mut claimed: Vec<Claimed> = rows.into_iter().map(Claimed::from).collect();
    claimed.sort_by_key(|message| message.id);
    Ok(claimed)
}

impl From<Row> for Claimed {
    fn from(row: Row) -> Self {
        Claimed {
            id: row.message_id,
            identity: row.identity_id,
            address: (row.kind, row.value),
            number: row.number,
            content: row.content.0,
            fallback: row.fallback.map(|Json(template)| template),
            purpose: row.purpose.as_deref().and_then(Purpose::from_word),
            reply_to: row.reply_provider.zip(row.reply_ref.map(MessageRef)),
            group: row.group_id,
            attempts: row.attempts,
            throttled: row.throttled,
            due_at: row.due_at,
            expires_at: row.expires_at,
            created_at: row.created_at,
        }
    }
}

/// Moves those that wait for an earlier message a little into the future. Returns whether there are any.
async fn step_back(session: &mut Session, lane: Lane, claim: &Claim) -> Result<bool, StoreError> {
    let sql = format!(
        "with k as materialized (
             select organization_id as o, message_id as i from (
                 select organization_id, channel, identity_id, message_id from outbound
                 where organization_id = $1 and channel = $2 and state = 'due' and due_at <= $3
                 order by bulk, due_at, message_id limit $5) o
             where {HELD_BACK})
         update outbound set due_at = $6 from k
         where outbound.organization_id = k.o and outbound.message_id = k.i"
    );
    let sql = sqlx::AssertSqlSafe(sql);
    let moved = on!(session, |c| {
        let query = sqlx::query(sql).bind(lane.organization_id).bind(lane.channel.word());
        let query = query.bind(claim.now).bind(claim.held_back_since).bind(looked_at(claim.limit));
        let query = query.bind(claim.step_back_to).persistent(false);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(moved > 0)
}

/// Lets the next message go to each of these people, if it stepped back for one that is settled now.
pub async fn step_up(
    session: &mut Session,
    lane: Lane,
    people: &[IdentityId],
    now: Timestamp,
    stepped_back_to: Timestamp,
) -> Result<(), StoreError> {
    Rows::new()
        .column("o", Column::Uuid(vec![lane.organization_id.0; people.len()]))
        .column("c", Column::Text(vec![lane.channel.word(); people.len()]))
        .column("i", Column::Uuid(people.iter().map(|identity| identity.0).collect()))
        .column("now", Column::Time(vec![now; people.len()]))
        .column("bk", Column::Time(vec![stepped_back_to; people.len()]))
        .execute(
            session,
            "update outbound set due_at = k.now from k
             where outbound.organization_id = k.o and outbound.state = 'due'
             and outbound.due_at > k.now and outbound.due_at <= k.bk
             and outbound.attempts = 0 and outbound.throttled = 0
             and outbound.message_id = (
                 select next.message_id from outbound next
                 where next.identity_id = k.i and (next.organization_id = k.o) is true and next.channel = k.c
                 and next.state in ('due', 'claimed') order by next.message_id limit 1)",
        )
        .await
}

/// A claimed message that is given back.
#[derive(Debug, Clone)]
pub struct GivenBack {
    /// The message.
    pub id: MessageId,
    /// When it is due.
    pub due_at: Timestamp,
    /// The paused template for which it waits, if that is why.
    pub template_hold: Option<String>,
}

/// Gives claimed messages back untried.
pub async fn give_back(
    session: &mut Session,
    lane: Lane,
    claim: ClaimId,
    messages: &[GivenBack],
) -> Result<(), StoreError> {
    Rows::new()
        .column("o", Column::Uuid(vec![lane.organization_id.0; messages.len()]))
        .column("i", Column::Uuid(messages.iter().map(|m| m.id.0).collect()))
        .column("at", Column::Time(messages.iter().map(|m| m.due_at).collect()))
        .column(
            "hd",
            Column::MaybeText(messages.iter().map(|m| m.template_hold.as_deref()).collect()),
        )
        .column("cl", Column::Uuid(vec![claim.claim; messages.len()]))
        .execute(
            session,
            "update outbound set state = 'due', due_at = k.at, template_hold = k.hd, worker_id = null, claim_id = null from k
             where outbound.organization_id = k.o and outbound.message_id = k.i
             and outbound.state = 'claimed' and outbound.claim_id = k.cl",
        )
        .await
}

/// Gives back everything that is still held under a claim, of which nothing has left, and closes the attempts that were
/// opened for it.
pub async fn let_go(
    session: &mut Session,
    lane: Lane,
    claim: ClaimId,
    now: Timestamp,
) -> Result<(), StoreError> {
    // A claim of which nobody heard whether it was written may be at it still: it holds the lane.
    if lanes::lock(session, lane).await?.is_none() {
        return Ok(());
    }
    let sql = "update outbound set state = 'due', worker_id = null, claim_id = null
               where organization_id = $1 and channel = $2 and state = 'claimed' and claim_id = $3
               returning message_id";
    let ids: Vec<MessageId> = on!(session, |c| {
        let query = sqlx::query_scalar(sql).bind(lane.organization_id).bind(lane.channel.word());
        query.bind(claim.claim).fetch_all(c).await
    })?;
    if ids.is_empty() {
        return Ok(());
    }
    Rows::new()
        .column("o", Column::Uuid(vec![lane.organization_id.0; ids.len()]))
        .column("i", Column::Uuid(ids.iter().map(|id| id.0).collect()))
        .column("at", Column::Time(vec![now; ids.len()]))
        .execute(
            session,
            "update send_attempts set finished_at = k.at, outcome = 'transient',
             detail = 'the database went away before the request left' from k
             where send_attempts.organization_id = k.o and send_attempts.message_id = k.i
             and send_attempts.finished_at is null",
        )
        .await?;
    lanes::wake(session, lane, now).await
}

/// When the next message of a lane is due.
pub async fn next_due(session: &mut Session, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
    // Two look-ups at the ends of an index, where a minimum over both would read all of it.
    let sql = dialect!(session,
        sqlite: "select min(due_at) from (
                     select * from (select due_at from outbound where organization_id = $1 and channel = $2
                         and state = 'due' and bulk = false order by due_at limit 1)
                     union all
                     select * from (select due_at from outbound where organization_id = $1 and channel = $2
                         and state = 'due' and bulk = true order by due_at limit 1))",
        postgres: "select min(due_at) from (
                     (select due_at from outbound where organization_id = $1 and channel = $2
                         and state = 'due' and bulk = false order by due_at limit 1)
                     union all
                     (select due_at from outbound where organization_id = $1 and channel = $2
                         and state = 'due' and bulk = true order by due_at limit 1)) firsts",
    );
    Ok(on!(session, |c| {
        let query = sqlx::query_scalar(sql).bind(lane.organization_id).bind(lane.channel.word());
        query.fetch_one(c).await
    })?)
}
