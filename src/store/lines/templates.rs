//! `templates`, `template_syncs`: what the providers have approved, and when they were last asked.

use providers::{ListedTemplate, TemplateNews};
use serde_json::Value;
use sqlx::types::Json;

use crate::clock::Timestamp;
use crate::model::{AccountId, OrganizationId, Template};
use crate::store::bulk::{Column, Rows};
use crate::store::sending::holds::{self, HoldState};
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// Which templates to list.
#[derive(Debug, Clone, Default)]
pub struct TemplateFilter {
    /// Of this account.
    pub account_id: Option<AccountId>,
    /// Of this name.
    pub name: Option<String>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    account_id: AccountId,
    id: String,
    name: String,
    language: String,
    status: String,
    category: Option<String>,
    parameter_format: Option<String>,
    components: Json<Value>,
    synced_at: Timestamp,
}

impl From<Row> for Template {
    fn from(row: Row) -> Self {
        let Json(components) = row.components;
        let listed = ListedTemplate {
            id: row.id,
            name: row.name,
            language: row.language,
            status: row.status,
            category: row.category,
            parameter_format: row.parameter_format,
            components,
        };
        Template { account_id: row.account_id, listed, synced_at: row.synced_at }
    }
}

/// Templates by name, language and account, at most `limit`.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    filter: &TemplateFilter,
    limit: i64,
) -> Result<Vec<Template>, StoreError> {
    let sql = "select account_id, id, name, language, status, category, parameter_format, components, synced_at
               from templates where organization_id = $1 and ($2 is null or account_id = $2) and ($3 is null or name = $3)
               order by name, language, account_id, id limit $4";
    let rows: Vec<Row> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(filter.account_id);
        query.bind(&filter.name).bind(limit).fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(Template::from).collect())
}

/// An account's templates that messages name so: of these names, in all their languages, or with these ids.
pub async fn named(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    names: &[&str],
) -> Result<Vec<Template>, StoreError> {
    let sql = "select t.account_id, t.id, t.name, t.language, t.status, t.category, t.parameter_format, t.components,
               t.synced_at from k join templates t on t.organization_id = k.organization_id
               and t.account_id = k.account_id and (t.name = k.name or t.id = k.name)
               order by t.name, t.language, t.id";
    let count = names.len();
    let keys = Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; count]))
        .column("account_id", Column::Uuid(vec![account.0; count]))
        .column("name", Column::Text(names.to_vec()));
    let rows: Vec<Row> = keys.query(session, sql).await?;
    Ok(rows.into_iter().map(Template::from).collect())
}

/// Whether an account's provider has approved the template that a message names so as marketing: by its name and language, or by its
/// id where messages name that. Without a language any of that name counts.
pub async fn is_marketing(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    name: &str,
    language: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "select count(*) from templates where organization_id = $1 and account_id = $2 and category = 'marketing'
               and (id = $3 or (name = $3 and ($4 is null or language = $4)))";
    let found: i64 = on!(session, |c| {
        let query = sqlx::query_scalar(sql).bind(organization).bind(account);
        query.bind(name).bind(language).fetch_one(c).await
    })?;
    Ok(found > 0)
}

/// Puts these templates in the place of all that were known of an account. Ids must differ.
pub async fn replace(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    templates: &[ListedTemplate],
    now: Timestamp,
) -> Result<(), StoreError> {
    delete(session, organization, account).await?;
    insert(session, (organization, account), templates, now, "").await
}

/// Writes a template as it was made or changed just now.
pub async fn put(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    template: &ListedTemplate,
    now: Timestamp,
) -> Result<(), StoreError> {
    let tail =
        "on conflict (organization_id, account_id, id) do update set name = excluded.name,
                language = excluded.language, status = excluded.status, category = excluded.category,
                parameter_format = excluded.parameter_format, components = excluded.components,
                synced_at = excluded.synced_at";
    let templates = std::slice::from_ref(template);
    insert(session, (organization, account), templates, now, tail).await
}

/// Forgets a template that was deleted.
pub async fn remove(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    id: &str,
) -> Result<(), StoreError> {
    let sql = "delete from templates where organization_id = $1 and account_id = $2 and id = $3";
    on!(session, |c| {
        sqlx::query(sql).bind(organization).bind(account).bind(id).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// How many templates are known of an account.
pub async fn count(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<i64, StoreError> {
    let sql = "select count(*) from templates where organization_id = $1 and account_id = $2";
    Ok(on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(account).fetch_one(c).await
    })?)
}

/// Says that an account's templates are not what a list says that was asked for before: they are to be listed anew.
pub async fn touch(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into template_syncs (organization_id, account_id, due_at, changes) values ($1, $2, $3, 1)
               on conflict (organization_id, account_id) do update set due_at = excluded.due_at,
               changes = template_syncs.changes + 1";
    on!(session, |c| {
        sqlx::query(sql).bind(organization).bind(account).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// How often an account's templates have changed, as far as we were told or did it ourselves.
pub async fn changes(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<i64, StoreError> {
    let sql = "select changes from template_syncs where organization_id = $1 and account_id = $2";
    let found: Option<i64> = on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(account).fetch_optional(c).await
    })?;
    Ok(found.unwrap_or_default())
}

async fn insert(
    session: &mut Session,
    (organization, account): (OrganizationId, AccountId),
    templates: &[ListedTemplate],
    now: Timestamp,
    tail: &str,
) -> Result<(), StoreError> {
    let count = templates.len();
    let text = |of: fn(&ListedTemplate) -> &str| Column::Text(templates.iter().map(of).collect());
    let maybe = |of: fn(&ListedTemplate) -> Option<&str>| {
        Column::MaybeText(templates.iter().map(of).collect())
    };
    let components = templates.iter().map(|template| Some(Json(&template.components))).collect();
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; count]))
        .column("account_id", Column::Uuid(vec![account.0; count]))
        .column("id", text(|template| &template.id))
        .column("name", text(|template| &template.name))
        .column("language", text(|template| &template.language))
        .column("status", text(|template| &template.status))
        .column("category", maybe(|template| template.category.as_deref()))
        .column("parameter_format", maybe(|template| template.parameter_format.as_deref()))
        .column("components", Column::Json(components))
        .column("synced_at", Column::Time(vec![now; count]))
        .insert(session, "templates", tail)
        .await
}

/// Says that an account's templates are still what they were.
pub async fn confirm(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "update templates set synced_at = $3 where organization_id = $1 and account_id = $2";
    on!(session, |c| {
        sqlx::query(sql).bind(organization).bind(account).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Forgets the templates of an account.
pub async fn delete(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<(), StoreError> {
    let sql = "delete from templates where organization_id = $1 and account_id = $2";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(account).execute(c).await.map(drop))?;
    Ok(())
}

/// Forgets when an account's templates are to be listed.
pub async fn delete_sync(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<(), StoreError> {
    let sql = "delete from template_syncs where organization_id = $1 and account_id = $2";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(account).execute(c).await.map(drop))?;
    Ok(())
}

/// Takes it upon us to list an account's templates, if that is due; it is due again at `next`. `false` if it is not due.
pub async fn take_sync(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    next: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into template_syncs (organization_id, account_id, due_at) values ($1, $2, $3)
               on conflict (organization_id, account_id) do update set due_at = excluded.due_at
               where template_syncs.due_at <= $4";
    let taken = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(account).bind(next).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(taken > 0)
}

/// Writes how listing went; it is due again at `next`. Returns why the try before had failed, if it had.
pub async fn put_sync(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    failure: Option<&str>,
    next: Timestamp,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let before =
        "select failure from template_syncs where organization_id = $1 and account_id = $2";
    let sql = "insert into template_syncs (organization_id, account_id, due_at, synced_at, failure)
               values ($1, $2, $3, $4, $5)
               on conflict (organization_id, account_id) do update set due_at = excluded.due_at,
               failure = excluded.failure, synced_at = coalesce(excluded.synced_at, template_syncs.synced_at)";
    let synced_at = failure.is_none().then_some(now);
    let before: Option<Option<String>> = on!(session, |c| {
        let query = sqlx::query_scalar(before).bind(organization).bind(account);
        let before = query.fetch_optional(&mut *c).await?;
        let query = sqlx::query(sql).bind(organization).bind(account).bind(next).bind(synced_at);
        query.bind(failure).execute(c).await?;
        before
    });
    Ok(before.flatten())
}

/// The accounts of all organizations whose templates need not be listed now.
pub async fn fresh(session: &mut Session, now: Timestamp) -> Result<Vec<AccountId>, StoreError> {
    let sql = "select account_id from template_syncs where due_at > $1
               /* every organization: what is listed by the clock */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).bind(now).fetch_all(c).await)?)
}

/// A provider told how a template stands: it stands so from now on, what waits for it hears of it, and the account's templates
/// are listed anew, since the rest of them may have changed as well.
pub(in crate::store) async fn told(
    session: &mut Session,
    (organization, account): (OrganizationId, AccountId),
    news: &TemplateNews,
    now: Timestamp,
) -> Result<(), StoreError> {
    let change = "update templates set status = $5 where organization_id = $1 and account_id = $2 and name = $3
                  and ($4 is null or language = $4)";
    let language = news.language.as_deref();
    on!(session, |c| {
        let query = sqlx::query(change).bind(organization).bind(account).bind(&news.name);
        query.bind(language).bind(&news.status).execute(c).await.map(drop)
    })?;
    touch(session, organization, account, now).await?;
    match HoldState::of_status(&news.status) {
        Some(state) => {
            let place = (organization, account);
            holds::status(session, place, &news.name, language, state, now).await
        }
        None => Ok(()),
    }
}
