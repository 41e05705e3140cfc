//! The second cluster of `tests/run`, which may be stopped and started: by one test at a time.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::{Database, Kind};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The cluster, and a database in it.
pub struct Restarted {
    control: String,
    pub database: Database,
    _alone: MutexGuard<'static, ()>,
}

impl Restarted {
    pub async fn create(name: &str) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let missing = "TEST_POSTGRES_CTL and …_RESTARTED are not set: run ./tests/run";
        let control = std::env::var("TEST_POSTGRES_CTL").expect(missing);
        let cluster = std::env::var("TEST_POSTGRES_RESTARTED").expect(missing);
        let mut database = Database::create(Kind::Sqlite).await;
        let mut connection = PgConnection::connect(&format!("{cluster}/postgres")).await.unwrap();
        for sql in [
            format!("drop database if exists restarted_{name} with (force)"),
            format!("create database restarted_{name}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        database.kind = Kind::Postgres;
        database.url = format!("{cluster}/restarted_{name}");
        Self { control, database, _alone: alone }
    }

    pub async fn control(&self, what: &'static str) {
        let control = self.control.clone();
        let done = tokio::task::spawn_blocking(move || {
            std::process::Command::new(control).arg(what).status().unwrap().success()
        });
        assert!(done.await.unwrap(), "PostgreSQL does not {what}");
    }
}
