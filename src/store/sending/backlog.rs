//! How much waits to be sent, in all organizations together: figures for metrics, at a bounded cost.

use crate::clock::Timestamp;
use crate::model::QueueState;
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// How far messages of one state are counted. Each is an entry of a small index of its own.
pub const COUNTED: i64 = 100_000;

/// The states that something can wait in.
const STATES: [QueueState; 4] =
    [QueueState::Due, QueueState::Claimed, QueueState::Unknown, QueueState::Dead];

/// What waits, and what holds it back.
#[derive(Debug, Clone)]
pub struct Backlog {
    /// How many messages are in each state, at most [`COUNTED`].
    pub depth: Vec<(QueueState, i64)>,
    /// When the longest due message was due; `None` if none waits.
    pub oldest: Option<Timestamp>,
    /// How many lanes rest.
    pub paused: i64,
    /// How many lanes have an account that refuses everything.
    pub unwell: i64,
}

/// Measures it.
pub async fn measure(session: &mut Session, now: Timestamp) -> Result<Backlog, StoreError> {
    let mut depth = Vec::with_capacity(STATES.len());
    for state in STATES {
        // The state stands in the text, so that the index of that state is found.
        let sql = sqlx::AssertSqlSafe(format!(
            "select count(*) from (select 1 as one from outbound where state = '{}' limit $1) counted
             /* every organization: a metric */",
            state.word()
        ));
        let count: i64 =
            on!(session, |c| sqlx::query_scalar(sql).bind(COUNTED).fetch_one(c).await)?;
        depth.push((state, count));
    }
    let sql = "select min(due_at), count(*) filter (where paused_until > $1), count(*) filter (where unwell)
               from lanes /* every organization: a metric */";
    let (oldest, paused, unwell): (Option<Timestamp>, i64, i64) =
        on!(session, |c| sqlx::query_as(sql).bind(now).fetch_one(c).await)?;
    Ok(Backlog { depth, oldest, paused, unwell })
}
