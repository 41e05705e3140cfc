//! Recorded webhooks in which every text that need not be what it is holds what no database keeps: U+0000, and half of a
//! surrogate pair where the format can write one.

use bytes::Bytes;
use http::Request;
use providers::{Batch, Inbound, PROVIDERS, Provider, Secret, Settings};
use serde_json::Value;
use switchboard::clock::Timestamp;
use switchboard::sandbox::{self, Recorded};

use super::PUBLIC_URL;

/// A webhook, and the same with dirt in it.
pub struct Dirty {
    pub provider: &'static Provider,
    pub name: String,
    pub clean: Request<Bytes>,
    pub dirty: Request<Bytes>,
}

/// All recorded webhooks of all providers, unsigned for `at` being signed by [`Dirty::signed`].
pub fn all(at: Timestamp) -> Vec<Dirty> {
    let each = PROVIDERS.iter().flat_map(|provider| sandbox::webhooks(provider));
    each.filter(|recorded| !recorded.is_challenge()).map(|recorded| of(&recorded, at)).collect()
}

fn of(recorded: &Recorded, at: Timestamp) -> Dirty {
    let provider = recorded.provider;
    let url = format!("{PUBLIC_URL}/hooks/{}", provider.name);
    let clean = recorded.signed(&url, at).unwrap();
    let secrets = recorded.account.secrets.iter();
    let secrets = secrets.map(|(name, value)| (name.clone(), Secret::from(value.as_str())));
    let settings = Settings::new(recorded.account.settings.clone(), secrets.collect());
    let account = (provider.open)(&settings).unwrap();
    let read = |request: &Request<Bytes>| {
        let kept = Inbound::Kept { at, request: request.clone() };
        shape(&account.webhooks().unwrap().receive(&kept).unwrap())
    };
    let expected = read(&clean);
    let mut source = Source::of(&clean);
    for place in 0..source.places() {
        let before = source.clone();
        source.soil(place);
        if read(&source.request(&clean)) != expected {
            source = before;
        }
    }
    let secret = Secret::from(recorded.account.signing_secret.as_str());
    let dirty = (provider.sign)(&secret, at, source.request(&clean));
    Dirty { provider, name: recorded.name.clone(), clean, dirty }
}

/// What was read, without its texts: how many events of which kinds on which lines, and how much could not be read.
fn shape(batch: &Batch) -> (Vec<(String, String)>, usize) {
    let event = |event: &providers::Event| {
        let line = format!("{:?}", event.line);
        let Value::Object(members) = serde_json::to_value(event).unwrap() else { unreachable!() };
        let words = ["event", "channel", "direction", "status", "stage"];
        let words = words.map(|word| members.get(word).map_or(String::new(), ToString::to_string));
        let kind = members.get("content").map(|content| content["kind"].to_string());
        (line, format!("{words:?} {kind:?}"))
    };
    (batch.events.iter().map(event).collect(), batch.unparsed.len())
}

/// What a request says, as texts that can be changed one by one.
#[derive(Clone)]
enum Source {
    Json(Value),
    Form(Vec<(String, String)>),
    Query(Vec<(String, String)>),
    /// Nothing that can be read.
    Bytes,
}

impl Source {
    fn of(request: &Request<Bytes>) -> Self {
        let fields = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect();
        let kind = request.headers().get("content-type").map_or(&b""[..], |kind| kind.as_bytes());
        match (request.method().as_str(), kind.starts_with(b"application/x-www")) {
            ("GET", _) => Self::Query(fields(request.uri().query().unwrap().as_bytes())),
            (_, true) => Self::Form(fields(request.body())),
            _ => providers::outside::read(request.body()).map_or(Self::Bytes, Self::Json),
        }
    }

    fn places(&self) -> usize {
        match self {
            Self::Json(value) => texts(&mut value.clone()).len(),
            Self::Form(fields) | Self::Query(fields) => fields.len(),
            Self::Bytes => 0,
        }
    }

    fn soil(&mut self, place: usize) {
        match self {
            Self::Json(value) => texts(value)[place].push('\0'),
            Self::Form(fields) | Self::Query(fields) => fields[place].1.push('\0'),
            Self::Bytes => {}
        }
    }

    fn request(&self, like: &Request<Bytes>) -> Request<Bytes> {
        let mut request = like.clone();
        let form = |fields: &[(String, String)]| {
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
        };
        match self {
            Self::Json(value) => {
                // Half a pair cannot stand in a text of ours: only its escape can be written.
                let json = value.to_string().replace("\\u0000", "\\u0000\\ud83d");
                *request.body_mut() = json.into();
                // The hash of the body, which some sign, is another one.
                let path = request.uri().path().to_owned();
                *request.uri_mut() = format!("{PUBLIC_URL}{path}").parse().unwrap();
            }
            Self::Form(fields) => *request.body_mut() = form(fields).into(),
            Self::Query(fields) => {
                let uri = format!("{PUBLIC_URL}{}?{}", request.uri().path(), form(fields));
                *request.uri_mut() = uri.parse().unwrap();
            }
            Self::Bytes => {}
        }
        request
    }
}

/// Every text in a value.
fn texts(value: &mut Value) -> Vec<&mut String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter_mut().flat_map(texts).collect(),
        Value::Object(members) => members.values_mut().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
