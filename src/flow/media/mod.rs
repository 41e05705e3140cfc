//! Files: those that came with messages, and those that are handed to us to be sent.
//!
//! `fetch` brings the former, `upload` takes the latter, `linked` brings those that a message of ours only links to, `link`
//! makes all of them reachable for providers for a while. What is common to them, finding and reading, is here.

mod fetch;
mod judge;
mod link;
mod linked;
mod sweep;
mod unwrap;
mod upload;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{Stream, StreamExt};

pub use fetch::{Reachable, fetch_due, fetch_due_through, next_due};
pub use link::{public_link, redeem};
pub(crate) use linked::{NotBrought, bring};
pub use sweep::sweep;
pub use upload::{Upload, begin};

use super::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::{MediaFile, MediaId, MediaState, OrganizationId};
use crate::store::media;
use crate::transport::BlobError;

/// What a file is and what became of it.
pub async fn describe(
    gateway: &Gateway,
    organization: OrganizationId,
    id: MediaId,
) -> Result<MediaFile, FlowError> {
    let mut session = gateway.store.read(organization).await?;
    media::get(&mut session, organization, id).await?.ok_or(FlowError::NotFound("file"))
}

/// The bytes `part` of a file that is stored, piece by piece. A piece that is damaged is an error, after which nothing comes.
///
/// # Errors
/// [`FlowError::Conflict`] if the file is not stored, and why.
pub async fn read(
    gateway: &Gateway,
    organization: OrganizationId,
    file: &MediaFile,
    part: Range<u64>,
) -> Result<impl Stream<Item = Result<Bytes, BlobError>> + Send + use<>, FlowError> {
    let (name, size) = kept(file)?;
    let mut session = gateway.store.read(organization).await?;
    let key = gateway.keys.key(&mut session, organization).await?;
    drop(session);
    Ok(gateway.blobs.read(name, &key, size, part).await?)
}

/// All of a file that is stored, if it has at most `limit` bytes.
///
/// # Errors
/// [`FlowError::Conflict`] if the file is not stored; [`FlowError::Invalid`] if it is larger.
pub async fn load(
    gateway: &Gateway,
    organization: OrganizationId,
    id: MediaId,
    limit: u64,
) -> Result<Bytes, FlowError> {
    let file = describe(gateway, organization, id).await?;
    let (_, size) = kept(&file)?;
    if size > limit {
        let reason = format!("the file has {size} bytes, more than {limit}");
        return Err(FlowError::invalid("media_id", reason));
    }
    let mut stream = std::pin::pin!(read(gateway, organization, &file, 0..size).await?);
    let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes.freeze())
}

/// Where a stored file is kept, and its size.
fn kept(file: &MediaFile) -> Result<(&str, u64), FlowError> {
    let because = |what: &str| match &file.last_error {
        Some(error) => FlowError::Conflict(format!("{what}: {error}")),
        None => FlowError::Conflict(what.to_owned()),
    };
    match (file.state, &file.blob_key, file.size.and_then(|size| u64::try_from(size).ok())) {
        (MediaState::Stored, Some(name), Some(size)) => Ok((name, size)),
        (MediaState::Pending, _, _) => Err(because("the file has not been fetched yet")),
        (MediaState::Expired, _, _) => Err(because("the file has expired")),
        _ => Err(because("the file could not be fetched")),
    }
}

/// Asks for a file of a message again. One that is stored already is left as it is.
pub async fn ask_again(
    gateway: &Gateway,
    actor: &Actor,
    id: MediaId,
) -> Result<MediaFile, FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let now = gateway.clock.now();
    let asked = media::want_again(&mut session, organization, id, now).await?;
    let file = media::get(&mut session, organization, id).await?;
    let file = file.ok_or(FlowError::NotFound("file"))?;
    session.commit().await?;
    if asked {
        gateway.wake_readers();
    }
    Ok(file)
}

/// Where a file is kept. The name is sealed with it, so that no file can be put in another's place.
fn blob_key(organization: OrganizationId, id: MediaId) -> String {
    format!("{organization}/{id}")
}
