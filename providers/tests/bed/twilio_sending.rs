//! Sending through Twilio: what messages become, what answers mean, and whatever else is asked of its APIs.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use providers::{
    Account, Address, Attachment, Channel, DeliveryStatus, EventKind, FileSource, LoadedFile,
    MediaKind, MediaStep, MessageRef, OutboundContent, OutboundFile, Pace, Provider, Sender, Step,
    Timestamp, Told,
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
const KEY: &str = "SK0123456789abcdef0123456789abcdef";

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

#[derive(Deserialize)]
struct Tracked {
    name: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    file: bool,
    #[serde(default)]
    asked: Option<String>,
    #[serde(default)]
    next: Option<String>,
    listed: Vec<Value>,
    told: Value,
}

fn twilio() -> &'static Provider {
    providers::provider("twilio").unwrap()
}

fn account() -> Box<dyn Account> {
    open(twilio(), &[], &[]).unwrap()
}

fn text(channel: &str, to: &str, body: &str) -> CaseMessage {
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
fn every_code_of_the_table_means_in_an_answer_what_it_means_in_a_webhook() {
    let account = account();
    let message = text("sms", "+14155550199", "Hello").build();
    let table = std::fs::read_to_string(fixtures::folder(twilio()).join("classes.json")).unwrap();
    let table: std::collections::BTreeMap<String, Vec<String>> =
        serde_json::from_str(&table).unwrap();
    for (class, codes) in table {
        for code in codes {
            let body = json!({ "code": code.parse::<i64>().ok(), "message": "no", "status": 400 });
            let outcome = outcome(account.as_ref(), &message, answer(400, body));
            assert_eq!(outcome["class"], json!(class), "{code}");
        }
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
fn a_message_without_an_answer_is_looked_for_among_those_listed() {
    let account = account();
    let tracking = account.tracking().unwrap();
    let sent_at: Timestamp = "2026-11-01T11:50:00Z".parse().unwrap();
    for case in cases::<Tracked>(twilio(), "tracking.json") {
        let body = case.body.as_deref().unwrap_or("See you at 10:00!");
        let mut message = text("sms", "+14155550199", body).build();
        if case.file {
            message.content = OutboundContent::Media { files: Vec::new(), caption: None };
        }
        let question = tracking.ask(&message, sent_at);
        assert!(question.repeatable);
        assert_eq!(operation_of(twilio(), &question.http), "ListMessage");
        let body = json!({ "messages": case.listed, "next_page_uri": case.next });
        let mut answer = answer(200, body);
        if let Some(asked) = &case.asked {
            answer.at = format!("2026-11-01T{asked}Z").parse().unwrap();
        }
        let told = match tracking.told(&message, sent_at, &answer).unwrap() {
            Told::NeverArrived => json!("never_arrived"),
            Told::Unclear => json!("unclear"),
            Told::Sent(sent) => json!({ "references": sent.references, "status": sent.status }),
        };
        assert_eq!(told, case.told, "{}", case.name);
    }
}

#[test]
fn the_question_names_both_ends_as_the_channel_writes_them() {
    let question = |channel: &str| {
        let message = text(channel, "+14155550199", "Hello").build();
        let question = account().tracking().unwrap().ask(&message, fixtures::now());
        question.http.uri().query().unwrap().to_owned()
    };
    assert_eq!(question("sms"), "To=%2B14155550199&From=%2B14155550110&PageSize=1000");
    let whatsapp = "To=whatsapp%3A%2B14155550199&From=whatsapp%3A%2B14155550110&PageSize=1000";
    assert_eq!(question("whatsapp"), whatsapp);
}

#[test]
fn a_question_that_failed_tells_nothing_of_the_message() {
    let message = text("sms", "+14155550199", "Hello").build();
    let told = |answer| {
        let told = account().tracking().unwrap().told(&message, fixtures::now(), &answer);
        class(told.unwrap_err().class)
    };
    assert_eq!(told(answer(401, json!({ "code": 20003 }))), "permanent:account");
    assert_eq!(told(answer(503, json!(""))), "transient");
    assert_eq!(told(answer(200, json!("<html>"))), "transient");
    assert_eq!(told(answer(200, json!({ "messages": null }))), "transient");
}

fn attachment(url: Option<&str>) -> Attachment {
    Attachment {
        kind: MediaKind::Image,
        media_id: None,
        url: url.map(ToOwned::to_owned),
        mime_type: Some("image/jpeg".to_owned()),
        filename: None,
        size: None,
        sha256: None,
    }
}

#[test]
fn credentials_go_only_to_twilio_for_files() {
    let path = "/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
    let is_shown = |base: Option<&str>, url: &str| {
        let settings: Vec<(&str, &str)> = base.map(|base| ("base_url", base)).into_iter().collect();
        let account = open(twilio(), &settings, &[]).unwrap();
        let file = attachment(Some(url));
        let MediaStep::Download(download) = account.media().unwrap().step(&file, &[]).unwrap()
        else {
            panic!("{url} is not downloaded");
        };
        assert_eq!(download.request.http.uri().to_string(), url);
        assert_eq!(download.expected, file);
        download.request.http.headers().contains_key("authorization")
    };
    assert!(is_shown(None, &format!("https://api.twilio.com{path}")));
    assert!(!is_shown(None, &format!("http://api.twilio.com{path}")));
    assert!(!is_shown(None, &format!("https://api.twilio.com.example.org{path}")));
    assert!(!is_shown(None, &format!("https://api.twilio.com:8443{path}")));
    let sandbox = Some("http://127.0.0.1:8090/twilio");
    assert!(is_shown(sandbox, &format!("http://127.0.0.1:8090/twilio{path}")));
    assert!(!is_shown(sandbox, &format!("http://127.0.0.1:8091/twilio{path}")));
    assert!(!is_shown(sandbox, &format!("https://api.twilio.com{path}")));
}

#[test]
fn a_file_that_is_gone_is_no_fault_of_the_account() {
    let account = account();
    let media = account.media().unwrap();
    let class_of = |status, body| class(media.refused(&answer(status, body)).class);
    assert_eq!(class_of(404, json!({ "code": 20404, "status": 404 })), "permanent:message");
    assert_eq!(class_of(410, json!("")), "permanent:message");
    assert_eq!(class_of(401, json!({ "code": 20003 })), "permanent:account");
    assert_eq!(class_of(500, json!("")), "transient");
    for url in [None, Some(""), Some("file:///etc/passwd"), Some("/Media/ME1")] {
        let failure = media.step(&attachment(url), &[]).unwrap_err();
        assert_eq!(class(failure.class), "permanent:message", "{url:?}");
    }
}

#[test]
fn typing_marks_a_whatsapp_message_as_read() {
    let account = account();
    let receipts = account.receipts().unwrap();
    let from = Sender { address: "+14155550111".to_owned(), handle: None };
    let person = Address::Phone("+5511987654321".parse().unwrap());
    let message = MessageRef("SM60e066266448767f61feb97debf684c1".to_owned());
    let request = receipts.read(&from, &person, &message, true).unwrap();
    assert_eq!(operation_of(twilio(), &request.http), "CreateV3TypingIndicator");
    assert!(request.repeatable);
    let odd = MessageRef("wamid.HBg".to_owned());
    let mailbox = Address::Email("ana@example.com".to_owned());
    for (person, message, typing) in
        [(&person, &message, false), (&person, &odd, true), (&mailbox, &message, true)]
    {
        assert!(receipts.read(&from, person, message, typing).is_none(), "{person:?} {message:?}");
    }
    assert_eq!(receipts.done(&answer(200, json!({ "success": true }))), Ok(()));
    let refused = receipts.done(&answer(200, json!({ "success": false }))).unwrap_err();
    assert_eq!(class(refused.class), "permanent:message");
    let limited = receipts.done(&answer(429, json!({ "code": 20429 }))).unwrap_err();
    assert_eq!(class(limited.class), "rate_limited:account");
}

#[test]
fn templates_are_listed_page_by_page() {
    let account = account();
    let templates = account.templates().unwrap();
    let first = templates.list(None);
    assert_eq!(operation_of(twilio(), &first.http), "ListContentAndApprovals");
    let next = "https://elsewhere.example.com/v1/X?PageSize=100&Page=1&PageToken=DNHX%2B1";
    let page = json!({
        "meta": { "next_page_url": next },
        "contents": [
            { "sid": "HX1", "friendly_name": "visit", "language": "pt_BR", "variables": { "1": "Ana" },
              "types": { "twilio/text": { "body": "Olá {{1}}" } },
              "approval_requests": { "status": "Approved", "category": "UTILITY", "name": "visit" } },
            { "sid": "HX2", "approval_requests": null, "types": null },
            { "friendly_name": "without a sid" },
        ],
    });
    let listed = templates.listed(&answer(200, page)).unwrap();
    let shown = serde_json::to_value(&listed.templates).unwrap();
    assert_eq!(
        shown,
        json!([
            { "id": "HX1", "name": "visit", "language": "pt_BR", "status": "approved", "category": "utility",
              "components": { "types": { "twilio/text": { "body": "Olá {{1}}" } }, "variables": { "1": "Ana" } } },
            { "id": "HX2", "name": "HX2", "language": "", "status": "unsubmitted",
              "components": { "types": null, "variables": null } },
        ])
    );
    let second = templates.list(listed.next.as_deref()).http;
    assert_eq!(operation_of(twilio(), &second), "ListContentAndApprovals");
    assert_eq!(
        second.uri().to_string(),
        "https://content.twilio.com/v1/ContentAndApprovals?PageSize=100&Page=1&PageToken=DNHX%2B1"
    );
    let last = json!({ "meta": { "next_page_url": null }, "contents": [] });
    assert_eq!(templates.listed(&answer(200, last)).unwrap().next, None);
    let refused = templates.listed(&answer(200, json!("<html>"))).unwrap_err();
    assert_eq!(class(refused.class), "transient");
}

#[test]
fn the_account_is_asked_with_a_token_and_its_messages_with_a_key() {
    let keyed = open(twilio(), &[("api_key_sid", KEY)], &[("api_key_secret", "s")]).unwrap();
    for (account, operation) in [(account(), "FetchAccount"), (keyed, "ListMessage")] {
        let health = account.health().unwrap();
        assert_eq!(operation_of(twilio(), &health.probe().http), operation);
        assert_eq!(health.diagnose(&answer(200, json!({ "status": "active" }))), Ok(()));
        assert_eq!(health.diagnose(&answer(200, json!({ "messages": [] }))), Ok(()));
        let failures = [
            (answer(200, json!({ "status": "suspended" })), "permanent:account"),
            (answer(401, json!({ "code": 20003, "message": "Authenticate" })), "permanent:account"),
            (answer(503, json!("")), "transient"),
        ];
        for (answer, expected) in failures {
            assert_eq!(class(health.diagnose(&answer).unwrap_err().class), expected);
        }
    }
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
