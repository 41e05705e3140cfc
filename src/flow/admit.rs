//! Whether a webhook's body is worth reading. Whoever is known to be no provider of anybody's takes no room from those who are.

use std::time::Instant;

use providers::Unverified;

use super::receive::{Endpoint, Refused};
use crate::gateway::Gateway;
use crate::metrics;

/// Lets a request's body be read, or says why not: there is no such account, or it cannot be genuine, whatever its body.
pub async fn admit(
    gateway: &Gateway,
    endpoint: Endpoint,
    request: &Unverified<'_>,
) -> Result<(), Refused> {
    let started = Instant::now();
    let admitted = try_admit(gateway, endpoint, request).await;
    if let Err(refused) = &admitted {
        metrics::webhook(endpoint.provider().name, refused.word(), started.elapsed());
    }
    admitted
}

async fn try_admit(
    gateway: &Gateway,
    endpoint: Endpoint,
    request: &Unverified<'_>,
) -> Result<(), Refused> {
    let form = (endpoint.provider().precheck)(request, gateway.clock.now());
    if is_known(gateway, endpoint) {
        return form.map_err(Refused::Rejected);
    }
    // It may have been made by another process a moment ago. What is refused either way needs no look.
    if form.is_ok() && is_found(gateway, endpoint).await? {
        return Ok(());
    }
    Err(Refused::UnknownAccount)
}

async fn is_found(gateway: &Gateway, endpoint: Endpoint) -> Result<bool, Refused> {
    match gateway.look_for_new().await {
        Ok(true) => Ok(is_known(gateway, endpoint)),
        Ok(false) => Err(Refused::NotNow),
        Err(error) => Err(error.into()),
    }
}

/// Whether the endpoint is one that all share, or an account's that we have in memory.
fn is_known(gateway: &Gateway, endpoint: Endpoint) -> bool {
    let Endpoint::Account(provider, id) = endpoint else { return true };
    let snapshot = gateway.directory.snapshot();
    let account = snapshot.account(id).filter(|account| std::ptr::eq(account.provider, provider));
    account.is_some() || snapshot.is_locked(provider, id)
}
