//! The two engines and their pools.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgConnection, PgPool};

use super::intake::{self, Memory};
use super::jobs::JobPool;
use super::lender::Lender;
use super::limits::Readers;
use super::session::{Held, on};
use super::writer::{Class, Writer};
use super::{Session, StoreError, migrations};
use crate::model::OrganizationId;

/// How long a request waits for a free connection before it is told that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections the job queue has: one listens, one fetches, one hands in.
const JOB_CONNECTIONS: u32 = 3;

/// How many connections the schema's owner has: for migrations, the first start and the command line.
const OWNER_CONNECTIONS: u32 = 2;

/// Intake's statements look up and write a few dozen rows by their keys, over and over. They are planned once, and always
/// by index: a plan that was made while a table was empty would read the whole table once it is full.
const INTAKE_PLANS: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// Which database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// For production.
    Postgres,
}

/// The gateway's database.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    /// The people that this process has met lately.
    pub(super) people: Arc<Memory>,
}

#[derive(Debug, Clone)]
enum Database {
    Sqlite { readers: Readers, writer: Writer },
    Postgres { api: Lender, intake: Lender, jobs: PgPool, owner: Lender },
}

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: SecretString,
    /// Logins of their own for the API and for intake, where wanted.
    pub roles: PostgresRoles,
    /// How many connections the API may use (SQLite: readers).
    pub connections: u32,
    /// How many connections intake may use.
    pub intake_connections: u32,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// SQLite: a commit survives power loss, not only a crash of the process.
    pub sqlite_full_sync: bool,
}

/// PostgreSQL logins other than the owner's. Without them the owner's connections change into the roles
/// `switchboard_app` and `switchboard_intake`.
#[derive(Debug, Clone, Default)]
pub struct PostgresRoles {
    /// For the API.
    pub api_url: Option<SecretString>,
    /// For intake and sweeps.
    pub intake_url: Option<SecretString>,
}

impl Store {
    /// Opens the database. SQLite files are made if they do not exist. Nothing is migrated.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let url = options.url.expose_secret();
        let database = if url.starts_with("sqlite:") {
            open_sqlite(url, options).await?
        } else {
            open_postgres(url, options)?
        };
        Ok(Self { database, people: Arc::new(intake::memory()) })
    }

    /// The file of a SQLite database; `None` of one in memory, and of PostgreSQL.
    pub fn file(url: &SecretString) -> Option<PathBuf> {
        let url = url.expose_secret();
        if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
            return None;
        }
        let options = SqliteConnectOptions::from_str(url).ok()?;
        Some(options.get_filename().to_owned())
    }

    /// Connects to PostgreSQL once and without a pool, which tries again until its time is over and then cannot say why.
    pub async fn reach(url: &SecretString) -> Result<(), StoreError> {
        let url = url.expose_secret();
        if url.starts_with("sqlite:") {
            return Ok(());
        }
        let connecting = PgConnection::connect(url);
        match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await {
            Ok(connection) => Ok(connection?.close().await?),
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
        }
    }

    /// Brings the schema up to date. Safe to run by several processes at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite { writer, .. } => migrations::migrate_sqlite(writer.pool()).await,
            Database::Postgres { owner, .. } => migrations::migrate_postgres(owner.pool()).await,
        }
    }

    /// The newest migration this database has, and the newest this program knows.
    pub async fn schema_version(&self) -> Result<(Option<i64>, i64), StoreError> {
        let applied = match &self.database {
            Database::Sqlite { readers, .. } => {
                migrations::applied(&mut *readers.acquire().await?).await
            }
            Database::Postgres { owner, .. } => {
                migrations::applied(owner.lend().await?.connection()).await
            }
        };
        Ok((applied, migrations::newest()))
    }

    /// The connections of the job queue: at work with the rights of intake (SQLite: the one writer), or, to change its
    /// tables, as their owner.
    pub fn job_pool(&self, as_owner: bool) -> JobPool {
        match &self.database {
            Database::Sqlite { writer, .. } => JobPool::Sqlite(writer.pool().clone()),
            Database::Postgres { owner, .. } if as_owner => JobPool::Postgres(owner.pool().clone()),
            Database::Postgres { jobs, .. } => JobPool::Postgres(jobs.clone()),
        }
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        match self.database {
            Database::Sqlite { .. } => Engine::Sqlite,
            Database::Postgres { .. } => Engine::Postgres,
        }
    }

    /// A session that reads rows of one organization.
    pub async fn read(&self, organization: OrganizationId) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { readers, .. } => Held::SqliteRead(readers.acquire().await?),
            Database::Postgres { api, .. } => {
                // A connection keeps its last organization; each session sets its own before anything else.
                let scope = format!("set switchboard.organization_id = '{organization}'");
                Held::PostgresRead(api.lend_with(&scope).await?)
            }
        }))
    }

    /// A transaction that writes rows of one organization.
    pub async fn write(&self, organization: OrganizationId) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { writer, .. } => Held::SqliteWrite(writer.begin(Class::Other).await?),
            Database::Postgres { api, .. } => {
                let scope = format!("set switchboard.organization_id = '{organization}'; begin");
                Held::PostgresWrite(api.begin_with(&scope).await?)
            }
        }))
    }

    /// A session that reads across organizations, with the rights of intake.
    pub async fn read_all(&self) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { readers, .. } => Held::SqliteRead(readers.acquire().await?),
            Database::Postgres { intake, .. } => {
                Held::PostgresRead(intake.lend_with("select 1").await?)
            }
        }))
    }

    /// A connection with the rights of intake on which nothing was tried yet: it may turn out to be broken.
    pub(super) async fn untried(&self) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { writer, .. } => Held::SqliteRead(writer.pool().acquire().await?),
            Database::Postgres { intake, .. } => Held::PostgresRead(intake.lend().await?),
        }))
    }

    /// A connection to read rows of one organization on, with a statement that sets that organization itself. It may turn
    /// out to be broken.
    pub(super) async fn untried_read(&self) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { readers, .. } => Held::SqliteRead(readers.acquire().await?),
            Database::Postgres { api, .. } => Held::PostgresRead(api.lend().await?),
        }))
    }

    /// How many connections the API has, any of which may turn out to be broken.
    pub(super) fn api_connections(&self) -> u32 {
        match &self.database {
            Database::Sqlite { readers, .. } => readers.size(),
            Database::Postgres { api, .. } => api.size(),
        }
    }

    /// How many connections intake has, any of which may turn out to be broken.
    pub(super) fn intake_connections(&self) -> u32 {
        match &self.database {
            Database::Sqlite { writer, .. } => writer.pool().size(),
            Database::Postgres { intake, .. } => intake.size(),
        }
    }

    /// A transaction that writes across organizations, with the rights of intake.
    pub async fn write_all(&self) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { writer, .. } => Held::SqliteWrite(writer.begin(Class::Other).await?),
            Database::Postgres { intake, .. } => {
                Held::PostgresWrite(intake.begin_with("begin").await?)
            }
        }))
    }

    /// The same for the batcher, for which webhooks wait: on SQLite it goes before everybody else in line for the one writer.
    pub(super) async fn write_intake(&self) -> Result<Session, StoreError> {
        match &self.database {
            Database::Sqlite { writer, .. } => {
                Ok(Session(Held::SqliteWrite(writer.begin(Class::Intake).await?)))
            }
            Database::Postgres { .. } => self.write_all().await,
        }
    }

    /// A transaction with the rights of the schema's owner: creating organizations, re-wrapping keys. For the command
    /// line and the first start only.
    pub async fn write_as_owner(&self) -> Result<Session, StoreError> {
        Ok(Session(match &self.database {
            Database::Sqlite { writer, .. } => Held::SqliteWrite(writer.begin(Class::Other).await?),
            Database::Postgres { owner, .. } => {
                Held::PostgresWrite(owner.begin_with("begin").await?)
            }
        }))
    }

    /// Asks the database for its time: proves that it answers, and shows how far the clocks are apart.
    pub async fn ping(&self) -> Result<crate::clock::Timestamp, StoreError> {
        let mut session = self.read_all().await?;
        let sql = super::session::dialect!(session,
            sqlite: "select strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
            postgres: "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        );
        let text: String = on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?;
        text.parse().map_err(|_| StoreError::Damaged(format!("the database's time `{text}`")))
    }

    /// Closes all connections once they are given back.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres { api, intake, jobs, owner } => {
                api.close().await;
                intake.close().await;
                jobs.close().await;
                owner.close().await;
            }
        }
    }
}

async fn open_sqlite(url: &str, options: &StoreOptions) -> Result<Database, StoreError> {
    let synchronous = match options.sqlite_full_sync {
        true => SqliteSynchronous::Full,
        false => SqliteSynchronous::Normal,
    };
    let connect = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(options.statement_timeout)
        .statement_cache_capacity(256)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-8000")
        .pragma("temp_store", "memory");
    let writer = Writer::open(connect.clone(), ACQUIRE_TIMEOUT).await?;
    let readers = SqlitePoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_connections(options.connections)
        .test_before_acquire(false)
        .connect_lazy_with(connect.read_only(false).pragma("query_only", "on"));
    let readers = Readers::new(readers, options.statement_timeout);
    Ok(Database::Sqlite { readers, writer })
}

fn open_postgres(url: &str, options: &StoreOptions) -> Result<Database, StoreError> {
    let timeout = options.statement_timeout.as_millis().to_string();
    let settings = |connect: PgConnectOptions| {
        connect
            .application_name("switchboard")
            .statement_cache_capacity(256)
            .options([("statement_timeout", timeout.as_str())])
            .options([("idle_in_transaction_session_timeout", "60000")])
    };
    let owner = PgConnectOptions::from_str(url)?;
    let login = |own: &Option<SecretString>, role: &str| -> Result<PgConnectOptions, StoreError> {
        Ok(match own {
            Some(url) => settings(PgConnectOptions::from_str(url.expose_secret())?),
            None => settings(owner.clone()).options([("role", role)]),
        })
    };
    let pool = PgPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false);
    let api = login(&options.roles.api_url, "switchboard_app")?;
    let jobs = login(&options.roles.intake_url, "switchboard_intake")?;
    let intake = jobs.clone().options(INTAKE_PLANS);
    let lender = |connect: PgConnectOptions, count: u32| {
        Lender::new(
            pool.clone().max_connections(count).connect_lazy_with(connect),
            count,
            ACQUIRE_TIMEOUT,
        )
    };
    let owner = owner.application_name("switchboard-owner");
    let owner_pool =
        pool.clone().max_connections(OWNER_CONNECTIONS).idle_timeout(Duration::from_secs(10));
    Ok(Database::Postgres {
        api: lender(api, options.connections),
        intake: lender(intake, options.intake_connections),
        owner: Lender::new(owner_pool.connect_lazy_with(owner), OWNER_CONNECTIONS, ACQUIRE_TIMEOUT),
        // The job queue takes what it is given: a connection that died with the server would end its worker.
        jobs: pool
            .max_connections(JOB_CONNECTIONS)
            .test_before_acquire(true)
            .connect_lazy_with(jobs),
    })
}
