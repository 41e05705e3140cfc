//! Files that are handed to us, to be sent later.

use providers::media_type::{is_media_type, registered};
use sha2::{Digest, Sha256};

use super::blob_key;
use crate::flow::{Actor, FlowError, optional_text};
use crate::gateway::Gateway;
use crate::model::{FetchedFile, MediaFile, MediaId, MediaState, OrganizationId};
use crate::store::media;
use crate::transport::BlobWriter;

/// A file on its way in.
#[derive(Debug)]
pub struct Upload {
    organization: OrganizationId,
    id: MediaId,
    mime_type: String,
    filename: Option<String>,
    blob: BlobWriter,
    size: u64,
    hash: Sha256,
}

/// Begins to take a file. `mime_type` is `type/subtype`, with parameters if need be; it is kept by its registered name.
pub async fn begin(
    gateway: &Gateway,
    actor: &Actor,
    mime_type: &str,
    filename: Option<&str>,
) -> Result<Upload, FlowError> {
    begin_for(gateway, actor.organization_id, mime_type, filename).await
}

/// The same for a file that we take ourselves on an organization's behalf.
pub(super) async fn begin_for(
    gateway: &Gateway,
    organization: OrganizationId,
    mime_type: &str,
    filename: Option<&str>,
) -> Result<Upload, FlowError> {
    let filename = optional_text("filename", filename, 240)?;
    let mime_type = mime_type.trim();
    if !is_media_type(mime_type) {
        return Err(FlowError::invalid("Content-Type", "must be a media type such as image/png"));
    }
    let mut session = gateway.store.read(organization).await?;
    let key = gateway.keys.key(&mut session, organization).await?;
    drop(session);
    let id = MediaId(gateway.ids.next());
    Ok(Upload {
        organization,
        id,
        mime_type: registered(mime_type).into_owned(),
        filename,
        blob: gateway.blobs.write(&blob_key(organization, id), &key)?,
        size: 0,
        hash: Sha256::new(),
    })
}

impl Upload {
    /// Takes more of it; returns how many bytes there are by now.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<u64, FlowError> {
        self.blob.write(bytes).await?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(self.size)
    }

    /// Gives it up.
    pub async fn abort(self) {
        self.blob.abort().await;
    }

    /// Keeps it.
    pub async fn finish(self, gateway: &Gateway) -> Result<MediaFile, FlowError> {
        let file = FetchedFile {
            mime_type: self.mime_type,
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            sha256: hex::encode(self.hash.finalize()),
            blob_key: blob_key(self.organization, self.id),
            warning: None,
        };
        self.blob.finish().await?;
        let written = async {
            let mut session = gateway.store.write(self.organization).await?;
            let (id, name) = (self.id, self.filename.as_deref());
            let now = gateway.clock.now();
            media::insert(&mut session, self.organization, id, name, &file, now).await?;
            session.commit().await
        };
        if let Err(error) = written.await {
            // Without its row nobody would ever find it. If that commit was only not heard of, the caller was told that
            // it failed, and hands the file in again.
            let _ = gateway.blobs.delete(&file.blob_key).await;
            return Err(error.into());
        }
        Ok(MediaFile {
            id: self.id,
            message_id: None,
            state: MediaState::Stored,
            mime_type: Some(file.mime_type),
            filename: self.filename,
            size: Some(file.size),
            sha256: Some(file.sha256),
            blob_key: Some(file.blob_key),
            warning: None,
            last_error: None,
        })
    }
}
