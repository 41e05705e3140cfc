//! What intake knows of messages of ours: the ids by which providers call them, how the queue learns what became of them, and
//! whom they must not go to any more.

use providers::{Address, DeliveryStatus};
use uuid::Uuid;

use super::changes::{self, Change, Pending};
use super::identities::{Identities, Memory};
use super::messages::Stored;
use super::people::{self, Person};
use super::statuses::News;
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::OrganizationId;
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::{Session, StoreError};

/// A transaction in which messages of ours got the ids by which their provider calls them.
pub(in crate::store) struct Joining<'a> {
    pub(in crate::store) session: Session,
    pub(in crate::store) outbox: Outbox,
    pub(in crate::store) ids: &'a Ids,
    pub(in crate::store) memory: &'a Memory,
    pub(in crate::store) now: Timestamp,
}

impl<'a> Joining<'a> {
    /// Joins what was told of these messages before their ids were known, and learns that addresses are one person's: each list
    /// of `named` is. The head must be locked. What is returned with the transaction is to be kept once that is committed.
    pub(in crate::store) async fn join(
        self,
        organization: OrganizationId,
        references: &[Uuid],
        named: &[Vec<&Address>],
    ) -> Result<(Session, Outbox, Identities<'a>), StoreError> {
        let Self { session, outbox, ids, memory, now } = self;
        let identities = Identities::new(memory);
        let mut writer = Writer { session, outbox, ids, now, identities, receipts: Vec::new() };
        let people = named.iter().map(|all| Person::known(organization, all.clone(), now));
        people::resolve(&mut writer, &people.collect::<Vec<_>>()).await?;
        let keys: Vec<_> = references.iter().map(|reference| (organization, *reference)).collect();
        if !keys.is_empty() {
            changes::join(&mut writer, Vec::new(), &keys, &Stored::new()).await?;
        }
        Ok((writer.session, writer.outbox, writer.identities))
    }
}

/// Gives messages that a status found by our own id the id by which the provider calls them, and the attempt that it is about.
pub(super) async fn name(writer: &mut Writer<'_>, found: &[&Pending]) -> Result<(), StoreError> {
    let named: Vec<(&Pending, Uuid, &str)> = found
        .iter()
        .filter_map(|pending| match &pending.change {
            Change::Status { id: Some(id), .. } if pending.attempt.by_our_id => {
                Some((*pending, pending.message?, id.as_str()))
            }
            _ => None,
        })
        .collect();
    let rows = || {
        Rows::new()
            .column("o", Column::Uuid(named.iter().map(|(p, ..)| p.organization_id.0).collect()))
            .column("i", Column::Uuid(named.iter().map(|(_, id, _)| *id).collect()))
            .column("r", Column::Uuid(named.iter().map(|(p, ..)| p.reference).collect()))
    };
    rows()
        .column("n", Column::Int(named.iter().map(|(p, ..)| p.attempt.number).collect()))
        .execute(
            &mut writer.session,
            "update send_attempts set provider_ref = k.r from k
             where send_attempts.organization_id = k.o and send_attempts.message_id = k.i
             and send_attempts.attempt = k.n and send_attempts.provider_ref is null
             and not exists (select 1 from send_attempts other where other.organization_id = k.o
                             and other.message_id = k.i and other.provider_ref = k.r)",
        )
        .await?;
    rows()
        .column("p", Column::Text(named.iter().map(|(.., id)| *id).collect()))
        .execute(
            &mut writer.session,
            "update messages set provider_ref = k.r, provider_message_id = k.p from k
             where messages.organization_id = k.o and messages.id = k.i and messages.provider_ref is null
             and not exists (select 1 from messages other
                             where other.organization_id = k.o and other.provider_ref = k.r)",
        )
        .await
}

/// The queue hears of every message of ours that got further: what nobody knew of is known, and what is to be tried again, or was
/// given up, although it arrived, is not. That the last attempt was sent is proof enough, unless it is known to have failed.
pub(super) async fn tell(writer: &mut Writer<'_>, news: &[News<'_>]) -> Result<(), StoreError> {
    let counts = |news: &&News<'_>| {
        let is_out = news.status >= DeliveryStatus::Delivered
            || (news.status >= DeliveryStatus::Sent && news.attempt.number == news.attempt.last);
        is_out && news.attempt.state.is_some()
    };
    let rows: Vec<&News<'_>> = news.iter().filter(counts).collect();
    let arrived = |news: &&News<'_>| news.status >= DeliveryStatus::Delivered;
    Rows::new()
        .column("o", Column::Uuid(rows.iter().map(|news| news.organization.0).collect()))
        .column("i", Column::Uuid(rows.iter().map(|news| news.message).collect()))
        .column("ar", Column::Bool(rows.iter().map(arrived).collect()))
        .column("n", Column::Int(rows.iter().map(|news| news.attempt.number).collect()))
        .column("now", Column::Time(vec![writer.now; rows.len()]))
        .execute(
            &mut writer.session,
            "update outbound set state = 'sent', updated_at = k.now, worker_id = null, claim_id = null from k
             where outbound.organization_id = k.o and outbound.message_id = k.i
             and (outbound.state = 'unknown'
                  or (outbound.state in ('due', 'claimed', 'dead', 'canceled') and outbound.attempts > 0 and k.ar)
                  or (outbound.state = 'due' and outbound.attempts > 0 and not exists (
                      select 1 from message_statuses f where f.organization_id = k.o and f.message_id = k.i
                      and f.status = 'failed' and f.recipient = '' and f.attempt = k.n)))",
        )
        .await
}
