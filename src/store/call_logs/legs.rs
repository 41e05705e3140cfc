//! How the legs of one conversation belong together: which was dialled from which, and who of them talked.

use std::collections::{BTreeMap, HashMap, HashSet};

use providers::Direction;
use serde_json::{Value, json};
use uuid::Uuid;

use super::CallRow;
use crate::clock::Timestamp;
use crate::model::OrganizationId;
use crate::store::bulk::{Column, Rows};
use crate::store::messages::provider_ref;
use crate::store::{Session, StoreError};

/// A call, by its organization and the provider's id of it.
pub(in crate::store) type Reference = (OrganizationId, Uuid);

/// Set where nobody told which leg this one was dialled from: it is what the conversation began with.
const INFERRED: &str = "parent_inferred";

impl CallRow {
    /// The provider said which leg it was dialled from: it is a telephone of ours, or of somebody the call was passed on to,
    /// and none of our customers.
    pub(super) fn dialled_from(&mut self, parent: &str) {
        if self.parent_call_id.is_none() || self.is_inferred() {
            self.parent_call_id = Some(parent.to_owned());
            self.metadata_without(INFERRED);
        }
        self.identity_id = None;
    }

    /// Whether it was made by passing another call on.
    pub(in crate::store) fn is_leg(&self) -> bool {
        self.parent_call_id.is_some()
    }

    /// The provider's ids by which other legs name it, or it them.
    pub(in crate::store) fn family(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.provider_call_id.as_str()).chain(self.parent_call_id.as_deref())
    }

    /// The conversation that it is part of.
    pub(in crate::store) fn conversation(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// The call that it was dialled from.
    pub(in crate::store) fn parent(&self) -> Option<Reference> {
        let parent = self.parent_call_id.as_deref()?;
        Some((self.organization_id, provider_ref(&self.provider, parent)))
    }

    fn reference(&self) -> Reference {
        (self.organization_id, self.provider_ref)
    }

    fn is_inferred(&self) -> bool {
        self.metadata.get(INFERRED).is_some()
    }

    fn metadata_without(&mut self, member: &str) {
        if let Value::Object(members) = &mut self.metadata {
            members.remove(member);
        }
    }

    /// Whether anybody talked on it who was called for `parent`. A leg that `<Dial>` made is put through when it is answered,
    /// unless it is told otherwise; of others it is told that they were.
    fn talked_with(&self, parent: &CallRow) -> bool {
        let own = self.passed();
        match own.talked() {
            Some(talked) => talked,
            None if own.conference => parent.passed().conference,
            None => !self.is_inferred() && self.answered(),
        }
    }
}

/// Joins the legs of each conversation among `calls`, and lets each call know what became of its legs. Of others than those that
/// have `news` and whoever belongs to them, not all are here, so nothing follows for them. Returns those that changed by it.
pub(in crate::store) fn relate(
    calls: &mut HashMap<Reference, CallRow>,
    news: &HashSet<Reference>,
    now: Timestamp,
) -> HashSet<Reference> {
    let mut changed = infer_parents(calls, news);
    let mut legs: BTreeMap<Reference, Vec<Reference>> = BTreeMap::new();
    for call in calls.values() {
        if let Some(parent) = call.parent().filter(|parent| calls.contains_key(parent)) {
            legs.entry(parent).or_default().push(call.reference());
        }
    }
    let mut concerned = changed.clone();
    concerned.extend(news);
    for (parent, legs) in legs {
        if !concerned.contains(&parent) && legs.iter().all(|leg| !concerned.contains(leg)) {
            continue;
        }
        let Some(call) = calls.get(&parent) else { continue };
        let legs = legs.iter().filter_map(|leg| calls.get(leg));
        let talked: Vec<&CallRow> = legs.clone().filter(|leg| leg.talked_with(call)).collect();
        let seconds = talked.iter().filter_map(|leg| leg.lasted()).reduce(|one, more| one + more);
        let (ours, orphans) =
            (call.our_address.clone(), legs.filter(|leg| leg.our_address.is_none()));
        let orphans: Vec<Reference> = orphans.map(CallRow::reference).collect();
        let before = call.passed();
        let told = (Some(!talked.is_empty()), seconds);
        if (before.legs, before.leg_seconds) != told
            && let Some(call) = calls.get_mut(&parent)
        {
            call.break_silence();
            call.pass(|passed| (passed.legs, passed.leg_seconds) = told);
            changed.insert(parent);
        }
        for leg in orphans {
            if let (Some(leg), Some(ours)) = (calls.get_mut(&leg), &ours) {
                leg.our_address = Some(ours.clone());
                changed.insert(leg.reference());
            }
        }
    }
    for call in &changed {
        if let Some(call) = calls.get_mut(call) {
            call.processed_at = now;
        }
    }
    changed
}

/// Of a conversation whose legs do not name each other, the first one is what the others were dialled from: the one that came
/// in, or that began earliest.
fn infer_parents(
    calls: &mut HashMap<Reference, CallRow>,
    news: &HashSet<Reference>,
) -> HashSet<Reference> {
    let mut conversations: BTreeMap<(OrganizationId, String, String), Vec<Reference>> =
        BTreeMap::new();
    for call in calls.values() {
        if let Some(session) = call.conversation() {
            let conversation = (call.organization_id, call.provider.clone(), session.to_owned());
            conversations.entry(conversation).or_default().push(call.reference());
        }
    }
    let mut changed = HashSet::new();
    for members in conversations.into_values() {
        if members.iter().all(|member| !news.contains(member)) {
            continue;
        }
        let first = members.iter().filter_map(|member| calls.get(member)).min_by_key(|call| {
            let is_told = call.is_leg() && !call.is_inferred();
            let came_in = call.direction_known && call.direction == Direction::Inbound;
            (is_told, !came_in, call.occurred_at, call.provider_call_id.clone())
        });
        let Some((first, id)) = first.map(|call| (call.reference(), call.provider_call_id.clone()))
        else {
            continue;
        };
        for member in members {
            let Some(call) = calls.get_mut(&member) else { continue };
            let parent = (member != first).then(|| id.clone());
            if call.is_leg() && !call.is_inferred() || call.parent_call_id == parent {
                continue;
            }
            call.metadata_without(INFERRED);
            if parent.is_some() {
                call.metadata[INFERRED] = json!(true);
                call.identity_id = None;
            }
            call.parent_call_id = parent;
            changed.insert(member);
        }
    }
    changed
}

/// Which of these legs, by organization, conversation and reference, are part of a conversation that began with another call.
pub(in crate::store) async fn later_legs(
    session: &mut Session,
    legs: &[(OrganizationId, &str, Uuid)],
) -> Result<HashSet<Reference>, StoreError> {
    let found: Vec<Reference> = Rows::new()
        .column("o", Column::Uuid(legs.iter().map(|(o, _, _)| o.0).collect()))
        .column("s", Column::Text(legs.iter().map(|(_, s, _)| *s).collect()))
        .column("r", Column::Uuid(legs.iter().map(|(_, _, r)| *r).collect()))
        .query(
            session,
            "select k.o, k.r from k join call_logs c on c.organization_id = k.o and c.session_id = k.s
             where c.provider_ref <> k.r and c.parent_call_id is null",
        )
        .await?;
    Ok(found.into_iter().collect())
}

/// Which of these organizations has a call of that conversation; `None` if none, or more than one, has.
pub async fn owner_of_conversation(
    session: &mut Session,
    organizations: &[OrganizationId],
    conversation: &str,
) -> Result<Option<OrganizationId>, StoreError> {
    let found: Vec<(OrganizationId,)> = Rows::new()
        .column("o", Column::Uuid(organizations.iter().map(|id| id.0).collect()))
        .column("s", Column::Text(vec![conversation; organizations.len()]))
        .query(
            session,
            "select c.organization_id from k join call_logs c
             on c.organization_id = k.o and c.session_id = k.s group by c.organization_id",
        )
        .await?;
    Ok(match found.as_slice() {
        [(only,)] => Some(*only),
        _ => None,
    })
}
