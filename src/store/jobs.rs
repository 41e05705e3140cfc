//! What the job queue's own tables need from us. They are apalis' (made by its migrations, read and written by its
//! statements); this file knows their names, and nothing of what a job means.

use sqlx::{PgPool, SqlitePool};

use super::session::{dialect, on};
use super::{Session, StoreError};

/// The connections that the job queue works on.
#[derive(Debug, Clone)]
pub enum JobPool {
    /// SQLite's one writer.
    Sqlite(SqlitePool),
    /// A few of PostgreSQL's.
    Postgres(PgPool),
}

/// What intake's role needs to keep the queue, and nobody else has.
const RIGHTS: &str = "
    grant usage on schema apalis to switchboard_intake;
    grant select, insert, update, delete on all tables in schema apalis to switchboard_intake;
    grant execute on all functions in schema apalis to switchboard_intake;";

/// An acknowledgement walks every job that its worker ever finished, by this index; without it, it goes by the job's id.
const INDICES: &str = "
    drop index if exists LIdx;
    create index if not exists jobs_unfinished on Jobs (lock_by) where status in ('Queued', 'Running');";

/// Finishes what the queue's own migrations made: rights on PostgreSQL, indices on SQLite. May be done again and again.
pub async fn complete(session: &mut Session) -> Result<(), StoreError> {
    let sql = dialect!(session, sqlite: INDICES, postgres: RIGHTS);
    on!(session, |c| sqlx::raw_sql(sql).execute(c).await.map(drop))?;
    Ok(())
}

/// Deletes jobs that have served or that nobody came for within a minute, and workers not seen for ten. Returns how many
/// jobs that were.
pub async fn prune(session: &mut Session) -> Result<u64, StoreError> {
    let jobs = dialect!(session,
        sqlite: "delete from Jobs where status in ('Done', 'Killed', 'Failed')
                 or run_at < cast(strftime('%s', 'now') as integer) - 60 /* every organization: wake-ups */",
        postgres: "delete from apalis.jobs where status in ('Done', 'Killed', 'Failed')
                   or run_at < now() - interval '60 seconds' /* every organization: wake-ups */",
    );
    let workers = dialect!(session,
        sqlite: "delete from Workers where last_seen < cast(strftime('%s', 'now') as integer) - 600
                 and not exists (select 1 from Jobs where lock_by = Workers.id) /* every organization: processes */",
        postgres: "delete from apalis.workers w where w.last_seen < now() - interval '10 minutes'
                   and not exists (select 1 from apalis.jobs j where j.lock_by = w.id) /* every organization: processes */",
    );
    let pruned =
        on!(session, |c| sqlx::query(jobs).execute(c).await.map(|done| done.rows_affected()))?;
    on!(session, |c| sqlx::query(workers).execute(c).await.map(drop))?;
    Ok(pruned)
}
