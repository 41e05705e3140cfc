//! Many rows in one statement: arrays through `unnest` on PostgreSQL, several `values` on SQLite.

use std::fmt::Write;

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::session::Connection;
use super::{Session, StoreError};
use crate::clock::Timestamp;

/// SQLite statements are prepared for these numbers of rows; any number of rows is a sum of them, so that the statement
/// cache stays small.
const SQLITE_CHUNKS: [usize; 6] = [32, 16, 8, 4, 2, 1];

/// One column of all rows.
#[derive(Debug)]
pub(super) enum Column<'a> {
    Uuid(Vec<Uuid>),
    MaybeUuid(Vec<Option<Uuid>>),
    Text(Vec<&'a str>),
    MaybeText(Vec<Option<&'a str>>),
    Int(Vec<i64>),
    MaybeInt(Vec<Option<i64>>),
    Time(Vec<Timestamp>),
    MaybeTime(Vec<Option<Timestamp>>),
    Json(Vec<Option<Json<&'a Value>>>),
    Bytes(Vec<&'a [u8]>),
    MaybeBytes(Vec<Option<&'a [u8]>>),
    Bool(Vec<bool>),
    Float(Vec<f64>),
}

/// Rows, by column: values to insert, or keys to look up and change by.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    count: usize,
    columns: Vec<(&'static str, Column<'a>)>,
}

/// A type that rows of both engines can be read as.
pub(super) trait Fetched:
    Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow>
{
}

impl<T> Fetched for T where
    T: Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow>
{
}

impl Column<'_> {
    fn postgres_type(&self) -> &'static str {
        match self {
            Column::Uuid(_) | Column::MaybeUuid(_) => "uuid",
            Column::Text(_) | Column::MaybeText(_) => "text",
            Column::Int(_) | Column::MaybeInt(_) => "bigint",
            Column::Time(_) | Column::MaybeTime(_) => "timestamptz",
            Column::Json(_) => "jsonb",
            Column::Bytes(_) | Column::MaybeBytes(_) => "bytea",
            Column::Bool(_) => "boolean",
            Column::Float(_) => "double precision",
        }
    }

    fn len(&self) -> usize {
        match self {
            Column::Uuid(values) => values.len(),
            Column::MaybeUuid(values) => values.len(),
            Column::Text(values) => values.len(),
            Column::MaybeText(values) => values.len(),
            Column::Int(values) => values.len(),
            Column::MaybeInt(values) => values.len(),
            Column::Time(values) => values.len(),
            Column::MaybeTime(values) => values.len(),
            Column::Json(values) => values.len(),
            Column::Bytes(values) => values.len(),
            Column::MaybeBytes(values) => values.len(),
            Column::Bool(values) => values.len(),
            Column::Float(values) => values.len(),
        }
    }
}

/// Binds every column as one array.
macro_rules! bind_arrays {
    ($query:expr, $columns:expr) => {{
        let mut query = $query;
        for (_, column) in $columns {
            query = match column {
                Column::Uuid(values) => query.bind(values),
                Column::MaybeUuid(values) => query.bind(values),
                Column::Text(values) => query.bind(values),
                Column::MaybeText(values) => query.bind(values),
                Column::Int(values) => query.bind(values),
                Column::MaybeInt(values) => query.bind(values),
                Column::Time(values) => query.bind(values),
                Column::MaybeTime(values) => query.bind(values),
                Column::Json(values) => query.bind(values),
                Column::Bytes(values) => query.bind(values),
                Column::MaybeBytes(values) => query.bind(values),
                Column::Bool(values) => query.bind(values),
                Column::Float(values) => query.bind(values),
            };
        }
        query
    }};
}

/// Binds all columns of several sets of rows to a statement that was written by hand, in their order.
macro_rules! bind_all {
    ($query:expr, $($rows:expr),+) => {{
        let query = $query;
        $(let query = $crate::store::bulk::bind_arrays!(query, $rows.into_columns());)+
        query
    }};
}

pub(super) use {bind_all, bind_arrays};

/// Binds the cells of rows `$from..$to`, row by row.
macro_rules! bind_cells {
    ($query:expr, $columns:expr, $rows:expr) => {{
        let mut query = $query;
        for row in $rows {
            for (_, column) in $columns {
                query = match column {
                    Column::Uuid(values) => query.bind(values[row]),
                    Column::MaybeUuid(values) => query.bind(values[row]),
                    Column::Text(values) => query.bind(values[row]),
                    Column::MaybeText(values) => query.bind(values[row]),
                    Column::Int(values) => query.bind(values[row]),
                    Column::MaybeInt(values) => query.bind(values[row]),
                    Column::Time(values) => query.bind(values[row]),
                    Column::MaybeTime(values) => query.bind(values[row]),
                    Column::Json(values) => query.bind(values[row].clone()),
                    Column::Bytes(values) => query.bind(values[row]),
                    Column::MaybeBytes(values) => query.bind(values[row]),
                    Column::Bool(values) => query.bind(values[row]),
                    Column::Float(values) => query.bind(values[row]),
                };
            }
        }
        query
    }};
}

impl<'a> Rows<'a> {
    /// No rows.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a column; all columns have the same number of rows.
    pub(super) fn column(mut self, name: &'static str, column: Column<'a>) -> Self {
        debug_assert!(self.columns.is_empty() || column.len() == self.count, "{name}");
        self.count = column.len();
        self.columns.push((name, column));
        self
    }

    /// The columns with their names.
    pub(super) fn into_columns(self) -> Vec<(&'static str, Column<'a>)> {
        self.columns
    }

    /// Inserts all rows. `tail` follows the values, for example `on conflict … do nothing`.
    pub(super) async fn insert(
        self,
        session: &mut Session,
        table: &'static str,
        tail: &str,
    ) -> Result<(), StoreError> {
        self.run(session, |rows, form| rows.insert_sql(table, form, tail)).await
    }

    /// Inserts all rows and returns what `tail` says (`… returning …`), in no order.
    pub(super) async fn insert_returning<T: Fetched>(
        self,
        session: &mut Session,
        table: &'static str,
        tail: &str,
    ) -> Result<Vec<T>, StoreError> {
        self.fetch(session, |rows, form| rows.insert_sql(table, form, tail)).await
    }

    /// Runs `statement` with the rows as a table called `k`: `select … from k join …`,
    /// `update … from k where … returning …`.
    pub(super) async fn query<T: Fetched>(
        self,
        session: &mut Session,
        statement: &str,
    ) -> Result<Vec<T>, StoreError> {
        self.fetch(session, |rows, form| rows.keys_sql(form, statement)).await
    }

    /// Like [`Rows::query`], for statements that return nothing.
    pub(super) async fn execute(
        self,
        session: &mut Session,
        statement: &str,
    ) -> Result<(), StoreError> {
        self.run(session, |rows, form| rows.keys_sql(form, statement)).await
    }

    async fn run(
        self,
        session: &mut Session,
        sql: impl Fn(&Self, Form) -> String,
    ) -> Result<(), StoreError> {
        if self.count == 0 {
            return Ok(());
        }
        match session.connection() {
            Connection::Postgres(connection) => {
                let sql = AssertSqlSafe(sql(&self, Form::Arrays));
                bind_arrays!(sqlx::query(sql), self.columns).execute(connection).await?;
            }
            Connection::Sqlite(connection) => {
                for rows in chunks(self.count) {
                    let sql = AssertSqlSafe(sql(&self, Form::Values(rows.len())));
                    let query = bind_cells!(sqlx::query(sql), &self.columns, rows);
                    query.execute(&mut *connection).await?;
                }
            }
        }
        Ok(())
    }

    async fn fetch<T: Fetched>(
        self,
        session: &mut Session,
        sql: impl Fn(&Self, Form) -> String,
    ) -> Result<Vec<T>, StoreError> {
        if self.count == 0 {
            return Ok(Vec::new());
        }
        match session.connection() {
            Connection::Postgres(connection) => {
                let sql = AssertSqlSafe(sql(&self, Form::Arrays));
                let query = bind_arrays!(sqlx::query_as(sql), self.columns);
                Ok(query.fetch_all(connection).await?)
            }
            Connection::Sqlite(connection) => {
                let mut fetched = Vec::with_capacity(self.count);
                for rows in chunks(self.count) {
                    let sql = AssertSqlSafe(sql(&self, Form::Values(rows.len())));
                    let query = bind_cells!(sqlx::query_as(sql), &self.columns, rows);
                    fetched.extend(query.fetch_all(&mut *connection).await?);
                }
                Ok(fetched)
            }
        }
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn insert_sql(&self, table: &str, form: Form, tail: &str) -> String {
        format!("insert into {table} ({}) {} {tail}", self.names(), self.table_sql(form))
    }

    fn keys_sql(&self, form: Form, statement: &str) -> String {
        format!("with k ({}) as ({}) {statement}", self.names(), self.table_sql(form))
    }

    /// The rows as a table expression.
    fn table_sql(&self, form: Form) -> String {
        let mut sql = String::with_capacity(256);
        match form {
            Form::Arrays => {
                sql.push_str("select * from unnest(");
                for (index, (_, column)) in self.columns.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    let _ = write!(sql, "{comma}${}::{}[]", index + 1, column.postgres_type());
                }
                sql.push(')');
            }
            Form::Values(rows) => {
                let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
                let _ = write!(sql, "values {}", vec![row; rows].join(", "));
            }
        }
        sql
    }
}

/// How the rows are bound.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// One array a column (PostgreSQL).
    Arrays,
    /// One parameter a cell, for that many rows (SQLite).
    Values(usize),
}

/// Ranges of the sizes in [`SQLITE_CHUNKS`] that cover `rows` rows.
fn chunks(rows: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let size = SQLITE_CHUNKS.into_iter().find(|size| start + size <= rows)?;
        start += size;
        Some(start - size..start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_row_once() {
        for rows in 0..200 {
            let covered: Vec<usize> = chunks(rows).flatten().collect();
            assert_eq!(covered, (0..rows).collect::<Vec<_>>());
        }
    }
}
