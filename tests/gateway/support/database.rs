//! A database for one test. SQLite: a file. PostgreSQL: a copy of a template, in the cluster that `tests/run` started.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use switchboard::store::{PostgresRoles, Store, StoreOptions};
use tokio::sync::{Mutex, OnceCell};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A database of a test's own.
#[derive(Debug, Clone)]
pub struct Database {
    pub kind: Kind,
    pub url: String,
    pub folder: PathBuf,
}

static COUNT: AtomicU32 = AtomicU32::new(0);
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static CREATING: Mutex<()> = Mutex::const_new(());

/// The throw-away cluster, as its superuser: `postgres://USER@HOST:PORT`.
pub fn cluster() -> String {
    std::env::var("TEST_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "TEST_POSTGRES is not set: run ./tests/run, which starts a throw-away PostgreSQL and runs \
             everything (or set it to postgres://SUPERUSER@HOST:PORT of a cluster that may be filled with databases)"
        )
    })
}

impl Database {
    pub async fn create(kind: Kind) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("switchboard_test_{}_{number}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let url = match kind {
            Kind::Sqlite => format!("sqlite:{}", folder.join("switchboard.db").display()),
            Kind::Postgres => {
                let template = TEMPLATE.get_or_init(create_template).await;
                let _one_at_a_time = CREATING.lock().await;
                admin(&format!(
                    "create database {name} template {template} owner switchboard_test_owner"
                ))
                .await;
                owner_url(&name)
            }
        };
        Self { kind, url, folder }
    }

    /// One without a schema.
    pub async fn empty(kind: Kind) -> Self {
        let database = Self::create(kind).await;
        match kind {
            // A file that is made when somebody connects.
            Kind::Sqlite => database,
            Kind::Postgres => {
                TEMPLATE.get_or_init(create_template).await;
                let name = format!("{}_empty", database.folder.file_name().unwrap().display());
                admin(&format!("create database {name} owner switchboard_test_owner")).await;
                Self { url: owner_url(&name), ..database }
            }
        }
    }

    /// Runs SQL as the owner of the schema.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// One number, as the owner of the schema sees it.
    pub async fn scalar(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// One text, as the owner of the schema sees it.
    pub async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }
}

/// The owner is no superuser: what works here works in production.
fn owner_url(database: &str) -> String {
    let cluster = cluster();
    let host = cluster.rsplit('@').next().unwrap();
    format!("postgres://switchboard_test_owner:test@{host}/{database}")
}

async fn create_template() -> String {
    let name = format!("switchboard_template_{}", std::process::id());
    admin(
        "do $$ begin
             create role switchboard_test_owner login password 'test' createrole;
         exception when duplicate_object or unique_violation then null; end $$",
    )
    .await;
    admin(&format!("create database {name} owner switchboard_test_owner")).await;
    let options = StoreOptions {
        url: SecretString::from(owner_url(&name)),
        roles: PostgresRoles::default(),
        connections: 1,
        intake_connections: 1,
        statement_timeout: std::time::Duration::from_secs(30),
        sqlite_full_sync: false,
    };
    let store = Store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    name
}

async fn admin(sql: &str) {
    let mut connection = PgConnection::connect(&format!("{}/postgres", cluster())).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
