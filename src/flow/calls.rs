//! Calls of which nothing is heard any more.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::call_logs::silence;
use crate::store::events::Outbox;

/// How many calls one look closes at most; the next look finds the rest.
pub const AT_ONCE: i64 = 500;

/// Presumes calls to be over of which nothing was heard for `calls.silence_seconds` after they rang, or after they were passed
/// on and given back. News that comes later corrects it. Several processes may look at once: each call is closed under its
/// organization's head, by whoever finds it open there. Returns how many were closed.
pub async fn close_silent(gateway: &Gateway) -> Result<usize, StoreError> {
    let silence = gateway.config.calls.silence_seconds;
    if silence == 0 {
        return Ok(0);
    }
    let before = gateway.time.ages().certain() - TimeDelta::seconds(silence);
    let due = silence::due(&mut gateway.store.read_all().await?, before, AT_ONCE).await?;
    let mut by_organization: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (organization, call) in due {
        by_organization.entry(organization).or_default().push(call);
    }
    let mut closed = 0;
    for (organization, calls) in by_organization {
        let mut session = gateway.store.write_all().await?;
        let mut outbox = Outbox::lock(&mut session, [organization]).await?;
        let now = gateway.clock.now();
        closed +=
            silence::close(&mut session, &mut outbox, organization, &calls, (before, now)).await?;
        outbox.flush(&mut session, now).await?;
        session.commit().await?;
    }
    if closed > 0 {
        gateway.news.send_modify(|count| *count += 1);
    }
    Ok(closed)
}
