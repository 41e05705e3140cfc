//! Which message a change is about, and for statuses which attempt to send it.

use std::collections::HashMap;

use uuid::Uuid;

use super::changes::Pending;
use super::messages::Stored;
use super::writer::Writer;
use crate::model::{OrganizationId, QueueState};
use crate::store::bulk::{Column, Rows};
use crate::store::{StoreError, types};

/// Which attempt to send a message a status is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    /// From 1; 0 for messages that were not sent from here, and where it is not known.
    pub(super) number: i64,
    /// The last one that was begun.
    pub(super) last: i64,
    /// Where the message stands in the queue, if it is there.
    pub(super) state: Option<QueueState>,
    /// Whether the status names the attempt as a whole, not a further part of it.
    pub(super) whole: bool,
    /// Whether only our own id led to the message.
    pub(super) by_our_id: bool,
}

/// A message that a provider's id leads to: organization, reference, message, attempt, last attempt, state, whether as a whole.
type ByReference = (OrganizationId, Uuid, Uuid, i64, i64, Option<String>, bool);

/// A message that our own id leads to: organization, message, reference, attempt, last attempt, state.
type ById = (OrganizationId, Uuid, Uuid, i64, i64, Option<String>);

/// Finds each change's message, and for statuses which attempt they are about: among those just written, by the provider's id,
/// or by our own.
pub(super) async fn find(
    writer: &mut Writer<'_>,
    pending: &mut [Pending],
    stored: &Stored,
) -> Result<(), StoreError> {
    for change in pending.iter_mut() {
        change.message = stored.get(&(change.organization_id, change.reference)).copied();
    }
    let missing: Vec<&Pending> = pending.iter().filter(|p| p.message.is_none()).collect();
    let mut places: HashMap<(OrganizationId, Uuid), (Uuid, Attempt)> = HashMap::new();
    for (organization, reference, message, number, last, state, whole) in
        by_reference(writer, &missing).await?
    {
        let state = queue_state(state)?;
        let attempt = Attempt { number, last, state, whole, by_our_id: false };
        places.insert((organization, reference), (message, attempt));
    }
    let mut named: HashMap<(OrganizationId, Uuid, Uuid), Attempt> = HashMap::new();
    for (organization, message, reference, number, last, state) in
        by_our_id(writer, &missing).await?
    {
        let state = queue_state(state)?;
        let attempt = Attempt { number, last, state, whole: true, by_our_id: true };
        named.insert((organization, message, reference), attempt);
    }
    for change in pending.iter_mut().filter(|p| p.message.is_none()) {
        let (organization, reference) = (change.organization_id, change.reference);
        let by_our_id = || {
            let id = change.change.ours()?;
            named.get(&(organization, id, reference)).map(|attempt| (id, *attempt))
        };
        let found = places.get(&(organization, reference)).copied().or_else(by_our_id);
        if let Some((message, attempt)) = found {
            (change.message, change.attempt) = (Some(message), attempt);
        }
    }
    Ok(())
}

/// The messages that providers' ids lead to: their own, those of earlier attempts, those of further parts.
async fn by_reference(
    writer: &mut Writer<'_>,
    missing: &[&Pending],
) -> Result<Vec<ByReference>, StoreError> {
    Rows::new()
        .column("o", Column::Uuid(missing.iter().map(|p| p.organization_id.0).collect()))
        .column("r", Column::Uuid(missing.iter().map(|p| p.reference).collect()))
        .query(
            &mut writer.session,
            "select m.organization_id, m.provider_ref, m.id, coalesce((
                     select max(a.attempt) from send_attempts a where a.organization_id = m.organization_id
                     and a.message_id = m.id and a.provider_ref = m.provider_ref), q.attempts, 0),
                 coalesce(q.attempts, 0), q.state, true
             from k join messages m on m.organization_id = k.o and m.provider_ref = k.r
             left join outbound q on q.organization_id = m.organization_id and q.message_id = m.id
             union all
             select m.organization_id, m.provider_ref, m.message_id, coalesce((
                     select max(a.attempt) from send_attempts a where a.organization_id = m.organization_id
                     and a.message_id = m.message_id and a.provider_ref = m.provider_ref), m.attempt),
                 coalesce(q.attempts, 0), q.state, exists (
                     select 1 from send_attempts a where a.organization_id = m.organization_id
                     and a.message_id = m.message_id and a.provider_ref = m.provider_ref)
             from k join message_refs m on m.organization_id = k.o and m.provider_ref = k.r
             left join outbound q on q.organization_id = m.organization_id and q.message_id = m.message_id",
        )
        .await
}

/// The messages that our own ids lead to. News that names only our id is about the attempt that has this reference by now, else
/// about the last one that the provider has not named.
async fn by_our_id(writer: &mut Writer<'_>, missing: &[&Pending]) -> Result<Vec<ById>, StoreError> {
    let with_ours: Vec<(Uuid, Uuid, Uuid)> = missing
        .iter()
        .filter_map(|p| Some((p.organization_id.0, p.change.ours()?, p.reference)))
        .collect();
    Rows::new()
        .column("o", Column::Uuid(with_ours.iter().map(|(o, ..)| *o).collect()))
        .column("i", Column::Uuid(with_ours.iter().map(|(_, id, _)| *id).collect()))
        .column("r", Column::Uuid(with_ours.iter().map(|(.., reference)| *reference).collect()))
        .query(
            &mut writer.session,
            "select m.organization_id, m.id, k.r, coalesce((
                     select max(a.attempt) from send_attempts a where a.organization_id = m.organization_id
                     and a.message_id = m.id and a.provider_ref = k.r), (
                     select max(a.attempt) from send_attempts a where a.organization_id = m.organization_id
                     and a.message_id = m.id and a.provider_ref is null), 0),
                 coalesce(q.attempts, 0), q.state
             from k join messages m on m.organization_id = k.o and m.id = k.i
             left join outbound q on q.organization_id = m.organization_id and q.message_id = m.id",
        )
        .await
}

fn queue_state(word: Option<String>) -> Result<Option<QueueState>, StoreError> {
    word.map(|word| types::queue_state(&word)).transpose()
}
