//! Cleaning up: what has been kept long enough is deleted, a few thousand rows at a time.

use chrono::TimeDelta;

use crate::gateway::Gateway;
use crate::model::OrganizationId;
use crate::store::sending::{backlog, recovery};
use crate::store::{StoreError, inbox, organizations, sweep};

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

/// Deletes what is older than the settings allow, in every organization. Each transaction is small, so that nothing else
/// waits for it.
pub async fn run(gateway: &Gateway) -> Result<Swept, StoreError> {
    let now = gateway.clock.now();
    let days = |days: i64| now - TimeDelta::days(days);
    let keep = &gateway.config.retention;
    let open_from = days(keep.quarantine_days.max(keep.inbox_days));
    let mut swept = Swept::default();
    let mut all = vec![OrganizationId::PLATFORM];
    let known = organizations::list(&mut gateway.store.read_all().await?).await?;
    all.extend(known.into_iter().map(|organization| organization.id));
    for organization in all {
        loop {
            let mut session = gateway.store.write_all().await?;
            let inbox =
                sweep::delete_inbox(&mut session, organization, days(keep.inbox_days), open_from);
            let webhooks = inbox.await?;
            let quarantined =
                sweep::delete_quarantine(&mut session, organization, open_from).await?;
            let events =
                sweep::delete_events(&mut session, organization, days(keep.events_days)).await?;
            let sent =
                recovery::delete_served(&mut session, organization, days(keep.queue_days)).await?;
            let audited =
                sweep::delete_audit(&mut session, organization, days(keep.audit_days)).await?;
            session.commit().await?;
            swept.audited += audited;
            swept.sent += sent;
            swept.webhooks += webhooks;
            swept.quarantined += quarantined;
            swept.events += events;
            if webhooks + quarantined + events + sent + audited == 0 {
                break;
            }
        }
        swept.files += super::media::sweep(gateway, organization).await?;
    }
    let mut session = gateway.store.write_all().await?;
    swept.waiting = sweep::delete_waiting(&mut session, days(keep.waiting_days)).await?;
    session.commit().await?;
    Ok(swept)
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
