//! Where an account's credentials go.
//!
//! What may change an account's settings may thereby say where its requests go, and shall not read credentials by it that it
//! does not know. So what goes to another place than before must be given again, unless that place is the provider's own; and
//! where a provider has places of its own, credentials go there and to what `outgoing.allow` names. The transport asks the
//! latter of every request again, since settings may be older than the rule and the rule may change.

use std::collections::BTreeSet;

use super::FlowError;
use crate::config::Config;
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::AccountId;
use crate::transport::{Transport, TransportError};

/// Checks an account that is connected or changed: `before` as it was, with the names of the credentials that were `given`.
pub(super) fn check(
    gateway: &Gateway,
    before: Option<&DirectoryAccount>,
    after: &DirectoryAccount,
    given: &BTreeSet<String>,
) -> Result<(), FlowError> {
    let Some(to) = after.account.destination() else { return Ok(()) };
    let from = before.and_then(|before| before.account.destination());
    let stays = from.as_ref().filter(|from| from.base == to.base);
    if stays.is_none()
        && let Some(reason) = refused(&gateway.transport, after)
    {
        return Err(FlowError::invalid("settings.base_url", reason));
    }
    if after.provider.homes.own(&to.base) {
        return Ok(());
    }
    for name in &to.credentials {
        let went = stays.is_some_and(|from| from.credentials.contains(name));
        if !went && !given.contains(*name) {
            let reason = format!(
                "is sent to {} by this change, where it was not sent before: give it again in the same request",
                to.base
            );
            return Err(FlowError::invalid(format!("credentials.{name}"), reason));
        }
    }
    Ok(())
}

/// Those of some accounts for which nothing is sent under these settings, and why.
pub fn strays(
    config: &Config,
    accounts: &[DirectoryAccount],
) -> Result<Vec<(AccountId, String)>, TransportError> {
    let transport = Transport::new(&config.outgoing.allow)?;
    let stray = |account: &DirectoryAccount| Some((account.id, refused(&transport, account)?));
    Ok(accounts.iter().filter_map(stray).collect())
}

/// Why nothing is sent for an account, where its credentials may not go to where its settings say.
fn refused(transport: &Transport, account: &DirectoryAccount) -> Option<String> {
    let to = account.account.destination()?;
    transport.trust(account.behalf(), &to.base).err()
}

/// What a person must mend before an account works, if anything is known.
pub fn attention(gateway: &Gateway, id: AccountId) -> Option<String> {
    let snapshot = gateway.directory.snapshot();
    if snapshot.cannot_open(id) {
        let detail = "it cannot be opened: the gateway's master key does not fit its credentials, or its settings are not usable";
        return Some(detail.to_owned());
    }
    let reason = refused(&gateway.transport, snapshot.account(id)?)?;
    Some(format!("nothing is sent: settings.base_url: {reason}"))
}
