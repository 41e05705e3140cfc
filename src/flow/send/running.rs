//! Requests with an `Idempotency-Key` that are being carried out right now, in this process.

use std::sync::PoisonError;

use crate::flow::FlowError;
use crate::gateway::Gateway;
use crate::model::OrganizationId;

/// A request at work: another one with its key is turned away until this is dropped.
pub(super) struct Running<'a> {
    gateway: &'a Gateway,
    name: (OrganizationId, String),
}

impl<'a> Running<'a> {
    /// Begins, unless a request with this key is at work.
    pub(super) fn begin(
        gateway: &'a Gateway,
        organization: OrganizationId,
        key: &str,
    ) -> Result<Self, FlowError> {
        let name = (organization, key.to_owned());
        let mut running = gateway.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.insert(name.clone()) {
            true => Ok(Self { gateway, name }),
            false => Err(in_progress()),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.gateway.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.name);
    }
}

/// The refusal.
pub(super) fn in_progress() -> FlowError {
    FlowError::Conflict("a request with this Idempotency-Key is being carried out".to_owned())
}
