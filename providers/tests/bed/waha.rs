//! What only WAHA has: one message in two webhooks, references that hold however a chat is written, settings, files on a host
//! that does not know its own name, and sessions.

use bytes::Bytes;
use providers::{
    Account, Attachment, Cause, Channel, FailureClass, Line, MediaKind, MediaStep, Misconfigured,
    PairingCode, Provider, ProviderResponse, Secret, SessionState, Settings, Step,
};
use serde_json::{Value, json};

use crate::fixtures::{self, Fixture, now};

pub fn provider() -> &'static Provider {
    providers::provider("waha").unwrap()
}

/// The account of `aurora`: session `aurora-reception` at `http://waha.aurora.example:3000`.
pub fn account() -> Box<dyn Account> {
    fixtures::accounts(provider()).remove(0).open(provider())
}

/// An answer with this status and JSON.
pub fn answer(status: u16, body: &Value) -> ProviderResponse {
    let body = Bytes::from(body.to_string());
    let http = http::Response::builder().status(status).body(body).unwrap();
    ProviderResponse { at: now(), http }
}

/// Method, address and JSON of a request.
pub fn shown(request: &http::Request<Bytes>) -> (String, Value) {
    let line = format!("{} {}", request.method(), request.uri());
    (line, serde_json::from_slice(request.body()).unwrap_or_default())
}

fn fixture(name: &str) -> Fixture {
    let mut all = fixtures::of(provider()).into_iter();
    all.find(|fixture| fixture.name == name).unwrap()
}

#[test]
fn a_message_that_two_subscriptions_bring_has_one_key() {
    let [one, other] =
        ["message-text", "message-any-text"].map(|name| fixture(name).batch().events);
    assert_eq!(one, other);
}

#[test]
fn news_of_one_message_name_it_alike() {
    let reference = "true_3EB00102030405060708AA";
    let named = [
        "ack-server",
        "ack-device-by-lid",
        "message-ours-through-the-api",
        "message-reply-bare-id-to-ours",
        "reaction",
        "reaction-by-lid",
    ];
    for name in named {
        let events = serde_json::to_value(fixture(name).batch().events).unwrap();
        let event = &events[0];
        let places = [&event["reply_to"], &event["content"]["target"], &event["reference"]];
        assert!(places.into_iter().any(|place| place == reference), "{name}: {event}");
    }
}

#[test]
fn a_webhook_claims_its_session() {
    let name = "borealis-showroom".to_owned();
    let expected = vec![Line::Handle(name.clone()), Line::Account(name)];
    assert_eq!((provider().claims)(&fixture("message-to-borealis").unsigned), expected);
    let account = fixture("message-to-borealis").account.open(provider());
    assert_eq!(account.identifiers(), ["borealis-showroom"]);
}

#[test]
fn a_qr_code_is_kept_out_of_notices() {
    assert!(fixture("state-qr-code").batch().events.is_empty());
}

fn open(plain: &[(&str, &str)], key: &str) -> Result<Box<dyn Account>, Misconfigured> {
    let mut settings = vec![("base_url", "https://waha.example/prefix/"), ("session", "default")];
    settings.extend_from_slice(plain);
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let secrets = [("api_key", key), ("webhook_secret", "s")];
    let secrets = secrets.map(|(name, value)| (name.to_owned(), Secret::from(value)));
    let plain = settings.into_iter().map(own).collect();
    (provider().open)(&Settings::new(plain, secrets.into()))
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let field = |plain: &[(&str, &str)]| open(plain, "key").err().map(|error| error.field);
    assert_eq!(field(&[]), None);
    let odd = [
        ("base_url", "waha:3000"),
        ("base_url", "ftp://waha.example"),
        ("base_url", "https://user:secret@waha.example"),
        ("base_url", "https://waha.example/?x=1"),
        ("session", "a/b"),
        ("session", "../default"),
        ("messages_per_second", "0"),
        ("messages_per_second", "NaN"),
        ("messages_per_second", "11"),
        ("pause_least_ms", "-1"),
        ("pause_most_ms", "600001"),
        ("first_contacts_per_day", "many"),
    ];
    for (name, value) in odd {
        assert_eq!(field(&[(name, value)]).as_deref(), Some(name), "{name} = {value}");
    }
    let crossed = [("pause_least_ms", "2000"), ("pause_most_ms", "1000")];
    assert_eq!(field(&crossed).as_deref(), Some("pause_least_ms"));
    assert_eq!(open(&[], "line\nbreak").err().map(|error| error.field).as_deref(), Some("api_key"));
}

#[test]
fn accounts_are_paced_like_people() {
    let pace = open(&[], "key").unwrap().messages().unwrap().pace(Channel::Whatsapp);
    let human = pace.human.unwrap();
    assert_eq!((pace.per_second, pace.burst), (1.0, 1.0));
    assert_eq!((human.least.as_millis(), human.most.as_millis()), (1_000, 6_000));
    assert_eq!(human.first_contacts_per_day, 20);
    let slow = open(&[("pause_least_ms", "9000")], "key").unwrap();
    let human = slow.messages().unwrap().pace(Channel::Whatsapp).human.unwrap();
    assert_eq!(human.most.as_millis(), 9_000, "the longest pause is never below the shortest");
}

fn file(url: Option<&str>, media_id: Option<&str>) -> Attachment {
    Attachment {
        kind: MediaKind::Image,
        media_id: media_id.map(ToOwned::to_owned),
        url: url.map(ToOwned::to_owned),
        mime_type: Some("image/jpeg".to_owned()),
        filename: None,
        size: None,
        sha256: None,
    }
}

#[test]
fn the_key_goes_to_the_server_and_to_nobody_else() {
    let account = open(&[], "key").unwrap();
    let media = account.media().unwrap();
    let cases = [
        (
            "http://localhost:3000/api/files/a/x.jpeg",
            "https://waha.example/prefix/api/files/a/x.jpeg",
            true,
        ),
        ("http://0.0.0.0/api/files/x?y=1", "https://waha.example/prefix/api/files/x?y=1", true),
        (
            "https://waha.example/prefix/api/files/x",
            "https://waha.example/prefix/api/files/x",
            true,
        ),
        ("http://waha.example/prefix/api/files/x", "http://waha.example/prefix/api/files/x", false),
        (
            "https://waha.example.evil.example/api/files/x",
            "https://waha.example.evil.example/api/files/x",
            false,
        ),
        ("https://waha.example@evil.example/x", "https://waha.example@evil.example/x", false),
        ("http://localhost:9000/bucket/x", "http://localhost:9000/bucket/x", false),
    ];
    for (url, reached, has_key) in cases {
        let step = media.step(&file(Some(url), None), &[]).unwrap();
        let MediaStep::Download(download) = step else { panic!("{url} is asked for") };
        let request = download.request.http;
        let plain = |url: &str| url.replace("waha.example@", "");
        assert_eq!(plain(&request.uri().to_string()), plain(reached));
        let key = request.headers().get("x-api-key");
        assert_eq!(key.is_some(), has_key, "{url}");
        assert!(key.is_none_or(http::HeaderValue::is_sensitive));
    }
    for odd in ["file:///etc/passwd", "javascript:1", "", "/api/files/x"] {
        let failure = media.step(&file(Some(odd), None), &[]).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Message), "{odd}");
    }
}

#[test]
fn a_file_that_was_not_fetched_is_asked_for_by_its_message() {
    let account = account();
    let media = account.media().unwrap();
    let file = file(None, Some("false_5511987654321@c.us_3A1F"));
    let MediaStep::Ask(request) = media.step(&file, &[]).unwrap() else { panic!("no question") };
    assert!(request.repeatable);
    let expected = "GET http://waha.aurora.example:3000/api/aurora-reception/chats/5511987654321@c.us\
                    /messages/false_5511987654321@c.us_3A1F?downloadMedia=true";
    assert_eq!(shown(&request.http).0, expected);
    let url = "http://localhost:3000/api/files/aurora-reception/f.png";
    let told = answer(200, &json!({ "id": "x", "media": { "url": url, "mimetype": "image/png" } }));
    let MediaStep::Download(download) = media.step(&file, &[told]).unwrap() else {
        panic!("no file")
    };
    assert_eq!(download.expected.mime_type.as_deref(), Some("image/png"));
    assert!(media.step(&file, &[answer(200, &json!({ "media": null }))]).is_err());
    assert!(media.step(&self::file(None, None), &[]).is_err());
}

#[test]
fn a_session_is_created_mended_or_only_started() {
    let account = account();
    let sessions = account.sessions().unwrap();
    let url = "https://gateway.example.com/hooks/waha/1";
    let next = |answers: &[ProviderResponse]| match sessions.start(url, answers).unwrap() {
        Step::Next(request) => Some(shown(&request.http)),
        Step::Done(()) => None,
    };
    let base = "http://waha.aurora.example:3000/api/sessions";
    assert_eq!(next(&[]).unwrap().0, format!("GET {base}/aurora-reception"));
    let missing = answer(404, &json!({ "message": "Session not found", "statusCode": 404 }));
    let (line, body) = next(std::slice::from_ref(&missing)).unwrap();
    assert_eq!(line, format!("POST {base}"));
    assert_eq!(body["start"], true);
    let webhook = body["config"]["webhooks"][0].clone();
    assert_eq!(webhook["url"], url);
    assert_eq!(webhook["hmac"]["key"], "aurora-waha-hmac-6b1f0e7a3c925d48");
    assert!(next(&[missing.clone(), answer(201, &json!({}))]).is_none());
    let taken = answer(422, &json!({ "message": "Session already exists" }));
    let starting = format!("POST {base}/aurora-reception/start");
    assert_eq!(next(&[missing, taken]).unwrap().0, starting);

    let others = json!({ "url": "https://elsewhere.example", "events": ["message"] });
    let config = json!({ "proxy": { "server": "p:1" }, "webhooks": [others] });
    let found = answer(200, &json!({ "name": "x", "status": "STOPPED", "config": config }));
    let (line, body) = next(std::slice::from_ref(&found)).unwrap();
    assert_eq!(line, format!("PUT {base}/aurora-reception"));
    assert_eq!(body["config"]["proxy"]["server"], "p:1", "what the operator set up stays");
    assert_eq!(body["config"]["webhooks"], json!([others, webhook]));
    let mended = answer(200, &json!({ "status": "STOPPED", "config": body["config"] }));
    assert_eq!(next(&[found.clone(), mended.clone()]).unwrap().0, starting);
    assert!(next(&[found, mended.clone(), answer(201, &json!({}))]).is_none());
    assert_eq!(next(&[mended]).unwrap().0, starting, "nothing is to be changed");
    assert!(sessions.start(url, &[answer(401, &json!({}))]).is_err());
}

#[test]
fn a_session_reports_how_it_is_doing() {
    let account = account();
    let sessions = account.sessions().unwrap();
    let me = json!({ "id": "5511955510001@c.us" });
    let cases = [
        ("WORKING", &me, SessionState::Working),
        ("STARTING", &Value::Null, SessionState::Starting),
        ("STOPPED", &me, SessionState::Stopped),
        ("SCAN_QR_CODE", &Value::Null, SessionState::Pairing),
        ("SCAN_QR_CODE", &me, SessionState::LoggedOut),
        ("PASSKEY_REQUIRED", &Value::Null, SessionState::Pairing),
        ("FAILED", &me, SessionState::Failed),
        ("NEW_WORD", &me, SessionState::Failed),
    ];
    let health = account.health().unwrap();
    for (status, me, state) in cases {
        let told = answer(200, &json!({ "name": "x", "status": status, "me": me }));
        let report = sessions.report(&told).unwrap();
        assert_eq!(report.state, state, "{status}");
        assert_eq!(report.number.is_some(), me.is_object());
        assert_eq!(health.diagnose(&told).is_ok(), status == "WORKING");
    }
    let missing = answer(404, &json!({ "message": "Session not found" }));
    assert_eq!(sessions.report(&missing).unwrap().state, SessionState::Stopped);
    let failure = health.diagnose(&missing).unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent(Cause::Account));
    assert!(sessions.report(&answer(401, &json!({}))).is_err());
}

#[test]
fn a_device_is_linked_by_picture_or_by_code() {
    let account = account();
    let sessions = account.sessions().unwrap();
    let base = "http://waha.aurora.example:3000/api/aurora-reception/auth";
    let (line, _) = shown(&sessions.pair(None).http);
    assert_eq!(line, format!("GET {base}/qr?format=raw"));
    let (line, body) = shown(&sessions.pair(Some("+55 11 95551-0001")).http);
    assert_eq!(line, format!("POST {base}/request-code"));
    assert_eq!(body, json!({ "phoneNumber": "5511955510001" }));
    let qr = sessions.paired(&answer(200, &json!({ "value": "2@made,up" }))).unwrap();
    assert_eq!(qr, PairingCode::Qr("2@made,up".to_owned()));
    let code = sessions.paired(&answer(201, &json!({ "code": "ABCD-1234" }))).unwrap();
    assert_eq!(code, PairingCode::Code("ABCD-1234".to_owned()));
    let working = answer(422, &json!({ "error": "not as expected", "status": "WORKING" }));
    assert!(sessions.paired(&working).is_err());
}
