//! The provider contract: what the gateway may ask of a provider, and nothing about how it is done.
//!
//! A missing ability is `None`, never an empty implementation.

use std::collections::BTreeMap;

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::{
    Address, Attachment, Batch, Channel, Destination, Failure, FailureClass, Homes, Inbound, KeyId,
    Line, ListedTemplate, MediaStep, MessageRef, OutboundMessage, Pace, PairingCode,
    ProviderRequest, ProviderResponse, Rejection, Secret, Sender, Sent, SessionReport, Step,
    Template, TemplateDrafts, TemplatePage, Timestamp, Told, Unfit, Unverified,
};

/// One provider: a value, not a type. Everything else about it is reached through [`Provider::open`].
#[derive(Debug)]
pub struct Provider {
    /// The word in rows, URLs and fixtures. It never changes.
    pub name: &'static str,
    /// The name people know it by.
    pub title: &'static str,
    /// Which channels its accounts can carry.
    pub channels: &'static [Channel],
    /// The methods its webhooks come with; any other is 405.
    pub methods: &'static [http::Method],
    /// What an account of this provider is made of, in the order a form would ask for it.
    pub fields: &'static [Field],
    /// Parses settings and credentials once.
    pub open: fn(&Settings) -> Result<Box<dyn Account>, Misconfigured>,
    /// What an **unverified** request says about whose it is, most telling first. It only chooses the account whose
    /// keys are tried; it decides nothing else.
    pub claims: fn(&http::Request<Bytes>) -> Vec<Line>,
    /// Whether a request that came at this time can be genuine at all, as far as that is seen without any key: that the
    /// headers of the proof are there once each and have their form, and what of the body needs no key, where it is there.
    /// What fails here, [`Webhooks::receive`] refuses too, whatever the account; what passes is not proven. It parses no
    /// body, so that it may be asked before one is read.
    pub precheck: fn(&Unverified<'_>, Timestamp) -> Result<(), Rejection>,
    /// Whether only those who may speak for an account know its verification key. Where it is a published key, holding
    /// it proves nothing about who an account belongs to.
    pub key_is_secret: bool,
    /// What the proof that comes with each of its webhooks covers.
    pub proof: Proof,
    /// Where what opens an account may be sent.
    pub homes: Homes,
    /// Whether an answer has a form of this provider's. Only of such an answer is anything shown to people: who answers at an
    /// address that somebody wrote into the settings may be anybody.
    pub speaks: fn(&ProviderResponse) -> bool,
    /// What one of its error codes means. Total: a code it does not know is [`crate::Cause::Message`].
    pub class_of: fn(code: &str) -> FailureClass,
    /// Signs a request as the provider does: for emulators, demonstrations and tests. The secret is what the
    /// *provider* holds, which for asymmetric signatures is not among the account's own credentials.
    pub sign: fn(&Secret, Timestamp, http::Request<Bytes>) -> http::Request<Bytes>,
}

/// What the proof that comes with a webhook covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// All of the request: it is signed, and a changed byte is refused.
    Request,
    /// Only who sends it: a secret goes along, and nothing binds it to the body. Whoever can read or change what is on its
    /// way can write anything under it, so such webhooks must come over TLS, and better only from known addresses.
    Sender,
}

impl Proof {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Proof::Request => "request",
            Proof::Sender => "sender",
        }
    }
}

/// An opened account: override what this account can do.
pub trait Account: Send + Sync + std::fmt::Debug {
    /// The provider's own ids of this account as a whole (Meta: WABA id, Twilio: `AccountSid`, Telnyx: connection
    /// and messaging profile ids). They are compared exactly.
    fn identifiers(&self) -> Vec<String> {
        Vec::new()
    }
    /// Where its requests go, and which credentials go along; `None` where it sends none.
    fn destination(&self) -> Option<Destination> {
        None
    }
    /// Receiving webhooks.
    fn webhooks(&self) -> Option<&dyn Webhooks> {
        None
    }
    /// Sending messages. `None` also where the account lacks the credentials for it.
    fn messages(&self) -> Option<&dyn Messages> {
        None
    }
    /// Asking what became of a message whose sending got no answer.
    fn tracking(&self) -> Option<&dyn Tracking> {
        None
    }
    /// Fetching files that came with messages.
    fn media(&self) -> Option<&dyn Media> {
        None
    }
    /// Telling people that their message was read, and that we are typing.
    fn receipts(&self) -> Option<&dyn Receipts> {
        None
    }
    /// Listing the templates the provider has approved.
    fn templates(&self) -> Option<&dyn Templates> {
        None
    }
    /// Linking a device, where the account is one.
    fn sessions(&self) -> Option<&dyn Sessions> {
        None
    }
    /// Asking whether the account's credentials work.
    fn health(&self) -> Option<&dyn Health> {
        None
    }
}

/// Sending messages.
pub trait Messages: Sync {
    /// Whether `message` keeps the limits of this account's provider, as far as that can be known without asking it.
    /// Files need not be loaded. It never depends on the time.
    ///
    /// # Errors
    /// The first member of the request that does not, and which limit it oversteps.
    fn check(&self, message: &OutboundMessage) -> Result<(), Unfit>;

    /// How sending goes on: with no answers the first request, then what follows from the answers so far (the last is the
    /// newest). At most four requests a message.
    ///
    /// # Errors
    /// What the newest answer says is wrong, or why no request can be made.
    fn step(
        &self,
        message: &OutboundMessage,
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure>;

    /// How fast this account may send on `channel`.
    fn pace(&self, channel: Channel) -> Pace;

    /// For how many hours after a person's last message anything but a template may be sent to them on `channel`; `None`
    /// where nothing limits it.
    fn window_hours(&self, channel: Channel) -> Option<u32> {
        let _ = channel;
        None
    }
}

/// Asking what became of a message whose sending got no answer.
pub trait Tracking: Sync {
    /// The question. `sent_at` is when the request left us.
    fn ask(&self, message: &OutboundMessage, sent_at: Timestamp) -> ProviderRequest;

    /// What the answer says.
    ///
    /// # Errors
    /// A failure of the question itself.
    fn told(
        &self,
        message: &OutboundMessage,
        sent_at: Timestamp,
        response: &ProviderResponse,
    ) -> Result<Told, Failure>;
}

/// Fetching files that came with messages.
pub trait Media: Sync {
    /// How fetching goes on: with no answers the first request. At most four requests a file.
    ///
    /// # Errors
    /// What the newest answer says is wrong (a file that is gone is [`crate::Cause::Message`]), or that nothing says where
    /// the file is.
    fn step(&self, file: &Attachment, answers: &[ProviderResponse]) -> Result<MediaStep, Failure>;

    /// What the answer to a download means, when it was not 2xx.
    fn refused(&self, response: &ProviderResponse) -> Failure;
}

/// Telling people that their message was read, and that we are typing.
pub trait Receipts: Sync {
    /// The request that marks a message of `person`'s as read and, with `typing`, shows that we are typing. `None`
    /// where the provider cannot do it on this channel. Repeating it is harmless.
    fn read(
        &self,
        from: &Sender,
        person: &Address,
        message: &MessageRef,
        typing: bool,
    ) -> Option<ProviderRequest>;

    /// Whether the answer says that it was done.
    ///
    /// # Errors
    /// What the answer says is wrong.
    fn done(&self, response: &ProviderResponse) -> Result<(), Failure>;
}

/// Listing templates.
pub trait Templates: Sync {
    /// The request for a page: the first, or the one that [`TemplatePage::next`] named.
    fn list(&self, page: Option<&str>) -> ProviderRequest;

    /// The page.
    ///
    /// # Errors
    /// What the answer says is wrong.
    fn listed(&self, response: &ProviderResponse) -> Result<TemplatePage, Failure>;

    /// Whether what a message says of a template fits it: `listed` are the templates of its name in all their languages, or the
    /// one of its id. Where none of them is the template, nothing is known of it, and it fits.
    ///
    /// # Errors
    /// The first member of the message that the provider would refuse for the template's sake, and why.
    fn fits(&self, message: &Template, listed: &[&ListedTemplate]) -> Result<(), Unfit> {
        let _ = (message, listed);
        Ok(())
    }

    /// Making, changing and deleting templates. `None` where the provider's API does not do it.
    fn drafts(&self) -> Option<&dyn TemplateDrafts> {
        None
    }
}

/// Linking a device. A session is named by the account's settings.
pub trait Sessions: Sync {
    /// How starting goes on: creates the session if there is none, has it call our webhook, and starts it. With no answers
    /// the first request; at most four. Repeating it is harmless, and what an operator has set up beside it stays. It
    /// never links a device.
    ///
    /// # Errors
    /// What the newest answer says is wrong.
    fn start(&self, webhook_url: &str, answers: &[ProviderResponse]) -> Result<Step<()>, Failure>;
    /// Stops it; it stays linked. `None` where a device cannot be stopped without losing its link.
    fn stop(&self) -> Option<ProviderRequest>;
    /// Unlinks the device.
    fn log_out(&self) -> ProviderRequest;
    /// Asks how it is doing.
    fn ask(&self) -> ProviderRequest;
    /// How it is doing.
    ///
    /// # Errors
    /// A failure of the question itself.
    fn report(&self, response: &ProviderResponse) -> Result<SessionReport, Failure>;
    /// Asks for a QR code, or, with a telephone number, for a code to type.
    fn pair(&self, number: Option<&str>) -> ProviderRequest;
    /// The code.
    ///
    /// # Errors
    /// What the answer says is wrong.
    fn paired(&self, response: &ProviderResponse) -> Result<PairingCode, Failure>;
}

/// Asking whether an account's credentials work.
pub trait Health: Sync {
    /// The question. Repeating it is harmless.
    fn probe(&self) -> ProviderRequest;
    /// Whether the answer says that all is well.
    ///
    /// # Errors
    /// What is wrong.
    fn diagnose(&self, response: &ProviderResponse) -> Result<(), Failure>;
}

/// Verification and reading of webhooks, in one function, so that an unverified event cannot exist.
pub trait Webhooks: Sync {
    /// Verifies `inbound` and reads everything in it.
    ///
    /// # Errors
    /// A [`Rejection`] when the request is not proven to come from the provider. A request that is genuine but
    /// unreadable is never an error: what could not be read is in [`Batch::unparsed`].
    fn receive(&self, inbound: &Inbound) -> Result<Batch, Rejection>;

    /// Fingerprints of the keys a request may be signed with, so that accounts that share one provider-side
    /// application are recognized. At least one.
    fn keys(&self) -> Vec<KeyId>;

    /// A genuine request's body as it may be kept: where the provider puts a credential into it, that is blanked.
    fn without_credentials(&self, body: Bytes) -> Bytes {
        body
    }
}

/// One setting or credential of an account.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The member's name in the API.
    pub name: &'static str,
    /// Sealed at rest and never shown again.
    pub secret: bool,
    /// An account cannot be opened without it.
    pub required: bool,
    /// When it is replaced, the old value stays valid for a while under the name `previous_<name>`.
    pub rotates: bool,
    /// The field that is the other half of this one. Neither proves anything without the other, so when either is replaced, the
    /// old values of both are kept; the other names this one.
    pub rotates_with: Option<&'static str>,
    /// One sentence for the person who fills it in.
    pub about: &'static str,
}

/// Settings (plain) and credentials (secret) of one account, by field name.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    plain: BTreeMap<String, String>,
    secrets: BTreeMap<String, Secret>,
}

/// An account that cannot be opened: which field, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Misconfigured {
    /// The field to mend.
    pub field: String,
    /// Why it was refused; never holds the value of a secret.
    pub reason: String,
}

impl Settings {
    /// Builds settings from their two halves.
    pub fn new(plain: BTreeMap<String, String>, secrets: BTreeMap<String, Secret>) -> Self {
        Self { plain, secrets }
    }

    /// A plain setting, if present and not blank.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A plain setting that must be there.
    pub fn required_text(&self, name: &str) -> Result<&str, Misconfigured> {
        self.text(name).ok_or_else(|| Misconfigured::new(name, "is missing"))
    }

    /// A plain setting that lists several values, separated by commas or white space.
    pub fn list(&self, name: &str) -> Vec<String> {
        let value = self.text(name).unwrap_or_default();
        value
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    /// A credential, if present and not blank.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name).filter(|secret| !secret.expose_secret().trim().is_empty())
    }

    /// The current value of a rotating credential and, while a rotation lasts, the previous one.
    pub fn rotating(&self, name: &str) -> Result<Vec<Secret>, Misconfigured> {
        let current =
            self.secret(name).ok_or_else(|| Misconfigured::new(name, "is missing"))?.clone();
        let previous = self.secret(&format!("previous_{name}")).cloned();
        Ok(std::iter::once(current).chain(previous).collect())
    }
}

impl Misconfigured {
    /// A refusal of `field` because of `reason`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
