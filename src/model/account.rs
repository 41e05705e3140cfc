//! Accounts at providers, and the routes that say which of our lines they carry.

use std::collections::BTreeMap;

use providers::Channel;

use super::{AccountId, OrganizationId, RouteId};
use crate::clock::Timestamp;

/// An account at a provider, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id, which also names its webhook URL.
    pub id: AccountId,
    /// The provider's word.
    pub provider: String,
    /// What people call it.
    pub name: String,
    /// Its plain settings.
    pub settings: BTreeMap<String, String>,
    /// The names of the credentials that are set. Never their values.
    pub credentials: Vec<String>,
    /// Until when the credentials before the last rotation stay valid.
    pub previous_expires_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A line of ours and the account that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: RouteId,
    /// The account that carries it.
    pub account_id: AccountId,
    /// What is carried.
    pub channel: Channel,
    /// Our number or mailbox.
    pub address: String,
    /// The provider's own handle of it (Meta: `phone_number_id`).
    pub handle: Option<String>,
    /// Whether it sends, only receives, or neither.
    pub state: RouteState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteState {
    /// It receives; it does not send.
    Standby,
    /// It receives, and carries what the organization sends on this channel. One a channel.
    Active,
    /// It receives what is still to come, and sends nothing new.
    Draining,
    /// It does neither. What still arrives waits in the inbox until a route claims it.
    Retired,
}

impl RouteState {
    /// All states, in order of life.
    pub const ALL: [RouteState; 4] =
        [RouteState::Standby, RouteState::Active, RouteState::Draining, RouteState::Retired];

    /// The state's word.
    pub fn word(self) -> &'static str {
        match self {
            RouteState::Standby => "standby",
            RouteState::Active => "active",
            RouteState::Draining => "draining",
            RouteState::Retired => "retired",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}
