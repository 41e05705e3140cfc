//! One type for each kind of id, so that a lead's id cannot be passed for a contact's.

use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// An organization: the tenant that everything belongs to.
    OrganizationId,
    /// A person who signs in.
    UserId,
    /// An API key.
    ApiKeyId,
    /// An account at a provider.
    AccountId,
    /// A line of ours, and the account that carries it.
    RouteId,
    /// A person at the other end.
    ContactId,
    /// One address of a contact.
    IdentityId,
    /// A merge of two contacts.
    MergeId,
    /// A lead of the CRM.
    LeadId,
    /// A message.
    MessageId,
    /// A file: one that came with a message, or one that was handed to us to be sent.
    MediaId,
    /// A call.
    CallId,
    /// A webhook request that was kept.
    InboxId,
    /// An item of a webhook that waits for a person or a fix.
    QuarantineId,
}

impl OrganizationId {
    /// The gateway itself: it owns what belongs to no organization, such as webhooks that name several of them or
    /// numbers nobody has claimed. No person or key is a member of it.
    pub const PLATFORM: OrganizationId = OrganizationId(Uuid::nil());
}
