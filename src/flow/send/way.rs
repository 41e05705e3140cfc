//! How the messages of a lane would go now: over which line, through which account.

use std::sync::Arc;

use providers::Sender;

use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{AccountId, Lane};
use crate::store::{Session, StoreError, routes};

/// How a lane's messages would go now.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Over this line of this account.
    Open(Sender, Arc<DirectoryAccount>),
    /// Through an account that cannot be opened now: they wait.
    Locked(AccountId),
    /// No active route carries them.
    Closed,
}

impl Way {
    /// The line and the account, if they are there.
    pub(super) fn open(&self) -> Option<(&Sender, &Arc<DirectoryAccount>)> {
        match self {
            Way::Open(from, account) => Some((from, account)),
            Way::Locked(_) | Way::Closed => None,
        }
    }

    /// Why nothing can be sent.
    pub(super) fn obstacle(&self) -> &'static str {
        match self {
            Way::Locked(_) => {
                "the account cannot be opened: the gateway's master key does not fit its credentials"
            }
            Way::Open(..) | Way::Closed => "no active route whose account can send",
        }
    }
}

/// Finds it.
pub(super) async fn find(
    gateway: &Gateway,
    session: &mut Session,
    lane: Lane,
) -> Result<Way, StoreError> {
    let Some(route) = routes::active(session, lane.organization_id, lane.channel).await? else {
        return Ok(Way::Closed);
    };
    let mut snapshot = gateway.directory.snapshot();
    if snapshot.account(route.account_id).is_none() {
        // Another process may just have connected the account, or it may open again.
        gateway.refresh_directory().await?;
        snapshot = gateway.directory.snapshot();
    }
    Ok(match snapshot.account(route.account_id) {
        Some(account) => {
            let from = Sender { address: route.address, handle: route.handle };
            Way::Open(from, Arc::clone(account))
        }
        None if snapshot.cannot_open(route.account_id) => Way::Locked(route.account_id),
        None => Way::Closed,
    })
}
