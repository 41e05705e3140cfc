//! The timeline: messages and calls in one order, that of the time which is shown with them.
//!
//! A row's *place* is an id that holds this time: a message's own id, and of a call its id moved to when it began, which
//! may become known late. A person's timeline is read from one index a table and merged; an organization's from the
//! messages' primary key and the calls' places. Either way a page costs the same however much history lies behind it, except for its `total`.

mod page;
mod row;
mod sql;

use std::collections::HashMap;

use providers::Channel;
use uuid::Uuid;

pub use self::page::Page;
use self::page::Rows;
use self::row::{Columns, Row};
use self::sql::{Plan, Scope};
use super::leads::like_pattern;
use super::session::on;
use super::{Engine, Session, Store, StoreError, contacts, leads, lender};
use crate::ids;
use crate::model::{Communication, CommunicationFilter, Cursor, LeadId, OrganizationId};

/// Whose communications a page is of.
#[derive(Debug, Clone, Copy)]
struct Whose {
    scope: Scope,
    person: Option<Uuid>,
}

impl Whose {
    /// Whose communications the filter asks for, where nothing need be looked up for that.
    fn plainly(filter: &CommunicationFilter) -> Option<Self> {
        match (filter.lead_id, filter.contact_id) {
            (_, Some(_)) => None,
            (Some(lead), None) => Some(Self { scope: Scope::Lead, person: Some(lead.0) }),
            (None, None) => Some(Self { scope: Scope::Organization, person: None }),
        }
    }
}

/// Whose communications the filter asks for; `None` if it names a lead and somebody who is not that lead's contact.
/// A contact that was merged into another stands for that one, where its history is now.
async fn whose(
    session: &mut Session,
    organization: OrganizationId,
    filter: &CommunicationFilter,
) -> Result<Option<Whose>, StoreError> {
    let Some(named) = filter.contact_id else { return Ok(Whose::plainly(filter)) };
    let contact = contacts::standing(session, organization, named).await?.unwrap_or(named);
    let Some(lead) = filter.lead_id else {
        return Ok(Some(Whose { scope: Scope::Contact, person: Some(contact.0) }));
    };
    let found = leads::get(session, organization, lead).await?;
    let is_theirs = found.is_some_and(|lead| lead.contact_id == contact);
    Ok(is_theirs.then_some(Whose { scope: Scope::Lead, person: Some(lead.0) }))
}

/// A page of an organization's communications, newest first. On PostgreSQL one statement does it all, unless a contact is
/// asked for.
pub async fn page(
    store: &Store,
    organization: OrganizationId,
    filter: &CommunicationFilter,
    cursor: Cursor,
    limit: i64,
) -> Result<Page, StoreError> {
    match Whose::plainly(filter) {
        Some(whose) if store.engine() == Engine::Postgres => {
            Asked { organization, whose, filter, cursor, limit }.at_once(store).await
        }
        _ => read(&mut store.read(organization).await?, organization, filter, cursor, limit).await,
    }
}

/// What is asked for.
struct Asked<'a> {
    organization: OrganizationId,
    whose: Whose,
    filter: &'a CommunicationFilter,
    cursor: Cursor,
    limit: i64,
}

async fn read(
    session: &mut Session,
    organization: OrganizationId,
    filter: &CommunicationFilter,
    cursor: Cursor,
    limit: i64,
) -> Result<Page, StoreError> {
    let Some(whose) = whose(session, organization, filter).await? else {
        let total = matches!(cursor, Cursor::Offset(_)).then_some(0);
        return Ok(Page {
            rows: Rows::Sqlite(Vec::new()),
            organization,
            lead: None,
            total,
            next: None,
        });
    };
    Asked { organization, whose, filter, cursor, limit }.in_session(session).await
}

impl Asked<'_> {
    /// Reads the page by a statement that is a session of its own; on another connection, if one turns out to be broken.
    async fn at_once(&self, store: &Store) -> Result<Page, StoreError> {
        let mut tries = store.api_connections();
        let rows = loop {
            let mut session = store.untried_read().await?;
            match self.rows(&mut session, true).await {
                Ok(rows) => {
                    session.keep();
                    break rows;
                }
                Err(error) => {
                    session.abandon();
                    lender::give_up_or_retry(&mut tries, error)?;
                }
            }
        };
        match self.is_beyond(&rows) {
            true => self.in_session(&mut store.read(self.organization).await?).await,
            false => self.page(rows),
        }
    }

    async fn in_session(&self, session: &mut Session) -> Result<Page, StoreError> {
        let rows = self.rows(session, false).await?;
        let total = match self.is_beyond(&rows) {
            true => self.count(session).await?,
            false => None,
        };
        let page = self.page(rows)?;
        Ok(Page { total: total.or(page.total), ..page })
    }

    /// Whether the page lies beyond the end, and so has no row to carry the total.
    fn is_beyond(&self, rows: &Rows) -> bool {
        rows.len() == 0 && matches!(self.cursor, Cursor::Offset(1..))
    }

    async fn rows(
        &self,
        session: &mut Session,
        sets_organization: bool,
    ) -> Result<Rows, sqlx::Error> {
        let Self { filter, whose: Whose { scope, person }, .. } = *self;
        let with_total = matches!(self.cursor, Cursor::Offset(_));
        let narrow =
            filter.channel.is_some() || filter.direction.is_some() || filter.search.is_some();
        let engine = session.engine();
        let sql = Plan { engine, scope, with_total, narrow, sets_organization }.sql();
        let (below, offset) = match self.cursor {
            Cursor::Offset(offset) => (filter.until.map_or(Uuid::max(), ids::first_at), offset),
            Cursor::Before(id) => {
                (filter.until.map_or(id, |until| id.min(ids::first_at(until))), 0)
            }
        };
        let from = filter.from.map_or(Uuid::nil(), ids::first_at);
        let pattern = filter.search.as_deref().map(like_pattern);
        on!(session, |c| {
            let query = sqlx::query(sql).bind(self.organization).bind(below).bind(from);
            let query = query.bind(person).bind(self.limit + 1).bind(offset);
            let query = match narrow {
                true => query
                    .bind(filter.direction.map(providers::Direction::word))
                    .bind(filter.channel.map(Channel::word))
                    .bind(pattern),
                false => query,
            };
            query.fetch_all(c).await.map(Rows::from)
        })
    }

    fn page(&self, mut rows: Rows) -> Result<Page, StoreError> {
        let total = match (self.cursor, rows.get(0)) {
            (Cursor::Before(_), _) => None,
            (Cursor::Offset(_), None) => Some(0),
            (Cursor::Offset(_), Some(first)) => first.total()?,
        };
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let last = limit.checked_sub(1).and_then(|last| rows.get(last));
        let next = last.filter(|_| rows.len() > limit).map(Columns::place).transpose()?;
        rows.truncate(limit);
        let Whose { scope, person } = self.whose;
        let lead = person.filter(|_| scope == Scope::Lead).map(LeadId);
        Ok(Page { rows, organization: self.organization, lead, total, next })
    }

    /// How many there are in all.
    async fn count(&self, session: &mut Session) -> Result<Option<i64>, StoreError> {
        let Self { organization, whose, filter, .. } = *self;
        let first = Asked { organization, whose, filter, cursor: Cursor::Offset(0), limit: 1 };
        let rows = first.rows(session, false).await?;
        Ok(first.page(rows)?.total)
    }
}

/// The statement that reads the first page of a lead, as [`page`] runs it: for whoever wants to see its plan, or to measure
/// it bare. Parameters: 1 organization, 2 and 3 places below and from, 4 lead, 5 limit, 6 offset.
pub fn lead_page_sql(engine: Engine) -> &'static str {
    let sets_organization = false;
    Plan { engine, scope: Scope::Lead, with_total: true, narrow: false, sets_organization }.sql()
}

/// The communications of these ids, in no order; ids that are not there are left out.
pub async fn by_ids(
    session: &mut Session,
    organization: OrganizationId,
    wanted: &[Uuid],
) -> Result<Vec<Communication<'static>>, StoreError> {
    use super::bulk::{Column, Rows};

    let keys = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; wanted.len()]))
        .column("i", Column::Uuid(wanted.to_vec()));
    let statement = sql::by_ids(session.engine());
    let rows: Vec<Row<'static>> = keys.query(session, &statement).await?;
    rows.into_iter().map(|row| row.into_communication(organization, None)).collect()
}

/// One of a list's communications: its id, and its place on the timeline.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(super) struct Placed {
    id: Uuid,
    place: Uuid,
}

/// The communications that were found, in their order, latest place first, of which there is one more than `limit` if there
/// is a next page; and where that begins.
pub(super) async fn page_of(
    session: &mut Session,
    organization: OrganizationId,
    mut found: Vec<Placed>,
    limit: i64,
) -> Result<(Vec<Communication<'static>>, Option<Uuid>), StoreError> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|last| last.place).filter(|_| more);
    let ids: Vec<Uuid> = found.iter().map(|one| one.id).collect();
    let places: HashMap<Uuid, Uuid> = found.iter().map(|one| (one.id, one.place)).collect();
    let mut items = by_ids(session, organization, &ids).await?;
    items.sort_by_key(|item| std::cmp::Reverse(places.get(&item.id).copied()));
    Ok((items, next))
}
