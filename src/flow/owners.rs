//! Whose is news that names no line of ours? Whoever has the call or message that it speaks of, or the call that a leg was
//! dialled from.

use providers::{Event, EventKind};

use super::routing::{Authority, Destination};
use crate::gateway::Gateway;
use crate::model::{AccountId, OrganizationId};
use crate::store::StoreError;
use crate::store::call_logs::owner_of_conversation;
use crate::store::messages::{owner_of, provider_ref};

/// Where an event belongs: by the line it names, else by what it speaks of. A call that was passed on may show its caller's
/// number and goes to anybody's, so that its legs name no line of ours: they belong where the call does, and as long as that is
/// not known, to whoever alone holds the key.
pub(super) async fn destination(
    gateway: &Gateway,
    authority: &Authority<'_>,
    event: &Event,
) -> Result<Destination, StoreError> {
    let destination = authority.destination(event);
    let provider = authority.provider().name;
    match (&destination, &event.kind) {
        (Destination::OneOf(candidates), _) => {
            let owner = owner(gateway, provider, candidates, event).await?;
            Ok(owner.unwrap_or(destination))
        }
        (Destination::Nobody, EventKind::Call(call))
            if call.call.parent.is_some() || call.call.session.is_some() =>
        {
            let owner = owner(gateway, provider, &authority.candidates(), event).await?;
            Ok(match owner {
                Some(owner) => owner,
                None if call.call.parent.is_some() => authority.only_holder(),
                None => destination,
            })
        }
        _ => Ok(destination),
    }
}

/// Which of the candidates has the message or call that news speaks of, or another leg of its conversation.
async fn owner(
    gateway: &Gateway,
    provider: &str,
    candidates: &[(OrganizationId, AccountId)],
    event: &Event,
) -> Result<Option<Destination>, StoreError> {
    let Some(id) = spoken_of(&event.kind) else { return Ok(None) };
    let (parent, conversation) = match &event.kind {
        EventKind::Call(call) => (call.call.parent.as_deref(), call.call.session.as_deref()),
        _ => (None, None),
    };
    let organizations: Vec<_> = candidates.iter().map(|(organization, _)| *organization).collect();
    let mut session = gateway.store.read_all().await?;
    let mut found = None;
    for id in std::iter::once(id).chain(parent) {
        if found.is_none() {
            found = owner_of(&mut session, &organizations, provider_ref(provider, id)).await?;
        }
    }
    if let (None, Some(conversation)) = (found, conversation) {
        found = owner_of_conversation(&mut session, &organizations, conversation).await?;
    }
    let account = candidates.iter().find(|(organization, _)| Some(*organization) == found);
    Ok(account.map(|(organization_id, account_id)| Destination::Found {
        organization_id: *organization_id,
        account_id: *account_id,
        our_address: None,
    }))
}

/// The provider's id of the message or call that news speaks of.
pub(super) fn spoken_of(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Call(progress) => Some(&progress.call.id),
        EventKind::Status(status) => Some(&status.reference.0),
        EventKind::Edited { target, .. } | EventKind::Revoked { target } => Some(&target.0),
        _ => None,
    }
}
