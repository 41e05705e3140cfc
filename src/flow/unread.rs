//! Messages of which not all could be read: their requests are read again, and what can be read of them by now fills the messages
//! where they stand.

use std::fmt::Write;

use super::FlowError;
use super::replay::{LIMIT, Outcome, Replayed, read, replay_request};
use super::share::Share;
use crate::gateway::Gateway;
use crate::model::OrganizationId;
use crate::store::inbox::{self, QuarantineFilter};
use crate::store::unread::{self, UnreadFilter, UnreadRequest};

/// The word by which a replay selects requests that brought messages of which not all could be read. It is no reason why an item
/// waits: such a message stands in its conversation.
pub const UNREAD: &str = "unsupported";

/// Replays requests that brought such messages, at most [`LIMIT`]: first those that were tried least often, and of these the
/// oldest.
pub(super) async fn range(
    gateway: &Gateway,
    organization: OrganizationId,
    filter: QuarantineFilter,
) -> Result<Vec<Replayed>, FlowError> {
    let filter = UnreadFilter { provider: filter.provider, from: filter.from, until: filter.until };
    let mut session = read(gateway, organization).await?;
    let requests = unread::requests(&mut session, organization, &filter, LIMIT).await?;
    drop(session);
    let mut replayed = Vec::with_capacity(requests.len());
    for request in &requests {
        replayed.push(replay(gateway, organization, request).await?);
    }
    Ok(replayed)
}

/// Reads a request again for the sake of the organization's messages in it of which not all could be read.
async fn replay(
    gateway: &Gateway,
    organization: OrganizationId,
    request: &UnreadRequest,
) -> Result<Replayed, FlowError> {
    let mut session = gateway.store.read_all().await?;
    let owner = request.inbox_organization_id;
    let kept = inbox::request(&mut session, owner, request.inbox_id).await?;
    drop(session);
    let outcome = match kept {
        Some(kept) => replay_request(gateway, &kept, Share::of(organization), None).await?,
        None => Outcome::failed("the webhook is no longer kept"),
    };
    let mut session = gateway.store.write_all().await?;
    let left = unread::tried(&mut session, organization, request).await?;
    session.commit().await?;
    let resolved = outcome.failure.is_none() && left == 0;
    let mut result = outcome.describe();
    if left > 0 {
        // Writing to a String cannot fail.
        let _ = write!(result, "; messages that still cannot be read: {left}");
    }
    let (request, receipt) = (Some(request.inbox_id), outcome.receipt);
    Ok(Replayed { item: None, request, resolved, receipt, result })
}
