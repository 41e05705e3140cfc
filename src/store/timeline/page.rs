//! A page of the timeline, as the database gave it.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::row::Columns;
use crate::model::{Communication, LeadId, OrganizationId};
use crate::store::StoreError;

/// A page of communications, newest first. It keeps the rows of the database's answer; what they say is read while it is
/// passed on, without a copy.
#[derive(Debug)]
pub struct Page {
    pub(super) rows: Rows,
    pub(super) organization: OrganizationId,
    /// Of whom all are, if they were asked for.
    pub(super) lead: Option<LeadId>,
    /// How many there are in all, when paging by offset.
    pub total: Option<i64>,
    /// Where the next page begins, if there is one.
    pub next: Option<Uuid>,
}

#[derive(Debug)]
pub(super) enum Rows {
    Postgres(Vec<PgRow>),
    Sqlite(Vec<SqliteRow>),
}

impl From<Vec<PgRow>> for Rows {
    fn from(rows: Vec<PgRow>) -> Self {
        Self::Postgres(rows)
    }
}

impl From<Vec<SqliteRow>> for Rows {
    fn from(rows: Vec<SqliteRow>) -> Self {
        Self::Sqlite(rows)
    }
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Postgres(rows) => rows.len(),
            Self::Sqlite(rows) => rows.len(),
        }
    }

    pub(super) fn truncate(&mut self, length: usize) {
        match self {
            Self::Postgres(rows) => rows.truncate(length),
            Self::Sqlite(rows) => rows.truncate(length),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&dyn Columns> {
        match self {
            Self::Postgres(rows) => rows.get(index).map(|row| row as &dyn Columns),
            Self::Sqlite(rows) => rows.get(index).map(|row| row as &dyn Columns),
        }
    }
}

impl Page {
    /// How many communications it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The communications.
    pub fn items(&self) -> impl Iterator<Item = Result<Communication<'_>, StoreError>> {
        (0..self.len())
            .filter_map(|index| self.rows.get(index))
            .map(|row| row.read()?.into_communication(self.organization, self.lead))
    }
}
