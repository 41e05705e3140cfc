//! Deleting files that were kept long enough.

use chrono::TimeDelta;

use crate::gateway::Gateway;
use crate::model::OrganizationId;
use crate::store::{StoreError, media};

/// Deletes an organization's files that are older than the settings allow, as far as the clock may be believed; returns how
/// many. The bytes go first: if we are interrupted, the rows still say what is left to be done.
pub async fn sweep(gateway: &Gateway, organization: OrganizationId) -> Result<u64, StoreError> {
    let days = gateway.config.retention.media_days;
    let Some(now) = gateway.time.may_delete().filter(|_| days > 0) else { return Ok(0) };
    let before = now - TimeDelta::days(days);
    let mut forgotten = 0;
    loop {
        let mut session = gateway.store.read_all().await?;
        let mut files = media::old(&mut session, organization, before).await?;
        drop(session);
        let found = files.len();
        let mut kept = Vec::new();
        for file in files.iter().filter(|file| file.is_free) {
            if let Err(error) = gateway.blobs.delete(&file.blob_key).await {
                tracing::warn!(%error, "an old file could not be deleted; it will be tried again");
                kept.push(file.blob_key.clone());
            }
        }
        files.retain(|file| !kept.contains(&file.blob_key));
        let mut session = gateway.store.write_all().await?;
        media::forget(&mut session, organization, &files).await?;
        session.commit().await?;
        forgotten += files.len() as u64;
        if found == 0 || !kept.is_empty() {
            return Ok(forgotten);
        }
    }
}
