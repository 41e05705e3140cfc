//! The files of a message: whether they can be sent when it is accepted, and the files themselves when it is sent.

use providers::{
    Cause, Failure, FailureClass, FileSource, LoadedFile, OutboundContent, OutboundFile,
};

use crate::flow::{FlowError, media};
use crate::gateway::Gateway;
use crate::model::{MediaId, MediaState, OrganizationId};
use crate::store::{self, Session};

/// Files up to this size, in bytes, are read for providers that take files themselves. Larger ones are given as a link
/// where the gateway has a public URL: many messages are on their way at once.
const READ: i64 = 5 << 20;

/// The largest file that is read where there is no link, in bytes. No provider takes a larger one.
const LARGEST: u64 = 100 << 20;

/// Checks the files that a message names, and says of those that are with us what they are: addresses must be public ones,
/// files with us must be stored.
pub(super) async fn complete(
    session: &mut Session,
    organization: OrganizationId,
    content: &mut OutboundContent,
) -> Result<(), FlowError> {
    let OutboundContent::Media { files, .. } = content else { return Ok(()) };
    for (position, file) in files.iter_mut().enumerate() {
        let field = |name: &str| format!("content.files[{position}].{name}");
        match &file.source {
            FileSource::Link(link) => {
                check_link(link).map_err(|reason| FlowError::invalid(field("url"), reason))?;
            }
            FileSource::Stored(id) => {
                let id =
                    id.parse().map_err(|_| FlowError::invalid(field("media_id"), "is no id"))?;
                describe(session, organization, MediaId(id), file)
                    .await
                    .map_err(|error| named(error, field("media_id")))?;
            }
        }
    }
    Ok(())
}

fn named(error: FlowError, field: String) -> FlowError {
    match error {
        FlowError::NotFound(_) => FlowError::invalid(field, "there is no such file"),
        FlowError::Conflict(reason) => FlowError::invalid(field, reason),
        other => other,
    }
}

/// The provider fetches what is linked: only a public https address makes sense to it.
fn check_link(link: &str) -> Result<(), &'static str> {
    let url = url::Url::parse(link).map_err(|_| "must be an https URL")?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err("must be an https URL without a user name");
    }
    match url.host() {
        Some(url::Host::Domain(name)) if name.contains('.') => Ok(()),
        _ => Err("must name a public host"),
    }
}

async fn describe(
    session: &mut Session,
    organization: OrganizationId,
    id: MediaId,
    file: &mut OutboundFile,
) -> Result<(), FlowError> {
    let known = store::media::get(session, organization, id).await?;
    let known = known.ok_or(FlowError::NotFound("file"))?;
    if known.state != MediaState::Stored {
        return Err(FlowError::Conflict("the file is not stored".to_owned()));
    }
    file.size = known.size;
    file.mime_type = file.mime_type.take().or(known.mime_type);
    file.filename = file.filename.take().or(known.filename);
    Ok(())
}

/// Finds the files: what is at a public address stays there, what is with us gets an address where the gateway has one, and
/// is read.
pub(super) async fn load(
    gateway: &Gateway,
    organization: OrganizationId,
    content: &OutboundContent,
) -> Result<Vec<LoadedFile>, Failure> {
    let OutboundContent::Media { files, .. } = content else { return Ok(Vec::new()) };
    let mut loaded = Vec::with_capacity(files.len());
    for file in files {
        loaded.push(match &file.source {
            FileSource::Link(link) => LoadedFile { bytes: None, link: Some(link.clone()) },
            FileSource::Stored(id) => load_ours(gateway, organization, id, file.size).await?,
        });
    }
    Ok(loaded)
}

async fn load_ours(
    gateway: &Gateway,
    organization: OrganizationId,
    id: &str,
    size: Option<i64>,
) -> Result<LoadedFile, Failure> {
    let gone = || Failure::new(FailureClass::Permanent(Cause::Message), "the file is gone");
    let id = MediaId(id.parse().map_err(|_| gone())?);
    let passing = |error: FlowError| match error {
        FlowError::NotFound(_) | FlowError::Conflict(_) | FlowError::Invalid { .. } => gone(),
        other => Failure::new(FailureClass::Transient, other.to_string()),
    };
    let link = media::public_link(gateway, organization, id).await.map_err(passing)?;
    let bytes = match &link {
        Some(_) if size.is_none_or(|size| size > READ) => None,
        _ => Some(media::load(gateway, organization, id, LARGEST).await.map_err(passing)?),
    };
    Ok(LoadedFile { bytes, link })
}
