//! The ids by which providers know messages of ours: one for each attempt, several where a message was taken in parts.

use providers::{MessageRef, Sent};
use uuid::Uuid;

use super::statuses::{self, Move};
use crate::clock::Timestamp;
use crate::model::{OrganizationId, Settled};
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::messages::provider_ref;
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// Gives messages the ids that the provider knows them by. Returns what they are found by.
pub(super) async fn name(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    sent: &[(&Settled, &Sent)],
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let first =
        |what: &Sent| what.references.first().map_or("", |reference| &reference.0).to_owned();
    let firsts: Vec<String> = sent.iter().map(|(_, what)| first(what)).collect();
    let refs: Vec<Uuid> =
        sent.iter().zip(&firsts).map(|((s, _), id)| provider_ref(s.provider, id)).collect();
    forget_echoes(session, organization, sent, &refs).await?;
    keep_older_names(session, organization, sent, &refs).await?;
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; sent.len()]))
        .column("i", Column::Uuid(sent.iter().map(|(s, _)| s.id.0).collect()))
        .column("r", Column::Uuid(refs.clone()))
        .column("p", Column::Text(firsts.iter().map(String::as_str).collect()))
        .column("a", Column::Uuid(sent.iter().map(|(s, _)| s.account_id.0).collect()))
        .column("pr", Column::Text(sent.iter().map(|(s, _)| s.provider).collect()))
        .column("ad", Column::Text(sent.iter().map(|(s, _)| s.our_address.as_str()).collect()))
        .execute(
            session,
            "update messages set provider_ref = k.r, provider_message_id = k.p, account_id = k.a,
             provider = k.pr, our_address = k.ad from k
             where messages.organization_id = k.o and messages.id = k.i and not exists (
                 select 1 from messages other
                 where other.organization_id = k.o and other.provider_ref = k.r and other.id <> k.i)",
        )
        .await?;
    let mut keys = refs;
    let further: Vec<(&Settled, &MessageRef)> = sent
        .iter()
        .flat_map(|(s, what)| what.references.iter().skip(1).map(move |r| (*s, r)))
        .collect();
    let further_refs: Vec<Uuid> =
        further.iter().map(|(s, r)| provider_ref(s.provider, &r.0)).collect();
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; further.len()]))
        .column("provider_ref", Column::Uuid(further_refs.clone()))
        .column("message_id", Column::Uuid(further.iter().map(|(s, _)| s.id.0).collect()))
        .column(
            "attempt",
            Column::Int(further.iter().map(|(s, _)| s.attempt.unwrap_or_default()).collect()),
        )
        .column(
            "provider_message_id",
            Column::Text(further.iter().map(|(_, r)| r.0.as_str()).collect()),
        )
        .insert(session, "message_refs", "on conflict do nothing")
        .await?;
    keys.extend(further_refs);
    let moves: Vec<Move> = sent
        .iter()
        .map(|(s, what)| Move {
            message: s.id,
            attempt: s.attempt.unwrap_or_default(),
            status: what.status,
            at: s.at.max(now),
        })
        .collect();
    statuses::advance(session, outbox, organization, &moves, None).await?;
    Ok(keys)
}

/// A message that is sent again keeps the id of the time before: something may still be told of it.
async fn keep_older_names(
    session: &mut Session,
    organization: OrganizationId,
    sent: &[(&Settled, &Sent)],
    refs: &[Uuid],
) -> Result<(), StoreError> {
    if sent.iter().all(|(settled, _)| settled.attempt.is_none_or(|attempt| attempt <= 1)) {
        return Ok(());
    }
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; sent.len()]))
        .column("i", Column::Uuid(sent.iter().map(|(s, _)| s.id.0).collect()))
        .column("r", Column::Uuid(refs.to_vec()))
        .execute(
            session,
            "insert into message_refs (organization_id, provider_ref, message_id, provider_message_id, attempt)
             select m.organization_id, m.provider_ref, m.id, m.provider_message_id, coalesce((
                 select max(a.attempt) from send_attempts a where a.organization_id = m.organization_id
                 and a.message_id = m.id and a.provider_ref = m.provider_ref), 0)
             from k join messages m on m.organization_id = k.o and m.id = k.i
             where m.provider_ref is not null and m.provider_ref <> k.r on conflict do nothing",
        )
        .await
}

/// A bridge may echo a message before it answers: the echo was stored as a message of its own, and gives way.
async fn forget_echoes(
    session: &mut Session,
    organization: OrganizationId,
    sent: &[(&Settled, &Sent)],
    refs: &[Uuid],
) -> Result<(), StoreError> {
    let echoes: Vec<(Uuid,)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; sent.len()]))
        .column("i", Column::Uuid(sent.iter().map(|(s, _)| s.id.0).collect()))
        .column("r", Column::Uuid(refs.to_vec()))
        .query(
            session,
            "select m.id from k join messages m on m.organization_id = k.o and m.provider_ref = k.r
             where m.id <> k.i and m.direction = 'outbound' and not exists (
                 select 1 from outbound o where o.organization_id = m.organization_id and o.message_id = m.id)",
        )
        .await?;
    let sql = "delete from messages where organization_id = $1 and id = $2";
    for (echo,) in echoes {
        on!(session, |c| {
            sqlx::query(sql).bind(organization).bind(echo).execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
