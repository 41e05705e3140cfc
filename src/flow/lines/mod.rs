//! What accounts can do besides carrying messages: templates, read receipts, linked devices, probes of credentials.
//!
//! Each asks the provider here and now, and is repeatable. The queue and its lanes are not touched, except that what an
//! account held back goes on when the account works again.

pub mod drafts;
mod judge;
pub mod probe;
pub mod receipts;
pub mod sessions;
pub mod supervise;
pub mod templates;

use std::sync::Arc;
use std::time::Duration;

use providers::{ProviderRequest, ProviderResponse};

use super::FlowError;
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{AccountId, OrganizationId};
use crate::store::accounts;
use crate::transport::Lost;

/// How long a provider may take to answer here: less than a request to us may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many accounts are dealt with at once by the clock.
const AT_ONCE: usize = 16;

/// An organization's account, opened.
async fn account(
    gateway: &Gateway,
    organization: OrganizationId,
    id: AccountId,
) -> Result<Arc<DirectoryAccount>, FlowError> {
    let snapshot = gateway.directory.snapshot();
    let known = snapshot.account(id).filter(|account| account.organization_id == organization);
    if let Some(account) = known {
        return Ok(Arc::clone(account));
    }
    let mut session = gateway.store.read(organization).await?;
    match accounts::get(&mut session, organization, id).await? {
        None => Err(FlowError::NotFound("account")),
        Some(_) => Err(FlowError::Locked(id)),
    }
}

/// The accounts of all organizations that are able to do something, and are not among `resting`.
fn able(
    gateway: &Gateway,
    is_able: fn(&DirectoryAccount) -> bool,
    resting: &[AccountId],
) -> Vec<Arc<DirectoryAccount>> {
    let snapshot = gateway.directory.snapshot();
    let all = providers::PROVIDERS.iter().flat_map(|provider| snapshot.accounts_in_order(provider));
    let able = all.filter(|account| is_able(account) && !resting.contains(&account.id));
    able.cloned().collect()
}

/// Asks the account's provider once.
async fn ask(
    gateway: &Gateway,
    account: &DirectoryAccount,
    request: &ProviderRequest,
) -> Result<ProviderResponse, Lost> {
    gateway.transport.exchange(request, account.behalf(), &gateway.clock, PATIENCE).await
}

/// What an account's provider does not do.
fn not_supported(account: &DirectoryAccount, what: &str) -> FlowError {
    let title = account.provider.title;
    FlowError::refused("not_supported", format!("{title} does not {what} for this account"))
}
