//! Whom not to write to, as people decide it.

use providers::Channel;
use serde_json::json;

use super::recipient::{self, Recipient};
use crate::flow::audit::{self, Deed};
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::store::sending::suppressions::{self, Cause};

/// From now on this address is not written to.
pub async fn begin(
    gateway: &Gateway,
    actor: &Actor,
    channel: Channel,
    address: &str,
) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let recipient = Recipient::Address(address.to_owned());
    let found = recipient::find(&mut session, organization, channel, &recipient).await?;
    let cause = Cause { reason: "manual", detail: None, until: None };
    let now = gateway.clock.now();
    suppressions::put(&mut session, organization, channel, &found.address, &cause, now).await?;
    let deed = Deed {
        action: "suppression.create",
        subject: found.address.value().to_owned(),
        detail: json!({ "channel": channel.word() }),
    };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}

/// This address may be written to again.
pub async fn end(
    gateway: &Gateway,
    actor: &Actor,
    channel: Channel,
    address: &str,
) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let recipient = Recipient::Address(address.to_owned());
    let found = recipient::find(&mut session, organization, channel, &recipient).await?;
    if !suppressions::delete(&mut session, organization, channel, &found.address).await? {
        return Err(FlowError::NotFound("suppression"));
    }
    let deed = Deed {
        action: "suppression.delete",
        subject: found.address.value().to_owned(),
        detail: json!({ "channel": channel.word() }),
    };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}
