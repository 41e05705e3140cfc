//! What of a kept request is whose when it is read again.
//!
//! A line changes hands, and what came over it does not: who has a line today may read what still waits for it, and nothing
//! that somebody else has received.

use std::collections::HashSet;

use providers::{Event, EventKind};
use uuid::Uuid;

use super::owners::spoken_of;
use super::routing::{Authority, line_name};
use crate::gateway::Gateway;
use crate::model::{Item, OrganizationId, QuarantineReason, QuarantinedItem};
use crate::store::StoreError;
use crate::store::inbox::{self, InboxRequest, Place};
use crate::store::messages::{known, provider_ref};

/// Whose items of a request are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Everybody's: the operator asks.
    All,
    /// This organization's.
    Of(OrganizationId),
}

/// What waits in a request, or did, as one reader may know it.
pub(super) struct Places<'k> {
    kept: &'k InboxRequest,
    share: Share,
    places: Vec<Place>,
}

impl Share {
    pub(super) fn of(organization: OrganizationId) -> Self {
        match organization {
            OrganizationId::PLATFORM => Self::All,
            organization => Self::Of(organization),
        }
    }

    pub(super) fn covers(self, organization: OrganizationId) -> bool {
        self == Self::All || self == Self::Of(organization)
    }
}

impl<'k> Places<'k> {
    /// Those of a request. Of the reader's own nothing has to be known.
    pub(super) async fn load(
        gateway: &Gateway,
        kept: &'k InboxRequest,
        share: Share,
    ) -> Result<Self, StoreError> {
        let mut places = Vec::new();
        if share != Share::Of(kept.organization_id) {
            let mut session = gateway.store.read_all().await?;
            places = inbox::places(&mut session, kept.organization_id, kept.id).await?;
        }
        Ok(Self { kept, share, places })
    }

    /// Whether what waits is the reader's to be told of: what was its keeper's when it came, whoever would keep it today.
    pub(super) fn tells_of(&self, item: &QuarantinedItem) -> bool {
        let is_readers = |place: &Place| {
            self.share.covers(place.organization_id) && place.position == item.position
        };
        self.share.covers(self.kept.organization_id) || self.places.iter().any(is_readers)
    }

    /// Takes out of the items what may have been another organization's when it came, and returns where it stood. An
    /// organization has what a request of its own holds, what waits for it, and what it has already.
    pub(super) async fn withhold(
        &self,
        gateway: &Gateway,
        authority: &Authority<'_>,
        items: &mut Vec<Item>,
    ) -> Result<Vec<String>, StoreError> {
        let is_assumed = authority.is_assumed();
        let may_have = |item: &Item| {
            item.organization_id == self.kept.organization_id
                || self.places.iter().any(|place| self.frees(place, item, is_assumed))
        };
        let doubtful: Vec<_> =
            items.iter().filter(|item| !may_have(item)).filter_map(reference).collect();
        let mut has = HashSet::new();
        if !doubtful.is_empty() && !is_assumed {
            has = known(&mut gateway.store.read_all().await?, &doubtful).await?;
        }
        let mut withheld = Vec::new();
        items.retain(|item| {
            let keep = may_have(item) || reference(item).is_some_and(|one| has.contains(&one));
            if !keep {
                withheld.push(item.event.key.0.clone());
            }
            keep
        });
        Ok(withheld)
    }

    /// Whether an item stood in this place, and its organization may have what stood there: what was its own, or, unless its
    /// key is only assumed, what is nobody's yet. What the store refused, and what nobody could read, was somebody's.
    fn frees(&self, place: &Place, item: &Item, is_assumed: bool) -> bool {
        let is_own = place.organization_id == item.organization_id;
        if place.reason != QuarantineReason::Unreadable.word() {
            let waits_for_all = place.state == "open"
                && [QuarantineReason::Unrouted, QuarantineReason::Ambiguous]
                    .iter()
                    .any(|reason| reason.word() == place.reason);
            return place.position == item.event.key.0
                && (is_own || (waits_for_all && !is_assumed));
        }
        // Where it stood was named before it could be read, so the line must tell; only the operator, to whom belongs what
        // named none, reads on without one.
        let is_platforms = place.organization_id == OrganizationId::PLATFORM
            && place.state == "open"
            && self.share == Share::All
            && !is_assumed;
        match place.line.as_deref() {
            Some(line) if line_name(&item.event.line).as_deref() == Some(line) => {
                is_own || is_platforms
            }
            Some(line) => is_platforms && line.starts_with("account:"),
            None => is_platforms,
        }
    }
}

/// By what an organization would have an item: the message or call that it is or speaks of.
fn reference(item: &Item) -> Option<(OrganizationId, Uuid)> {
    let id = subject(&item.event)?;
    Some((item.organization_id, provider_ref(item.provider, id)))
}

fn subject(event: &Event) -> Option<&str> {
    match &event.kind {
        EventKind::Message(message) => Some(&message.reference.0),
        kind => spoken_of(kind),
    }
}
