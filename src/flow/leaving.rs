//! What waits in the inbox is not deleted without a word: its organization is told some days before.

use std::collections::BTreeMap;

use chrono::{DurationRound, TimeDelta};
use providers::{Notice, Severity};
use serde_json::json;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::model::{AccountId, OrganizationId};
use crate::store::events::Outbox;
use crate::store::leaving::{self, Leaving};
use crate::store::{StoreError, notices};

/// How long before it is deleted an organization is told of what waits in its inbox.
pub(super) const NOTICE: TimeDelta = TimeDelta::days(7);

/// Tells an organization of its open items that are older than `keep_open_from` but for the time of the notice, and the
/// operator's log of all of them. Once a day at most, so that a notice has a day's items.
pub(super) async fn tell(
    gateway: &Gateway,
    organization: OrganizationId,
    keep_open_from: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = keep_open_from + NOTICE;
    let before = before.duration_trunc(TimeDelta::days(1)).unwrap_or(before).min(now);
    let untold =
        leaving::untold(&mut gateway.store.read_all().await?, organization, before).await?;
    if untold.is_empty() {
        return Ok(());
    }
    // An organization without any account cannot be told; what waits for it stays.
    let tellable = untold.iter().any(|leaving| leaving.account_id.is_some());
    if organization != OrganizationId::PLATFORM && !tellable {
        return Ok(());
    }
    let delete_after = now + NOTICE;
    for Leaving { provider, reason, count, oldest, .. } in &untold {
        tracing::error!(
            %organization, provider, reason, count, %oldest, %delete_after,
            "items that wait in the inbox will be deleted for their age; replay or discard them, or set \
             retention.quarantine_days higher"
        );
    }
    if organization != OrganizationId::PLATFORM {
        notify(gateway, organization, &untold, delete_after, now).await?;
    }
    // Marked afterwards, in pieces: who is interrupted here tells the same once more, and deletes nothing untold.
    loop {
        let mut session = gateway.store.write_all().await?;
        let told = leaving::told(&mut session, organization, before, now).await?;
        session.commit().await?;
        if told == 0 {
            return Ok(());
        }
    }
}

/// Writes a notice for each of the accounts concerned.
async fn notify(
    gateway: &Gateway,
    organization: OrganizationId,
    untold: &[Leaving],
    delete_after: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut by_account: BTreeMap<AccountId, Vec<&Leaving>> = BTreeMap::new();
    for leaving in untold {
        if let Some(account) = leaving.account_id {
            by_account.entry(account).or_default().push(leaving);
        }
    }
    let mut session = gateway.store.write_all().await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let key = format!("inbox.expiring:{}", now.format("%Y-%m-%d"));
    for (account, leaving) in by_account {
        let notice = notice(&leaving, delete_after);
        notices::tell(&mut session, &mut outbox, (organization, account), &key, &notice, now)
            .await?;
    }
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    gateway.wake_readers();
    Ok(())
}

fn notice(leaving: &[&Leaving], delete_after: Timestamp) -> Notice {
    let count: i64 = leaving.iter().map(|one| one.count).sum();
    let items: Vec<_> = leaving
        .iter()
        .map(|one| {
            json!({ "provider": one.provider, "reason": one.reason, "count": one.count, "oldest": one.oldest })
        })
        .collect();
    Notice {
        topic: "inbox.expiring".to_owned(),
        title: format!(
            "{count} items that wait in the webhook inbox will be deleted after {}: replay or discard them",
            delete_after.format("%Y-%m-%d")
        ),
        severity: Severity::Critical,
        number: None,
        template: None,
        preference: None,
        data: json!({ "count": count, "delete_after": delete_after, "items": items }),
    }
}
