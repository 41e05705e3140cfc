//! `users` and `memberships`: people who sign in, and where they belong.

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
    /// Their name.
    pub name: Option<String>,
    /// When they were created.
    pub created_at: Timestamp,
}

/// Writes a new user.
pub async fn insert_user(session: &mut Session, user: &User) -> Result<(), StoreError> {
    let sql = "insert into users (id, email, subject, name, created_at) values ($1, $2, $3, $4, $5)
               /* every organization: people belong to several */";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(user.id).bind(&user.email).bind(&user.subject);
        query.bind(&user.name).bind(user.created_at).execute(c).await.map(drop)
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

/// All users, oldest first.
pub async fn list_users(session: &mut Session) -> Result<Vec<User>, StoreError> {
    let sql = "select id, email, subject, name, created_at from users order by id
               /* every organization: for the operator */";
    type Found = (UserId, String, Option<String>, Option<String>, Timestamp);
    let rows: Vec<Found> = on!(session, |c| sqlx::query_as(sql).fetch_all(c).await)?;
    let user = |(id, email, subject, name, created_at): Found| User {
        id,
        email,
        subject,
        name,
        created_at,
    };
    Ok(rows.into_iter().map(user).collect())
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

/// Makes a user a member, or changes what they are.
pub async fn set_role(
    session: &mut Session,
    organization: OrganizationId,
    user: UserId,
    role: Role,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into memberships (organization_id, user_id, role, created_at)
               values ($1, $2, $3, $4)
               on conflict (organization_id, user_id) do update set role = excluded.role";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(user).bind(role.word()).bind(now);
        query.execute(c).await.map(drop)
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
    let sql = "select u.id, u.email, u.name, m.role, m.created_at
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
