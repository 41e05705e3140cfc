//! A connection in use: for which organization, on which engine, in a transaction or not.

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Sqlite, SqliteConnection};

use super::lender::{Begun, Lent};
use super::writer::Writing;
use super::{Engine, StoreError};

/// A connection in use. A writing session must be [`committed`](Session::commit); dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Session(pub(super) Held);

#[derive(Debug)]
pub(super) enum Held {
    SqliteRead(PoolConnection<Sqlite>),
    SqliteWrite(Writing),
    PostgresRead(Lent),
    PostgresWrite(Begun),
}

/// The connection itself, by engine.
pub(super) enum Connection<'s> {
    Sqlite(&'s mut SqliteConnection),
    Postgres(&'s mut PgConnection),
}

impl Session {
    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        match self.0 {
            Held::SqliteRead(_) | Held::SqliteWrite(_) => Engine::Sqlite,
            Held::PostgresRead(_) | Held::PostgresWrite(_) => Engine::Postgres,
        }
    }

    /// The statement with a lock on the rows it reads, where this is a transaction and the engine locks rows.
    pub(super) fn locking(&self, sql: &str) -> String {
        match self.0 {
            Held::PostgresWrite(_) => format!("{sql} for update"),
            Held::SqliteRead(_) | Held::SqliteWrite(_) | Held::PostgresRead(_) => sql.to_owned(),
        }
    }

    /// Makes everything written in this session durable and visible.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            Held::SqliteWrite(writing) => writing.commit().await?,
            Held::PostgresWrite(begun) => begun.commit().await?,
            Held::SqliteRead(_) | Held::PostgresRead(_) => {}
        }
        Ok(())
    }

    /// Closes the connection, whatever state it is in.
    pub(super) fn abandon(self) {
        match self.0 {
            Held::SqliteRead(mut connection) => connection.close_on_drop(),
            Held::PostgresRead(lent) => lent.abandon(),
            // Rolled back when dropped.
            Held::SqliteWrite(_) | Held::PostgresWrite(_) => {}
        }
    }

    /// Gives the connection back untried: whoever calls this knows that its last statement ended well.
    pub(super) fn keep(self) {
        if let Held::PostgresRead(lent) = self.0 {
            lent.keep();
        }
    }

    pub(super) fn connection(&mut self) -> Connection<'_> {
        match &mut self.0 {
            Held::SqliteRead(connection) => Connection::Sqlite(connection),
            Held::SqliteWrite(writing) => Connection::Sqlite(writing.connection()),
            Held::PostgresRead(lent) => Connection::Postgres(lent.connection()),
            Held::PostgresWrite(begun) => Connection::Postgres(begun.connection()),
        }
    }
}

/// Runs one expression on whichever engine a session is of. The expression is compiled for both, so a query's row type
/// and parameters must suit both.
macro_rules! on {
    ($session:expr, |$connection:ident| $body:expr) => {
        match $session.connection() {
            $crate::store::session::Connection::Sqlite($connection) => $body,
            $crate::store::session::Connection::Postgres($connection) => $body,
        }
    };
}

/// Picks the SQL of a session's engine, where the dialects part.
macro_rules! dialect {
    ($session:expr, sqlite: $sqlite:expr, postgres: $postgres:expr $(,)?) => {
        match $session.engine() {
            $crate::store::Engine::Sqlite => $sqlite,
            $crate::store::Engine::Postgres => $postgres,
        }
    };
}

pub(super) use {dialect, on};
