//! Cases of sending as `fixtures/<provider>/sending` tells them: messages, the requests they become, and answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use providers::{
    Account, Address, Channel, ContactCard, FailureClass, FileSource, LoadedFile, MediaKind,
    MessageRef, OutboundContent, OutboundFile, OutboundMessage, Provider, ProviderRequest,
    ProviderResponse, Secret, Sender, Settings, Step, Template,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fixtures::{accounts, folder, now};

/// Our id of every message of a case.
pub const OUR_ID: &str = "019a8f3e-7c21-7d40-9f55-3b8a1c2d4e6f";

pub const STATUS_URL: &str = "https://gateway.example.com/hooks/any/account";

/// A message as a case tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct CaseMessage {
    pub channel: String,
    pub from: String,
    pub to: String,
    #[serde(default = "phone")]
    pub to_kind: String,
    pub content: OutboundContent,
    /// Where each file can be fetched once it is loaded.
    #[serde(default)]
    pub links: Vec<Option<String>>,
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub reply_to: Option<String>,
    #[serde(default = "yes")]
    pub reports: bool,
}

fn phone() -> String {
    "phone".to_owned()
}

fn yes() -> bool {
    true
}

impl CaseMessage {
    pub fn build(&self) -> OutboundMessage {
        let loaded = |link: &Option<String>| LoadedFile { bytes: None, link: link.clone() };
        OutboundMessage {
            id: OUR_ID.to_owned(),
            channel: Channel::from_word(&self.channel).unwrap(),
            from: Sender { address: self.from.clone(), handle: None },
            to: Address::from_parts(&self.to_kind, &self.to).unwrap(),
            group: self.group.clone(),
            content: self.content.clone(),
            files: self.links.iter().map(loaded).collect(),
            reply_to: self.reply_to.clone().map(MessageRef),
            status_url: self.reports.then(|| STATUS_URL.to_owned()),
        }
    }
}

/// An answer as a case tells it. A body that is a text is sent as it stands.
#[derive(Debug, Clone, Deserialize)]
pub struct CaseAnswer {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl CaseAnswer {
    pub fn build(&self) -> ProviderResponse {
        let mut answer = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            answer = answer.header(name, value);
        }
        let body = match &self.body {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        ProviderResponse { at: now(), http: answer.body(Bytes::from(body)).unwrap() }
    }
}

/// An answer with a JSON body.
pub fn answer(status: u16, body: Value) -> ProviderResponse {
    CaseAnswer { status, headers: BTreeMap::new(), body }.build()
}

/// The cases of one file.
pub fn cases<T: DeserializeOwned>(provider: &Provider, file: &str) -> Vec<T> {
    let path = folder(provider).join("sending").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first account of the fixtures with other settings and secrets beside its own.
pub fn open(
    provider: &Provider,
    settings: &[(&str, &str)],
    secrets: &[(&str, &str)],
) -> Result<Box<dyn Account>, providers::Misconfigured> {
    let mut account = accounts(provider).remove(0);
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    account.settings.extend(settings.iter().map(owned));
    account.secrets.extend(secrets.iter().map(owned));
    let secrets = account.secrets.into_iter();
    let secrets = secrets.map(|(name, value)| (name, Secret::from(value))).collect();
    (provider.open)(&Settings::new(account.settings, secrets))
}

/// The first request of a message.
pub fn request(account: &dyn Account, message: &OutboundMessage) -> ProviderRequest {
    match account.messages().unwrap().step(message, &[]) {
        Ok(Step::Next(request)) => *request,
        other => panic!("no request, but {other:?}"),
    }
}

/// What an answer to a message says, in the words of the cases.
pub fn outcome(
    account: &dyn Account,
    message: &OutboundMessage,
    answer: ProviderResponse,
) -> Value {
    match account.messages().unwrap().step(message, &[answer]) {
        Ok(Step::Done(sent)) => json!({
            "references": sent.references,
            "status": serde_json::to_value(sent.status).unwrap(),
        }),
        Ok(Step::Next(request)) => panic!("another request: {request:?}"),
        Err(failure) => json!({
            "class": class(failure.class),
            "code": failure.code,
            "retry_after": failure.retry_after.map(|time| time.as_secs()),
        }),
    }
}

pub fn class(class: FailureClass) -> String {
    class.name().to_owned()
}

fn words() -> impl Strategy<Value = String> {
    let long = (0..2_000usize).prop_map(|length| "ä".repeat(length));
    prop_oneof![any::<String>(), "[ -~]{0,40}", long]
}

fn link() -> impl Strategy<Value = String> {
    let good = "https://files\\.example\\.com/[a-z0-9%?=&]{0,40}";
    prop_oneof![4 => good, 1 => "[ -~]{0,30}", 1 => Just("ftp://files.example.com/a".to_owned())]
}

fn any_file() -> impl Strategy<Value = OutboundFile> {
    let kinds = [MediaKind::Image, MediaKind::Voice, MediaKind::Document, MediaKind::Sticker];
    let source =
        prop_oneof![link().prop_map(FileSource::Link), "[a-z]{1,9}".prop_map(FileSource::Stored)];
    let size = option::of(prop_oneof![Just(i64::MAX), Just(-1), 0..3_000_000i64]);
    (proptest::sample::select(kinds.to_vec()), source, size).prop_map(|(media, source, size)| {
        OutboundFile { media, source, mime_type: None, filename: None, size }
    })
}

fn any_content() -> impl Strategy<Value = OutboundContent> {
    let name = prop_oneof![Just(format!("HX{}", "0a".repeat(16))), any::<String>()];
    let variables = proptest::collection::btree_map("[a-z0-9]{1,3}", words(), 0..4);
    prop_oneof![
        (words(), any::<bool>())
            .prop_map(|(body, preview_url)| OutboundContent::Text { body, preview_url }),
        (vec(any_file(), 0..12), option::of(words()))
            .prop_map(|(files, caption)| OutboundContent::Media { files, caption }),
        (any::<f64>(), -200.0..200.0, option::of(words()), option::of(words())).prop_map(
            |(latitude, longitude, name, address)| OutboundContent::Location {
                latitude: if latitude.is_finite() { latitude % 100.0 } else { latitude },
                longitude,
                name,
                address,
            }
        ),
        (name, variables).prop_map(|(name, variables)| OutboundContent::Template(Template {
            name,
            language: None,
            variables,
            header: None,
            components: None,
        })),
        (words(), vec(words(), 0..14), any::<bool>()).prop_map(|(question, options, multiple)| {
            OutboundContent::Poll { question, options, multiple }
        }),
        words().prop_map(|body| OutboundContent::LocationRequest { body }),
        Just(OutboundContent::Contacts { cards: vec![ContactCard::default()] }),
    ]
}

/// Any message at all, most of them nearly right.
pub fn any_message() -> impl Strategy<Value = OutboundMessage> {
    let ours = prop_oneof![3 => Just("+14155550110".to_owned()), 1 => any::<String>(), 1 => Just("Aurora".to_owned())];
    let theirs = prop_oneof![
        3 => Just(Address::Phone("+5511987654321".parse().unwrap())),
        1 => any::<String>().prop_map(Address::Handle),
        1 => any::<String>().prop_map(Address::WaUser),
        1 => Just(Address::WaUser("BR.13491208655302741918".to_owned())),
        1 => Just(Address::Email("ana@example.com".to_owned())),
    ];
    let channel = prop_oneof![Just(Channel::Sms), Just(Channel::Whatsapp), Just(Channel::Voip)];
    (channel, ours, theirs, any_content(), option::weighted(0.1, "[a-z]{1,9}"), any::<bool>())
        .prop_map(|(channel, from, to, content, reply_to, reports)| OutboundMessage {
            id: OUR_ID.to_owned(),
            channel,
            from: Sender { address: from, handle: None },
            to,
            group: None,
            content,
            files: Vec::new(),
            reply_to: reply_to.map(MessageRef),
            status_url: reports.then(|| STATUS_URL.to_owned()),
        })
}

/// The message with its files loaded, as it is when it is sent.
pub fn loaded(message: &OutboundMessage) -> OutboundMessage {
    let file = |file: &OutboundFile| {
        let link = match &file.source {
            FileSource::Link(link) => link.clone(),
            FileSource::Stored(id) => format!("https://gateway.example.com/media/{id}"),
        };
        LoadedFile { bytes: None, link: Some(link) }
    };
    let files = message.content.files().iter().map(file).collect();
    OutboundMessage { files, ..message.clone() }
}
