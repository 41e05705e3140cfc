//! `timekeeping`: when a gateway was last alive and swept, and what an operator said of the clock. One row for all.

use uuid::Uuid;

use super::session::on;
use super::{Engine, Session, Store, StoreError};
use crate::clock::{Clock, Timestamp};

/// What is known of time beyond what a clock shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Timekeeping {
    /// When a gateway whose clock was believed last gave a sign of life.
    pub alive_at: Option<Timestamp>,
    /// The time at which the last sweep deleted what was too old.
    pub swept_at: Option<Timestamp>,
    /// What the clock showed last while it was not believed.
    pub doubted_at: Option<Timestamp>,
    /// For how long gateways have run with such a clock, in milliseconds.
    pub doubted_ms: i64,
    /// What the clock showed when it had jumped ahead under a running gateway.
    pub jumped_at: Option<Timestamp>,
    /// What the clock showed when an operator last said that it is right.
    pub right_at: Option<Timestamp>,
    /// An id of that word.
    pub right_id: Option<Uuid>,
}

/// Reads it, and how far `clock` is ahead of the database's, where that is a clock of its own: PostgreSQL's.
pub async fn read(
    store: &Store,
    clock: &Clock,
) -> Result<(Timekeeping, Option<chrono::TimeDelta>), StoreError> {
    let mut session = store.read_all().await?;
    let sql = "select alive_at, swept_at, doubted_at, doubted_ms, jumped_at, right_at, right_id from timekeeping
               where id = 1 /* every organization: time is everybody's */";
    let kept = on!(session, |c| sqlx::query_as(sql).fetch_one(c).await)?;
    drop(session);
    let ahead = match store.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => clock.ahead_of(store.ping().await?),
    };
    Ok((kept, ahead))
}

/// Notes that a gateway is alive whose clock is believed. A time that was noted before and is later stays.
pub async fn alive(session: &mut Session, now: Timestamp) -> Result<(), StoreError> {
    let sql = "update timekeeping set doubted_at = null, doubted_ms = 0, jumped_at = null,
               alive_at = case when alive_at > $1 then alive_at else $1 end
               where id = 1 /* every organization: time is everybody's */";
    bound(session, sql, now).await
}

/// Notes that a gateway runs whose clock is not believed, and for how long gateways have done so.
pub async fn doubted(session: &mut Session, shown: Timestamp, ms: i64) -> Result<(), StoreError> {
    let sql = "update timekeeping set doubted_at = $1, doubted_ms = $2
               where id = 1 /* every organization: time is everybody's */";
    on!(session, |c| sqlx::query(sql).bind(shown).bind(ms).execute(c).await.map(drop))?;
    Ok(())
}

/// Notes that the clock jumped ahead to what it shows.
pub async fn jumped(session: &mut Session, shown: Timestamp) -> Result<(), StoreError> {
    let sql = "update timekeeping set jumped_at = $1
               where id = 1 and jumped_at is null /* every organization: time is everybody's */";
    bound(session, sql, shown).await
}

/// Notes that what was too old at `now` is deleted.
pub async fn swept(session: &mut Session, now: Timestamp) -> Result<(), StoreError> {
    let sql = "update timekeeping set swept_at = $1
               where id = 1 /* every organization: time is everybody's */";
    bound(session, sql, now).await
}

/// Notes that an operator says that the clock, which shows `now`, is right.
pub async fn right(session: &mut Session, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
    let sql = "update timekeeping set right_at = $1, right_id = $2, alive_at = $1, doubted_at = null, doubted_ms = 0,
               jumped_at = null where id = 1 /* every organization: time is everybody's */";
    on!(session, |c| sqlx::query(sql).bind(now).bind(id).execute(c).await.map(drop))?;
    Ok(())
}

async fn bound(session: &mut Session, sql: &'static str, at: Timestamp) -> Result<(), StoreError> {
    on!(session, |c| sqlx::query(sql).bind(at).execute(c).await.map(drop))?;
    Ok(())
}
