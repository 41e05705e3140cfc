//! Who may do what.

use super::{ApiKeyId, OrganizationId, UserId};
use crate::clock::Timestamp;

/// What a member of an organization is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads and writes communications, contacts and leads.
    Member,
    /// Also runs accounts, routes, the webhook inbox and API keys, and reads the audit log.
    Admin,
    /// Also decides who is a member.
    Owner,
}

/// One thing that may be done. API keys carry a list of them; a member's role implies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Read messages, calls and timelines.
    CommunicationsRead,
    /// Write messages and record communications.
    CommunicationsWrite,
    /// Read contacts and leads.
    LeadsRead,
    /// Write, merge and un-merge contacts and leads.
    LeadsWrite,
    /// Read the stream of events.
    EventsRead,
    /// Read accounts and routes, never their credentials.
    AccountsRead,
    /// Create, change, rotate and delete accounts and routes.
    AccountsWrite,
    /// Read the webhook inbox.
    InboxRead,
    /// Replay and discard what waits in the webhook inbox.
    InboxWrite,
    /// List, create and revoke API keys.
    KeysWrite,
    /// List members.
    MembersRead,
    /// Add, change and remove members.
    MembersWrite,
    /// Read the audit log.
    AuditRead,
    /// Report completed calls (`X-VoIP-API-Key`).
    VoipWrite,
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The organization they act in.
    pub organization_id: OrganizationId,
    /// A key or a person.
    pub kind: PrincipalKind,
    /// What they may do.
    pub scopes: Vec<Scope>,
}

/// A key or a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A program, by its key.
    Key(ApiKeyId),
    /// A person, by the identity provider's word.
    User(UserId),
    /// A person who is no member, by the name that the identity provider gives them.
    Stranger(String),
    /// The command line, on the machine itself.
    Operator,
}

/// An API key as it is listed: the secret itself is shown once, when it is made, and never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for, for people.
    pub name: String,
    /// The first characters of the secret, by which people recognize it.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A member of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub user_id: UserId,
    /// Their e-mail address.
    pub email: String,
    /// What they are called here.
    pub name: Option<String>,
    /// What they are here.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

    /// The role's word.
    pub fn word(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// What a member of this role may do.
    pub fn scopes(self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| scope.least_role() <= self).collect()
    }
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 14] = [
        Scope::CommunicationsRead,
        Scope::CommunicationsWrite,
        Scope::LeadsRead,
        Scope::LeadsWrite,
        Scope::EventsRead,
        Scope::AccountsRead,
        Scope::AccountsWrite,
        Scope::InboxRead,
        Scope::InboxWrite,
        Scope::KeysWrite,
        Scope::MembersRead,
        Scope::MembersWrite,
        Scope::AuditRead,
        Scope::VoipWrite,
    ];

    /// The scope's word.
    pub fn word(self) -> &'static str {
        match self {
            Scope::CommunicationsRead => "communications:read",
            Scope::CommunicationsWrite => "communications:write",
            Scope::LeadsRead => "leads:read",
            Scope::LeadsWrite => "leads:write",
            Scope::EventsRead => "events:read",
            Scope::AccountsRead => "accounts:read",
            Scope::AccountsWrite => "accounts:write",
            Scope::InboxRead => "inbox:read",
            Scope::InboxWrite => "inbox:write",
            Scope::KeysWrite => "keys:write",
            Scope::MembersRead => "members:read",
            Scope::MembersWrite => "members:write",
            Scope::AuditRead => "audit:read",
            Scope::VoipWrite => "voip:write",
        }
    }

    /// The scope of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }

    /// The humblest role that implies it.
    pub fn least_role(self) -> Role {
        match self {
            Scope::CommunicationsRead
            | Scope::CommunicationsWrite
            | Scope::LeadsRead
            | Scope::LeadsWrite
            | Scope::EventsRead
            | Scope::MembersRead
            | Scope::VoipWrite => Role::Member,
            Scope::AccountsRead
            | Scope::AccountsWrite
            | Scope::InboxRead
            | Scope::InboxWrite
            | Scope::KeysWrite
            | Scope::AuditRead => Role::Admin,
            Scope::MembersWrite => Role::Owner,
        }
    }
}

impl Principal {
    /// Whether they may do it.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

impl PrincipalKind {
    /// The word of the kind, as it stands in the audit log.
    pub fn word(&self) -> &'static str {
        match self {
            PrincipalKind::Key(_) => "key",
            PrincipalKind::User(_) | PrincipalKind::Stranger(_) => "user",
            PrincipalKind::Operator => "operator",
        }
    }

    /// The id of the key or person; empty for the operator.
    pub fn id(&self) -> String {
        match self {
            PrincipalKind::Key(id) => id.to_string(),
            PrincipalKind::User(id) => id.to_string(),
            PrincipalKind::Stranger(name) => name.clone(),
            PrincipalKind::Operator => String::new(),
        }
    }
}
