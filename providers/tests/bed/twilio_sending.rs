//! Sending through Twilio: what messages become, what answers mean, and how our id comes back.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use providers::{
    Account, Channel, DeliveryStatus, EventKind, FileSource, LoadedFile, MediaKind,
    OutboundContent, OutboundFile, Pace, Provider, Step,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{
    CaseAnswer, CaseMessage, OUR_ID, answer, any_message, cases, class, loaded, open, outcome,
    request,
};
use crate::fixtures;
use crate::openapi::operation_of;

const ACCOUNT: &str = "AC1f8c9b2a7d3e4f50617283940a5b6c7d";
pub const KEY: &str = "SK0123456789abcdef0123456789abcdef";

#[derive(Deserialize)]
struct Request {
    name: String,
    #[serde(default)]
    settings: std::collections::BTreeMap<String, String>,
    message: CaseMessage,
    form: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    message: CaseMessage,
    field: String,
    about: String,
}

#[derive(Deserialize)]
struct Answered {
    name: String,
    answer: CaseAnswer,
    outcome: Value,
}

pub fn twilio() -> &'static Provider {
    providers::provider("twilio").unwrap()
}

pub fn account() -> Box<dyn Account> {
    open(twilio(), &[], &[]).unwrap()
}

pub fn text(channel: &str, to: &str, body: &str) -> CaseMessage {
    let message = json!({
        "channel": channel, "from": "+14155550110", "to": to,
        "content": { "kind": "text", "body": body },
    });
    serde_json::from_value(message).unwrap()
}

fn authorization(request: &http::Request<Bytes>) -> &http::HeaderValue {
    &request.headers()["authorization"]
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let credentials = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
}

#[test]
fn every_message_becomes_the_form_it_should() {
    for case in cases::<Request>(twilio(), "requests.json") {
        let settings: Vec<(&str, &str)> =
            case.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let account = open(twilio(), &settings, &[]).unwrap();
        let message = case.message.build();
        account.messages().unwrap().check(&message).unwrap();
        let request = request(account.as_ref(), &message);
        assert!(!request.repeatable, "{}", case.name);
        assert_eq!(operation_of(twilio(), &request.http), "CreateMessage", "{}", case.name);
        let form = url::form_urlencoded::parse(request.http.body());
        let form: Vec<(String, String)> = form.into_owned().collect();
        assert_eq!(form, case.form, "{}", case.name);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let account = account();
    let messages = account.messages().unwrap();
    for case in cases::<Refused>(twilio(), "unfit.json") {
        let message = case.message.build();
        let unfit = messages.check(&message).expect_err(&case.name);
        assert_eq!(unfit.field, case.field, "{}: {unfit}", case.name);
        assert!(unfit.reason.contains(&case.about), "{}: {unfit}", case.name);
        let failure = messages.step(&message, &[]).expect_err(&case.name);
        assert_eq!(class(failure.class), "permanent:message", "{}", case.name);
    }
}

#[test]
fn words_of_just_the_limit_fit() {
    let account = account();
    let message = text("sms", "+14155550199", &"ä".repeat(1_600)).build();
    account.messages().unwrap().check(&message).unwrap();
    assert_eq!(operation_of(twilio(), &request(account.as_ref(), &message).http), "CreateMessage");
}

#[test]
fn answers_say_what_became_of_a_message() {
    let account = account();
    let message = text("sms", "+14155550199", "Hello").build();
    for case in cases::<Answered>(twilio(), "answers.json") {
        let outcome = outcome(account.as_ref(), &message, case.answer.build());
        assert_eq!(outcome, case.outcome, "{}", case.name);
    }
}

#[test]
fn a_file_that_is_with_us_needs_an_address_to_be_sent() {
    let source = FileSource::Stored("7Zk3".to_owned());
    let media = MediaKind::Image;
    let file = OutboundFile { media, source, mime_type: None, filename: None, size: None };
    let content = OutboundContent::Media { files: vec![file], caption: None };
    let mut message = text("sms", "+14155550199", "Hello").build();
    message.content = content;
    let account = account();
    let messages = account.messages().unwrap();
    messages.check(&message).unwrap();
    for files in [vec![], vec![LoadedFile { bytes: Some(Bytes::from_static(b"x")), link: None }]] {
        message.files = files;
        let failure = messages.step(&message, &[]).unwrap_err();
        assert_eq!(class(failure.class), "permanent:message");
        assert!(failure.detail.contains("public URL"), "{}", failure.detail);
    }
}

#[test]
fn the_api_key_opens_the_apis_where_there_is_one() {
    let message = text("sms", "+14155550199", "Hello").build();
    let with_token = request(account().as_ref(), &message).http;
    let expected = basic(ACCOUNT, "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    assert_eq!(authorization(&with_token).to_str().unwrap(), expected);
    let keyed = open(twilio(), &[("api_key_sid", KEY)], &[("api_key_secret", "open-sesame")]);
    let keyed = keyed.unwrap();
    let with_key = request(keyed.as_ref(), &message).http;
    assert_eq!(authorization(&with_key).to_str().unwrap(), basic(KEY, "open-sesame"));
    for request in [&with_token, &with_key] {
        assert!(authorization(request).is_sensitive());
        let shown = format!("{request:?}");
        assert!(!shown.contains("Basic ") && !shown.contains("open-sesame"), "{shown}");
    }
    let shown = format!("{keyed:?}");
    assert!(!shown.contains("open-sesame") && !shown.contains("Basic "), "{shown}");
}

#[test]
fn settings_that_cannot_be_are_named() {
    let refused = |settings: &[(&str, &str)], secrets: &[(&str, &str)]| {
        open(twilio(), settings, secrets).map(|_| ()).unwrap_err().field
    };
    assert_eq!(refused(&[("api_key_sid", KEY)], &[]), "api_key_secret");
    assert_eq!(refused(&[], &[("api_key_secret", "s")]), "api_key_sid");
    assert_eq!(refused(&[("api_key_sid", "SK1")], &[("api_key_secret", "s")]), "api_key_sid");
    assert_eq!(refused(&[("messaging_service_sid", ACCOUNT)], &[]), "messaging_service_sid");
    for base in ["api.twilio.com", "ftp://api.twilio.com", "https://a:b@c.example", "https://c/?q"]
    {
        assert_eq!(refused(&[("base_url", base)], &[]), "base_url", "{base}");
    }
    for rate in ["0", "-1", "NaN", "inf", "fast", "1000001"] {
        assert_eq!(refused(&[("messages_per_second", rate)], &[]), "messages_per_second", "{rate}");
    }
}

#[test]
fn a_base_url_stands_for_all_of_twilios_hosts() {
    let hosts = |base: Option<&str>| {
        let settings: Vec<(&str, &str)> = base.map(|base| ("base_url", base)).into_iter().collect();
        let account = open(twilio(), &settings, &[]).unwrap();
        let message = text("sms", "+14155550199", "Hello").build();
        let sent = request(account.as_ref(), &message).http;
        let listed = account.templates().unwrap().list(None).http;
        let uri = |request: &http::Request<Bytes>| request.uri().to_string();
        (
            uri(&sent).split("/2010-04-01").next().unwrap().to_owned(),
            uri(&listed).split("/v1").next().unwrap().to_owned(),
        )
    };
    let owned = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    let content = "https://content.twilio.com";
    assert_eq!(hosts(None), owned("https://api.twilio.com", content));
    let sandbox = "http://127.0.0.1:8090/twilio";
    assert_eq!(hosts(Some("http://127.0.0.1:8090/twilio/")), owned(sandbox, sandbox));
    let region = "https://api.dublin.ie1.twilio.com";
    assert_eq!(hosts(Some(region)), owned(region, content));
}

#[test]
fn an_account_sends_as_fast_as_its_setting_says() {
    let pace = |settings: &[(&str, &str)], channel| {
        open(twilio(), settings, &[]).unwrap().messages().unwrap().pace(channel)
    };
    let at = |per_second: f64, burst| Pace { per_second, burst, pair: None, human: None };
    assert_eq!(pace(&[], Channel::Sms), at(1.0, 1.0));
    assert_eq!(pace(&[], Channel::Whatsapp), at(10.0, 10.0));
    assert_eq!(pace(&[("messages_per_second", "0.5")], Channel::Sms), at(0.5, 1.0));
    assert_eq!(pace(&[("messages_per_second", "80")], Channel::Whatsapp), at(80.0, 80.0));
    let account = account();
    let messages = account.messages().unwrap();
    assert_eq!(messages.window_hours(Channel::Whatsapp), Some(24));
    assert_eq!(messages.window_hours(Channel::Sms), None);
}

#[test]
fn a_status_callback_names_our_message_in_its_signed_url() {
    let fixture = fixtures::of(twilio()).into_iter().find(|f| f.name == "status-sent").unwrap();
    let ours = |query: &str| {
        let mut request = fixture.unsigned.clone();
        *request.uri_mut() = format!("{}?{query}", request.uri()).parse().unwrap();
        let signed = fixture.sign(request);
        let mut batch = fixture.receive(signed.clone()).unwrap();
        let mut forged = signed;
        *forged.uri_mut() = fixture.unsigned.uri().clone();
        assert!(fixture.receive(forged).is_err(), "{query}: the query is not signed");
        let EventKind::Status(change) = batch.events.remove(0).kind else { panic!("no status") };
        assert_eq!(change.status, DeliveryStatus::Sent);
        change.ours
    };
    assert_eq!(ours(&format!("message={OUR_ID}")).as_deref(), Some(OUR_ID));
    assert_eq!(ours(&format!("tenant=7&message={OUR_ID}")).as_deref(), Some(OUR_ID));
    for odd in ["message=", "message=17", "message=019a8f3e7c217d409f553b8a1c2d4e6f", "other=1"] {
        assert_eq!(ours(odd), None, "{odd}");
    }
}

#[test]
fn a_rate_limit_says_how_long_it_lasts() {
    let account = account();
    let mut limited = answer(429, json!({ "code": 20429, "message": "Too many requests" }));
    limited.http.headers_mut().insert("retry-after", http::HeaderValue::from_static("30"));
    let message = text("sms", "+14155550199", "Hello").build();
    let failure = account.messages().unwrap().step(&message, &[limited]).unwrap_err();
    assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
    assert!(failure.detail.contains("Too many requests"), "{}", failure.detail);
}

proptest! {
    #[test]
    fn what_check_accepts_becomes_a_request_that_twilio_knows(message in any_message()) {
        let account = account();
        let messages = account.messages().unwrap();
        account.tracking().unwrap().ask(&message, fixtures::now());
        let message = match messages.check(&message) {
            Ok(()) => loaded(&message),
            Err(unfit) => {
                prop_assert!(!unfit.field.is_empty() && !unfit.reason.is_empty());
                prop_assert!(messages.step(&message, &[]).is_err());
                return Ok(());
            }
        };
        match messages.step(&message, &[]) {
            Ok(Step::Next(request)) => {
                prop_assert_eq!(operation_of(twilio(), &request.http), "CreateMessage");
            }
            other => prop_assert!(false, "{:?} became {:?}", message, other),
        }
    }

    #[test]
    fn no_answer_makes_it_panic(status in 200..600u16, body in "[ -~]{0,80}", known in any::<bool>()) {
        let account = account();
        let message = text("sms", "+14155550199", "Hello").build();
        let body = if known { json!({ "sid": [], "messages": [{}], "contents": [{}], "code": {} }) } else { json!(body) };
        let answer = answer(status, body);
        let sent = account.messages().unwrap().step(&message, std::slice::from_ref(&answer));
        prop_assert!(sent.is_err());
        let _ = account.tracking().unwrap().told(&message, fixtures::now(), &answer);
        let _ = account.templates().unwrap().listed(&answer);
        let _ = account.receipts().unwrap().done(&answer);
        let _ = account.health().unwrap().diagnose(&answer);
    }
}
