//! A webhook comes in: it is verified, each of its items finds its organization, everything is committed, and then it is
//! answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use providers::{Batch, Event, EventKind, Inbound, KeyId, Line, Provider, Rejection, Reply};

use super::owners::destination;
pub use super::prove::Endpoint;
use super::prove::{self, Unproven};
use super::routing::{Authority, Destination, call_sides, line_name};
use crate::gateway::{DirectoryAccount, Gateway, Snapshot};
use crate::metrics;
use crate::model::{
    InboxId, Item, KeptRequest, OrganizationId, QuarantineId, QuarantineReason, QuarantinedItem,
    Receipt, Submission,
};
use crate::store::StoreError;
use crate::store::intake::SubmitError;

/// Headers without which a request could not be read again.
const KEPT_HEADERS: [&str; 1] = ["content-type"];

/// A webhook that was written.
#[derive(Debug)]
pub struct Accepted {
    /// What to answer.
    pub reply: Reply,
    /// What became of its items.
    pub receipt: Receipt,
}

/// A webhook that was not.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody proves that it comes from the provider.
    #[error("{0}")]
    Rejected(Rejection),
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// The account, or any that could be meant, is there and its credentials cannot be opened: a master key is missing.
    #[error("the account's credentials cannot be opened")]
    Locked,
    /// It could not be written now; the provider must deliver it again.
    #[error(transparent)]
    Busy(#[from] SubmitError),
    /// The database could not be asked whose it is; the provider must deliver it again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same, and whoever asked the database for several was told why.
    #[error("the database could not be asked whether there is such an account")]
    NotNow,
}

impl Refused {
    /// The outcome's word in the metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.word(),
            Self::UnknownAccount => "unknown_account",
            Self::Locked => "locked",
            Self::Busy(SubmitError::Full) => "queue_full",
            Self::Busy(_) | Self::Store(_) | Self::NotNow => "unavailable",
        }
    }
}

/// Receives one webhook. `request` has the absolute URL, as the provider called it, and the raw body.
pub async fn receive(
    gateway: &Gateway,
    endpoint: Endpoint,
    request: http::Request<Bytes>,
) -> Result<Accepted, Refused> {
    let started = Instant::now();
    let provider = endpoint.provider();
    let result = try_receive(gateway, endpoint, request).await;
    observe(provider, &result, started.elapsed());
    result
}

async fn try_receive(
    gateway: &Gateway,
    endpoint: Endpoint,
    request: http::Request<Bytes>,
) -> Result<Accepted, Refused> {
    let at = gateway.clock.now();
    let mut snapshot = gateway.directory.snapshot();
    let inbound = Inbound::Webhook { at, request };
    let (mut verified, mut inbound) = verify(gateway, &snapshot, endpoint, inbound).await;
    // The account may have been made, or its key rotated, by another process a moment ago.
    let (store, keys) = (&gateway.store, &gateway.keys);
    if verified.is_err()
        && gateway.directory.look_again(store, keys, gateway.time.ages().certain()).await?
    {
        snapshot = gateway.directory.snapshot();
        (verified, inbound) = verify(gateway, &snapshot, endpoint, inbound).await;
    }
    let (account, batch) = verified?;
    let (Inbound::Webhook { request, .. } | Inbound::Kept { request, .. }) = inbound;
    let reply = batch.reply.clone();
    if is_challenge(&request, &batch) {
        return Ok(Accepted { reply, receipt: Receipt::default() });
    }
    let key = batch.signed_with;
    let authority = Authority::new(&snapshot, &account, key);
    let (items, quarantined) = sort(gateway, &authority, batch).await?;
    let proven = Proven { account: &account, authority: &authority, key };
    let request = keep(gateway, &proven, request, at, &items, &quarantined);
    let submission = Submission { request, keep: true, items, quarantined };
    let receipt = gateway.batcher.submit(submission).await?;
    metrics::items(account.provider.name, receipt);
    Ok(Accepted { reply, receipt })
}

/// What [`prove::verify`] says, with the request. A large one may have to be hashed with many keys: that is done aside.
async fn verify(
    gateway: &Gateway,
    snapshot: &Arc<Snapshot>,
    endpoint: Endpoint,
    inbound: Inbound,
) -> (Result<(Arc<DirectoryAccount>, Batch), Unproven>, Inbound) {
    let (Inbound::Webhook { request, .. } | Inbound::Kept { request, .. }) = &inbound;
    if matches!(endpoint, Endpoint::Account(..)) || request.body().len() < prove::LARGE {
        return (prove::verify(snapshot, &gateway.proofs, endpoint, &inbound), inbound);
    }
    let (snapshot, proofs) = (Arc::clone(snapshot), Arc::clone(&gateway.proofs));
    let aside = tokio::task::spawn_blocking(move || {
        (prove::verify(&snapshot, &proofs, endpoint, &inbound), inbound)
    });
    match aside.await {
        Ok(verified) => verified,
        Err(error) => match error.try_into_panic() {
            // The request panics as if it had been done here.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// How a request was proven.
struct Proven<'a> {
    account: &'a DirectoryAccount,
    authority: &'a Authority<'a>,
    key: Option<KeyId>,
}

/// A verification request asks and tells nothing: there is nothing to keep.
fn is_challenge(request: &http::Request<Bytes>, batch: &Batch) -> bool {
    request.method() == http::Method::GET
        && batch.signed_with.is_none()
        && batch.events.is_empty()
        && batch.unparsed.is_empty()
}

/// Finds each item's organization; what finds none waits in quarantine, whole.
pub(super) async fn sort(
    gateway: &Gateway,
    authority: &Authority<'_>,
    batch: Batch,
) -> Result<(Vec<Item>, Vec<QuarantinedItem>), StoreError> {
    let mut items = Vec::with_capacity(batch.events.len());
    let mut quarantined = Vec::new();
    let provider = authority.provider().name;
    for event in batch.events {
        let destination = destination(gateway, authority, &event).await?;
        match destination {
            Destination::Found { organization_id, account_id, our_address } => {
                let (direction, person) = call_sides(&event, our_address.as_deref());
                items.push(Item {
                    organization_id,
                    account_id,
                    provider,
                    our_address,
                    direction,
                    person,
                    event,
                });
            }
            destination => quarantined.push(waiting(gateway, authority, &event, &destination)),
        }
    }
    for item in batch.unparsed {
        let organization_id = keeper(authority, &authority.line(&item.line, None));
        quarantined.push(QuarantinedItem {
            organization_id,
            id: QuarantineId(gateway.ids.next()),
            account_id: authority.account_for(organization_id),
            position: item.position,
            reason: QuarantineReason::Unreadable,
            detail: item.reason,
            line: line_name(&item.line),
            raw: item.raw,
        });
    }
    Ok((items, quarantined))
}

/// An event that cannot be written now, and why.
fn waiting(
    gateway: &Gateway,
    authority: &Authority<'_>,
    event: &Event,
    destination: &Destination,
) -> QuarantinedItem {
    let line = line_name(&event.line);
    let named = line.as_deref().unwrap_or("no line");
    let (reason, detail) = match destination {
        Destination::OneOf(_)
            if matches!((&event.kind, &event.line), (EventKind::Call(_), Line::Account(_))) =>
        {
            let detail = format!("no account lists {named}, and the call is not known");
            (QuarantineReason::Unrouted, detail)
        }
        Destination::OneOf(_) => {
            (QuarantineReason::Ambiguous, "several organizations could be meant".to_owned())
        }
        Destination::Nobody | Destination::Found { .. } => {
            (QuarantineReason::Unrouted, format!("no route claims {named}"))
        }
    };
    let organization_id = keeper(authority, destination);
    QuarantinedItem {
        organization_id,
        id: QuarantineId(gateway.ids.next()),
        account_id: authority.account_for(organization_id),
        position: event.key.0.clone(),
        reason,
        detail,
        line,
        raw: serde_json::to_string(event).unwrap_or_default(),
    }
}

/// Who keeps what cannot be written: whoever it belongs to; what belongs to nobody, the one organization whose it can be, else
/// the platform.
fn keeper(authority: &Authority<'_>, destination: &Destination) -> OrganizationId {
    match (destination, authority.concerned()) {
        (Destination::Found { organization_id, .. }, _) => *organization_id,
        (_, [only]) => *only,
        _ => OrganizationId::PLATFORM,
    }
}

/// The request in the form in which it is kept. It belongs to the one organization it names; if it names several, to the
/// platform, so that none reads another's items.
fn keep(
    gateway: &Gateway,
    proven: &Proven<'_>,
    request: http::Request<Bytes>,
    received_at: crate::clock::Timestamp,
    items: &[Item],
    quarantined: &[QuarantinedItem],
) -> KeptRequest {
    let account = proven.account;
    let owners = items.iter().map(|item| item.organization_id);
    let mut owners = owners.chain(quarantined.iter().map(|item| item.organization_id));
    let first = owners.next().unwrap_or(account.organization_id);
    let organization_id =
        if owners.all(|other| other == first) { first } else { OrganizationId::PLATFORM };
    let mut headers = String::new();
    for name in KEPT_HEADERS {
        // All of them: whether there is one or two tells how a request is read, also when it is read again.
        for value in request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok())
        {
            headers.push_str(name);
            headers.push_str(": ");
            headers.push_str(value);
            headers.push('\n');
        }
    }
    let (method, url) = (request.method().to_string(), request.uri().to_string());
    let body = request.into_body();
    let body = match account.account.webhooks() {
        Some(webhooks) => webhooks.without_credentials(body),
        None => body,
    };
    KeptRequest {
        organization_id,
        id: InboxId(gateway.ids.at(received_at)),
        account_id: proven.authority.account_for(organization_id),
        key: proven.key.and_then(|key| account.fingerprint(key)),
        provider: account.provider.name,
        method,
        url,
        headers,
        body,
        received_at,
    }
}

fn observe(provider: &'static Provider, result: &Result<Accepted, Refused>, took: Duration) {
    let outcome = match result {
        Ok(accepted) => {
            let receipt = accepted.receipt;
            match (receipt.quarantined, receipt.stored + receipt.waiting, receipt.duplicate) {
                (1.., _, _) => "quarantined",
                (0, 0, 1..) => "duplicate",
                _ => "accepted",
            }
        }
        Err(refused) => refused.word(),
    };
    metrics::webhook(provider.name, outcome, took);
}

impl From<Unproven> for Refused {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Rejected(rejection) => Self::Rejected(rejection),
            Unproven::UnknownAccount => Self::UnknownAccount,
            Unproven::Locked => Self::Locked,
        }
    }
}
