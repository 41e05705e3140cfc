//! People: contacts, their identities, and the CRM's leads.

use super::{ContactId, IdentityId, LeadId};
use crate::clock::Timestamp;

/// A person at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// The name given to them, or the one they go by.
    pub name: Option<String>,
    /// The contact this one was merged into, while the merge lasts.
    pub merged_into: Option<ContactId>,
    /// Every way to reach them.
    pub identities: Vec<Identity>,
    /// When they were first seen.
    pub created_at: Timestamp,
    /// When anything about them last changed.
    pub updated_at: Timestamp,
}

/// One address of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id, which messages and calls refer to and which never changes.
    pub id: IdentityId,
    /// `phone`, `email`, `wa_user`, `wa_lid` or `handle`.
    pub kind: String,
    /// The address, as it was received.
    pub value: String,
    /// The name they go by at this address.
    pub name: Option<String>,
    /// Their user name there.
    pub username: Option<String>,
}

/// A lead of the CRM: a contact somebody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// The person.
    pub contact_id: ContactId,
    /// Their name.
    pub name: String,
    /// Their e-mail address, as the CRM wrote it.
    pub email: Option<String>,
    /// Their telephone number, as the CRM wrote it.
    pub phone: Option<String>,
    /// The company they work for.
    pub company: Option<String>,
    /// Where they came from, in the CRM's words.
    pub source: Option<String>,
    /// How far they are, in the CRM's words.
    pub stage: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What it takes to create a lead.
#[derive(Debug, Clone, Default)]
pub struct NewLead {
    /// Their name.
    pub name: String,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
    /// The company they work for.
    pub company: Option<String>,
    /// Where they came from.
    pub source: Option<String>,
    /// How far they are; `new` if not said.
    pub stage: Option<String>,
    /// An existing contact, instead of one found or made from e-mail and telephone.
    pub contact_id: Option<ContactId>,
}

/// What to change about a lead: `None` leaves it, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct LeadChange {
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<Option<String>>,
    /// Their telephone number.
    pub phone: Option<Option<String>>,
    /// The company they work for.
    pub company: Option<Option<String>>,
    /// Where they came from.
    pub source: Option<Option<String>>,
    /// How far they are.
    pub stage: Option<String>,
}
