//! Meta's sending side: `fixtures/meta/sending` goes in, and what Meta would be sent comes out.
//!
//! `cases/` holds messages with the answers that they get, one a file; `expected/` the requests and the outcome;
//! `refused.json` messages that are not even sent; `failures.json` answers that refuse, and what they mean.

mod answers;
mod cases;
mod laws;
mod questions;
mod refused;
mod settings;
mod template_fit;
mod templates;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use providers::{
    Account, Address, Channel, Failure, FailureClass, LoadedFile, MessageRef, OutboundContent,
    OutboundMessage, PhoneNumber, ProviderRequest, ProviderResponse, Sender, meta::PROVIDER,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixtures::{self, now};

/// The account that sends, its number's handle, and its token.
pub fn account() -> Box<dyn Account> {
    fixtures::accounts(&PROVIDER).remove(0).open(&PROVIDER)
}

pub const NUMBER: &str = "106540352242922";

pub fn token() -> String {
    fixtures::accounts(&PROVIDER).remove(0).secrets["access_token"].clone()
}

pub fn folder() -> PathBuf {
    fixtures::folder(&PROVIDER).join("sending")
}

pub fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A message as fixtures write it.
#[derive(Debug, Clone, Deserialize)]
pub struct MessageFixture {
    pub content: OutboundContent,
    #[serde(default)]
    pub channel: Option<String>,
    /// Kind and value; a telephone number if not given.
    #[serde(default)]
    pub to: Option<(String, String)>,
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub reply_to: Option<String>,
    #[serde(default)]
    pub files: Vec<LoadedFixture>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct LoadedFixture {
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub link: Option<String>,
}

/// An answer as fixtures write it. A body that is a text is sent as it stands.
#[derive(Debug, Clone, Deserialize)]
pub struct AnswerFixture {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl MessageFixture {
    pub fn message(&self) -> OutboundMessage {
        let channel = self.channel.as_deref().unwrap_or("whatsapp");
        let (kind, value) = self.to.clone().unwrap_or(("phone".into(), "+5511987654321".into()));
        let loaded = |file: &LoadedFixture| LoadedFile {
            bytes: file.text.clone().map(Bytes::from),
            link: file.link.clone(),
        };
        OutboundMessage {
            id: "01936d0e-7b2a-7c61-9a53-0f2d4c1b8e77".to_owned(),
            channel: Channel::from_word(channel).unwrap(),
            from: sender(),
            to: Address::from_parts(&kind, &value).unwrap(),
            group: self.group.clone(),
            content: self.content.clone(),
            files: self.files.iter().map(loaded).collect(),
            reply_to: self.reply_to.clone().map(MessageRef),
            status_url: None,
        }
    }
}

impl AnswerFixture {
    pub fn response(&self) -> ProviderResponse {
        let body = match &self.body {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        answer(self.status, &headers, &body)
    }
}

pub fn sender() -> Sender {
    Sender { address: "+551140028922".to_owned(), handle: Some(NUMBER.to_owned()) }
}

pub fn text_message() -> OutboundMessage {
    MessageFixture {
        content: OutboundContent::Text { body: "Hello".to_owned(), preview_url: false },
        channel: None,
        to: None,
        group: None,
        reply_to: None,
        files: Vec::new(),
    }
    .message()
}

pub fn phone(text: &str) -> Address {
    Address::Phone(PhoneNumber::international(text).unwrap())
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderResponse {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    ProviderResponse { at: now(), http: response.body(Bytes::from(body.to_owned())).unwrap() }
}

/// A request as snapshots show it. Credentials are checked, not shown.
pub fn show(request: &ProviderRequest) -> Value {
    let http = &request.http;
    let headers: BTreeMap<&str, &str> = http
        .headers()
        .iter()
        .filter(|(_, value)| !value.is_sensitive())
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let text = String::from_utf8_lossy(http.body()).into_owned();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| {
        let lines: Vec<&str> = text.lines().collect();
        json!(lines)
    });
    json!({
        "method": http.method().as_str(),
        "url": http.uri().to_string(),
        "headers": headers,
        "bearer": bearer(request).is_some(),
        "repeatable": request.repeatable,
        "body": body,
    })
}

/// The bearer token, which must be marked sensitive.
pub fn bearer(request: &ProviderRequest) -> Option<String> {
    let value = request.http.headers().get("authorization")?;
    assert!(value.is_sensitive(), "credentials are marked sensitive");
    Some(value.to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned())
}

pub fn word(class: FailureClass) -> String {
    class.name().to_owned()
}

pub fn show_failure(failure: &Failure) -> Value {
    json!({
        "class": word(failure.class),
        "code": failure.code,
        "detail": failure.detail,
        "retry_after_s": failure.retry_after.map(|wait| wait.as_secs()),
    })
}
