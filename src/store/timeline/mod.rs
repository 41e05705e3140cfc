//! The timeline: messages and calls in one order, the order of their ids, which hold the time at which they happened.
//!
//! A person's timeline is read from one index a table and merged; an organization's from the primary keys. Either way a
//! page costs the same however much history lies behind it, except for its `total`.

mod row;
mod sql;

use providers::Channel;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use self::row::Row;
use self::sql::{Plan, Scope};
use super::leads::like_pattern;
use super::session::on;
use super::{Engine, Session, StoreError, contacts, leads};
use crate::ids;
use crate::model::{Communication, CommunicationFilter, CommunicationPage, Cursor, OrganizationId};

/// Whose communications a page is of.
struct Whose {
    scope: Scope,
    person: Option<Uuid>,
}

/// Whose communications the filter asks for; `None` if it names a lead and somebody who is not that lead's contact.
/// A contact that was merged into another stands for that one, where its history is now.
async fn whose(
    session: &mut Session,
    organization: OrganizationId,
    filter: &CommunicationFilter,
) -> Result<Option<Whose>, StoreError> {
    let contact = match filter.contact_id {
        Some(id) => contacts::standing(session, organization, id).await?.or(Some(id)),
        None => None,
    };
    let (scope, person) = match (filter.lead_id, contact) {
        (Some(lead), None) => (Scope::Lead, Some(lead.0)),
        (Some(lead), Some(contact)) => {
            let found = leads::get(session, organization, lead).await?;
            if found.is_none_or(|lead| lead.contact_id != contact) {
                return Ok(None);
            }
            (Scope::Lead, Some(lead.0))
        }
        (None, Some(contact)) => (Scope::Contact, Some(contact.0)),
        (None, None) => (Scope::Organization, None),
    };
    Ok(Some(Whose { scope, person }))
}

/// A page of an organization's communications, newest first.
pub async fn page(
    session: &mut Session,
    organization: OrganizationId,
    filter: &CommunicationFilter,
    cursor: Cursor,
    limit: i64,
) -> Result<CommunicationPage, StoreError> {
    let with_total = matches!(cursor, Cursor::Offset(_));
    let Some(Whose { scope, person }) = whose(session, organization, filter).await? else {
        let total = with_total.then_some(0);
        return Ok(CommunicationPage { items: Vec::new(), total, next: None });
    };
    let narrow = filter.channel.is_some() || filter.direction.is_some() || filter.search.is_some();
    let plan = Plan { engine: session.engine(), scope, with_total, narrow };
    let (below, offset) = match cursor {
        Cursor::Offset(offset) => (filter.until.map_or(Uuid::max(), ids::first_at), offset),
        Cursor::Before(id) => (filter.until.map_or(id, |until| id.min(ids::first_at(until))), 0),
    };
    let from = filter.from.map_or(Uuid::nil(), ids::first_at);
    let pattern = filter.search.as_deref().map(like_pattern);
    let sql = AssertSqlSafe(plan.sql());
    let rows: Vec<Row> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(below).bind(from).bind(person);
        let query = query.bind(limit + 1).bind(offset);
        let query = match narrow {
            true => query
                .bind(filter.direction.map(providers::Direction::word))
                .bind(filter.channel.map(Channel::word))
                .bind(pattern),
            false => query,
        };
        query.fetch_all(c).await
    })?;
    let total = match (with_total, rows.first()) {
        (false, _) => None,
        (true, Some(row)) => row.total,
        // A page beyond the end has no row to carry the total.
        (true, None) if offset == 0 => Some(0),
        (true, None) => count(session, organization, filter).await?,
    };
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(row.into_communication(organization)?);
    }
    let more = i64::try_from(items.len()).unwrap_or(i64::MAX) > limit;
    items.truncate(usize::try_from(limit).unwrap_or_default());
    let next = items.last().filter(|_| more).map(|item| item.id);
    Ok(CommunicationPage { items, total, next })
}

/// The statement that reads the first page of a lead, as [`page`] runs it: for whoever wants to see its plan, or to measure
/// it bare. Parameters: 1 organization, 2 and 3 ids below and from, 4 lead, 5 limit, 6 offset.
pub fn lead_page_sql(engine: Engine) -> String {
    Plan { engine, scope: Scope::Lead, with_total: true, narrow: false }.sql()
}

async fn count(
    session: &mut Session,
    organization: OrganizationId,
    filter: &CommunicationFilter,
) -> Result<Option<i64>, StoreError> {
    let first = Box::pin(page(session, organization, filter, Cursor::Offset(0), 1)).await?;
    Ok(first.total)
}

/// The communications of these ids, in no order; ids that are not there are left out.
pub async fn by_ids(
    session: &mut Session,
    organization: OrganizationId,
    wanted: &[Uuid],
) -> Result<Vec<Communication>, StoreError> {
    use super::bulk::{Column, Rows};

    let keys = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; wanted.len()]))
        .column("i", Column::Uuid(wanted.to_vec()));
    let statement = sql::by_ids(session.engine());
    let rows: Vec<Row> = keys.query(session, &statement).await?;
    rows.into_iter().map(|row| row.into_communication(organization)).collect()
}

/// The communications of `ids`, in their order, of which there is one more than `limit` if there is a next page; and where
/// that begins.
pub async fn page_of(
    session: &mut Session,
    organization: OrganizationId,
    mut ids: Vec<Uuid>,
    limit: i64,
) -> Result<(Vec<Communication>, Option<Uuid>), StoreError> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().copied().filter(|_| more);
    let mut items = by_ids(session, organization, &ids).await?;
    items.sort_by_key(|item| std::cmp::Reverse(item.id));
    Ok((items, next))
}
