//! Settling: writing down what became of attempts, many in one transaction.

use providers::{DeliveryStatus, Failure, MessageRef, Sent};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::lanes;
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{ClaimId, Lane, MessageId, OrganizationId, Outcome, QueueState, Settled};
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::intake::Joining;
use crate::store::messages::{RANK_OF_STATUS, provider_ref};
use crate::store::session::on;
use crate::store::types::clean_json;
use crate::store::{Session, StoreError};

/// Writes down what became of attempts of one lane, held under `claim`. Statuses that came before joins here.
pub async fn settle(
    mut session: Session,
    ids: &Ids,
    lane: Lane,
    claim: ClaimId,
    settled: &[Settled],
    now: Timestamp,
) -> Result<(), StoreError> {
    let organization = lane.organization_id;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    close_attempts(&mut session, organization, settled).await?;
    // An outcome that came too late: the message was given to somebody else meanwhile, who decides.
    let held = move_on(&mut session, organization, claim, settled, now).await?;
    let ours = |settled: &&Settled| held.contains(&settled.id);
    let mut sent = Vec::new();
    for settled in settled {
        match &settled.outcome {
            // What the provider has, it has, whoever holds the message now.
            Outcome::Sent(what) => sent.push((settled, what)),
            Outcome::Again { failure, .. } if ours(&settled) => {
                note(&mut session, &mut outbox, organization, settled, failure, None).await?;
            }
            Outcome::Dead(failure) if ours(&settled) => {
                let status = Some(DeliveryStatus::Failed);
                note(&mut session, &mut outbox, organization, settled, failure, status).await?;
            }
            Outcome::Unknown(failure) if ours(&settled) => {
                let status = Some(DeliveryStatus::Unknown);
                note(&mut session, &mut outbox, organization, settled, failure, status).await?;
            }
            Outcome::Again { .. } | Outcome::Dead(_) | Outcome::Unknown(_) => {}
        }
    }
    let told: Vec<MessageId> =
        settled.iter().filter(|s| !matches!(s.outcome, Outcome::Dead(_))).map(|s| s.id).collect();
    known_after_all(&mut session, organization, &told).await?;
    let keys = name(&mut session, &mut outbox, organization, &sent, now).await?;
    let (mut session, outbox) =
        Joining { session, outbox, ids, now }.join(organization, &keys).await?;
    outbox.flush(&mut session, now).await?;
    if let Some(at) = first_again(settled) {
        lanes::wake(&mut session, lane, at).await?;
    }
    session.commit().await
}

/// When the first of them is tried again.
fn first_again(settled: &[Settled]) -> Option<Timestamp> {
    let at = |settled: &Settled| match settled.outcome {
        Outcome::Again { at, .. } => Some(at),
        _ => None,
    };
    settled.iter().filter_map(at).min()
}

async fn close_attempts(
    session: &mut Session,
    organization: OrganizationId,
    settled: &[Settled],
) -> Result<(), StoreError> {
    let journalled: Vec<(&Settled, i64)> =
        settled.iter().filter_map(|s| Some((s, s.attempt?))).collect();
    let failure = |s: &Settled| s.outcome.failure().cloned();
    let codes: Vec<Option<String>> =
        journalled.iter().map(|(s, _)| failure(s).and_then(|f| f.code)).collect();
    let details: Vec<Option<String>> = journalled
        .iter()
        .map(|(s, _)| failure(s).map(|f| crate::store::types::clean(&f.detail).into_owned()))
        .collect();
    let exchanges: Vec<Value> =
        journalled.iter().map(|(s, _)| clean_json(s.exchanges.clone())).collect();
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; journalled.len()]))
        .column("i", Column::Uuid(journalled.iter().map(|(s, _)| s.id.0).collect()))
        .column("n", Column::Int(journalled.iter().map(|(_, n)| *n).collect()))
        .column("at", Column::Time(journalled.iter().map(|(s, _)| s.at).collect()))
        .column("oc", Column::Text(journalled.iter().map(|(s, _)| s.outcome.word()).collect()))
        .column("cd", Column::MaybeText(codes.iter().map(Option::as_deref).collect()))
        .column("dt", Column::MaybeText(details.iter().map(Option::as_deref).collect()))
        .column("ex", Column::Json(exchanges.iter().map(|e| Some(Json(e))).collect()))
        .execute(
            session,
            "update send_attempts set finished_at = k.at, outcome = k.oc, code = k.cd, detail = k.dt,
             exchanges = k.ex from k
             where send_attempts.organization_id = k.o and send_attempts.message_id = k.i
             and send_attempts.attempt = k.n",
        )
        .await
}

/// Moves the messages to where they stand now. Returns those that were still held under the claim.
async fn move_on(
    session: &mut Session,
    organization: OrganizationId,
    claim: ClaimId,
    settled: &[Settled],
    now: Timestamp,
) -> Result<Vec<MessageId>, StoreError> {
    let state = |settled: &Settled| match &settled.outcome {
        Outcome::Sent(_) => QueueState::Sent.word(),
        Outcome::Again { .. } => QueueState::Due.word(),
        Outcome::Dead(_) => QueueState::Dead.word(),
        Outcome::Unknown(_) => QueueState::Unknown.word(),
    };
    let due = |settled: &Settled| match &settled.outcome {
        Outcome::Again { at, .. } => *at,
        _ => now,
    };
    let throttled =
        |s: &Settled| i64::from(matches!(s.outcome, Outcome::Again { throttled: true, .. }));
    let failures: Vec<Option<Value>> =
        settled.iter().map(|s| s.outcome.failure().map(|f| clean_json(describe(f)))).collect();
    let contents: Vec<Option<Value>> = settled
        .iter()
        .map(|s| match &s.outcome {
            Outcome::Again { content, .. } => content.as_ref().map(|content| json!(content)),
            _ => None,
        })
        .collect();
    let held: Vec<(MessageId,)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; settled.len()]))
        .column("i", Column::Uuid(settled.iter().map(|s| s.id.0).collect()))
        .column("cl", Column::Uuid(vec![claim.claim; settled.len()]))
        .column("st", Column::Text(settled.iter().map(state).collect()))
        .column("du", Column::Time(settled.iter().map(due).collect()))
        .column("th", Column::Int(settled.iter().map(throttled).collect()))
        .column("fl", Column::Json(failures.iter().map(|f| f.as_ref().map(Json)).collect()))
        .column("ct", Column::Json(contents.iter().map(|c| c.as_ref().map(Json)).collect()))
        .column("now", Column::Time(vec![now; settled.len()]))
        .query(
            session,
            "update outbound set state = k.st, due_at = k.du, last_failure = k.fl, updated_at = k.now,
             throttled = case k.th when 1 then throttled + 1 else 0 end,
             content = coalesce(k.ct, outbound.content), worker_id = null, claim_id = null
             from k where outbound.organization_id = k.o and outbound.message_id = k.i
             and ((outbound.state = 'claimed' and outbound.claim_id = k.cl)
                  or (k.st = 'sent' and outbound.state in ('claimed', 'unknown', 'due')))
             returning message_id",
        )
        .await?;
    Ok(held.into_iter().map(|(id,)| id).collect())
}

/// A status that carries our id may have come before the answer was there or given up: then it is known whether the message
/// arrived, and one that arrived is not tried again.
pub(super) async fn known_after_all(
    session: &mut Session,
    organization: OrganizationId,
    messages: &[MessageId],
) -> Result<(), StoreError> {
    Rows::new()
        .column("o", Column::Uuid(vec![organization.0; messages.len()]))
        .column("i", Column::Uuid(messages.iter().map(|id| id.0).collect()))
        .execute(
            session,
            "update outbound set state = case when m.status = 'failed' then 'dead' else 'sent' end
             from k join messages m on m.organization_id = k.o and m.id = k.i
             where outbound.organization_id = k.o and outbound.message_id = k.i
             and ((m.status = 'failed' and outbound.state in ('unknown', 'sent'))
                  or (m.status in ('sent', 'delivered', 'read', 'played') and outbound.state in ('unknown', 'due')))",
        )
        .await
}

/// Shows on the timeline what went wrong, and moves the status if there is a new one.
async fn note(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    settled: &Settled,
    failure: &Failure,
    status: Option<DeliveryStatus>,
) -> Result<(), StoreError> {
    let described = clean_json(describe(failure));
    if let Some(status) = status {
        advance(
            session,
            outbox,
            organization,
            &[(settled.id, status, settled.at)],
            Some(&described),
        )
        .await?;
    } else if let Outcome::Again { at, .. } = &settled.outcome {
        let data = json!({ "failure": described, "next_attempt_at": at });
        outbox.push(organization, "message.delayed", settled.id.0, Some(data));
    }
    Ok(())
}

/// A failure as the API shows it.
pub fn describe(failure: &Failure) -> Value {
    json!({
        "class": failure.class.word(), "cause": failure.class.cause().map(providers::Cause::word),
        "code": failure.code, "detail": failure.detail,
    })
}

/// Writes the statuses into the histories and moves messages forward, never back.
pub(super) async fn advance(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    moves: &[(MessageId, DeliveryStatus, Timestamp)],
    failure: Option<&Value>,
) -> Result<(), StoreError> {
    let detail = failure.map(|failure| json!({ "failure": failure }));
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; moves.len()]))
        .column("message_id", Column::Uuid(moves.iter().map(|(id, ..)| id.0).collect()))
        .column("status", Column::Text(moves.iter().map(|(_, s, _)| s.word()).collect()))
        .column("recipient", Column::Text(vec![""; moves.len()]))
        .column("detail", Column::Json(vec![detail.as_ref().map(Json); moves.len()]))
        .column("at", Column::Time(moves.iter().map(|(.., at)| *at).collect()))
        .column("received_at", Column::Time(moves.iter().map(|(.., at)| *at).collect()))
        .insert(session, "message_statuses", "on conflict do nothing")
        .await?;
    let statement = format!(
        "update messages set status = k.st, processed_at = k.at from k
         where messages.organization_id = k.o and messages.id = k.i and {RANK_OF_STATUS} < k.rk
         returning id, status"
    );
    let advanced: Vec<(Uuid, String)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; moves.len()]))
        .column("i", Column::Uuid(moves.iter().map(|(id, ..)| id.0).collect()))
        .column("st", Column::Text(moves.iter().map(|(_, s, _)| s.word()).collect()))
        .column("rk", Column::Int(moves.iter().map(|(_, s, _)| i64::from(s.rank())).collect()))
        .column("at", Column::Time(moves.iter().map(|(.., at)| *at).collect()))
        .query(session, &statement)
        .await?;
    for (id, status) in advanced {
        let mut data = json!({ "status": status });
        if let Some(failure) = failure {
            data["failure"] = failure.clone();
            show_failure(session, organization, id, failure).await?;
        }
        outbox.push(organization, "message.status", id, Some(data));
    }
    Ok(())
}

async fn show_failure(
    session: &mut Session,
    organization: OrganizationId,
    message: Uuid,
    failure: &Value,
) -> Result<(), StoreError> {
    let sql =
        session.locking("select metadata from messages where organization_id = $1 and id = $2");
    let read = sqlx::AssertSqlSafe(sql);
    let write = "update messages set metadata = $3 where organization_id = $1 and id = $2";
    on!(session, |c| {
        let found: Option<Option<Json<Value>>> = sqlx::query_scalar(read)
            .bind(organization)
            .bind(message)
            .fetch_optional(&mut *c)
            .await?;
        let mut metadata = found.flatten().map_or_else(|| json!({}), |Json(value)| value);
        metadata["failure"] = failure.clone();
        let query = sqlx::query(write).bind(organization).bind(message).bind(Json(metadata));
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Gives messages the ids that the provider knows them by. Returns what they are found by.
async fn name(
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
            "provider_message_id",
            Column::Text(further.iter().map(|(_, r)| r.0.as_str()).collect()),
        )
        .insert(session, "message_refs", "on conflict do nothing")
        .await?;
    keys.extend(further_refs);
    let moves: Vec<(MessageId, DeliveryStatus, Timestamp)> =
        sent.iter().map(|(s, what)| (s.id, what.status, s.at.max(now))).collect();
    advance(session, outbox, organization, &moves, None).await?;
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
            "insert into message_refs (organization_id, provider_ref, message_id, provider_message_id)
             select m.organization_id, m.provider_ref, m.id, m.provider_message_id
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
