//! The files of a message: whether they can be sent when it is accepted, and the files themselves when it is sent.

use std::borrow::Cow;

use providers::{
    Cause, Failure, FailureClass, FileSource, Homes, LoadedFile, MediaKind, OutboundContent,
    OutboundFile,
};

use super::link_name;
use crate::flow::FlowError;
use crate::flow::media::{self, NotBrought};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{Claimed, MediaId, MediaState, OrganizationId};
use crate::store::sending::outbound;
use crate::store::{self, Session};

/// Files up to this size, in bytes, are read for providers that take files themselves. Larger ones are given as a link
/// where the gateway has a public URL: many messages are on their way at once.
const READ: i64 = 5 << 20;

/// The largest file that is read where there is no link, in bytes. No provider takes a larger one.
const LARGEST: u64 = 100 << 20;

/// Checks the files that a message names, and says of those that are with us what they are: files with us must be stored,
/// addresses must be public ones, or, where we fetch the file ourselves, ones that we may fetch from as far as their spelling
/// says. Where they lead is seen when the file is fetched.
pub(super) async fn complete(
    gateway: &Gateway,
    session: &mut Session,
    account: &DirectoryAccount,
    content: &mut OutboundContent,
) -> Result<(), FlowError> {
    let organization = account.organization_id;
    let places: Vec<String> =
        (0..content.files().len()).map(|position| content.file_field(position)).collect();
    for (place, file) in places.iter().zip(content.files_mut()) {
        let field = |name: &str| format!("{place}.{name}");
        match &file.source {
            FileSource::Link(link) => {
                let checked = match is_brought(account) {
                    true => check_ours(gateway, organization, link),
                    false => check_link(link).map_err(ToOwned::to_owned),
                };
                checked.map_err(|reason| FlowError::invalid(field("url"), reason))?;
                // Whoever gets a document sees its name.
                if file.media == MediaKind::Document && is_blank(file.filename.as_deref()) {
                    file.filename = link_name::of(link);
                }
            }
            FileSource::Stored(id) => {
                let id =
                    id.parse().map_err(|_| FlowError::invalid(field("media_id"), "is no id"))?;
                describe(session, organization, MediaId(id), file)
                    .await
                    .map_err(|error| named(error, field("media_id")))?;
            }
        }
        file.mime_type = file.media_type().map(Cow::into_owned);
    }
    Ok(())
}

fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
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

/// We fetch what is linked: whatever our own guard admits.
fn check_ours(gateway: &Gateway, organization: OrganizationId, link: &str) -> Result<(), String> {
    let url = url::Url::parse(link).map_err(|_| "must be an https URL".to_owned())?;
    gateway.transport.admit(organization.0, &url)
}

/// Whether we bring a linked file ourselves: a server of the operator's own must not be sent anywhere by who writes a message.
fn is_brought(account: &DirectoryAccount) -> bool {
    account.provider.homes == Homes::Settings
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
    file.filename = file.filename.take().filter(|name| !name.trim().is_empty()).or(known.filename);
    Ok(())
}

/// Finds the files: what is at a public address stays there, unless the provider's server is the operator's own; what is with
/// us gets an address where the gateway has one, and is read. A file that is brought is with us from now on.
pub(super) async fn load(
    gateway: &Gateway,
    account: &DirectoryAccount,
    claimed: &mut Claimed,
) -> Result<Vec<LoadedFile>, Failure> {
    let organization = account.organization_id;
    if is_brought(account) && bring(gateway, organization, &mut claimed.content).await? {
        keep(gateway, organization, claimed).await?;
    }
    let files = claimed.content.files();
    let mut loaded = Vec::with_capacity(files.len());
    for file in files {
        loaded.push(match &file.source {
            FileSource::Link(link) => LoadedFile { bytes: None, link: Some(link.clone()) },
            FileSource::Stored(id) => load_ours(gateway, organization, id, file.size).await?,
        });
    }
    Ok(loaded)
}

/// Brings what the message links to; returns whether there was anything.
async fn bring(
    gateway: &Gateway,
    organization: OrganizationId,
    content: &mut OutboundContent,
) -> Result<bool, Failure> {
    let mut any = false;
    for file in content.files_mut() {
        let FileSource::Link(link) = &file.source else { continue };
        let told = (file.mime_type.as_deref(), file.filename.as_deref());
        let brought = media::bring(gateway, organization, link, told, LARGEST).await;
        let found = brought.map_err(|error| not_brought(&error))?;
        file.source = FileSource::Stored(found.id.0.to_string());
        file.size = found.size;
        file.mime_type = found.mime_type;
        any = true;
    }
    Ok(any)
}

/// Writes down that the message's files are with us now, so that another attempt sends the same ones.
async fn keep(
    gateway: &Gateway,
    organization: OrganizationId,
    claimed: &Claimed,
) -> Result<(), Failure> {
    let written = async {
        let mut session = gateway.store.write(organization).await?;
        outbound::put_content(&mut session, organization, claimed.id, &claimed.content).await?;
        session.commit().await
    };
    let passing =
        |error: store::StoreError| Failure::new(FailureClass::Transient, error.to_string());
    written.await.map_err(passing)
}

fn not_brought(error: &NotBrought) -> Failure {
    let class = match error {
        NotBrought::Never(_) | NotBrought::Ours(FlowError::Invalid { .. }) => {
            FailureClass::Permanent(Cause::Message)
        }
        NotBrought::NotNow(_) | NotBrought::Ours(_) => FailureClass::Transient,
    };
    Failure::new(class, error.to_string()).with_code("file_not_fetched")
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
