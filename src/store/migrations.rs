//! The schema, embedded: the same names in the same order on both engines.

use sqlx::migrate::{Migrate, Migrator};

use super::StoreError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

pub(super) async fn migrate_sqlite(pool: &sqlx::SqlitePool) -> Result<(), StoreError> {
    SQLITE.run(pool).await.map_err(refused)
}

pub(super) async fn migrate_postgres(pool: &sqlx::PgPool) -> Result<(), StoreError> {
    POSTGRES.run(pool).await.map_err(refused)
}

/// The number of the newest migration that this program knows.
pub(super) fn newest() -> i64 {
    POSTGRES.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The number of the newest migration that a database has, if any.
pub(super) async fn applied<C: Migrate>(connection: &mut C) -> Option<i64> {
    let applied = connection.list_applied_migrations("_sqlx_migrations").await.ok()?;
    applied.iter().map(|migration| migration.version).max()
}

fn refused(error: sqlx::migrate::MigrateError) -> StoreError {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => error.into(),
        other => StoreError::Refused(sqlx::Error::Migrate(Box::new(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_migrations() {
        let names = |migrator: &Migrator| -> Vec<(i64, String)> {
            migrator.iter().map(|m| (m.version, m.description.to_string())).collect()
        };
        assert_eq!(names(&SQLITE), names(&POSTGRES));
    }
    /// What `.cargo/config.toml` asks for. A program that is built from another folder works too, but its readers wait for one
    /// another.
    #[tokio::test]
    async fn sqlite_is_built_without_locks_that_connections_share() {
        let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
        let options: Vec<String> =
            sqlx::query_scalar("pragma compile_options").fetch_all(&pool).await.unwrap();
        for option in ["ENABLE_MEMORY_MANAGEMENT", "ENABLE_STAT4"] {
            assert!(!options.iter().any(|one| one == option), "{option}");
        }
        assert!(options.iter().any(|one| one == "DEFAULT_MEMSTATUS=0"), "{options:?}");
    }

    /// Without the figures of migrations 11 and 17, SQLite reads all rows of an organization for each of these.
    #[tokio::test]
    async fn sqlite_takes_the_index_of_what_is_asked_for() {
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        migrate_sqlite(&pool).await.unwrap();
        let cases = [
            (
                "select * from contact_identities where organization_id = ? and kind = ? and match_key = ?",
                "contact_identities_value",
            ),
            (
                "select * from contact_identities where organization_id = ? and contact_id = ?",
                "contact_identities_contact",
            ),
            (
                "select * from messages where organization_id = ? and identity_id = ? and id >= ?",
                "messages_person",
            ),
            (
                "select * from messages where organization_id = ? and provider_ref = ?",
                "messages_provider_ref",
            ),
            ("select * from call_logs where organization_id = ? and provider_ref = ?", "call_logs_provider_ref"),
            (
                "select * from call_logs where organization_id = ? and place < ? order by place desc limit 10",
                "call_logs_place",
            ),
            (
                "select * from call_logs where organization_id = ? and identity_id = ? and place >= ?",
                "call_logs_person",
            ),
            ("select * from leads where organization_id = ? and contact_id = ?", "leads_contact"),
            (
                "select * from outbound where organization_id = ? and state = 'dead' and message_id < ?
                 order by message_id desc limit 10",
                "outbound_dead",
            ),
        ];
        for (sql, index) in cases {
            let plan = sqlx::AssertSqlSafe(format!("explain query plan {sql}"));
            let rows: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(plan).fetch_all(&pool).await.unwrap();
            assert!(rows.iter().any(|(.., step)| step.contains(index)), "{sql}: {rows:?}");
        }
    }
}
