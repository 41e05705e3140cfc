//! What belongs to one organization only: a line, among those that share a provider-side application, and a published
//! key.

use std::sync::Arc;

use providers::{Address, Channel};

use super::FlowError;
use crate::gateway::{DirectoryAccount, Gateway, Snapshot};
use crate::model::{Route, RouteState};
use crate::store::{Session, organizations};

/// The directory as nobody can change it until the session ends: of two who want the same line, one comes second.
pub(super) async fn lock(
    gateway: &Gateway,
    session: &mut Session,
) -> Result<Arc<Snapshot>, FlowError> {
    // Every change writes this row, so it waits here; and what was changed before is committed and can be read.
    organizations::bump_directory(session).await?;
    gateway.refresh_directory().await?;
    Ok(gateway.directory.snapshot())
}

/// An account may hold its keys, and the lines of these routes of it that are not retired.
pub(super) fn check(
    gateway: &Gateway,
    snapshot: &Snapshot,
    account: &DirectoryAccount,
    routes: &[Route],
) -> Result<(), FlowError> {
    check_keys(gateway, snapshot, account)?;
    let used =
        routes.iter().filter(|r| r.account_id == account.id && r.state != RouteState::Retired);
    for route in used {
        check_line(snapshot, account, route.channel, &route.address, route.handle.as_deref())?;
    }
    Ok(())
}

/// Who holds a secret key may speak for whoever shares it. A published one anybody may hold: without this check, whoever
/// enters another's would be taken for them.
fn check_keys(
    gateway: &Gateway,
    snapshot: &Snapshot,
    account: &DirectoryAccount,
) -> Result<(), FlowError> {
    if account.provider.key_is_secret || gateway.config.intake.share_public_keys {
        return Ok(());
    }
    let mut others = account.keys.iter().flat_map(|key| snapshot.holders(account.provider, *key));
    if others.any(|other| is_foreign(account, other)) {
        let reason = "another organization has an account with this public key; the operator may allow that with \
                      intake.share_public_keys";
        return Err(FlowError::Conflict(reason.to_owned()));
    }
    Ok(())
}

/// A line belongs to one organization among those that share a provider-side application.
pub(super) fn check_line(
    snapshot: &Snapshot,
    account: &DirectoryAccount,
    channel: Channel,
    address: &str,
    handle: Option<&str>,
) -> Result<(), FlowError> {
    let by_handle = handle.map_or(&[][..], |handle| snapshot.by_handle(account.provider, handle));
    let by_address = Address::of(address);
    let by_address = by_address
        .as_ref()
        .map_or(&[][..], |address| snapshot.by_address(account.provider, address));
    let taken = by_handle
        .iter()
        .chain(by_address.iter().filter(|line| line.channel == channel))
        .filter_map(|line| snapshot.account(line.account_id))
        .any(|other| is_foreign(account, other));
    match taken {
        true => Err(FlowError::Conflict("another organization has this line".to_owned())),
        false => Ok(()),
    }
}

/// Whether an account is another organization's and has a key of this one's.
fn is_foreign(account: &DirectoryAccount, other: &DirectoryAccount) -> bool {
    other.organization_id != account.organization_id
        && other.keys.iter().any(|key| account.keys.contains(key))
}
