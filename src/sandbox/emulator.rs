//! What an emulator is to the rest of the sandbox, and which there are.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use providers::Secret;
use serde::{Deserialize, Serialize};

use super::accounts::{SandboxAccount, SandboxRoute};
use super::exchange::{Answer, Handled, Request};
use super::faults::On;
use super::journal::Accepted;
use super::world::World;
use super::{meta, telnyx, twilio, waha};
use crate::clock::Timestamp;

/// One provider's emulator.
pub(super) struct Emulator {
    /// The first segment of its paths.
    pub(super) name: &'static str,
    /// What a request is about, before anything of it is checked.
    pub(super) sight: fn(&World, &Request) -> Sight,
    /// Does what the request asks for.
    pub(super) answer: fn(&Arc<World>, &Request) -> Handled,
    /// The provider's own body for a status, with its code where one is asked for.
    pub(super) refusal: fn(u16, Option<u32>) -> Answer,
    /// The statuses of a message that fails; the last has the code.
    pub(super) failing: &'static [&'static str],
    /// The webhooks that tell a status.
    pub(super) letters: fn(&World, &Accepted, &Status) -> Vec<Letter>,
    /// A message of a person.
    pub(super) arrive: fn(&World, &Arc<SandboxAccount>, &SandboxRoute, &Inbound) -> Arrival,
    /// Signs a webhook.
    pub(super) sign: fn(&SandboxAccount, Timestamp, http::Request<Bytes>) -> http::Request<Bytes>,
}

/// What a request is about.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) account: Option<Arc<SandboxAccount>>,
    pub(super) on: On,
    pub(super) to: Option<String>,
}

/// A step of a message's way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    /// The provider's word.
    pub(super) word: &'static str,
    /// The provider's error code, where it failed.
    pub(super) code: Option<u32>,
}

/// A webhook, not yet signed.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) url: String,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Signs it instead of the account's signing secret, where the URL came with a key of its own (WAHA).
    pub(super) key: Option<String>,
}

/// A message of a person on its way to us.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The provider's id of it.
    pub(super) id: String,
    pub(super) letters: Vec<Letter>,
}

/// A message of a person, to be delivered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Inbound {
    /// At which provider.
    pub provider: String,
    /// To which account: its id, or a number or handle of one of its lines.
    pub account: Option<String>,
    /// To which line; without it, the account's first that carries `channel`.
    pub to: Option<String>,
    /// `whatsapp` or `sms`; without it, whatever the line carries.
    pub channel: Option<String>,
    /// Who wrote: a number in E.164, or a WhatsApp user id.
    pub from: String,
    /// The name on their profile.
    pub name: Option<String>,
    /// Their WhatsApp user id, beside the number.
    pub user_id: Option<String>,
    /// The words.
    pub text: Option<String>,
    /// A file.
    pub media: Option<InboundFile>,
    /// A place.
    pub location: Option<(f64, f64)>,
    /// What the place is called.
    pub location_name: Option<String>,
    /// The place's address.
    pub location_address: Option<String>,
    /// The button of ours they pressed: id, title.
    pub button: Option<(String, String)>,
    /// The provider's id of the message they answer.
    pub reply_to: Option<String>,
    /// The group they wrote in, by the provider's id of it (Meta).
    pub group: Option<String>,
}

/// A file of a person.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundFile {
    /// `image`, `audio`, `video`, `document` or `sticker`; without it, what the media type says.
    pub kind: Option<String>,
    /// Its media type.
    pub mime_type: String,
    /// Its bytes in base64.
    pub data: String,
    /// Its name.
    pub filename: Option<String>,
}

impl InboundFile {
    pub(super) fn bytes(&self) -> Bytes {
        STANDARD.decode(&self.data).unwrap_or_default().into()
    }

    /// The word for what it is.
    pub(super) fn word(&self) -> String {
        let top = self.mime_type.split('/').next().unwrap_or_default();
        let word = match top {
            "image" | "audio" | "video" => top,
            _ => "document",
        };
        self.kind.clone().unwrap_or_else(|| word.to_owned())
    }
}

static EMULATORS: [&Emulator; 4] =
    [&meta::EMULATOR, &twilio::EMULATOR, &telnyx::EMULATOR, &waha::EMULATOR];

/// The emulator of that name.
pub(super) fn of(name: &str) -> Option<&'static Emulator> {
    EMULATORS.into_iter().find(|emulator| emulator.name == name)
}

/// The statuses of a message that fails with `code`, or without one where it is 0.
pub(super) fn failing(provider: &str, code: u32) -> Vec<Status> {
    let words = of(provider).map_or(&[][..], |emulator| emulator.failing);
    let last = words.len().saturating_sub(1);
    let status = |(index, word): (usize, &&'static str)| Status {
        word,
        code: (index == last && code != 0).then_some(code),
    };
    words.iter().enumerate().map(status).collect()
}

/// Signs as the provider does, with what the account says it signs with.
pub(super) fn sign_as_provider(
    account: &SandboxAccount,
    at: Timestamp,
    request: http::Request<Bytes>,
) -> http::Request<Bytes> {
    match providers::provider(&account.provider) {
        Some(provider) => {
            (provider.sign)(&Secret::from(account.signing_secret.as_str()), at, request)
        }
        None => request,
    }
}

impl Status {
    pub(super) const fn of(word: &'static str) -> Self {
        Self { word, code: None }
    }
}
