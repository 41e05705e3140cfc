//! What people do with messages in the queue: call them back, send them again, change them, say what became of them.

use chrono::TimeDelta;
use providers::{Channel, DeliveryStatus, OutboundContent};
use serde_json::json;

use super::desk::Desk;
use super::shown;
use crate::clock::Timestamp;
use crate::flow::audit::{self, Deed};
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::{Lane, MessageId, OrganizationId, QueueState};
use crate::store::events::Outbox;
use crate::store::sending::holds;
use crate::store::sending::lanes::{self, LaneRow};
use crate::store::sending::outbound::{self, Change, Depth, Queued};
use crate::store::{Session, StoreError, routes};

/// How many messages one request may send again, discard or hasten.
const AT_ONCE: i64 = 1_000;

/// How many of them one transaction writes.
const PIECE: i64 = 50;

/// What a person decides about a message.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Call it back: possible while nobody sends it.
    Cancel,
    /// Send it again: possible once it was given up, or nobody knows what became of it.
    Retry,
    /// Change what it says: possible while nobody sends it, and once it was given up.
    Edit(OutboundContent),
    /// It did arrive: possible while nobody knows.
    Arrived,
    /// It did not arrive, and is not to be sent again; or it was given up, and is not wanted any more.
    Discard,
}

/// What a lane looks like.
#[derive(Debug, Clone)]
pub struct LaneView {
    /// What it carries.
    pub channel: Channel,
    /// Its pace and what holds it back, if anything was ever sent on it.
    pub row: Option<LaneRow>,
    /// How much waits, by state.
    pub depth: Vec<Depth>,
}

/// Carries out a decision.
pub async fn decide(
    gateway: &Gateway,
    actor: &Actor,
    id: MessageId,
    decision: &Decision,
) -> Result<QueueState, FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let queued = outbound::get(&mut session, organization, id).await?;
    let queued = queued.ok_or(FlowError::NotFound("message in the queue"))?;
    let fate = fate(queued.state, decision)?;
    let content = match decision {
        Decision::Edit(content) => {
            let mut desk = Desk::new(gateway, organization, false);
            desk.admit_edit(&mut session, &queued, content).await?
        }
        _ => queued.content.clone(),
    };
    apply(gateway, &mut session, &mut outbox, &queued, fate, &content).await?;
    if content != queued.content {
        shown::anew(&mut session, organization, &queued, &content).await?;
    }
    let what = match decision {
        Decision::Cancel => "message.cancel",
        Decision::Retry => "message.retry",
        Decision::Edit(_) => "message.edit",
        Decision::Arrived => "message.resolve",
        Decision::Discard => "message.discard",
    };
    let deed = Deed { action: what, subject: id.to_string(), detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    finish(gateway, session, outbox).await?;
    Ok(fate.state)
}

/// Sends all dead messages of a channel (or of all) again, or discards them, at most a thousand. Returns how many. They are
/// decided about piece by piece, so that nobody waits long for the organization's head; each piece is in the audit log.
pub async fn decide_all(
    gateway: &Gateway,
    actor: &Actor,
    channel: Option<Channel>,
    decision: &Decision,
) -> Result<usize, FlowError> {
    let mut decided = 0;
    // The oldest that was decided about: what dies again meanwhile is newer, and not met twice.
    let mut before = None;
    loop {
        let limit = PIECE.min(AT_ONCE - decided);
        let piece = decide_piece(gateway, actor, channel, decision, before, limit).await?;
        decided += i64::try_from(piece.len()).unwrap_or_default();
        before = piece.last().map(|id| id.0);
        if i64::try_from(piece.len()).unwrap_or_default() < limit || decided >= AT_ONCE {
            return Ok(usize::try_from(decided).unwrap_or_default());
        }
    }
}

async fn decide_piece(
    gateway: &Gateway,
    actor: &Actor,
    channel: Option<Channel>,
    decision: &Decision,
    before: Option<uuid::Uuid>,
    limit: i64,
) -> Result<Vec<MessageId>, FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let channel = channel.map(Channel::word);
    let given_up = outbound::dead(&mut session, organization, channel, before, limit).await?;
    if given_up.is_empty() {
        return Ok(Vec::new());
    }
    for queued in &given_up {
        let fate = fate(queued.state, decision)?;
        apply(gateway, &mut session, &mut outbox, queued, fate, &queued.content).await?;
    }
    let action = match decision {
        Decision::Retry => "dead_letters.retry",
        _ => "dead_letters.discard",
    };
    let detail = json!({ "messages": given_up.len(), "channel": channel });
    let deed = Deed { action, subject: organization.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    finish(gateway, session, outbox).await?;
    Ok(given_up.into_iter().map(|queued| queued.id).collect())
}

async fn finish(gateway: &Gateway, mut session: Session, outbox: Outbox) -> Result<(), FlowError> {
    outbox.flush(&mut session, gateway.clock.now()).await?;
    session.commit().await?;
    gateway.wake_readers();
    gateway.due.notify_one();
    Ok(())
}

/// What becomes of a message about which somebody has decided.
#[derive(Debug, Clone, Copy)]
struct Fate {
    state: QueueState,
    status: DeliveryStatus,
    /// Whether it is sent again, at once.
    retried: bool,
}

fn fate(state: QueueState, decision: &Decision) -> Result<Fate, FlowError> {
    use QueueState::{Canceled, Dead, Due, Sent, Unknown};
    let (state, status) = match (decision, state) {
        (Decision::Cancel, Due) => (Canceled, DeliveryStatus::Canceled),
        (Decision::Retry, Dead | Unknown) | (Decision::Edit(_), Due) => {
            (Due, DeliveryStatus::Queued)
        }
        (Decision::Edit(_), Dead) => (Dead, DeliveryStatus::Failed),
        (Decision::Arrived, Unknown) => (Sent, DeliveryStatus::Sent),
        (Decision::Discard, Dead | Unknown) => (Canceled, DeliveryStatus::Failed),
        (_, state) => {
            let detail = format!("the message is `{}`: that cannot be done with it", state.word());
            return Err(FlowError::Conflict(detail));
        }
    };
    Ok(Fate { state, status, retried: matches!(decision, Decision::Retry) })
}

async fn apply(
    gateway: &Gateway,
    session: &mut Session,
    outbox: &mut Outbox,
    queued: &Queued,
    fate: Fate,
    content: &OutboundContent,
) -> Result<(), FlowError> {
    let now = gateway.clock.now();
    let fresh = now + TimeDelta::hours(gateway.config.sending.max_age_hours);
    let change = Change {
        state: fate.state,
        // What waited for a template may say something else by now: it is looked at at once, and waits again if it must.
        due_at: match fate.retried || queued.template_hold.is_some() {
            true => now,
            false => queued.due_at,
        },
        expires_at: if fate.retried { fresh } else { queued.expires_at },
        content,
        status: fate.status,
    };
    let organization = queued.lane.organization_id;
    outbound::change(session, outbox, organization, queued.id, &change, now).await?;
    if fate.state == QueueState::Due {
        lanes::wake(session, queued.lane, change.due_at).await?;
    }
    Ok(())
}

/// What an organization's queue looks like.
pub async fn overview(
    gateway: &Gateway,
    organization: OrganizationId,
) -> Result<Vec<LaneView>, StoreError> {
    let mut session = gateway.store.read(organization).await?;
    let now = gateway.clock.now();
    let rows = lanes::list(&mut session, organization).await?;
    let depth = outbound::depth(&mut session, organization).await?;
    let view = |channel: Channel| {
        let row = rows.iter().find(|(of, _)| *of == channel).map(|(_, row)| LaneRow {
            factor: super::take::pace_share(row, now),
            paused_until: row.paused_until.filter(|until| *until > now),
            ..row.clone()
        });
        let depth: Vec<Depth> =
            depth.iter().filter(|depth| depth.channel == channel.word()).cloned().collect();
        (row.is_some() || !depth.is_empty()).then_some(LaneView { channel, row, depth })
    };
    Ok(Channel::ALL.into_iter().filter_map(view).collect())
}

/// Lets a paused lane go on at once, at its full pace.
pub async fn resume(gateway: &Gateway, actor: &Actor, channel: Channel) -> Result<(), FlowError> {
    let (organization, now) = (actor.organization_id, gateway.clock.now());
    let lane = Lane { organization_id: organization, channel };
    let mut session = gateway.store.write(organization).await?;
    let Some(row) = lanes::lock(&mut session, lane).await? else {
        return Err(FlowError::NotFound("queue"));
    };
    lanes::put(&mut session, lane, &resumed(row, now)).await?;
    holds::lift(&mut session, organization, now).await?;
    hasten(&mut session, lane, now).await?;
    let subject = channel.word().to_owned();
    let deed = Deed { action: "queue.resume", subject, detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    session.commit().await?;
    gateway.due.notify_one();
    Ok(())
}

/// An account was changed: what it held back goes on, and tries it at once.
pub(crate) async fn account_changed(
    gateway: &Gateway,
    session: &mut Session,
    organization: OrganizationId,
) -> Result<(), StoreError> {
    let now = gateway.clock.now();
    for channel in Channel::ALL {
        let lane = Lane { organization_id: organization, channel };
        let Some(row) = lanes::lock(session, lane).await? else { continue };
        // Another account has templates of its own.
        let carrier = routes::active(session, organization, channel).await?;
        let carrier = carrier.map(|route| route.account_id);
        holds::free(session, lane, carrier, now).await?;
        if row.paused_until.is_some() {
            let (unwell, told_later) = (row.unwell, row.told_later);
            let row = LaneRow { unwell, told_later, ..resumed(row, now) };
            lanes::put(session, lane, &row).await?;
            hasten(session, lane, now).await?;
        }
    }
    Ok(())
}

/// What was refused while the lane was held back is tried again at once.
async fn hasten(session: &mut Session, lane: Lane, now: Timestamp) -> Result<(), StoreError> {
    if outbound::hasten(session, lane, AT_ONCE, now).await? {
        lanes::wake(session, lane, now).await?;
    }
    Ok(())
}

fn resumed(row: LaneRow, now: Timestamp) -> LaneRow {
    LaneRow {
        awake_at: None,
        paused_until: None,
        pause_reason: None,
        unwell: false,
        told_later: false,
        probe_id: None,
        probed_at: None,
        rested_until: row.rested_until.map(|until| until.min(now)),
        factor: 1.0,
        slowed_at: now,
        tokens: row.tokens.max(1.0),
        refilled_at: now,
        ..row
    }
}
