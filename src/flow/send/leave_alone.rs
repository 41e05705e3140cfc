//! Whom not to write to, as people decide it.

use providers::Channel;
use serde_json::json;

use super::recipient::{self, Recipient};
use crate::flow::audit::{self, Deed};
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::SuppressionScope;
use crate::store::sending::suppressions::{self, Cause};

/// From now on this address is not written to, or gets no marketing.
pub async fn begin(
    gateway: &Gateway,
    actor: &Actor,
    channel: Channel,
    address: &str,
    scope: SuppressionScope,
) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let recipient = Recipient::Address(address.to_owned());
    let found = recipient::find(&mut session, organization, channel, &recipient).await?;
    let now = gateway.clock.now();
    let cause = Cause { reason: "manual", scope, detail: None, until: None, since: now };
    suppressions::put(&mut session, organization, channel, &found.address, &cause, now).await?;
    let deed = Deed {
        action: "suppression.create",
        subject: found.address.value().to_owned(),
        detail: json!({ "channel": channel.word(), "scope": scope.word() }),
    };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}

/// This address may be written to again, or get marketing again: what is lifted is of one scope, or all.
pub async fn end(
    gateway: &Gateway,
    actor: &Actor,
    channel: Channel,
    address: &str,
    scope: Option<SuppressionScope>,
) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let recipient = Recipient::Address(address.to_owned());
    let found = recipient::find(&mut session, organization, channel, &recipient).await?;
    let (now, address) = (gateway.clock.now(), &found.address);
    if !suppressions::delete(&mut session, organization, channel, address, scope, now).await? {
        return Err(FlowError::NotFound("suppression"));
    }
    let deed = Deed {
        action: "suppression.delete",
        subject: found.address.value().to_owned(),
        detail: json!({ "channel": channel.word(), "scope": scope.map(SuppressionScope::word) }),
    };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}
