//! What an outcome means: for the file, and for when it is tried again. Knows nothing of how it is fetched.

use std::time::Duration;

use chrono::TimeDelta;
use providers::media_type::{UNKNOWN, is_media_type, registered};
use providers::{Attachment, Cause, Failure, FailureClass};

use crate::clock::Timestamp;
use crate::gateway::KeyringError;
use crate::model::{MediaState, WantedFile};
use crate::store::StoreError;
use crate::transport::BlobError;

/// The first pause before a file is tried again; each is as long as it has been wanted, and so twice the one before.
const LEAST: TimeDelta = TimeDelta::seconds(5);
const MOST: TimeDelta = TimeDelta::hours(1);

/// For how long a file is tried.
const AGE: TimeDelta = TimeDelta::days(7);

/// Why a file did not come.
pub(super) enum Trouble {
    /// Try again, perhaps not before this long.
    Again(String, Option<Duration>),
    /// It is gone.
    Expired(String),
    /// Trying again would not help.
    Failed(String),
    /// Nothing is known: our own database.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyringError> for Trouble {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Store(error) => Self::Store(error),
            other => Self::Again(other.to_string(), None),
        }
    }
}

impl From<BlobError> for Trouble {
    fn from(error: BlobError) -> Self {
        Self::Again(error.to_string(), None)
    }
}

/// What a failure means for the file. Before anything was asked it says that there is nothing to ask for. What the account is
/// to blame for may be mended within the time.
pub(super) fn judge(failure: Failure, asked: bool) -> Trouble {
    let detail = match &failure.code {
        Some(code) => format!("{} ({code})", failure.detail),
        None => failure.detail,
    };
    match failure.class {
        FailureClass::Transient | FailureClass::RateLimited(_) | FailureClass::Indeterminate => {
            Trouble::Again(detail, failure.retry_after)
        }
        FailureClass::Permanent(Cause::Account) => Trouble::Again(detail, None),
        FailureClass::Permanent(Cause::Message) if asked => Trouble::Expired(detail),
        FailureClass::Permanent(_) | FailureClass::NoFailure => Trouble::Failed(detail),
    }
}

/// What follows from trouble: the state, when it is tried again, and why.
pub(super) fn verdict(
    wanted: &WantedFile,
    now: Timestamp,
    trouble: Trouble,
) -> (MediaState, Option<Timestamp>, String) {
    match trouble {
        Trouble::Expired(error) => (MediaState::Expired, None, error),
        Trouble::Failed(error) => (MediaState::Failed, None, error),
        Trouble::Store(error) => (MediaState::Pending, Some(now + LEAST), error.to_string()),
        Trouble::Again(error, asked) => {
            let age = now - wanted.wanted_at;
            if age >= AGE {
                return (MediaState::Failed, None, error);
            }
            let asked = asked.and_then(|asked| TimeDelta::from_std(asked).ok()).unwrap_or_default();
            // A clock that went back must not make us wait for it.
            let pause = age.max(asked).clamp(LEAST, MOST);
            (MediaState::Pending, Some(now + pause), error)
        }
    }
}

/// The type of what came, by its registered name: what the server says, unless that says nothing; in the provider's words where
/// both mean the same, since those may hold more. What is no media type says nothing.
pub(super) fn media_type<'a>(
    answered: Option<&'a str>,
    expected: &'a Attachment,
    announced: &'a Attachment,
) -> String {
    let essence =
        |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let usable = |text: &'a Option<String>| {
        text.as_deref().filter(|text| is_media_type(text.trim())).map(registered)
    };
    let told = usable(&expected.mime_type).or_else(|| usable(&announced.mime_type));
    let answered = answered.filter(|text| is_media_type(text.trim())).map(registered);
    let answered =
        answered.filter(|text| ![UNKNOWN, "binary/octet-stream"].contains(&&*essence(text)));
    let found = match (answered, told) {
        (Some(answered), Some(told)) if essence(&answered) == essence(&told) => told,
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => UNKNOWN.into(),
    };
    found.into_owned()
}

/// How a file differs from what was announced. It is kept all the same: a provider re-encodes files without saying so,
/// and its words about them are not signed.
pub(super) fn differs(expected: &Attachment, size: i64, hash: &[u8; 32]) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    let mut odd = Vec::new();
    if let Some(announced) = expected.size.filter(|announced| *announced != size) {
        odd.push(format!("it has {size} bytes, and {announced} were announced"));
    }
    if let Some(text) = expected.sha256.as_deref().map(str::trim) {
        let same = text.eq_ignore_ascii_case(&hex::encode(hash))
            || text == STANDARD.encode(hash)
            || text == STANDARD_NO_PAD.encode(hash);
        if !same {
            odd.push("it has another SHA-256 than was announced".to_owned());
        }
    }
    (!odd.is_empty()).then(|| odd.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_none_says_nothing_whoever_says_it() {
        let file = |mime_type: Option<&str>| Attachment {
            kind: providers::MediaKind::Image,
            media_id: None,
            url: None,
            mime_type: mime_type.map(ToOwned::to_owned),
            filename: None,
            size: None,
            sha256: None,
        };
        let of = |answered: Option<&str>, told: Option<&str>| {
            media_type(answered, &file(told), &file(told))
        };
        let long = format!("image/{}", "x".repeat(200));
        for bad in ["", "image", "image/", "a/b\r\nX: y", "<b>/<i>", "image/png; a=\u{e9}", &long] {
            assert!(!is_media_type(bad), "{bad:?}");
            assert_eq!(of(Some(bad), None), "application/octet-stream", "{bad:?}");
            assert_eq!(of(None, Some(bad)), "application/octet-stream", "{bad:?}");
            assert_eq!(of(Some(bad), Some("image/png")), "image/png", "{bad:?}");
            assert_eq!(of(Some("image/png"), Some(bad)), "image/png", "{bad:?}");
        }
        assert_eq!(
            of(Some(" audio/ogg "), Some("audio/ogg; codecs=opus")),
            "audio/ogg; codecs=opus"
        );
        assert_eq!(of(Some("Text/Plain; charset=utf-8"), None), "Text/Plain; charset=utf-8");
        assert_eq!(of(Some("image/jpg"), None), "image/jpeg");
        assert_eq!(of(Some("application/ogg"), Some("audio/opus")), "audio/ogg; codecs=opus");
        assert_eq!(of(None, Some("audio/x-m4a")), "audio/mp4");
    }
}
