//! `users` and `memberships`: people who sign in, and where they belong.
//!
//! A person is known by their e-mail address, whoever makes them a member. What an organization says of them, their role
//! and their name, belongs to the membership and is no other organization's business.

use super::session::on;
use super::types::role;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{Member, OrganizationId, Role, UserId};

/// A person, independent of organizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their e-mail address, in lower case.
    pub email: String,
    /// The identity provider's own id of them.
    pub subject: Option<String>,
    /// When they were created.
    pub created_at: Timestamp,
}

/// Writes a new user.
pub async fn insert_user(session: &mut Session, user: &User) -> Result<(), StoreError> {
    let sql = "insert into users (id, email, subject, created_at) values ($1, $2, $3, $4)
               /* every organization: people belong to several */";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(user.id).bind(&user.email).bind(&user.subject);
        query.bind(user.created_at).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// The user with this e-mail address or subject.
pub async fn find_user(session: &mut Session, name: &str) -> Result<Option<UserId>, StoreError> {
    let sql = "select id from users where email = $1 or subject = $2
               order by case when subject = $2 then 0 else 1 end limit 1
               /* every organization: people belong to several */";
    let email = name.to_lowercase();
    Ok(on!(session, |c| {
        sqlx::query_scalar(sql).bind(&email).bind(name).fetch_optional(c).await
    })?)
}

/// A person with one of their memberships, if they have any.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ListedUser {
    /// Their id.
    pub id: UserId,
    /// Their e-mail address.
    pub email: String,
    /// The identity provider's own id of them.
    pub subject: Option<String>,
    /// Where they are a member.
    pub organization_id: Option<OrganizationId>,
    /// What they are there.
    pub role: Option<String>,
    /// What they are called there.
    pub name: Option<String>,
}

/// All users, oldest first, each as often as they have memberships, and once if they have none.
pub async fn list_users(session: &mut Session) -> Result<Vec<ListedUser>, StoreError> {
    let sql = "select u.id, u.email, u.subject, m.organization_id, m.role, m.name
               from users u left join memberships m on m.user_id = u.id
               order by u.created_at, u.id, m.created_at, m.organization_id
               /* every organization: for the operator */";
    Ok(on!(session, |c| sqlx::query_as(sql).fetch_all(c).await)?)
}

/// What a user is in an organization, if they are a member.
pub async fn role_of(
    session: &mut Session,
    organization: OrganizationId,
    user: UserId,
) -> Result<Option<Role>, StoreError> {
    let sql = "select role from memberships where organization_id = $1 and user_id = $2";
    let word: Option<String> = on!(session, |c| sqlx::query_scalar(sql)
        .bind(organization)
        .bind(user)
        .fetch_optional(c)
        .await)?;
    word.as_deref().map(role).transpose()
}

/// Makes a user a member, or changes what they are. Without a name, the one that they have here stays.
pub async fn set(
    session: &mut Session,
    organization: OrganizationId,
    user: UserId,
    role: Role,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into memberships (organization_id, user_id, role, name, created_at)
               values ($1, $2, $3, $4, $5)
               on conflict (organization_id, user_id) do update set role = excluded.role,
               name = coalesce(excluded.name, memberships.name)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(user).bind(role.word());
        query.bind(name).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Ends a membership. `false` if there was none.
pub async fn remove(
    session: &mut Session,
    organization: OrganizationId,
    user: UserId,
) -> Result<bool, StoreError> {
    let sql = "delete from memberships where organization_id = $1 and user_id = $2";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(user);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// How many owners an organization has.
pub async fn owners(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<i64, StoreError> {
    let sql = "select count(*) from memberships where organization_id = $1 and role = 'owner'";
    Ok(on!(session, |c| sqlx::query_scalar(sql).bind(organization).fetch_one(c).await)?)
}

/// All members, by e-mail address.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Vec<Member>, StoreError> {
    let sql = "select u.id, u.email, m.name, m.role, m.created_at
               from memberships m join users u on u.id = m.user_id
               where m.organization_id = $1 order by u.email limit 1000";
    type Found = (UserId, String, Option<String>, String, Timestamp);
    let rows: Vec<Found> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(user_id, email, name, word, created_at)| {
            Ok(Member { user_id, email, name, role: role(&word)?, created_at })
        })
        .collect()
}
