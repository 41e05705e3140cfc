//! Plain data: what the gateway's words mean, without saying how any of it is kept or sent.

mod access;
mod account;
mod communication;
pub mod failure;
mod ids;
mod intake;
mod lead;
mod line;
mod media;
mod organization;
mod sending;
mod suppression;
pub mod verdict;

pub use access::{ApiKey, Member, Principal, PrincipalKind, Role, Scope};
pub use account::{Account, Route, RouteState};
pub use communication::{
    Communication, CommunicationFilter, CommunicationMetadata, Cursor, NewCommunication,
};
pub use ids::{
    AccountId, ApiKeyId, CallId, ContactId, IdentityId, InboxId, LeadId, MediaId, MergeId,
    MessageId, OrganizationId, QuarantineId, RouteId, UserId,
};
pub use intake::{
    Item, KeptRequest, KeyFingerprint, QuarantineReason, QuarantinedItem, Receipt, Submission,
};
pub use lead::{Contact, Identity, Lead, LeadChange, NewLead};
pub use line::{Device, DeviceState, Template, Wish};
pub use media::{FetchedFile, MediaFile, MediaState, WantedFile};
pub use organization::{NewOrganization, Organization};
pub use sending::{
    ClaimId, Claimed, Lane, NewOutbound, Outcome, Purpose, QueueState, Settled, hold_key,
};
pub use suppression::{Suppress, SuppressionScope};
