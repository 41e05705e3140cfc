//! Routes: which account carries which of our lines. A new route claims what has waited for it.

use providers::{Address, Channel, PhoneNumber};
use serde_json::json;

use super::audit::{self, Deed};
use super::{Actor, FlowError, checked_text, claims, optional_text, replay, send};
use crate::gateway::{Gateway, Snapshot, line_key};
use crate::model::{AccountId, OrganizationId, Route, RouteId, RouteState};
use crate::store::{Session, StoreError, accounts, routes as rows};

/// What it takes to add a route.
#[derive(Debug)]
pub struct NewRoute {
    /// The account that carries it.
    pub account_id: AccountId,
    /// What is carried.
    pub channel: String,
    /// Our number in E.164 form, or our mailbox.
    pub address: String,
    /// The provider's own handle of it (Meta: `phone_number_id`).
    pub handle: Option<String>,
    /// What it does; if not said: active where the channel has no active route yet, else standby.
    pub state: Option<String>,
}

/// A new route, and how many waiting items it has claimed.
#[derive(Debug)]
pub struct Added {
    /// The route.
    pub route: Route,
    /// How many quarantined items were written because of it.
    pub claimed: usize,
}

/// Adds a route, and claims what has waited for it.
pub async fn create(gateway: &Gateway, actor: &Actor, new: NewRoute) -> Result<Added, FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let snapshot = claims::lock(gateway, &mut session).await?;
    let account = snapshot.account(new.account_id);
    let account = account.filter(|account| account.organization_id == organization);
    let Some(account) = account else {
        return Err(missing(&mut session, &snapshot, organization, new.account_id).await?);
    };
    let channel = Channel::from_word(&new.channel)
        .filter(|channel| account.provider.channels.contains(channel))
        .ok_or_else(|| {
            let able: Vec<&str> = account.provider.channels.iter().map(|c| c.word()).collect();
            FlowError::invalid(
                "channel",
                format!("{} carries {}", account.provider.title, able.join(", ")),
            )
        })?;
    let address = check_address(channel, &new.address)?;
    let handle = optional_text("handle", new.handle.as_deref(), 200)?;
    if account.provider.name == "meta" && handle.is_none() {
        let reason = "is missing: Meta names a number by its phone_number_id";
        return Err(FlowError::invalid("handle", reason));
    }
    claims::check_line(&snapshot, account, channel, &address, handle.as_deref())?;

    let now = gateway.clock.now();
    let taken = rows::list(&mut session, organization).await?;
    let has_active = taken.iter().any(|r| r.channel == channel && r.state == RouteState::Active);
    let state = match new.state.as_deref().map(parse_state).transpose()? {
        Some(state) => state,
        None if has_active => RouteState::Standby,
        None => RouteState::Active,
    };
    let route = Route {
        organization_id: organization,
        id: RouteId(gateway.ids.next()),
        account_id: account.id,
        channel,
        address,
        handle,
        state,
        created_at: now,
        updated_at: now,
    };
    rows::insert(&mut session, &route).await.map_err(|error| duplicate(error, channel))?;
    let detail = json!({
        "account_id": route.account_id, "channel": channel.word(), "address": route.address,
        "state": state.word(),
    });
    let deed = Deed { action: "route.create", subject: route.id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    finish(gateway, session, &route).await?;
    let claimed = claim(gateway, account.provider.name, &route).await?;
    Ok(Added { route, claimed })
}

/// Why an account cannot carry a route: it is not there, or cannot be opened.
async fn missing(
    session: &mut Session,
    snapshot: &Snapshot,
    organization: OrganizationId,
    id: AccountId,
) -> Result<FlowError, StoreError> {
    let is_there = accounts::get(session, organization, id).await?.is_some();
    Ok(match is_there && snapshot.cannot_open(id) {
        true => FlowError::Locked(id),
        false => FlowError::NotFound("account"),
    })
}

/// Changes what a route does.
pub async fn set_state(
    gateway: &Gateway,
    actor: &Actor,
    id: RouteId,
    state: &str,
) -> Result<Route, FlowError> {
    let state = parse_state(state)?;
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let snapshot = claims::lock(gateway, &mut session).await?;
    let route = rows::get(&mut session, organization, id).await?;
    let mut route = route.ok_or(FlowError::NotFound("route"))?;
    let before = route.state;
    let provider = snapshot.account(route.account_id).map(|account| account.provider.name);
    // Somebody else may have taken the line while it was retired.
    if state != RouteState::Retired
        && let Some(account) = snapshot.account(route.account_id)
    {
        let (address, handle) = (&route.address, route.handle.as_deref());
        claims::check_line(&snapshot, account, route.channel, address, handle)?;
    }
    let now = gateway.clock.now();
    rows::set_state(&mut session, organization, id, state, now)
        .await
        .map_err(|error| duplicate(error, route.channel))?;
    let detail = json!({ "from": route.state.word(), "to": state.word() });
    let deed = Deed { action: "route.state", subject: id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    route.state = state;
    route.updated_at = now;
    finish(gateway, session, &route).await?;
    // What arrived while it was retired is nobody's yet.
    if before == RouteState::Retired
        && state != RouteState::Retired
        && let Some(provider) = provider
    {
        claim(gateway, provider, &route).await?;
    }
    Ok(route)
}

/// Commits. Where the route carries its channel from now on, what waited for a way goes on at once.
async fn finish(gateway: &Gateway, mut session: Session, route: &Route) -> Result<(), FlowError> {
    accounts::changed(&mut session, route.organization_id, route.account_id).await?;
    let is_active = route.state == RouteState::Active;
    if is_active {
        send::manage::account_changed(gateway, &mut session, route.organization_id).await?;
    }
    session.commit().await?;
    gateway.refresh_directory().await?;
    if is_active {
        gateway.due.notify_one();
    }
    Ok(())
}

/// Takes a route away. What still arrives for it waits in the inbox.
pub async fn delete(gateway: &Gateway, actor: &Actor, id: RouteId) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let route = rows::get(&mut session, organization, id).await?;
    let route = route.ok_or(FlowError::NotFound("route"))?;
    if !rows::delete(&mut session, organization, id).await? {
        return Err(FlowError::NotFound("route"));
    }
    accounts::changed(&mut session, organization, route.account_id).await?;
    let deed = Deed { action: "route.delete", subject: id.to_string(), detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    session.commit().await?;
    gateway.refresh_directory().await?;
    Ok(())
}

/// Writes what arrived for the route before it was there.
async fn claim(gateway: &Gateway, provider: &str, route: &Route) -> Result<usize, FlowError> {
    let mut lines = vec![format!("address:{}", line_key(&route.address))];
    lines.extend(route.handle.iter().map(|handle| format!("handle:{handle}")));
    replay::claim(gateway, provider, &lines, route.organization_id).await
}

/// Writes what arrived for the lines that an account carries, now that it holds other keys.
pub(super) async fn claim_again(
    gateway: &Gateway,
    organization: OrganizationId,
    account: AccountId,
) -> Result<(), FlowError> {
    let snapshot = gateway.directory.snapshot();
    let Some(provider) = snapshot.account(account).map(|account| account.provider.name) else {
        return Ok(());
    };
    let mut session = gateway.store.read(organization).await?;
    let routes = rows::list(&mut session, organization).await?;
    drop(session);
    let carries =
        |route: &&Route| route.account_id == account && route.state != RouteState::Retired;
    for route in routes.iter().filter(carries) {
        claim(gateway, provider, route).await?;
    }
    Ok(())
}

fn parse_state(word: &str) -> Result<RouteState, FlowError> {
    RouteState::from_word(word).ok_or_else(|| {
        let known: Vec<&str> = RouteState::ALL.iter().map(|state| state.word()).collect();
        FlowError::invalid("state", format!("must be one of {}", known.join(", ")))
    })
}

fn check_address(channel: Channel, address: &str) -> Result<String, FlowError> {
    let address = checked_text("address", address, 254)?;
    if channel == Channel::Email {
        let email = Address::email(&address);
        let email = email.map_err(|error| FlowError::invalid("address", error.to_string()))?;
        return Ok(email.value().to_owned());
    }
    let is_short_code =
        (3..=6).contains(&address.len()) && address.bytes().all(|byte| byte.is_ascii_digit());
    if channel == Channel::Sms && is_short_code {
        return Ok(address);
    }
    let number = PhoneNumber::international(&address).ok().filter(|_| address.starts_with('+'));
    let number = number
        .ok_or_else(|| FlowError::invalid("address", providers::AddressError::Phone.to_string()))?;
    Ok(number.as_str().to_owned())
}

/// PostgreSQL tells the index's name, SQLite its columns.
fn duplicate(error: StoreError, channel: Channel) -> FlowError {
    match error {
        StoreError::Duplicate(which)
            if which.contains("routes_line") || which.contains("address") =>
        {
            FlowError::Conflict("the account has a route for this line already".to_owned())
        }
        StoreError::Duplicate(_) => {
            let word = channel.word();
            FlowError::Conflict(format!(
                "the channel `{word}` has an active route already: put that one on `standby` first"
            ))
        }
        other => other.into(),
    }
}
