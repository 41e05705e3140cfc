//! One attempt at the readers of webhooks, made of any bytes: no panic, nothing unproven believed, no credential kept.
//! The fuzz target and `tests/hostile/fuzzed.rs` share it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderValue, Request};
use providers::{Account, Batch, Event, Inbound, PROVIDERS, Provider, Secret, Settings, Timestamp};
use serde_json::Value;

/// A credential that is put into bodies.
const CREDENTIAL: &str = "FUZZED-CREDENTIAL-6f1d";

/// A provider with an account and recordings of what it sends.
struct Subject {
    provider: &'static Provider,
    account: Box<dyn Account>,
    signing_secret: Secret,
    /// Content type and body; a query has neither.
    recordings: Vec<(Option<&'static str>, Bytes)>,
}

/// What an input decides, byte by byte; zeros follow its end.
struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: usize) -> usize {
        let wide = [self.byte(), self.byte(), self.byte()];
        wide.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) % bound.max(1)
    }

    fn of<T: Clone>(&mut self, things: &[T]) -> T {
        things[usize::from(self.byte()) % things.len()].clone()
    }
}

/// What any bytes do. Panics where something does not hold that must; returns whether what was made of them is a webhook that
/// its provider, had it signed it, would have been believed.
pub fn attempt(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let subjects = subjects();
    let subject = &subjects[usize::from(choices.byte()) % subjects.len()];
    let request = request(&mut choices, subject);
    (subject.provider.claims)(&request);
    let webhooks = subject.account.webhooks().expect("every provider receives");
    let unsigned = Inbound::Webhook { at: at(), request: request.clone() };
    let is_check = request.method() == http::Method::GET && subject.provider.name == "meta";
    assert!(is_check || webhooks.receive(&unsigned).is_err(), "it was not signed: {request:?}");
    keeps_no_credential(subject, &mut choices, &request);
    let kept = webhooks.receive(&Inbound::Kept { at: at(), request: request.clone() });
    let signed = (subject.provider.sign)(&subject.signing_secret, at(), request);
    let received = webhooks.receive(&Inbound::Webhook { at: at(), request: signed });
    let Ok(batch) = received else { return false };
    is_sound(&batch);
    let kept = kept.expect("what was believed once can be read again");
    let bare = |event: &Event| format!("{:?} {:?}", event.line, event.kind);
    let (now, again): (Vec<_>, Vec<_>) =
        (batch.events.iter().map(bare).collect(), kept.events.iter().map(bare).collect());
    assert_eq!(now, again, "read again, it says something else");
    true
}

/// What is read can be stored, is bounded, and is answered well.
fn is_sound(batch: &Batch) {
    assert_eq!(batch.reply.status, 200);
    assert!(batch.reply.body.len() < 1_000);
    for event in &batch.events {
        assert!(event.at <= at() + providers::CLOCK_SKEW, "it happens later than it came");
        assert!(!event.key.0.is_empty());
        let text = serde_json::to_string(event).expect("an event can be kept");
        // A stroke stands there twice, a NUL after a single one.
        let text = text.replace("\\\\", "");
        assert!(!text.contains("\\u0000"), "no database keeps it: {text}");
    }
    for item in &batch.unparsed {
        assert!(!item.raw.contains('\0'), "no database keeps it");
    }
}

/// Puts a credential where providers do, breaks what surrounds it, and looks for it in what would be kept.
fn keeps_no_credential(subject: &Subject, choices: &mut Choices<'_>, request: &Request<Bytes>) {
    let webhooks = subject.account.webhooks().expect("every provider receives");
    webhooks.without_credentials(request.body().clone());
    if subject.provider.name != "evolution" {
        return;
    }
    let body = request.body();
    let name = choices.of(&["\"apikey\"", "\"apikey\" ", "\"\\u0061pikey\"", "\"apikey\"\n"]);
    let planted = format!("{{{name}:\"{CREDENTIAL}\",");
    let rest = body.strip_prefix(b"{").unwrap_or(body);
    let mut body = [planted.as_bytes(), rest].concat();
    // What comes after it may be broken; its own name and quotation marks are not.
    for _ in 0..choices.byte() % 4 {
        let at = planted.len() + choices.below(body.len() - planted.len() + 1);
        match (choices.byte() % 3, body.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 | choices.byte(),
            (1, Some(_)) => body.truncate(at),
            _ => body.push(choices.byte()),
        }
    }
    let is_escaped = planted.contains('\\') && serde_json::from_slice::<Value>(&body).is_err();
    let kept = webhooks.without_credentials(body.clone().into());
    let shown = String::from_utf8_lossy(&kept).into_owned();
    // An escape in a name means something only in good JSON.
    assert!(is_escaped || !shown.contains(CREDENTIAL), "it is kept: {shown}");
    let inbound = request.clone().map(|_| Bytes::from(body));
    if let (false, Ok(batch)) =
        (is_escaped, webhooks.receive(&Inbound::Kept { at: at(), request: inbound }))
    {
        assert!(!format!("{batch:?}").contains(CREDENTIAL), "it is shown: {batch:?}");
    }
}

/// A request made of an input: its own bytes as the body, or a recording with changes.
fn request(choices: &mut Choices<'_>, subject: &Subject) -> Request<Bytes> {
    let method = choices.of(subject.provider.methods);
    let types = [
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("application/x-www-form-urlencoded; charset=UTF-8"),
        Some("text/plain"),
        None,
    ];
    let (kind, body) = match choices.byte() % 4 {
        0 => (choices.of(&types), choices.0.to_vec()),
        _ => {
            let (kind, body) = &subject.recordings[choices.below(subject.recordings.len())];
            let kind = if choices.byte().is_multiple_of(16) { choices.of(&types) } else { *kind };
            (kind, changed(choices, body, subject))
        }
    };
    let mut url = format!("https://gateway.example.com/hooks/{}", subject.provider.name);
    let mut body = body;
    if method == http::Method::GET {
        let query: String = body.iter().map(|byte| printable(*byte)).collect();
        url = format!("{url}?{query}");
        body.clear();
    }
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = method.clone();
    *request.uri_mut() = url.parse().unwrap_or_default();
    if let Some(kind) = kind {
        request.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    }
    request
}

/// What of a byte a query may have.
fn printable(byte: u8) -> char {
    let is_allowed = byte.is_ascii_alphanumeric() || b"%&=+-_.~:,;@".contains(&byte);
    if is_allowed { char::from(byte) } else { '_' }
}

/// A recording with one to eight changes: of bytes, of values, of what stands in texts, and with parts of another one.
fn changed(choices: &mut Choices<'_>, body: &Bytes, subject: &Subject) -> Vec<u8> {
    const WORDS: [&[u8]; 20] = [
        b"null",
        b"\"\"",
        b"[]",
        b"{}",
        b"-1",
        b"1e999",
        b"9223372036854775808",
        b"true",
        b"\\ud83d",
        b"\\u0000",
        b"\"\\u0000\"",
        b"%00",
        b"%ff",
        b"+",
        b"@s.whatsapp.net",
        b"@g.us",
        b"\xff\xfe",
        b"\xc3",
        b"[[[[[[[[",
        b"99999999999999999999999999",
    ];
    let mut body = body.to_vec();
    for _ in 0..=choices.byte() % 8 {
        let at = choices.below(body.len() + 1);
        let length = choices.below(64).min(body.len() - at);
        match choices.byte() % 9 {
            0 if at < body.len() => body[at] = choices.byte(),
            1 => drop(body.drain(at..at + length)),
            2 => drop(body.splice(at..at, choices.of(&WORDS).iter().copied())),
            3 => replace_value(&mut body, at, choices.of(&WORDS)),
            4 => body.extend_from_within(at..at + length),
            5 => body.truncate(at),
            6 => {
                let (_, other) = &subject.recordings[choices.below(subject.recordings.len())];
                let from = choices.below(other.len() + 1);
                let piece = &other[from..(from + length * 4).min(other.len())];
                body.splice(at..at, piece.iter().copied());
            }
            7 => replace_value(
                &mut body,
                at,
                format!("{}", i64::from(choices.byte()) - 128).as_bytes(),
            ),
            _ => drop(body.splice(at..at, std::iter::repeat_n(b'[', length))),
        }
    }
    body
}

/// Puts something else where the value stands that begins after `at`.
fn replace_value(body: &mut Vec<u8>, at: usize, value: &[u8]) {
    let Some(start) = body[at..].iter().position(|byte| b":=".contains(byte)) else { return };
    let start = at + start + 1;
    let end = body[start..].iter().position(|byte| b",}]&".contains(byte));
    let end = end.map_or(body.len(), |end| start + end);
    body.splice(start..end, value.iter().copied());
}

/// When every request comes.
fn at() -> Timestamp {
    Timestamp::from_timestamp(1_793_534_400, 0).unwrap_or_default()
}

fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| PROVIDERS.iter().map(|provider| subject(provider)).collect())
}

/// `fixtures` lies in this package's folder, or beside it.
fn fixtures() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = here.join("fixtures");
    if own.exists() { own } else { here.join("../fixtures") }
}

fn subject(provider: &'static Provider) -> Subject {
    let folder = fixtures().join(provider.name);
    let accounts = std::fs::read(folder.join("accounts.json")).expect("accounts.json");
    let accounts: Value = serde_json::from_slice(&accounts).expect("accounts.json is JSON");
    // The last one is believed in the most ways.
    let account = accounts.as_array().and_then(|all| all.last()).expect("an account");
    let texts = |member: &str| -> BTreeMap<String, String> {
        serde_json::from_value(account[member].clone()).expect("an object of texts")
    };
    let secrets = texts("secrets").into_iter();
    let secrets = secrets.map(|(name, secret)| (name, Secret::from(secret))).collect();
    let opened = (provider.open)(&Settings::new(texts("settings"), secrets)).expect("it opens");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("webhooks"))
        .expect("webhooks")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    Subject {
        provider,
        account: opened,
        signing_secret: Secret::from(account["signing_secret"].as_str().unwrap_or_default()),
        recordings: files.iter().map(|file| recording(file)).collect(),
    }
}

fn recording(file: &Path) -> (Option<&'static str>, Bytes) {
    let bytes = std::fs::read(file).expect("a recording");
    let ending = file.extension().and_then(|ending| ending.to_str());
    let kind = match ending {
        Some("json") => return (Some("application/json"), bytes.into()),
        Some("form") => Some("application/x-www-form-urlencoded"),
        _ => None,
    };
    let lines: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    (kind, lines.join(&b'&').into())
}
