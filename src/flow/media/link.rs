//! Links under which providers fetch our files. Whoever has one can read the file until it ends; nobody can make one
//! without the organization's key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use uuid::Uuid;

use super::describe;
use crate::clock::Timestamp;
use crate::flow::FlowError;
use crate::gateway::{Gateway, KeyringError};
use crate::model::{MediaFile, MediaId, OrganizationId};

/// What tags of these links are made for.
const PURPOSE: &str = "media links";

/// Organization, file, end in Unix seconds; then the tag.
const FACTS: usize = 16 + 16 + 8;

/// A link to a file, good for `media.link_hours`; `None` where this gateway has no public URL. The file need not exist.
pub async fn public_link(
    gateway: &Gateway,
    organization: OrganizationId,
    id: MediaId,
) -> Result<Option<String>, FlowError> {
    let base = gateway.config.server.public_url.trim_end_matches('/');
    if base.is_empty() {
        return Ok(None);
    }
    let until = gateway.clock.now() + TimeDelta::hours(gateway.config.media.link_hours);
    let mut session = gateway.store.read(organization).await?;
    let key = gateway.keys.key(&mut session, organization).await?;
    let mut token = facts(organization, id, until);
    let tag = key.tag(PURPOSE, &token);
    token.extend_from_slice(&tag);
    Ok(Some(format!("{base}/media/{}", URL_SAFE_NO_PAD.encode(token))))
}

/// The file that a link's token leads to, and whose it is.
///
/// # Errors
/// [`FlowError::NotFound`] if the token is not ours, or its time is over: nobody is told which.
pub async fn redeem(
    gateway: &Gateway,
    token: &str,
) -> Result<(OrganizationId, MediaFile), FlowError> {
    let unknown = || FlowError::NotFound("link");
    let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| unknown())?;
    let (facts, tag) = token.split_at_checked(FACTS).ok_or_else(unknown)?;
    let (organization, id, until) = read(facts).ok_or_else(unknown)?;
    let mut session = gateway.store.read(organization).await?;
    let key = match gateway.keys.key(&mut session, organization).await {
        Err(KeyringError::Missing(_)) => return Err(unknown()),
        key => key?,
    };
    drop(session);
    if !key.has_tag(PURPOSE, facts, tag) || until <= gateway.clock.now() {
        return Err(unknown());
    }
    Ok((organization, describe(gateway, organization, id).await?))
}

fn facts(organization: OrganizationId, id: MediaId, until: Timestamp) -> Vec<u8> {
    [&organization.0.as_bytes()[..], id.0.as_bytes(), &until.timestamp().to_be_bytes()].concat()
}

fn read(facts: &[u8]) -> Option<(OrganizationId, MediaId, Timestamp)> {
    let organization = Uuid::from_slice(facts.get(..16)?).ok()?;
    let id = Uuid::from_slice(facts.get(16..32)?).ok()?;
    let until = i64::from_be_bytes(facts.get(32..)?.try_into().ok()?);
    Some((OrganizationId(organization), MediaId(id), Timestamp::from_timestamp(until, 0)?))
}
