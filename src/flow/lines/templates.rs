//! Templates: listed at the provider, kept here, listed again every hour.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use futures_util::StreamExt;
use providers::{Channel, ListedTemplate};
use serde_json::json;

use super::{AT_ONCE, able, account, ask, not_supported};
use crate::clock::Timestamp;
use crate::flow::{Actor, FlowError};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{AccountId, OrganizationId, Template};
use crate::store::events::Outbox;
use crate::store::lines::templates::{self as rows, TemplateFilter};
use crate::store::sending::holds::{self, Hold, HoldState};
use crate::store::{StoreError, routes};

/// How many pages are read. Meta allows 6,000 templates, a hundred a page, to the largest accounts; 250 to most.
const PAGES: usize = 50;

/// How many templates one answer of ours holds.
const MOST: i64 = 1_000;

/// How long a list is good, and how long it rests after a failure. The former is spread by a tenth.
const GOOD_SECONDS: f64 = 3_600.0;
const REST: TimeDelta = TimeDelta::minutes(15);

/// How often a list is asked for anew because templates changed while it was read.
const TRIES: usize = 3;

/// What a synchronization brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// How many templates the account has.
    pub templates: usize,
    /// Whether those are all: an account may have more than are read.
    pub complete: bool,
}

/// Which templates to list.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of the account that carries this channel now.
    pub channel: Option<Channel>,
    /// Of this account.
    pub account_id: Option<AccountId>,
    /// Of this name.
    pub name: Option<String>,
}

/// The templates that are known, at most a thousand, by name.
pub async fn list(
    gateway: &Gateway,
    organization: OrganizationId,
    wanted: Wanted,
) -> Result<Vec<Template>, StoreError> {
    let mut session = gateway.store.read(organization).await?;
    let mut filter = TemplateFilter { account_id: wanted.account_id, name: wanted.name };
    if let Some(channel) = wanted.channel {
        let Some(route) = routes::active(&mut session, organization, channel).await? else {
            return Ok(Vec::new());
        };
        if filter.account_id.is_some_and(|id| id != route.account_id) {
            return Ok(Vec::new());
        }
        filter.account_id = Some(route.account_id);
    }
    rows::list(&mut session, organization, &filter, MOST).await
}

/// Lists an account's templates at its provider, and keeps them.
pub async fn sync(gateway: &Gateway, actor: &Actor, id: AccountId) -> Result<Synced, FlowError> {
    let account = account(gateway, actor.organization_id, id).await?;
    carry_out(gateway, &account).await
}

/// Lists the templates of all accounts for which that is due.
pub async fn look(gateway: &Gateway) -> Result<(), StoreError> {
    let is_able = |account: &DirectoryAccount| account.account.templates().is_some();
    if able(gateway, is_able, &[]).is_empty() {
        return Ok(());
    }
    let now = gateway.clock.now();
    let fresh = rows::fresh(&mut gateway.store.read_all().await?, now).await?;
    let due = futures_util::stream::iter(able(gateway, is_able, &fresh));
    due.for_each_concurrent(AT_ONCE, |account| async move {
        if let Err(error) = by_the_clock(gateway, &account).await {
            tracing::debug!(account = %account.id, %error, "templates could not be listed");
        }
    })
    .await;
    Ok(())
}

async fn by_the_clock(gateway: &Gateway, account: &DirectoryAccount) -> Result<(), FlowError> {
    let organization = account.organization_id;
    let now = gateway.clock.now();
    let mut session = gateway.store.write(organization).await?;
    let taken = rows::take_sync(&mut session, organization, account.id, now + REST, now).await?;
    session.commit().await?;
    match taken {
        true => carry_out(gateway, account).await.map(drop),
        false => Ok(()),
    }
}

/// Lists an account's templates, and keeps what was found or why nothing was.
pub(super) async fn carry_out(
    gateway: &Gateway,
    account: &DirectoryAccount,
) -> Result<Synced, FlowError> {
    match list_and_keep(gateway, account).await {
        Err(
            error @ (FlowError::ProviderRefused { .. }
            | FlowError::ProviderUnanswered(_)
            | FlowError::Refused { .. }),
        ) => {
            failed(gateway, account, &error).await?;
            Err(error)
        }
        result => result,
    }
}

/// When a list was asked for, and how often the account's templates had changed by then.
#[derive(Clone, Copy)]
struct Asked {
    at: Timestamp,
    changes: i64,
}

/// A list that was asked for before a template was made, changed or deleted would take that back: it is asked for once more.
async fn list_and_keep(gateway: &Gateway, account: &DirectoryAccount) -> Result<Synced, FlowError> {
    for _ in 0..TRIES {
        let (organization, id) = (account.organization_id, account.id);
        let mut session = gateway.store.read(organization).await?;
        let changes = rows::changes(&mut session, organization, id).await?;
        drop(session);
        let asked = Asked { at: gateway.clock.now(), changes };
        let found = fetch(gateway, account).await?;
        if let Some(synced) = keep(gateway, account, found, asked).await? {
            return Ok(synced);
        }
    }
    let detail =
        "the account's templates change all the time; they are listed again within a minute";
    Err(FlowError::Conflict(detail.to_owned()))
}

/// Page by page. A template that stands on two pages, because the list moved meanwhile, is kept once.
async fn fetch(
    gateway: &Gateway,
    account: &DirectoryAccount,
) -> Result<(Vec<ListedTemplate>, bool), FlowError> {
    let templates = account.account.templates();
    let templates = templates.ok_or_else(|| not_supported(account, "list templates"))?;
    let mut found = BTreeMap::new();
    let mut page = None;
    for _ in 0..PAGES {
        let answer = ask(gateway, account, &templates.list(page.as_deref())).await?;
        let listed = templates.listed(&answer)?;
        for template in listed.templates {
            found.insert(template.id.clone(), template);
        }
        match listed.next {
            Some(next) => page = Some(next),
            None => return Ok((found.into_values().collect(), true)),
        }
    }
    tracing::warn!(account = %account.id, "the account has more templates than are read");
    Ok((found.into_values().collect(), false))
}

/// Puts what was found in the place of what was known, and tells if they differ. `None` if the account's templates changed
/// meanwhile: then nothing is written.
async fn keep(
    gateway: &Gateway,
    account: &DirectoryAccount,
    (found, complete): (Vec<ListedTemplate>, bool),
    asked: Asked,
) -> Result<Option<Synced>, FlowError> {
    let (organization, id) = (account.organization_id, account.id);
    let now = gateway.clock.now();
    let mut session = gateway.store.write(organization).await?;
    // Of two who synchronize the same account, one comes second.
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    if rows::changes(&mut session, organization, id).await? != asked.changes {
        return Ok(None);
    }
    let filter = TemplateFilter { account_id: Some(id), name: None };
    let known = rows::list(&mut session, organization, &filter, i64::MAX).await?;
    let mut known: Vec<ListedTemplate> = known.into_iter().map(|known| known.listed).collect();
    known.sort_by(|a, b| a.id.cmp(&b.id));
    if known == found {
        rows::confirm(&mut session, organization, id, now).await?;
    } else {
        rows::replace(&mut session, organization, id, &found, now).await?;
        let data = json!({ "templates": found.len() });
        outbox.push(organization, "templates.changed", id.0, Some(data));
    }
    let place = (organization, id);
    for hold in holds::of_account(&mut session, organization, id).await? {
        // A list that was asked for before the template was paused says nothing of it.
        if hold.updated_at < asked.at
            && let Some(state) = stands(&hold, &found)
        {
            let language = Some(hold.language.as_str()).filter(|language| !language.is_empty());
            holds::status(&mut session, place, &hold.name, language, state, now).await?;
        }
    }
    let good = GOOD_SECONDS * (0.95 + gateway.chance() / 10.0);
    let next = now + crate::store::sending::lanes::span(good);
    let failure = rows::put_sync(&mut session, organization, id, None, next, now).await?;
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    gateway.wake_readers();
    if failure.is_some() {
        tracing::info!(account = %id, "templates can be listed again");
    }
    Ok(Some(Synced { templates: found.len(), complete }))
}

/// How a held template stands by the list; `None` if that leaves it open.
fn stands(hold: &Hold, found: &[ListedTemplate]) -> Option<HoldState> {
    let is_it = |template: &&ListedTemplate| {
        (template.name == hold.name || template.id == hold.name)
            && (hold.language.is_empty() || template.language == hold.language)
    };
    let mut listed = found.iter().filter(is_it).peekable();
    listed.peek()?;
    let states: Vec<Option<HoldState>> =
        listed.map(|template| HoldState::of_status(&template.status)).collect();
    let all = |state| states.iter().all(|one| *one == Some(state));
    [HoldState::Active, HoldState::Ended].into_iter().find(|state| all(*state))
}

/// Writes down why it failed. One line when it begins to fail; the same every hour would fill the log.
async fn failed(
    gateway: &Gateway,
    account: &DirectoryAccount,
    error: &FlowError,
) -> Result<(), StoreError> {
    let (organization, id) = (account.organization_id, account.id);
    let now = gateway.clock.now();
    let mut session = gateway.store.write(organization).await?;
    let why = error.to_string();
    let before =
        rows::put_sync(&mut session, organization, id, Some(&why), now + REST, now).await?;
    session.commit().await?;
    if before.is_none() {
        tracing::warn!(account = %id, %organization, %error, "templates cannot be listed");
    }
    Ok(())
}
