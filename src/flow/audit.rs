//! Writing down who did what.

use serde_json::{Value, json};

use super::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::{OrganizationId, PrincipalKind};
use crate::store::audit::{self, AuditEntry};
use crate::store::{Session, StoreError, organizations};

/// What is written down.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// What was done: `account.create`, `key.revoke` …
    pub action: &'a str,
    /// What it was done to.
    pub subject: String,
    /// Anything else worth knowing. Never a secret.
    pub detail: Value,
}

/// Writes a deed into the transaction that does it.
pub(super) async fn note(
    gateway: &Gateway,
    session: &mut Session,
    actor: &Actor,
    deed: Deed<'_>,
) -> Result<(), StoreError> {
    let entry = entry(gateway, actor, deed);
    audit::insert(session, actor.organization_id, &entry).await
}

/// Writes down an attempt that was refused, for the caller's own organization with everything that is known, and for the one
/// it was aimed at without what is none of its business: a stranger's name, and the `detail` but for its reason. What one
/// caller does to one target within an hour is one row. Organizations that do not exist have no log.
pub async fn note_refusal(
    gateway: &Gateway,
    target: OrganizationId,
    actor: &Actor,
    detail: Value,
) -> Result<(), FlowError> {
    let deed = Deed { action: "access.refused", subject: target.to_string(), detail };
    let own = entry(gateway, actor, deed);
    let mut theirs =
        AuditEntry { detail: json!({ "reason": own.detail["reason"] }), ..own.clone() };
    if let PrincipalKind::Stranger(_) = actor.kind {
        theirs.actor_id.clear();
    }
    let mut session = gateway.store.write_all().await?;
    // A token may well name an organization that is not here either.
    for (organization, entry) in [(target, theirs), (actor.organization_id, own)] {
        if organizations::get(&mut session, organization).await?.is_some() {
            audit::count_refusal(&mut session, organization, &entry).await?;
        }
    }
    Ok(session.commit().await?)
}

fn entry(gateway: &Gateway, actor: &Actor, deed: Deed<'_>) -> AuditEntry {
    let at = gateway.clock.now();
    AuditEntry {
        id: gateway.ids.at(at),
        actor_kind: actor.kind.word().to_owned(),
        actor_id: actor.kind.id(),
        action: deed.action.to_owned(),
        subject: deed.subject,
        detail: deed.detail,
        request_id: actor.request_id.clone(),
        at,
    }
}
