//! `lanes`, `lane_pairs`: how fast an organization may send on a channel, shared by all processes of one database.

use providers::{Channel, PairPace};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{IdentityId, Lane, OrganizationId};
use crate::store::bulk::{Column, Rows};
use crate::store::session::{dialect, on};
use crate::store::{Session, StoreError, types};

/// How far ahead of ours another process's clock may be. What lies further ahead was written before the clock was set back.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// A lane as it stands. Whoever changes it has locked it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct LaneRow {
    /// When the first message is due; `None` when none waits.
    pub due_at: Option<Timestamp>,
    /// When somebody was last called to it or took from it; `None` once it was found empty.
    pub awake_at: Option<Timestamp>,
    /// What is in the bucket.
    pub tokens: f64,
    /// When the bucket was last filled.
    pub refilled_at: Timestamp,
    /// The share of its pace that it may use.
    pub factor: f64,
    /// When the share last changed.
    pub slowed_at: Timestamp,
    /// Nothing is sent before this.
    pub paused_until: Option<Timestamp>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Whether its account refused everything when it was last tried.
    pub unwell: bool,
    /// People who never wrote to us that were written to on this day.
    pub first_contacts: i64,
    /// The day, UTC.
    pub first_contacts_day: Option<String>,
    /// While it is unwell: whether its trouble was told by a status, so that being taken proves nothing.
    pub told_later: bool,
    /// The message that tries the account then, until it is known what became of it, and since when.
    pub probe_id: Option<Uuid>,
    /// Since when.
    pub probed_at: Option<Timestamp>,
    /// When its account was last found unwell, or well again. What had left before says nothing new.
    pub judged_at: Option<Timestamp>,
    /// How often in a row it rested because people complained.
    pub rests: i64,
    /// Until when it last rested for that.
    pub rested_until: Option<Timestamp>,
}

/// A lane in which something is due, and nobody is at it.
#[derive(Debug, Clone, Copy)]
pub struct Asleep {
    /// The lane.
    pub lane: Lane,
    /// Somebody was called to it, or was at it, and does not come any more.
    pub abandoned: bool,
}

/// Says that something is due in a lane. The lane is made if it is new, with a bucket that holds as much as there is room
/// for: whoever takes from it knows how much that is.
pub async fn wake(session: &mut Session, lane: Lane, at: Timestamp) -> Result<(), StoreError> {
    let sql = "insert into lanes (organization_id, channel, due_at, tokens, refilled_at, factor, slowed_at)
               values ($1, $2, $3, 1000000, $3, 1, $3)
               on conflict (organization_id, channel) do update set due_at = excluded.due_at
               where lanes.due_at is null or lanes.due_at > excluded.due_at";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(lane.organization_id).bind(lane.channel.word());
        query.bind(at).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// A lane, locked. `None` if nothing was ever sent on it.
pub async fn lock(session: &mut Session, lane: Lane) -> Result<Option<LaneRow>, StoreError> {
    let sql = format!("select {COLUMNS} from lanes where organization_id = $1 and channel = $2");
    let sql = session.locking(&sql);
    let sql = sqlx::AssertSqlSafe(sql);
    Ok(on!(session, |c| {
        let query = sqlx::query_as(sql).bind(lane.organization_id).bind(lane.channel.word());
        query.fetch_optional(c).await
    })?)
}

/// What [`LaneRow`] is read from.
const COLUMNS: &str = "due_at, awake_at, tokens, refilled_at, factor, slowed_at,
     paused_until, pause_reason, unwell, first_contacts, first_contacts_day, told_later, probe_id, probed_at, judged_at,
     rests, rested_until";

/// Writes a lane that was locked.
pub async fn put(session: &mut Session, lane: Lane, row: &LaneRow) -> Result<(), StoreError> {
    let sql =
        "update lanes set due_at = $3, tokens = $4, refilled_at = $5, factor = $6, slowed_at = $7,
               paused_until = $8, pause_reason = $9, first_contacts = $10, first_contacts_day = $11, unwell = $12, awake_at = $13,
               told_later = $14, probe_id = $15, probed_at = $16, judged_at = $17, rests = $18, rested_until = $19
               where organization_id = $1 and channel = $2";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(lane.organization_id).bind(lane.channel.word());
        let query = query.bind(row.due_at).bind(row.tokens).bind(row.refilled_at);
        let query = query.bind(row.factor).bind(row.slowed_at).bind(row.paused_until);
        let query = query.bind(&row.pause_reason).bind(row.first_contacts);
        let query = query.bind(&row.first_contacts_day).bind(row.unwell).bind(row.awake_at);
        let query = query.bind(row.told_later).bind(row.probe_id).bind(row.probed_at);
        let query = query.bind(row.judged_at).bind(row.rests).bind(row.rested_until);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// All lanes of an organization.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Vec<(Channel, LaneRow)>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Found {
        channel: String,
        #[sqlx(flatten)]
        row: LaneRow,
    }
    let sql = format!("select channel, {COLUMNS} from lanes where organization_id = $1");
    let sql = sqlx::AssertSqlSafe(sql);
    let found: Vec<Found> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_all(c).await)?;
    found.into_iter().map(|found| Ok((types::channel(&found.channel)?, found.row))).collect()
}

/// Lanes in which something is due now, and to which nobody was called since `stale`; the longest due first.
pub async fn asleep(
    session: &mut Session,
    now: Timestamp,
    stale: Timestamp,
    limit: i64,
) -> Result<Vec<Asleep>, StoreError> {
    let sql = "select organization_id, channel, awake_at is not null from lanes
               where due_at <= $1 and (paused_until is null or paused_until <= $1)
               and (awake_at is null or awake_at <= $2 or awake_at > $4)
               order by due_at limit $3 /* every organization: whoever sends */";
    let found: Vec<(OrganizationId, String, bool)> = on!(session, |c| {
        sqlx::query_as(sql).bind(now).bind(stale).bind(limit).bind(now + SKEW).fetch_all(c).await
    })?;
    let asleep = |(organization_id, channel, abandoned): (OrganizationId, String, bool)| {
        let lane = Lane { organization_id, channel: types::channel(&channel)? };
        Ok(Asleep { lane, abandoned })
    };
    found.into_iter().map(asleep).collect()
}

/// The same lanes, each of which counts as awake from now on: somebody is called. Of several processes that do this at
/// once, one gets each lane. A lane that somebody has locked is left out: whoever takes from it sees what is due.
pub async fn rouse(
    session: &mut Session,
    now: Timestamp,
    stale: Timestamp,
    limit: i64,
) -> Result<Vec<Lane>, StoreError> {
    let sql = dialect!(session,
        sqlite: "update lanes set awake_at = $1 where (organization_id, channel) in (
                     select organization_id, channel from lanes
                     where due_at <= $1 and (paused_until is null or paused_until <= $1)
                     and (awake_at is null or awake_at <= $2 or awake_at > $4) order by due_at limit $3)
                 returning organization_id, channel /* every organization: whoever is called */",
        postgres: "update lanes set awake_at = $1 where (organization_id, channel) in (
                     select organization_id, channel from lanes
                     where due_at <= $1 and (paused_until is null or paused_until <= $1)
                     and (awake_at is null or awake_at <= $2 or awake_at > $4) order by due_at limit $3 for update skip locked)
                 returning organization_id, channel /* every organization: whoever is called */",
    );
    let found: Vec<(OrganizationId, String)> = on!(session, |c| {
        sqlx::query_as(sql).bind(now).bind(stale).bind(limit).bind(now + SKEW).fetch_all(c).await
    })?;
    let lane = |(organization_id, channel): (OrganizationId, String)| {
        Ok(Lane { organization_id, channel: types::channel(&channel)? })
    };
    found.into_iter().map(lane).collect()
}

/// Takes one token for each of these recipients. Returns, for each, when it may be written to: now, or later if its bucket
/// is empty, in which case nothing was taken. A recipient that stands there twice is asked for twice.
pub async fn take_pairs(
    session: &mut Session,
    lane: Lane,
    pace: PairPace,
    recipients: &[IdentityId],
    now: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let rows = Rows::new()
        .column("o", Column::Uuid(vec![lane.organization_id.0; recipients.len()]))
        .column("c", Column::Text(vec![lane.channel.word(); recipients.len()]))
        .column("i", Column::Uuid(recipients.iter().map(|identity| identity.0).collect()));
    let found: Vec<(Uuid, f64, Timestamp)> = rows
        .query(
            session,
            "select distinct p.identity_id, p.tokens, p.refilled_at from k join lane_pairs p
             on p.organization_id = k.o and p.channel = k.c and p.identity_id = k.i",
        )
        .await?;
    let mut buckets: std::collections::BTreeMap<Uuid, f64> = std::collections::BTreeMap::new();
    let every = pace.every.as_secs_f64().max(0.001);
    for (identity, tokens, refilled_at) in found {
        let passed = seconds(now - refilled_at);
        buckets.insert(identity, (tokens + passed / every).min(pace.burst));
    }
    let mut free_at = Vec::with_capacity(recipients.len());
    for identity in recipients {
        let tokens = buckets.entry(identity.0).or_insert(pace.burst);
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            free_at.push(now);
        } else {
            free_at.push(now + span((1.0 - *tokens) * every));
        }
    }
    Rows::new()
        .column("organization_id", Column::Uuid(vec![lane.organization_id.0; buckets.len()]))
        .column("channel", Column::Text(vec![lane.channel.word(); buckets.len()]))
        .column("identity_id", Column::Uuid(buckets.keys().copied().collect()))
        .column("tokens", Column::Float(buckets.values().copied().collect()))
        .column("refilled_at", Column::Time(vec![now; buckets.len()]))
        .insert(
            session,
            "lane_pairs",
            "on conflict (organization_id, channel, identity_id)
             do update set tokens = excluded.tokens, refilled_at = excluded.refilled_at",
        )
        .await?;
    Ok(free_at)
}

/// A time span in seconds, never negative: clocks go back.
pub fn seconds(span: chrono::TimeDelta) -> f64 {
    span.to_std().map_or(0.0, |span| span.as_secs_f64())
}

/// That many seconds, at least a millisecond.
pub fn span(seconds: f64) -> chrono::TimeDelta {
    let span = std::time::Duration::try_from_secs_f64(seconds.max(0.001)).unwrap_or_default();
    chrono::TimeDelta::from_std(span).unwrap_or_default()
}
