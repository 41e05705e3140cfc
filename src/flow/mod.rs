//! What the gateway does, one verb a file. Flows know the gateway and the model; they know nothing of HTTP handlers, pages
//! and the command line, which call them.

pub mod access;
pub mod accounts;
pub mod admit;
pub mod audit;
pub mod calls;
mod claims;
pub mod contacts;
pub mod destinations;
pub mod health;
pub mod leads;
mod leaving;
pub mod lines;
pub mod media;
pub mod organizations;
mod owners;
mod prove;
pub mod receive;
pub mod record;
pub mod replay;
pub mod routes;
pub mod routing;
pub mod send;
mod share;
pub mod stream;
pub mod sweep;
pub mod time;
pub mod unread;

use crate::gateway::KeyringError;
use crate::model::{AccountId, OrganizationId, Principal, PrincipalKind, Scope};
use crate::store::StoreError;
use crate::transport::{BlobError, Lost};

/// Who asks for something, and in which request.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The organization they act in.
    pub organization_id: OrganizationId,
    /// A key, a person, or the operator.
    pub kind: PrincipalKind,
    /// What they may do, and so the most that they may hand on to others.
    pub scopes: Vec<Scope>,
    /// The request, by which the audit log and the logs find each other.
    pub request_id: Option<String>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// There is no such thing in this organization.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A field of the request is wrong.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as the caller calls it.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// It is not done, for a reason of its own that programs can tell.
    #[error("{detail}")]
    Refused {
        /// Which.
        code: &'static str,
        /// Why, and what to do instead.
        detail: String,
    },
    /// Others of the same organization are at it already: it may be asked for again.
    #[error("{detail}")]
    Busy {
        /// Which.
        code: &'static str,
        /// What is at work, and what to do.
        detail: String,
        /// When to ask again, in seconds.
        after: u32,
    },
    /// It could not be done now, and may be asked for again.
    #[error("{detail}")]
    Later {
        /// Which.
        code: &'static str,
        /// How far it came, and what to do.
        detail: String,
    },
    /// Whoever asks would hand out, or take away, more than they have.
    #[error("this needs the scope `{}`", .0.word())]
    LacksScope(Scope),
    /// The provider was asked, and refused.
    #[error("{detail}")]
    ProviderRefused {
        /// The provider's code.
        code: Option<String>,
        /// The provider's explanation.
        detail: String,
    },
    /// The provider was asked, and no answer came.
    #[error("{0}")]
    ProviderUnanswered(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing or opening credentials.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The account is there and cannot be opened now: what needs it must be asked for again.
    #[error(
        "the account {0} cannot be opened now: the gateway's master key does not fit its credentials, or they are no longer \
         usable; the operator's `switchboard doctor` says which. Try again later"
    )]
    Locked(AccountId),
    /// The file store does not answer, or refuses.
    #[error("{0}")]
    FileStore(String),
    /// A kept file is not as it was sealed.
    #[error("{0}")]
    DamagedFile(String),
}

impl FlowError {
    /// A refusal of `field` because of `reason`.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// A refusal that programs know by `code`.
    pub fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused { code, detail: detail.into() }
    }
}

impl From<BlobError> for FlowError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing => Self::Conflict(error.to_string()),
            BlobError::Damaged(_) => Self::DamagedFile(error.to_string()),
            BlobError::Unavailable(_) => Self::FileStore(error.to_string()),
        }
    }
}

impl From<providers::Misconfigured> for FlowError {
    fn from(error: providers::Misconfigured) -> Self {
        Self::Invalid { field: error.field, reason: error.reason }
    }
}

impl From<providers::Failure> for FlowError {
    fn from(failure: providers::Failure) -> Self {
        Self::ProviderRefused { code: failure.code, detail: failure.detail }
    }
}

impl From<Lost> for FlowError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Refused(ref detail) => Self::refused(lost.word(), detail),
            lost => Self::ProviderUnanswered(lost.to_string()),
        }
    }
}

impl Actor {
    /// The principal of a request.
    pub fn of(principal: &Principal, request_id: Option<String>) -> Self {
        Self {
            organization_id: principal.organization_id,
            kind: principal.kind.clone(),
            scopes: principal.scopes.clone(),
            request_id,
        }
    }

    /// The person at the command line.
    pub fn operator(organization_id: OrganizationId) -> Self {
        let scopes = Scope::ALL.to_vec();
        Self { organization_id, kind: PrincipalKind::Operator, scopes, request_id: None }
    }
}

/// A text of 1 to `most` characters, without blanks around it and without control characters.
pub(crate) fn checked_text(field: &str, text: &str, most: usize) -> Result<String, FlowError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(FlowError::invalid(field, "must not be empty"));
    }
    if text.chars().count() > most {
        return Err(FlowError::invalid(field, format!("must be at most {most} characters")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        return Err(FlowError::invalid(field, "must not hold control characters"));
    }
    Ok(text.to_owned())
}

/// [`checked_text`] for a field that may be missing; a blank one counts as missing.
pub(crate) fn optional_text(
    field: &str,
    text: Option<&str>,
    most: usize,
) -> Result<Option<String>, FlowError> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => checked_text(field, text, most).map(Some),
    }
}
