//! `template_holds`: templates that a provider has paused. Messages that use one wait until the provider calls it active again,
//! in a webhook or when templates are listed, or ends it for good.

use providers::Template;

use super::lanes;
use crate::clock::Timestamp;
use crate::model::{AccountId, Lane, OrganizationId, hold_key};
use crate::store::session::on;
use crate::store::{Session, StoreError, types};

/// How a held template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// What uses it waits.
    Paused,
    /// It may be used again; what waited goes on.
    Active,
    /// It will not come back; what waited is looked at once more, and given up.
    Ended,
    /// It will not come back, and nothing waits for it any more.
    Closed,
}

/// A held template.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Whose.
    pub organization_id: OrganizationId,
    /// The account whose template it is.
    pub account_id: AccountId,
    /// Its name.
    pub name: String,
    /// Its language; empty where messages name none.
    pub language: String,
    /// How it stands.
    pub state: HoldState,
    /// Since when it stands so.
    pub updated_at: Timestamp,
}

impl HoldState {
    /// The state's word.
    pub fn word(self) -> &'static str {
        match self {
            HoldState::Paused => "paused",
            HoldState::Active => "active",
            HoldState::Ended => "ended",
            HoldState::Closed => "closed",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [HoldState::Paused, HoldState::Active, HoldState::Ended, HoldState::Closed]
            .into_iter()
            .find(|state| state.word() == word)
    }

    /// What a provider's word for a template's status means for what waits for it; `None` if it leaves that open. Providers say
    /// `approved`, `active`, `reinstated`; `paused`, `pending`, `in_appeal`; `disabled`, `rejected`, `deleted`.
    pub fn of_status(status: &str) -> Option<Self> {
        Some(match status.to_ascii_lowercase().as_str() {
            "approved" | "active" | "reinstated" | "unpaused" => HoldState::Active,
            "disabled" | "rejected" | "deleted" | "pending_deletion" | "archived" => {
                HoldState::Ended
            }
            _ => return None,
        })
    }
}

/// How long the hold of a template is kept after it was lifted: somebody may just be giving a message back to it.
const LINGERS: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// The longest that Meta pauses a template before it disables it.
/// <https://developers.facebook.com/docs/whatsapp/message-templates/guidelines#template-pausing>
const LONGEST_PAUSE: chrono::TimeDelta = chrono::TimeDelta::hours(6);

type Row = (OrganizationId, AccountId, String, String, String, Timestamp);

fn hold(
    (organization_id, account_id, name, language, state, updated_at): Row,
) -> Result<Hold, StoreError> {
    let state = HoldState::from_word(&state)
        .ok_or_else(|| StoreError::Damaged(format!("the state `{state}` of a held template")))?;
    Ok(Hold { organization_id, account_id, name, language, state, updated_at })
}

impl Hold {
    /// What messages that wait for it have in common.
    pub fn key(&self) -> String {
        hold_key(self.account_id, &self.name, Some(&self.language))
    }
}

/// Begins to hold back what uses a template. `false` if that is done already.
pub async fn begin(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    template: &Template,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into template_holds (organization_id, account_id, name, language, state, since, updated_at)
               values ($1, $2, $3, $4, 'paused', $5, $5)
               on conflict (organization_id, account_id, name, language) do update
               set state = 'paused', since = excluded.since, updated_at = excluded.updated_at
               where template_holds.state <> 'paused'";
    let (name, language) = (&template.name, template.language.as_deref().unwrap_or_default());
    let written = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(account).bind(name).bind(language);
        query.bind(now).execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(written > 0)
}

/// The held templates of an account that are not active again.
pub async fn of_account(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Vec<Hold>, StoreError> {
    let sql =
        "select organization_id, account_id, name, language, state, updated_at from template_holds
               where organization_id = $1 and account_id = $2 and state <> 'active'";
    let rows: Vec<Row> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(account).fetch_all(c).await
    })?;
    rows.into_iter().map(hold).collect()
}

/// A provider's word for a template's status came. A language that is not named concerns all of them.
pub async fn status(
    session: &mut Session,
    (organization, account): (OrganizationId, AccountId),
    name: &str,
    language: Option<&str>,
    state: HoldState,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "update template_holds set state = $5, updated_at = $6
               where organization_id = $1 and account_id = $2 and name = $3
               and ($4 is null or language = $4 or language = '') and (state <> 'closed' or $5 = 'active')";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(account).bind(name).bind(language);
        query.bind(state.word()).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Whether any template is held that may go on.
pub async fn any(session: &mut Session) -> Result<bool, StoreError> {
    let sql = "select count(*) from template_holds where state <> 'closed' /* every organization: what goes on */";
    let held: i64 = on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?;
    Ok(held > 0)
}

/// Templates of all organizations for which messages need not wait any more.
pub async fn over(session: &mut Session, limit: i64) -> Result<Vec<Hold>, StoreError> {
    let sql =
        "select organization_id, account_id, name, language, state, updated_at from template_holds
               where state in ('active', 'ended') limit $1 /* every organization: what goes on */";
    let rows: Vec<Row> = on!(session, |c| sqlx::query_as(sql).bind(limit).fetch_all(c).await)?;
    rows.into_iter().map(hold).collect()
}

/// Lets messages go on that waited for a template, at most `limit`: to be sent, or to be given up. Returns how many; where
/// none is left, the hold of an active template is forgotten, and that of an ended one closed.
pub async fn release(
    session: &mut Session,
    hold: &Hold,
    limit: i64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "update outbound set due_at = $3, template_hold = null where organization_id = $1 and message_id in (
                   select message_id from outbound where organization_id = $1 and template_hold = $2
                   and template_hold is not null order by message_id limit $4)
               and exists (select 1 from template_holds h where h.organization_id = $1 and h.account_id = $5
                           and h.name = $6 and h.language = $7 and h.state = $8)
               returning channel, state";
    let forget =
        "delete from template_holds where organization_id = $1 and account_id = $2 and name = $3
                  and language = $4 and state = 'active' and updated_at < $5";
    let close = "update template_holds set state = 'closed' where organization_id = $1 and account_id = $2 and name = $3
                 and language = $4 and state = 'ended' and updated_at < $5";
    let organization = hold.organization_id;
    let moved: Vec<(String, String)> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(hold.key()).bind(now).bind(limit);
        let query = query.bind(hold.account_id).bind(&hold.name).bind(&hold.language);
        let query = query.bind(hold.state.word());
        let moved: Vec<(String, String)> = query.fetch_all(&mut *c).await?;
        if moved.is_empty() {
            for sql in [forget, close] {
                let query = sqlx::query(sql).bind(organization).bind(hold.account_id);
                let query = query.bind(&hold.name).bind(&hold.language).bind(now - LINGERS);
                query.execute(&mut *c).await?;
            }
        }
        moved
    });
    let mut channels: Vec<&str> = moved.iter().map(|(channel, _)| channel.as_str()).collect();
    channels.sort_unstable();
    channels.dedup();
    for channel in channels {
        let lane = Lane { organization_id: organization, channel: types::channel(channel)? };
        lanes::wake(session, lane, now).await?;
    }
    Ok(moved.len() as u64)
}

/// Lets all paused templates of an organization be tried again: somebody says so.
pub async fn lift(
    session: &mut Session,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "update template_holds set state = 'active', updated_at = $2
               where organization_id = $1 and state = 'paused'";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(now).execute(c).await.map(drop))?;
    Ok(())
}

/// Lets templates be tried again that have been paused for longer than a provider pauses them, where nobody says how they stand:
/// the account's templates could not be listed since.
pub async fn doubt(session: &mut Session, now: Timestamp) -> Result<(), StoreError> {
    let sql = "update template_holds set state = 'active', updated_at = $1
               where state = 'paused' and updated_at < $2 and not exists (
                   select 1 from template_syncs s where s.organization_id = template_holds.organization_id
                   and s.account_id = template_holds.account_id and s.synced_at > template_holds.since)
               /* every organization: what goes on */";
    on!(session, |c| {
        sqlx::query(sql).bind(now).bind(now - LONGEST_PAUSE).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Lets messages of a lane go on that wait for templates of other accounts than the one that carries it now.
pub async fn free(
    session: &mut Session,
    lane: Lane,
    carrier: Option<AccountId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "update outbound set due_at = $4, template_hold = null where organization_id = $1 and channel = $2
               and state = 'due' and template_hold is not null and template_hold not like $3";
    let own = carrier.map_or_else(|| "-".to_owned(), |account| format!("{account}/%"));
    let freed = on!(session, |c| {
        let query = sqlx::query(sql).bind(lane.organization_id).bind(lane.channel.word());
        query.bind(own).bind(now).execute(c).await.map(|done| done.rows_affected())
    })?;
    if freed > 0 {
        lanes::wake(session, lane, now).await?;
    }
    Ok(())
}

/// Forgets the holds of an account that is taken away.
pub async fn forget(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<(), StoreError> {
    let sql = "delete from template_holds where organization_id = $1 and account_id = $2";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(account).execute(c).await.map(drop))?;
    Ok(())
}
