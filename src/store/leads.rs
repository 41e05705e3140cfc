//! `leads`: the CRM's view of a contact.

use std::collections::HashMap;

use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{ContactId, Lead, LeadId, OrganizationId};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: LeadId,
    contact_id: ContactId,
    name: String,
    email: Option<String>,
    phone: Option<String>,
    company: Option<String>,
    source: Option<String>,
    stage: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for Lead {
    fn from(row: Row) -> Self {
        Lead {
            id: row.id,
            contact_id: row.contact_id,
            name: row.name,
            email: row.email,
            phone: row.phone,
            company: row.company,
            source: row.source,
            stage: row.stage,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Writes a new lead.
pub async fn insert(
    session: &mut Session,
    organization: OrganizationId,
    lead: &Lead,
) -> Result<(), StoreError> {
    let sql = "insert into leads (organization_id, id, contact_id, name, email, phone, company, source,
               stage, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(lead.id).bind(lead.contact_id);
        let query = query.bind(&lead.name).bind(&lead.email).bind(&lead.phone).bind(&lead.company);
        let query = query.bind(&lead.source).bind(&lead.stage);
        query.bind(lead.created_at).bind(lead.updated_at).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Whose leads these are; those that do not exist are missing.
pub async fn contacts_of(
    session: &mut Session,
    organization: OrganizationId,
    ids: &[LeadId],
) -> Result<HashMap<LeadId, ContactId>, StoreError> {
    let found: Vec<(LeadId, ContactId)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; ids.len()]))
        .column("i", Column::Uuid(ids.iter().map(|id| id.0).collect()))
        .query(
            session,
            "select l.id, l.contact_id from k join leads l on l.organization_id = k.o and l.id = k.i",
        )
        .await?;
    Ok(found.into_iter().collect())
}

/// Writes a known lead anew.
pub async fn update(
    session: &mut Session,
    organization: OrganizationId,
    lead: &Lead,
) -> Result<(), StoreError> {
    let sql = "update leads set contact_id = $3, name = $4, email = $5, phone = $6, company = $7,
               source = $8, stage = $9, updated_at = $10 where organization_id = $1 and id = $2";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(lead.id).bind(lead.contact_id);
        let query = query.bind(&lead.name).bind(&lead.email).bind(&lead.phone).bind(&lead.company);
        let query = query.bind(&lead.source).bind(&lead.stage).bind(lead.updated_at);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// One lead.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: LeadId,
) -> Result<Option<Lead>, StoreError> {
    let sql =
        "select id, contact_id, name, email, phone, company, source, stage, created_at, updated_at
               from leads where organization_id = $1 and id = $2";
    let row: Option<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?;
    Ok(row.map(Lead::from))
}

/// Which leads to list.
#[derive(Debug, Clone, Default)]
pub struct LeadFilter {
    /// Created before (with a smaller id than) this one.
    pub before: Option<Uuid>,
    /// At this stage.
    pub stage: Option<String>,
    /// Of this contact.
    pub contact_id: Option<ContactId>,
    /// With this text in name, e-mail, telephone or company, whatever the case.
    pub search: Option<String>,
}

/// Leads, newest first.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    filter: &LeadFilter,
    limit: i64,
) -> Result<Vec<Lead>, StoreError> {
    let sql = "select id, contact_id, name, email, phone, company, source, stage, created_at, updated_at
               from leads where organization_id = $1 and id < $2 and ($3 is null or stage = $3)
               and ($4 is null or contact_id = $4)
               and ($5 is null or lower(name) like $5 escape '\\' or lower(coalesce(email, '')) like $5 escape '\\'
                    or coalesce(phone, '') like $5 escape '\\' or lower(coalesce(company, '')) like $5 escape '\\')
               order by id desc limit $6";
    let before = filter.before.unwrap_or(Uuid::max());
    let pattern = filter.search.as_deref().map(like_pattern);
    let rows: Vec<Row> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(before).bind(&filter.stage);
        query.bind(filter.contact_id).bind(&pattern).bind(limit).fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(Lead::from).collect())
}

/// `%text%` in lower case, with the text's own wildcards taken literally (`escape '\'`).
pub(super) fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
