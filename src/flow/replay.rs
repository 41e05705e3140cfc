//! Reading kept webhooks again: after a fix, after a route was added, or because somebody wants to be sure. What was
//! written before changes nothing; what could not be written before is. Of a request that named several organizations each
//! reads, and is told, what is its own.

use bytes::Bytes;
use providers::{Inbound, Provider};
use serde_json::json;
use uuid::Uuid;

use super::audit::{self, Deed};
use super::receive::sort;
use super::routing::Authority;
use super::share::{Places, Share};
use super::unread::{self, UNREAD};
use super::{Actor, FlowError};
use crate::gateway::{Gateway, Snapshot};
use crate::metrics;
use crate::model::{
    InboxId, Item, KeptRequest, OrganizationId, QuarantineId, QuarantineReason, QuarantinedItem,
    Receipt, Submission,
};
use crate::store::accounts;
use crate::store::inbox::{self, InboxRequest, QuarantineEntry, QuarantineFilter};
use crate::store::intake::SubmitError;

/// How many items one replay takes on, and how many a route claims at a time.
pub const LIMIT: i64 = 1_000;

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The quarantined item, or none when a whole request was replayed.
    pub item: Option<QuarantineId>,
    /// The request, when a whole one was replayed.
    pub request: Option<InboxId>,
    /// Whether the item is open no longer, or nothing of the request waits or is still unread.
    pub resolved: bool,
    /// What was written.
    pub receipt: Receipt,
    /// The same in a sentence.
    pub result: String,
}

/// Replays one quarantined item: what its request holds of the organization's is read again.
pub async fn item(
    gateway: &Gateway,
    actor: &Actor,
    id: QuarantineId,
) -> Result<Replayed, FlowError> {
    let organization = actor.organization_id;
    let mut session = read(gateway, organization).await?;
    let entry = inbox::item(&mut session, organization, id).await?;
    drop(session);
    let entry = entry.ok_or(FlowError::NotFound("quarantined item"))?;
    let replayed = replay_entry(gateway, &entry, Share::of(organization)).await?;
    note(gateway, actor, id.to_string(), json!({ "result": replayed.result })).await?;
    Ok(replayed)
}

/// Replays the open items that the filter selects, at most [`LIMIT`]: first those that were tried least often, and of these the
/// oldest. Then, in the same order and number, requests that brought messages of which not all could be read; only these, if
/// [`UNREAD`] is the reason.
pub async fn range(
    gateway: &Gateway,
    actor: &Actor,
    filter: QuarantineFilter,
) -> Result<Vec<Replayed>, FlowError> {
    let organization = actor.organization_id;
    let filter = QuarantineFilter { state: Some("open".to_owned()), ..filter };
    let mut session = read(gateway, organization).await?;
    let entries = inbox::items_to_replay(&mut session, organization, &filter, LIMIT).await?;
    drop(session);
    let mut replayed = Vec::with_capacity(entries.len());
    for entry in &entries {
        replayed.push(replay_entry(gateway, entry, Share::of(organization)).await?);
    }
    if filter.reason.as_deref().is_none_or(|reason| reason == UNREAD) {
        replayed.extend(unread::range(gateway, organization, filter).await?);
    }
    let resolved = replayed.iter().filter(|one| one.resolved).count();
    let detail = json!({ "items": replayed.len(), "resolved": resolved });
    note(gateway, actor, "range".to_owned(), detail).await?;
    Ok(replayed)
}

/// Closes an open item that nobody wants.
pub async fn discard(gateway: &Gateway, actor: &Actor, id: QuarantineId) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    if !inbox::discard(&mut session, organization, id, gateway.clock.now()).await? {
        return Err(FlowError::NotFound("open quarantined item"));
    }
    let deed = Deed { action: "webhook.discard", subject: id.to_string(), detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}

/// Reads one kept request again, quarantined items or not.
pub async fn request(gateway: &Gateway, actor: &Actor, id: InboxId) -> Result<Replayed, FlowError> {
    let organization = actor.organization_id;
    let mut session = read(gateway, organization).await?;
    let kept = inbox::request(&mut session, organization, id).await?;
    drop(session);
    let kept = kept.ok_or(FlowError::NotFound("webhook"))?;
    let outcome = replay_request(gateway, &kept, Share::of(organization), None).await?;
    let left_out = outcome.left_out();
    let mut result = outcome.describe();
    if left_out {
        result.push_str("; the rest is, or was, another organization's");
    }
    note(gateway, actor, id.to_string(), json!({ "result": result })).await?;
    let done = outcome.failure.is_none() && outcome.waiting == 0;
    let resolved = done && !outcome.refused() && !left_out;
    Ok(Replayed { item: None, request: Some(id), resolved, receipt: outcome.receipt, result })
}

/// Writes what waited for these lines and is the organization's now, whoever kept it; returns how many items that were. Only
/// what a shared key allows reaches it, as when it had just arrived.
pub(super) async fn claim(
    gateway: &Gateway,
    provider: &str,
    lines: &[String],
    organization: OrganizationId,
) -> Result<usize, FlowError> {
    let mut resolved = 0;
    for line in lines {
        let mut after = Uuid::nil();
        loop {
            let mut session = gateway.store.read_all().await?;
            let waiting = inbox::unrouted(&mut session, provider, line, after, LIMIT).await?;
            drop(session);
            let Some(last) = waiting.last() else { break };
            after = last.id.0;
            let readable =
                |entry: &&QuarantineEntry| entry.reason != QuarantineReason::Unreadable.word();
            for entry in waiting.iter().filter(readable) {
                let share = Share::of(organization);
                resolved += usize::from(replay_entry(gateway, entry, share).await?.resolved);
            }
        }
    }
    if resolved > 0 {
        tracing::info!(%organization, resolved, "a route claimed what had waited for it");
    }
    Ok(resolved)
}

/// The platform's own rows are out of every organization's sight, and in the operator's.
pub(super) async fn read(
    gateway: &Gateway,
    organization: OrganizationId,
) -> Result<crate::store::Session, FlowError> {
    Ok(match organization {
        OrganizationId::PLATFORM => gateway.store.read_all().await?,
        organization => gateway.store.read(organization).await?,
    })
}

async fn replay_entry(
    gateway: &Gateway,
    entry: &QuarantineEntry,
    share: Share,
) -> Result<Replayed, FlowError> {
    let mut session = gateway.store.read_all().await?;
    let kept = inbox::request(&mut session, entry.inbox_organization_id, entry.inbox_id).await?;
    drop(session);
    let outcome = match kept {
        Some(kept) => replay_request(gateway, &kept, share, Some(entry)).await?,
        None => Outcome::failed("the webhook is no longer kept"),
    };
    // What has been read and routed is open no longer; its place in the request says which item it was. What the store
    // refuses anew is counted beyond those.
    let refused_again = entry.reason == QuarantineReason::Refused.word() && outcome.refused();
    let is_own = share.covers(entry.organization_id);
    let still_open = outcome.failure.is_some()
        || outcome.open.contains(&entry.position)
        || refused_again
        || (!is_own && outcome.items == 0);
    let state = match (entry.state.as_str(), still_open) {
        ("open", false) => "resolved",
        (state, _) => state,
    };
    let result = outcome.describe();
    // A route that claims nothing of an item leaves no trace in it, and one that does tells its keeper nothing of the others.
    if is_own || !still_open {
        let told = if is_own { result.as_str() } else { "a route claims its line by now" };
        let now = gateway.clock.now();
        let mut session = gateway.store.write_all().await?;
        inbox::record_attempt(&mut session, entry.organization_id, entry.id, state, told, now)
            .await?;
        session.commit().await?;
    }
    let (item, receipt) = (Some(entry.id), outcome.receipt);
    Ok(Replayed { item, request: None, resolved: !still_open, receipt, result })
}

/// What reading a request again came to.
pub(super) struct Outcome {
    pub(super) receipt: Receipt,
    /// How many items of the reader's could be read and routed.
    items: usize,
    /// The positions of the items that still wait.
    open: Vec<String>,
    /// How many of them are the reader's.
    waiting: u32,
    /// How many were the reader's to read, and another organization has the line by now.
    elsewhere: usize,
    /// How many may have been another organization's when they came.
    withheld: usize,
    pub(super) failure: Option<String>,
}

/// Reads a request again and writes the share of it. `entry` is the item for whose sake it is read, if it is one's.
pub(super) async fn replay_request(
    gateway: &Gateway,
    kept: &InboxRequest,
    share: Share,
    entry: Option<&QuarantineEntry>,
) -> Result<Outcome, FlowError> {
    let snapshot = gateway.directory.snapshot();
    let Some(provider) = providers::provider(&kept.provider) else {
        return Ok(Outcome::failed("its provider is no longer known"));
    };
    let owner = owner(gateway, kept, &snapshot).await?;
    let proves = provider.key_is_secret || gateway.config.intake.share_public_keys;
    let authority = Authority::of_kept(&snapshot, provider, kept, owner, proves);
    let Some(webhooks) = authority.reader().and_then(|account| account.account.webhooks()) else {
        return Ok(Outcome::failed(no_reader(&snapshot, provider)));
    };
    let Some(request) = rebuild(kept) else {
        return Ok(Outcome::failed("the kept webhook is damaged"));
    };
    let inbound = Inbound::Kept { at: kept.received_at, request };
    let batch = match webhooks.receive(&inbound) {
        Ok(batch) => batch,
        Err(rejection) => return Ok(Outcome::failed(&rejection.to_string())),
    };
    let (mut items, mut quarantined) = sort(gateway, &authority, batch).await?;
    let mut open: Vec<String> = quarantined.iter().map(|item| item.position.clone()).collect();
    let is_entry = |position: &str| entry.is_some_and(|entry| entry.position == position);
    // An item of the reader's whose line is another organization's by now is that one's to write.
    let elsewhere = items.iter().filter(|item| !share.covers(item.organization_id));
    let elsewhere: Vec<String> = elsewhere.map(|item| item.event.key.0.clone()).collect();
    items.retain(|item| share.covers(item.organization_id));
    let places = Places::load(gateway, kept, share).await?;
    let withheld = places.withhold(gateway, &authority, &mut items).await?;
    let is_left = |position: &String| is_entry(position);
    let left = u32::from(elsewhere.iter().chain(&withheld).any(is_left));
    let others = (elsewhere.len(), withheld.len());
    open.extend(elsewhere.into_iter().chain(withheld));
    quarantined.retain(|item| places.tells_of(item) || is_entry(&item.position));
    let waiting = u32::try_from(quarantined.len()).unwrap_or(u32::MAX);
    let count = items.len();
    let mut receipt = match count == 0 && waiting == 0 {
        true => Receipt::default(),
        false => write(gateway, kept, provider, items, quarantined).await?,
    };
    receipt.quarantined += left;
    let (waiting, (elsewhere, withheld)) = (waiting + left, others);
    Ok(Outcome { receipt, items: count, open, waiting, elsewhere, withheld, failure: None })
}

/// Whose accounts may read a request where its key proves nothing: the organization's that it belongs to; if it named several,
/// that of the account that received it.
async fn owner(
    gateway: &Gateway,
    kept: &InboxRequest,
    snapshot: &Snapshot,
) -> Result<Option<OrganizationId>, FlowError> {
    if kept.organization_id != OrganizationId::PLATFORM {
        return Ok(Some(kept.organization_id));
    }
    if let Some(account) = snapshot.account(kept.account_id) {
        return Ok(Some(account.organization_id));
    }
    let mut session = gateway.store.read_all().await?;
    Ok(accounts::owner(&mut session, kept.account_id).await?)
}

fn no_reader(snapshot: &Snapshot, provider: &Provider) -> &'static str {
    if snapshot.has_locked(provider) {
        return "the credentials of an account that could read it cannot be opened now; replay it once they can";
    }
    "no account holds the key it was signed with: connect one that does, and replay it"
}

async fn write(
    gateway: &Gateway,
    kept: &InboxRequest,
    provider: &'static Provider,
    items: Vec<Item>,
    quarantined: Vec<QuarantinedItem>,
) -> Result<Receipt, FlowError> {
    let request = KeptRequest {
        organization_id: kept.organization_id,
        id: kept.id,
        account_id: kept.account_id,
        key: kept.key(),
        provider: provider.name,
        method: kept.method.clone(),
        url: kept.url.clone(),
        headers: kept.headers.clone(),
        body: Bytes::new(),
        received_at: kept.received_at,
    };
    let submission = Submission { request, keep: false, items, quarantined };
    let receipt = gateway.batcher.submit(submission).await.map_err(|error| busy(&error))?;
    metrics::items(provider.name, receipt);
    Ok(receipt)
}

fn busy(error: &SubmitError) -> FlowError {
    FlowError::Conflict(format!("the webhook cannot be written now: {error}"))
}

/// The request as it was when it was received, but for headers that do not matter.
fn rebuild(kept: &InboxRequest) -> Option<http::Request<Bytes>> {
    let mut request = http::Request::builder().method(kept.method.as_str()).uri(kept.url.as_str());
    for line in kept.headers.lines() {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    request.body(Bytes::from(kept.body.clone())).ok()
}

impl Outcome {
    pub(super) fn failed(reason: &str) -> Self {
        let (receipt, failure) = (Receipt::default(), Some(reason.to_owned()));
        let (open, elsewhere, withheld) = (Vec::new(), 0, 0);
        Self { receipt, items: 0, open, waiting: 0, elsewhere, withheld, failure }
    }

    /// Whether something of a request of the reader's own, or all of one that several have a share in, was another's to read.
    fn left_out(&self) -> bool {
        self.elsewhere > 0 || (self.items == 0 && self.withheld > 0)
    }

    /// Whether the store refused an item that could be read and routed.
    fn refused(&self) -> bool {
        self.receipt.quarantined > self.waiting
    }

    pub(super) fn describe(&self) -> String {
        if let Some(failure) = &self.failure {
            return failure.clone();
        }
        let Receipt { stored, duplicate, waiting, quarantined } = self.receipt;
        format!(
            "{stored} written, {duplicate} known already, {waiting} waiting, {quarantined} still quarantined"
        )
    }
}

async fn note(
    gateway: &Gateway,
    actor: &Actor,
    subject: String,
    detail: serde_json::Value,
) -> Result<(), FlowError> {
    if actor.organization_id == OrganizationId::PLATFORM {
        return Ok(()); // The platform has no members who could read its log.
    }
    let mut session = gateway.store.write(actor.organization_id).await?;
    let deed = Deed { action: "webhook.replay", subject, detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}
