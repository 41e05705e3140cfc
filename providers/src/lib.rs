//! The wire formats of communication providers, translated to and from one model.
//!
//! This crate knows how Meta, Twilio, Telnyx, WAHA and Evolution sign, batch, name and number things. It has no socket, no clock,
//! no database, no runtime and no tenant: data goes in, data comes out. What the gateway does with it is not known here.
//!
//! A provider is one folder, one line in [`PROVIDERS`], and its fixtures.

mod account;
mod address;
mod api;
mod bridge;
mod by_link;
mod call;
mod caller;
mod content;
mod destination;
mod emoji;
mod event;
mod failure;
mod form;
mod inbound;
mod lenient;
mod message;
mod money;
mod outbound;
mod outbound_content;
mod outbound_interactive;
mod secret;
mod signature;
mod sms;
mod status_url;
mod template_drafts;
mod twiml;
mod unknown;

pub mod evolution;
pub mod media_type;
pub mod meta;
pub mod outside;
pub mod telnyx;
pub mod twilio;
pub mod waha;

pub use account::{
    Account, Field, Health, Media, Messages, Misconfigured, Proof, Provider, Receipts, Sessions,
    Settings, Templates, Tracking, Webhooks,
};
pub use address::{Address, AddressError, Channel, Direction, Line, PhoneNumber};
pub use call::{CallFact, CallProgress, CallRef, CallStage, Recording};
pub use content::{Attachment, ContactCard, Content, MediaKind, OrderItem};
pub use destination::{Destination, Homes};
pub use event::{
    Event, EventKey, EventKind, IdentityChange, Notice, Party, Preference, Severity, StatusChange,
    StatusFailure, TemplateNews,
};
pub use failure::{Cause, Failure, FailureClass, LimitScope, Reach};
pub use inbound::{Batch, CLOCK_SKEW, Inbound, Rejection, Reply, Unparsed, Unverified};
pub use message::{Context, DeliveryStatus, Message, MessageRef, Parts, Referral};
pub use money::Money;
pub use outbound::{
    Download, HumanPace, ListedTemplate, LoadedFile, MediaStep, OutboundMessage, Pace, PairPace,
    PairingCode, ProviderRequest, ProviderResponse, Sender, Sent, SessionReport, SessionState,
    Step, TemplatePage, Told, Unfit,
};
pub use outbound_content::{
    Button, FileSource, ListRow, ListSection, OutboundContent, OutboundFile, Template,
};
pub use outbound_interactive::{Flow, FlowAction, FlowForm, Header, ProductSection};
pub use secret::{KeyId, Secret};
pub use template_drafts::{TemplateDraft, TemplateDrafts};

/// An instant in UTC, at most microseconds fine.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Every provider the gateway can speak to. The order is the order of documentation.
pub static PROVIDERS: &[&Provider] =
    &[&meta::PROVIDER, &twilio::PROVIDER, &telnyx::PROVIDER, &waha::PROVIDER, &evolution::PROVIDER];

/// The provider of that name, or `None`.
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name).copied()
}
