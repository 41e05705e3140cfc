//! Files that a message of ours names by an address, brought here before it is sent.
//!
//! Providers fetch what they are linked to from their own network. A bridge would do so from the operator's, where an address
//! that looks public may lead anywhere; so it is given our copy, which came past our own guard.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use providers::media_type::{UNKNOWN, is_media_type};
use providers::{Homes, ProviderRequest};

use super::upload::begin_for;
use crate::flow::FlowError;
use crate::gateway::Gateway;
use crate::model::{MediaFile, OrganizationId};
use crate::transport::{Behalf, DownloadError, Incoming, Limits};

/// How long a download may take, and how long nothing may come of it: the messages behind it wait meanwhile.
const DOWNLOAD: Duration = Duration::from_mins(1);
const IDLE: Duration = Duration::from_secs(15);

/// Why a file was not brought.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotBrought {
    /// Its address is refused, it is not there, or it cannot be used: trying again would not help.
    #[error("the file cannot be fetched from its address: {0}")]
    Never(String),
    /// Its server does not answer, or says that it will pass.
    #[error("the file cannot be fetched from its address now: {0}")]
    NotNow(String),
    /// We cannot keep it.
    #[error(transparent)]
    Ours(#[from] FlowError),
}

impl From<DownloadError> for NotBrought {
    fn from(error: DownloadError) -> Self {
        use DownloadError::{Forbidden, Lost, Redirect, Refused, TooLarge};
        match &error {
            Lost(_) => Self::NotNow(error.to_string()),
            Refused(answer) => match answer.http.status().as_u16() {
                408 | 425 | 429 | 500..=599 => Self::NotNow(error.to_string()),
                _ => Self::Never(error.to_string()),
            },
            Forbidden(_) | Redirect(_) | TooLarge(_) => Self::Never(error.to_string()),
        }
    }
}

/// Fetches what is at `link`, at most `media.fetch_bytes` and `most` bytes, and keeps it as if it had been handed in.
/// `mime_type` and `filename` are what its sender says of it.
pub(crate) async fn bring(
    gateway: &Gateway,
    organization: OrganizationId,
    link: &str,
    (mime_type, filename): (Option<&str>, Option<&str>),
    most: u64,
) -> Result<MediaFile, NotBrought> {
    let unreadable = |_| NotBrought::Never("it cannot be read".to_owned());
    let request = Request::get(link).body(Bytes::new()).map_err(unreadable)?;
    // No credentials go along, so that nobody is at home anywhere.
    let behalf = Behalf { organization: organization.0, homes: Homes::Domains(&[]) };
    let limits =
        Limits { bytes: gateway.config.media.fetch_bytes.min(most), timeout: DOWNLOAD, idle: IDLE };
    let request = ProviderRequest::repeatable(request);
    let mut incoming = gateway.transport.download(&request, behalf, limits, &gateway.clock).await?;
    let told = incoming.content_type().filter(|told| is_media_type(told)).map(ToOwned::to_owned);
    let mime_type = mime_type.or(told.as_deref()).unwrap_or(UNKNOWN);
    let mut upload = begin_for(gateway, organization, mime_type, filename).await?;
    match copy(&mut incoming, &mut upload).await {
        Ok(()) => Ok(upload.finish(gateway).await?),
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn copy(incoming: &mut Incoming, upload: &mut super::Upload) -> Result<(), NotBrought> {
    while let Some(chunk) = incoming.chunk().await? {
        upload.write(&chunk).await?;
    }
    Ok(())
}
