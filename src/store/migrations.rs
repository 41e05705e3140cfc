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
}
