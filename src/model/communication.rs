//! Messages and calls as one thing: what a timeline is made of.

use std::borrow::Cow;

use providers::{Channel, Direction};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ContactId, LeadId, OrganizationId};
use crate::clock::Timestamp;

/// A message or a call, as the CRM reads it; its texts may lie in the database's answer still.
#[derive(Debug, Clone, PartialEq)]
pub struct Communication<'a> {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The lead it belongs to, if any.
    pub lead_id: Option<LeadId>,
    /// The person at the other end, unless they withheld who they are.
    pub contact_id: Option<ContactId>,
    /// What carried it.
    pub channel: Channel,
    /// Which provider carried it.
    pub provider: Cow<'a, str>,
    /// Which way it went.
    pub direction: Direction,
    /// What was written; for calls, what was said, if it was transcribed.
    pub content: Option<Cow<'a, str>>,
    /// `text`, `image`, … or `call`.
    pub kind: Cow<'a, str>,
    /// A delivery status or a call's stage.
    pub status: Cow<'a, str>,
    /// Everything else.
    pub metadata: CommunicationMetadata<'a>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it happened; of a call, when it began. Timelines are in this order.
    pub occurred_at: Timestamp,
    /// When the gateway was last done with it.
    pub processed_at: Timestamp,
}

/// What else is known of a communication.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommunicationMetadata<'a> {
    /// Our number or address.
    pub our_address: Option<Cow<'a, str>>,
    /// Attachments, replies, duration, outcome, recordings …
    pub more: Map<String, Value>,
}

/// Which communications to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct CommunicationFilter {
    /// Of this lead.
    pub lead_id: Option<LeadId>,
    /// Of this contact.
    pub contact_id: Option<ContactId>,
    /// On this channel.
    pub channel: Option<Channel>,
    /// In this direction.
    pub direction: Option<Direction>,
    /// That happened at this time or later.
    pub from: Option<Timestamp>,
    /// That happened before this time.
    pub until: Option<Timestamp>,
    /// Whose content holds this text, whatever the case.
    pub search: Option<String>,
}

impl CommunicationFilter {
    /// Whether finding a page, or counting what matches, may read much more than the page: an organization's whole history, or
    /// all that somebody wrote.
    pub fn is_wide(&self, start: Cursor) -> bool {
        let is_narrow = self.channel.is_some() || self.direction.is_some();
        let is_of_all = self.lead_id.is_none() && self.contact_id.is_none();
        let counts = matches!(start, Cursor::Offset(_));
        self.search.is_some() || is_of_all && (is_narrow || counts)
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// After that many of the newest. Comes with a total.
    Offset(i64),
    /// Before (older than) this id. Costs the same however deep.
    Before(Uuid),
}

/// A communication that took place elsewhere and is put on record.
#[derive(Debug, Clone)]
pub struct NewCommunication {
    /// The lead it belongs to.
    pub lead_id: Option<LeadId>,
    /// The contact it belongs to, where there is no lead.
    pub contact_id: Option<ContactId>,
    /// What carried it.
    pub channel: Channel,
    /// Which way it went.
    pub direction: Direction,
    /// What was written or said.
    pub content: Option<String>,
    /// What kind of thing it was.
    pub kind: Option<String>,
    /// Anything else, as an object.
    pub metadata: Value,
    /// When it happened; now, if not said.
    pub occurred_at: Option<Timestamp>,
    /// The recorder's own id of it: a second record of the same id changes nothing.
    pub external_id: Option<String>,
}
