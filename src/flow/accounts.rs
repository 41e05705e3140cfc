//! Accounts at providers: connecting them, changing them, rotating their credentials, taking them away.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use providers::{Provider, Secret};
use secrecy::ExposeSecret;
use serde_json::json;

use super::audit::{self, Deed};
use super::{Actor, FlowError, checked_text, claims, destinations, routes, send};
use crate::clock::Timestamp;
use crate::gateway::{Gateway, Snapshot, build, drop_expired, is_previous, previous};
use crate::model::{Account, AccountId, RouteState};
use crate::store::accounts::{self as rows, SealedAccount};
use crate::store::events::Outbox;
use crate::store::lines::{sessions, templates};
use crate::store::sending::holds;
use crate::store::{Session, routes as route_rows};

/// How long the old credentials stay valid after a rotation, if nothing else is said.
pub const ROTATION_HOURS: i64 = 24;

/// What it takes to connect an account.
#[derive(Debug)]
pub struct NewAccount {
    /// The provider's word.
    pub provider: String,
    /// What people call it.
    pub name: String,
    /// Its plain settings.
    pub settings: BTreeMap<String, String>,
    /// Its credentials.
    pub credentials: BTreeMap<String, Secret>,
}

/// What to change about an account. Settings are replaced one by one; an empty value takes one away.
#[derive(Debug, Default)]
pub struct AccountChange {
    /// Another name.
    pub name: Option<String>,
    /// Other settings.
    pub settings: BTreeMap<String, String>,
    /// Other credentials, at once and without a transition; to keep the old ones valid for a while, rotate.
    pub credentials: BTreeMap<String, Secret>,
}

/// A rotation of credentials.
#[derive(Debug)]
pub struct Rotation {
    /// The new credentials.
    pub credentials: BTreeMap<String, Secret>,
    /// How long the old ones stay valid, in hours: 0 to 720.
    pub previous_valid_hours: Option<i64>,
}

/// Connects an account.
pub async fn create(
    gateway: &Gateway,
    actor: &Actor,
    new: NewAccount,
) -> Result<Account, FlowError> {
    let provider = known_provider(&new.provider)?;
    check_names(provider, new.settings.keys(), new.credentials.keys())?;
    let now = gateway.clock.now();
    let account = Account {
        organization_id: actor.organization_id,
        id: AccountId(gateway.ids.next()),
        provider: provider.name.to_owned(),
        name: checked_text("name", &new.name, 200)?,
        settings: without_blanks(new.settings),
        credentials: Vec::new(),
        previous_expires_at: None,
        created_at: now,
        updated_at: now,
    };
    let mut session = gateway.store.write(actor.organization_id).await?;
    let directory = claims::lock(gateway, &mut session).await?;
    let given = new.credentials.keys().cloned().collect();
    let opened = build(&account, new.credentials.clone(), now)?;
    destinations::check(gateway, None, &opened, &given)?;
    let sealed = seal(gateway, &mut session, &directory, account, new.credentials).await?;
    rows::insert(&mut session, &sealed).await?;
    let detail = json!({ "provider": provider.name, "name": sealed.account.name });
    finish(gateway, session, actor, "account.create", &sealed.account, detail).await
}

/// Changes an account.
pub async fn update(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    change: AccountChange,
) -> Result<Account, FlowError> {
    let mut session = gateway.store.write(actor.organization_id).await?;
    let directory = claims::lock(gateway, &mut session).await?;
    let (mut account, mut credentials) = open(gateway, &mut session, actor, id).await?;
    let provider = known_provider(&account.provider)?;
    check_names(provider, change.settings.keys(), change.credentials.keys())?;
    let now = gateway.clock.now();
    let before = build(&account, credentials.clone(), now).ok();
    let given: BTreeSet<String> = change.credentials.keys().cloned().collect();
    let mut changed: Vec<String> = change.settings.keys().cloned().collect();
    changed.extend(change.credentials.keys().cloned());
    if let Some(name) = &change.name {
        account.name = checked_text("name", name, 200)?;
        changed.push("name".to_owned());
    }
    account.settings.extend(change.settings);
    account.settings = without_blanks(account.settings);
    for (name, secret) in change.credentials {
        for half in halves(provider, &name) {
            credentials.remove(&previous(half));
        }
        credentials.insert(name, secret);
    }
    let opened = build(&account, credentials.clone(), now)?;
    destinations::check(gateway, before.as_ref(), &opened, &given)?;
    let sealed = seal(gateway, &mut session, &directory, account, credentials).await?;
    rows::update(&mut session, &sealed).await?;
    let detail = json!({ "changed": changed });
    let account =
        finish(gateway, session, actor, "account.update", &sealed.account, detail).await?;
    claim(gateway, &account).await;
    Ok(account)
}

/// Replaces credentials; the old ones stay valid for a while beside the new ones.
pub async fn rotate(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    rotation: Rotation,
) -> Result<Account, FlowError> {
    let hours = rotation.previous_valid_hours.unwrap_or(ROTATION_HOURS);
    if !(0..=720).contains(&hours) {
        return Err(FlowError::invalid("previous_valid_hours", "must be 0 to 720"));
    }
    if rotation.credentials.is_empty() {
        return Err(FlowError::invalid("credentials", "must name at least one credential"));
    }
    let now = gateway.clock.now();
    let mut session = gateway.store.write(actor.organization_id).await?;
    let directory = claims::lock(gateway, &mut session).await?;
    let (mut account, mut credentials) = open(gateway, &mut session, actor, id).await?;
    let provider = known_provider(&account.provider)?;
    check_names(provider, [].iter(), rotation.credentials.keys())?;
    for name in rotation.credentials.keys() {
        let rotates = provider.fields.iter().any(|field| field.name == name && field.rotates);
        if !rotates {
            let reason = "does not rotate; replace it with an update";
            return Err(FlowError::invalid(format!("credentials.{name}"), reason));
        }
    }
    let rotated: Vec<String> = rotation.credentials.keys().cloned().collect();
    let until = (hours > 0).then(|| now + TimeDelta::hours(hours));
    replace(&mut account, &mut credentials, provider, rotation.credentials, until);
    let sealed = seal(gateway, &mut session, &directory, account, credentials).await?;
    rows::update(&mut session, &sealed).await?;
    let detail = json!({ "rotated": rotated, "previous_valid_hours": hours });
    let account =
        finish(gateway, session, actor, "account.rotate", &sealed.account, detail).await?;
    claim(gateway, &account).await;
    Ok(account)
}

/// Puts new credentials in the place of old ones, which stay valid `until` then, or no longer.
///
/// One time ends the validity of all that is previous. What an earlier rotation left stays valid, but not beyond the time that was
/// set for it: then what is replaced now ends with it, if that is earlier than `until`.
fn replace(
    account: &mut Account,
    credentials: &mut BTreeMap<String, Secret>,
    provider: &'static Provider,
    new: BTreeMap<String, Secret>,
    until: Option<Timestamp>,
) {
    let before = credentials.clone();
    let text = |name: &str| before.get(name).map_or("", |secret| secret.expose_secret());
    let mut replaced: BTreeSet<&str> = BTreeSet::new();
    for (name, secret) in new {
        // The same value once more replaces nothing: a call that is repeated leaves what it did the first time.
        if until.is_none() || text(&name) != secret.expose_secret() {
            replaced.extend(halves(provider, &name));
        }
        credentials.insert(name, secret);
    }
    for name in &replaced {
        credentials.remove(&previous(name));
    }
    let stays = credentials.keys().any(|name| is_previous(name));
    let Some(until) = until else { return };
    let old = replaced.into_iter().filter(|name| !text(name).trim().is_empty());
    let old: Vec<_> = old.filter_map(|name| Some((previous(name), before.get(name)?))).collect();
    if !old.is_empty() {
        let earlier = account.previous_expires_at.filter(|earlier| stays && *earlier < until);
        account.previous_expires_at = Some(earlier.unwrap_or(until));
    }
    credentials.extend(old.into_iter().map(|(name, secret)| (name, secret.clone())));
}

/// A field and, where it is one half of two, the other.
fn halves(provider: &'static Provider, name: &str) -> impl Iterator<Item = &'static str> {
    let field = provider.fields.iter().find(|field| field.name == name);
    field.into_iter().flat_map(|field| std::iter::once(field.name).chain(field.rotates_with))
}

/// Takes an account away, with its routes and credentials. Its history stays.
pub async fn delete(gateway: &Gateway, actor: &Actor, id: AccountId) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let routes = route_rows::list(&mut session, organization).await?;
    let active = routes.iter().any(|r| r.account_id == id && r.state == RouteState::Active);
    if active {
        return Err(FlowError::Conflict(
            "the account carries an active route; retire the route or activate another first"
                .to_owned(),
        ));
    }
    if !rows::delete(&mut session, organization, id, gateway.clock.now()).await? {
        return Err(FlowError::NotFound("account"));
    }
    route_rows::delete_of_account(&mut session, organization, id).await?;
    templates::delete(&mut session, organization, id).await?;
    templates::delete_sync(&mut session, organization, id).await?;
    holds::forget(&mut session, organization, id).await?;
    sessions::delete(&mut session, organization, id).await?;
    rows::changed(&mut session, organization, id).await?;
    let deed = Deed { action: "account.delete", subject: id.to_string(), detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    session.commit().await?;
    gateway.refresh_directory().await?;
    Ok(())
}

/// Writes what waited for a key that the account holds by now. The change stands whether or not that is possible: were it told
/// as failed, a rotation would be made a second time.
async fn claim(gateway: &Gateway, account: &Account) {
    if let Err(error) = routes::claim_again(gateway, account.organization_id, account.id).await {
        tracing::warn!(account = %account.id, %error, "what waits for the account's lines could not be claimed now");
    }
}

fn known_provider(word: &str) -> Result<&'static Provider, FlowError> {
    providers::provider(word).ok_or_else(|| {
        let known: Vec<&str> = providers::PROVIDERS.iter().map(|provider| provider.name).collect();
        FlowError::invalid("provider", format!("must be one of {}", known.join(", ")))
    })
}

/// Every given name must be a field of the provider, and stand where it belongs.
fn check_names<'n>(
    provider: &Provider,
    settings: impl Iterator<Item = &'n String>,
    credentials: impl Iterator<Item = &'n String>,
) -> Result<(), FlowError> {
    let settings = settings.map(|name| (name, "settings", false));
    for (name, place, secret) in settings.chain(credentials.map(|name| (name, "credentials", true)))
    {
        let field = format!("{place}.{name}");
        match provider.fields.iter().find(|field| field.name == name) {
            None => {
                let reason = format!("{} has no such field", provider.title);
                return Err(FlowError::invalid(field, reason));
            }
            Some(known) if known.secret != secret => {
                let right = if known.secret { "credentials" } else { "settings" };
                return Err(FlowError::invalid(field, format!("belongs in `{right}`")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn without_blanks(settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect()
}

/// Opens an account's credentials to change them. What is no longer valid is left out, and with the change is gone.
async fn open(
    gateway: &Gateway,
    session: &mut Session,
    actor: &Actor,
    id: AccountId,
) -> Result<(Account, BTreeMap<String, Secret>), FlowError> {
    let organization = actor.organization_id;
    // Two changes at once must see each other.
    Outbox::lock(session, [organization]).await?;
    let SealedAccount { account, sealed } =
        rows::get(session, organization, id).await?.ok_or(FlowError::NotFound("account"))?;
    let mut credentials = gateway.keys.open(session, organization, id, &sealed).await?;
    drop_expired(&account, &mut credentials, gateway.time.ages().certain());
    Ok((account, credentials))
}

/// Checks that the account opens with these credentials and may hold what it holds, and seals them.
async fn seal(
    gateway: &Gateway,
    session: &mut Session,
    directory: &Snapshot,
    mut account: Account,
    credentials: BTreeMap<String, Secret>,
) -> Result<SealedAccount, FlowError> {
    let now = gateway.clock.now();
    let opened = build(&account, credentials.clone(), now)?;
    let routes = route_rows::list(session, account.organization_id).await?;
    claims::check(gateway, directory, &opened, &routes)?;
    account.credentials = credentials.keys().cloned().collect();
    if !credentials.keys().any(|name| is_previous(name)) {
        account.previous_expires_at = None;
    }
    account.updated_at = now;
    let (organization, id) = (account.organization_id, account.id);
    let sealed = gateway.keys.seal(session, organization, id, &credentials).await?;
    Ok(SealedAccount { account, sealed })
}

async fn finish(
    gateway: &Gateway,
    mut session: Session,
    actor: &Actor,
    action: &str,
    account: &Account,
    detail: serde_json::Value,
) -> Result<Account, FlowError> {
    rows::changed(&mut session, account.organization_id, account.id).await?;
    let deed = Deed { action, subject: account.id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    // What the account held back may get through now.
    send::manage::account_changed(gateway, &mut session, actor.organization_id).await?;
    session.commit().await?;
    gateway.refresh_directory().await?;
    gateway.due.notify_one();
    Ok(account.clone())
}
