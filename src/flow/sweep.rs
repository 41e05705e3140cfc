//! Cleaning up: what has been kept long enough is deleted, a few thousand rows at a time.

use chrono::TimeDelta;

use super::{leaving, time};
use crate::clock::Timestamp;
use crate::gateway::{Gateway, Standing};
use crate::model::OrganizationId;
use crate::store::leaving::{COUNTED, Kept, Old, count};
use crate::store::sending::{backlog, recovery};
use crate::store::sweep::KeepOpen;
use crate::store::{StoreError, inbox, organizations, sweep, timekeeping};

/// How much one sweep deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Raw webhooks.
    pub webhooks: u64,
    /// Quarantined items.
    pub quarantined: u64,
    /// Events.
    pub events: u64,
    /// Changes whose message never came.
    pub waiting: u64,
    /// Files.
    pub files: u64,
    /// Entries of the audit log.
    pub audited: u64,
    /// Queue rows, journal entries and kept answers of what was sent.
    pub sent: u64,
}

/// Deletes what is older than the settings allow, in every organization, as far as the time that has passed vouches for the
/// clock; nothing while the clock is not believed. Each transaction is small, so that nothing else waits for it.
pub async fn run(gateway: &Gateway) -> Result<Swept, StoreError> {
    let standing = time::look(gateway).await?;
    let Some(now) = gateway.time.may_delete() else {
        if let Standing::Doubted { .. } = standing
            && gateway.time.warns_first()
        {
            warn(gateway, standing).await?;
        }
        return Ok(Swept::default());
    };
    let days = |days: i64| now - TimeDelta::days(days);
    let keep = &gateway.config.retention;
    let kept = kept(gateway, now);
    let open = KeepOpen { from: kept.open, told_from: now - leaving::NOTICE };
    let mut swept = Swept::default();
    for organization in everybody(gateway).await? {
        leaving::tell(gateway, organization, open.from, now).await?;
        loop {
            let mut session = gateway.store.write_all().await?;
            let webhooks =
                sweep::delete_inbox(&mut session, organization, kept.inbox, open).await?;
            let quarantined = sweep::delete_quarantine(&mut session, organization, open).await?;
            let unread = sweep::delete_unread(&mut session, organization, kept.open).await?;
            let events = sweep::delete_events(&mut session, organization, kept.events).await?;
            let sent = recovery::delete_served(&mut session, organization, kept.queue).await?;
            let audited = sweep::delete_audit(&mut session, organization, kept.audit).await?;
            session.commit().await?;
            swept.audited += audited;
            swept.sent += sent;
            swept.webhooks += webhooks;
            swept.quarantined += quarantined;
            swept.events += events;
            if webhooks + quarantined + unread + events + sent + audited == 0 {
                break;
            }
        }
        swept.files += super::media::sweep(gateway, organization).await?;
    }
    let mut session = gateway.store.write_all().await?;
    swept.waiting = sweep::delete_waiting(&mut session, days(keep.waiting_days)).await?;
    timekeeping::swept(&mut session, now).await?;
    session.commit().await?;
    Ok(swept)
}

/// From when on everything is kept that is kept for a time.
fn kept(gateway: &Gateway, now: Timestamp) -> Kept {
    let days = |days: i64| now - TimeDelta::days(days);
    let keep = &gateway.config.retention;
    Kept {
        inbox: days(keep.inbox_days),
        open: days(keep.quarantine_days.max(keep.inbox_days)),
        events: days(keep.events_days),
        queue: days(keep.queue_days),
        audit: days(keep.audit_days),
    }
}

/// The platform and all organizations.
async fn everybody(gateway: &Gateway) -> Result<Vec<OrganizationId>, StoreError> {
    let known = organizations::list(&mut gateway.store.read_all().await?).await?;
    let known = known.into_iter().map(|organization| organization.id);
    Ok(std::iter::once(OrganizationId::PLATFORM).chain(known).collect())
}

/// What would be deleted by now if the clock were believed, in all organizations together.
pub async fn would_go(gateway: &Gateway) -> Result<Old, StoreError> {
    let kept = kept(gateway, gateway.clock.now());
    let mut all = Old::default();
    for organization in everybody(gateway).await? {
        let mut session = gateway.store.read_all().await?;
        let old = count(&mut session, organization, kept).await?;
        all.webhooks += old.webhooks;
        all.open_items += old.open_items;
        all.events += old.events;
        all.sent += old.sent;
        all.answers += old.answers;
        all.audited += old.audited;
    }
    Ok(all)
}

/// Warns of what goes once the clock is believed.
async fn warn(gateway: &Gateway, standing: Standing) -> Result<(), StoreError> {
    let Old { webhooks, open_items, events, sent, answers, audited } = would_go(gateway).await?;
    tracing::warn!(
        webhooks,
        open_items,
        events,
        sent,
        idempotency_keys = answers,
        audit_entries = audited,
        "this is what will be deleted, each kind counted up to {COUNTED} an organization (open items a week after a \
         notice): {}",
        standing.describe().unwrap_or_default()
    );
    Ok(())
}

/// Measures how much waits.
pub async fn measure(gateway: &Gateway) -> Result<(), StoreError> {
    let mut session = gateway.store.read_all().await?;
    let open = inbox::open_count(&mut session).await?;
    let changes = sweep::waiting_count(&mut session).await?;
    crate::metrics::waiting(gateway.batcher.depth(), Some(open), Some(changes));
    let now = gateway.clock.now();
    let backlog = backlog::measure(&mut session, now).await?;
    let oldest = backlog.oldest.and_then(|oldest| (now - oldest).to_std().ok());
    let depth = backlog.depth.iter().map(|(state, count)| (state.word(), *count));
    crate::metrics::backlog(depth, oldest.unwrap_or_default());
    crate::metrics::lanes(backlog.paused, backlog.unwell);
    Ok(())
}
