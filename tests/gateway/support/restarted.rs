//! The second cluster of `tests/run`, which may be stopped and started, by one test at a time.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::{Database, Kind};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A database in it.
pub struct Restarted {
    pub database: Database,
    control: String,
    _turn: MutexGuard<'static, ()>,
}

impl Restarted {
    pub async fn create() -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let missing = "TEST_POSTGRES_CTL and …_RESTARTED are not set: run ./tests/run";
        let control = std::env::var("TEST_POSTGRES_CTL").expect(missing);
        let cluster = std::env::var("TEST_POSTGRES_RESTARTED").expect(missing);
        let mut database = Database::create(Kind::Sqlite).await;
        let name = database.folder.file_name().unwrap().to_string_lossy().into_owned();
        let mut admin = PgConnection::connect(&format!("{cluster}/postgres")).await.unwrap();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        database.kind = Kind::Postgres;
        database.url = format!("{cluster}/{name}");
        Self { database, control, _turn: turn }
    }

    /// `stop`, `crash` (without a word to those who are connected) or `start`.
    pub async fn control(&self, what: &'static str) {
        let control = self.control.clone();
        let done = tokio::task::spawn_blocking(move || {
            std::process::Command::new(control).arg(what).status().unwrap().success()
        });
        assert!(done.await.unwrap(), "PostgreSQL does not {what}");
    }
}
