//! What we ask of a provider, and what it answers: requests and responses as data. Nothing is sent here.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::outside::Json;
use crate::{Address, Attachment, Channel, DeliveryStatus, MessageRef, OutboundContent, Timestamp};

/// A request to be sent to a provider.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// The request with its absolute URL. Headers that carry credentials are marked sensitive, and URLs carry none.
    pub http: http::Request<Bytes>,
    /// Whether doing it twice is harmless: a question, an upload. What is not must never be repeated blindly once it
    /// may have reached the provider.
    pub repeatable: bool,
}

/// What a provider answered.
#[derive(Debug, Clone)]
pub struct ProviderResponse {
    /// When the answer came, by our clock.
    pub at: Timestamp,
    /// The answer, whatever its status. At most a few megabytes: files are not answered this way.
    pub http: http::Response<Bytes>,
}

/// How something that may take several requests goes on.
#[derive(Debug, Clone)]
pub enum Step<T> {
    /// Send this, and call again with its answer.
    Next(Box<ProviderRequest>),
    /// That was all.
    Done(T),
}

/// Which of our lines sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Our number or mailbox, as the route names it.
    pub address: String,
    /// The provider's handle of it (Meta: `phone_number_id`, WAHA: session), where the route has one.
    pub handle: Option<String>,
}

/// A message of ours, ready to be sent.
#[derive(Debug, Clone)]
pub struct OutboundMessage {
    /// Our id of it, a UUID. Handed to the provider wherever it hands it back with statuses.
    pub id: String,
    /// What shall carry it.
    pub channel: Channel,
    /// Which of our lines sends it.
    pub from: Sender,
    /// To whom; in a group, whom of it the message answers.
    pub to: Address,
    /// The group it goes to, by the provider's id of it; `None` where it goes to that person alone.
    pub group: Option<String>,
    /// What it says.
    pub content: OutboundContent,
    /// The files of the content, in the order of [`OutboundContent::files`].
    pub files: Vec<LoadedFile>,
    /// The message it answers.
    pub reply_to: Option<MessageRef>,
    /// Where the provider shall report how far it came: the account's webhook URL, without a query. `None` where this
    /// gateway has no public URL.
    pub status_url: Option<String>,
}

/// A file at the moment of sending. At least one of the two is there.
#[derive(Debug, Clone, Default)]
pub struct LoadedFile {
    /// The file itself, where it is with us.
    pub bytes: Option<Bytes>,
    /// Where the provider can fetch it: the address the sender named, or one of ours that is good for some hours.
    pub link: Option<String>,
}

/// What became of a message that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The provider's ids of it: several where it took the message in parts. Never empty.
    pub references: Vec<MessageRef>,
    /// How far the answer says it has come: `Sending` where the provider has only taken it, else `Sent`.
    pub status: DeliveryStatus,
    /// Further addresses of the recipient that the answer names (Meta: `wa_id`, `user_id`).
    pub recipient: Vec<Address>,
}

/// What a provider knows of a message whose sending got no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It has it.
    Sent(Sent),
    /// It never got it: it may be sent.
    NeverArrived,
    /// It cannot tell.
    Unclear,
}

/// Why a message cannot be sent through an account: which member of the request, and why. Names the limit, where one
/// is overstepped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Unfit {
    /// The member, as the API names it: `content.buttons`.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// How fast an account may send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Messages a second of one of our lines.
    pub per_second: f64,
    /// How many may go at once after a rest.
    pub burst: f64,
    /// How often one recipient may be written to from one of our lines; `None` where nothing limits it.
    pub pair: Option<PairPace>,
    /// How people write: pauses between messages, and a daily limit for people who never wrote to us. For bridges.
    pub human: Option<HumanPace>,
}

/// How often one recipient may be written to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairPace {
    /// One message in this time.
    pub every: Duration,
    /// After a rest, so many at once.
    pub burst: f64,
}

/// How people write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HumanPace {
    /// The shortest pause before a message.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
    /// How many people who never wrote to us may be written to in a day.
    pub first_contacts_per_day: u32,
}

/// How a file that came with a message is fetched.
#[derive(Debug, Clone)]
pub enum MediaStep {
    /// Send this, and call again with its answer.
    Ask(ProviderRequest),
    /// Fetch the file with this; it is not read into an answer.
    Download(Download),
    /// Fetch JSON with this; the file is the base64 text of one of its outermost members.
    Unwrap {
        /// The request, and what is known of the file.
        download: Download,
        /// The member's name.
        member: &'static str,
    },
}

/// The request that brings a file, and what is known of the file.
#[derive(Debug, Clone)]
pub struct Download {
    /// The request. Its credentials must not follow a redirect to another host.
    pub request: ProviderRequest,
    /// What the provider says of the file by now.
    pub expected: Attachment,
}

/// Templates as the provider lists them, one page.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplatePage {
    /// The templates.
    pub templates: Vec<ListedTemplate>,
    /// What asks for the next page, if there is one.
    pub next: Option<String>,
}

/// A template at the provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedTemplate {
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled` … in lower case.
    pub status: String,
    /// `marketing`, `utility`, `authentication`, in lower case, where the provider has categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// `positional` or `named`, in lower case, where the provider tells these apart: how messages name its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter_format: Option<String>,
    /// Its parts, as the provider gives them.
    pub components: Value,
}

/// How a linked device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Nobody has started it.
    Stopped,
    /// It comes up.
    Starting,
    /// It waits for somebody to scan its code.
    Pairing,
    /// It sends and receives.
    Working,
    /// It broke; starting it again may help.
    Failed,
    /// The device was unlinked, or the number was banned: only a person can mend it. Never started or paired by itself.
    LoggedOut,
}

/// A linked device as the bridge reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionReport {
    /// How it is doing.
    pub state: SessionState,
    /// Our own number, once it is linked.
    pub number: Option<String>,
    /// Why, in the bridge's words.
    pub detail: Option<String>,
}

/// How a device is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingCode {
    /// The text of a QR code, to be drawn and scanned.
    Qr(String),
    /// Characters to type on the telephone.
    Code(String),
}

impl OutboundMessage {
    /// A message that answers nothing, with no files loaded and nowhere to report to: enough for [`crate::Messages::check`].
    pub fn new(
        id: String,
        channel: Channel,
        from: Sender,
        to: Address,
        content: OutboundContent,
    ) -> Self {
        let (group, files, reply_to, status_url) = (None, Vec::new(), None, None);
        Self { id, channel, from, to, group, content, files, reply_to, status_url }
    }
}

impl ProviderRequest {
    /// A request whose repetition is harmless.
    pub fn repeatable(http: http::Request<Bytes>) -> Self {
        Self { http, repeatable: true }
    }

    /// A request that must not be repeated once it may have arrived.
    pub fn once(http: http::Request<Bytes>) -> Self {
        Self { http, repeatable: false }
    }
}

impl ProviderResponse {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        self.http.status().is_success()
    }

    /// The body as a document whose parts may be borrowed.
    pub(crate) fn document(&self) -> Json<'_> {
        Json::of(self.http.body())
    }

    /// The body as JSON, if it is any.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        self.document().read().ok()
    }

    /// How long a `Retry-After` in seconds asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.http.headers().get(http::header::RETRY_AFTER)?.to_str().ok()?;
        value.trim().parse().ok().map(Duration::from_secs)
    }
}

impl Unfit {
    /// A refusal of `field` because of `reason`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
