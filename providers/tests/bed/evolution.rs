//! What only Evolution has: a secret instead of a signature, one message in several webhooks, settings, files inside JSON, and
//! instances that are connected rather than started.

use providers::{
    Account, Attachment, Cause, Channel, FailureClass, Line, MediaKind, MediaStep, Misconfigured,
    PairingCode, Proof, Provider, ProviderResponse, Secret, SessionState, Settings, Step,
};
use serde_json::{Value, json};

use crate::fixtures::{self, Fixture};
use crate::waha::{answer, shown};

/// Where aurora's server answers.
pub const BASE: &str = "http://evolution.aurora.example:8080";

fn provider() -> &'static Provider {
    providers::provider("evolution").unwrap()
}

/// The account of `aurora`: instance `aurora-frontdesk` at [`BASE`].
pub fn account() -> Box<dyn Account> {
    fixtures::accounts(provider()).remove(0).open(provider())
}

fn fixture(name: &str) -> Fixture {
    let mut all = fixtures::of(provider()).into_iter();
    all.find(|fixture| fixture.name == name).unwrap()
}

#[test]
fn its_webhooks_prove_only_who_sends_them() {
    assert_eq!(provider().proof, Proof::Sender);
    let signing = providers::PROVIDERS.iter().filter(|p| p.proof == Proof::Request);
    assert_eq!(signing.count() + 1, providers::PROVIDERS.len());
}

#[test]
fn news_of_one_message_name_it_alike() {
    let ours = "true_3EB0A94C17D2E05B8F6301";
    let theirs = "false_3A5E7C19D20B4F681001";
    let named = [
        ("ack-server", ours),
        ("ack-device-by-lid", ours),
        ("ack-of-version-1", ours),
        ("message-ours-through-the-api", ours),
        ("message-reply-flattened", ours),
        ("message-reply-to-a-lid-of-ours", ours),
        ("reaction", ours),
        ("edited-ours", ours),
        ("revoked-ours", ours),
        ("message-text", theirs),
        ("message-reply-extended-text", theirs),
        ("reaction-ours", theirs),
        ("edited", theirs),
        ("edited-inside-its-message", theirs),
    ];
    for (name, reference) in named {
        let events = serde_json::to_value(fixture(name).batch().events).unwrap();
        let event = &events[0];
        let places = [
            &event["reply_to"],
            &event["content"]["target"],
            &event["reference"],
            &event["target"],
        ];
        assert!(places.into_iter().any(|place| place == reference), "{name}: {event}");
    }
}

#[test]
fn the_token_in_a_webhook_is_never_shown() {
    for name in ["unreadable-without-event", "unreadable-without-instance", "unreadable-event"] {
        let batch = fixture(name).batch();
        assert!(!batch.unparsed[0].raw.contains("A1F3C6E0"), "{name}");
        assert!(!batch.unparsed[0].raw.is_empty(), "{name}");
    }
}

#[test]
fn a_webhook_claims_its_instance() {
    let name = "borealis-sales".to_owned();
    let expected = vec![Line::Handle(name.clone()), Line::Account(name)];
    assert_eq!((provider().claims)(&fixture("message-to-borealis").unsigned), expected);
    let account = fixture("message-to-borealis").account.open(provider());
    assert_eq!(account.identifiers(), ["borealis-sales"]);
}

#[test]
fn a_qr_code_is_kept_out_of_notices() {
    assert!(fixture("qr-code-shown").batch().events.is_empty());
}

fn open(plain: &[(&str, &str)], secret: &str) -> Result<Box<dyn Account>, Misconfigured> {
    let mut settings =
        vec![("base_url", "https://bridge.example/prefix/"), ("instance", "default")];
    settings.extend_from_slice(plain);
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let secrets = [("api_key", "key"), ("webhook_secret", secret)];
    let secrets = secrets.map(|(name, value)| (name.to_owned(), Secret::from(value)));
    let plain = settings.into_iter().map(own).collect();
    (provider().open)(&Settings::new(plain, secrets.into()))
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let long = "0123456789abcdef";
    let field = |plain: &[(&str, &str)]| open(plain, long).err().map(|error| error.field);
    assert_eq!(field(&[]), None);
    let odd = [
        ("base_url", "evolution:8080"),
        ("base_url", "ftp://bridge.example"),
        ("base_url", "https://user:secret@bridge.example"),
        ("instance", "a/b"),
        ("instance", "../default"),
        ("webhook_proof", "none"),
        ("messages_per_second", "11"),
        ("pause_most_ms", "600001"),
        ("first_contacts_per_day", "many"),
    ];
    for (name, value) in odd {
        assert_eq!(field(&[(name, value)]).as_deref(), Some(name), "{name} = {value}");
    }
    for short in
        ["", " ", "0123456789abcde", "0123456789abcdef\n", " 0123456789abcdef", "0123456789ábcdef"]
    {
        let refused = open(&[], short).err().map(|error| error.field);
        assert_eq!(refused.as_deref(), Some("webhook_secret"), "{short:?}");
    }
    let pace = open(&[], long).unwrap().messages().unwrap().pace(Channel::Whatsapp);
    assert_eq!(pace.human.unwrap().first_contacts_per_day, 20, "it is paced like a person");
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
fn a_file_is_asked_for_by_its_message_or_fetched_from_storage() {
    let account = account();
    let media = account.media().unwrap();
    let MediaStep::Unwrap { download, member } =
        media.step(&file(None, Some("3A5E")), &[]).unwrap()
    else {
        panic!("it is not asked for")
    };
    assert!(download.request.repeatable);
    assert_eq!(member, "base64");
    let (line, body) = shown(&download.request.http);
    assert_eq!(line, format!("POST {BASE}/chat/getBase64FromMediaMessage/aurora-frontdesk"));
    assert_eq!(body, json!({ "message": { "key": { "id": "3A5E" } }, "convertToMp4": false }));
    let stored = "https://s3.example/made-up.jpeg?X-Amz-Expires=600";
    let MediaStep::Download(download) = media.step(&file(Some(stored), Some("3A5E")), &[]).unwrap()
    else {
        panic!("it is not fetched")
    };
    assert_eq!(download.request.http.uri(), stored);
    assert!(download.request.http.headers().is_empty(), "our key stays here");
    for odd in [file(None, None), file(None, Some("a b")), file(Some("file:///etc/passwd"), None)] {
        let failure = media.step(&odd, &[]).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Message), "{odd:?}");
    }
    let said = |status: u16, message: Value| {
        media.refused(&answer(status, &json!({ "response": { "message": message } }))).class
    };
    let message = FailureClass::Permanent(Cause::Message);
    assert_eq!(said(400, json!(["Message not found"])), message);
    assert_eq!(said(500, json!("Connection Closed")), FailureClass::Transient);
    assert_eq!(said(500, json!("fetch failed")), FailureClass::Transient);
    assert_eq!(said(401, json!("Unauthorized")), FailureClass::Permanent(Cause::Account));
    let mut expired = answer(403, &json!({}));
    *expired.http.body_mut() = bytes::Bytes::from_static(b"<Error>expired</Error>");
    assert_eq!(media.refused(&expired).class, message);
}

fn instance(status: &str, owner: &Value, code: &Value) -> ProviderResponse {
    answer(
        200,
        &json!([{ "name": "another", "connectionStatus": "open", "ownerJid": "1@s.whatsapp.net" }, {
            "id": "5f0c2a6e", "name": "aurora-frontdesk", "connectionStatus": status, "ownerJid": owner,
            "token": "hidden", "disconnectionReasonCode": code,
        }]),
    )
}

#[test]
fn an_instance_is_created_mended_or_only_connected() {
    let account = account();
    let sessions = account.sessions().unwrap();
    let url = "https://gateway.example.com/hooks/evolution/1";
    let next = |answers: &[ProviderResponse]| match sessions.start(url, answers).unwrap() {
        Step::Next(request) => Some(shown(&request.http)),
        Step::Done(()) => None,
    };
    let find = format!("GET {BASE}/instance/fetchInstances?instanceName=aurora-frontdesk");
    assert_eq!(next(&[]).unwrap().0, find);
    let missing = answer(404, &json!({ "status": 404 }));
    let (line, body) = next(std::slice::from_ref(&missing)).unwrap();
    assert_eq!(line, format!("POST {BASE}/instance/create"));
    assert_eq!(
        (&body["instanceName"], &body["integration"]),
        (&json!("aurora-frontdesk"), &json!("WHATSAPP-BAILEYS"))
    );
    let webhook = body["webhook"].clone();
    assert_eq!(webhook["url"], url);
    assert_eq!(webhook["headers"], json!({ "authorization": "aurora-evolution-Qm7Xv2Rk9TzL4pWd" }));
    assert!(next(&[missing.clone(), answer(201, &json!({}))]).is_none());
    assert!(sessions.start(url, &[missing, answer(403, &json!({}))]).is_err());

    let found = instance("close", &Value::Null, &Value::Null);
    let asked = next(std::slice::from_ref(&found)).unwrap();
    assert_eq!(asked.0, format!("GET {BASE}/webhook/find/aurora-frontdesk"));
    let connect = format!("GET {BASE}/instance/connect/aurora-frontdesk");
    for none in [answer(404, &json!({})), answer(200, &Value::Null)] {
        let (line, body) = next(&[found.clone(), none.clone()]).unwrap();
        assert_eq!(line, format!("POST {BASE}/webhook/set/aurora-frontdesk"));
        assert_eq!(body["webhook"], webhook);
        let set = answer(201, &json!({}));
        assert_eq!(next(&[found.clone(), none.clone(), set.clone()]).unwrap().0, connect);
        let connected = answer(200, &json!({ "code": "2@x" }));
        assert!(next(&[found.clone(), none, set, connected]).is_none());
    }
    let set = answer(200, &webhook);
    assert_eq!(next(&[found.clone(), set.clone()]).unwrap().0, connect, "nothing is to be changed");
    assert!(next(&[found.clone(), set, answer(200, &json!({}))]).is_none());
    let moved =
        answer(200, &json!({ "enabled": true, "url": "https://old.example/hooks/evolution/1" }));
    assert!(next(&[found.clone(), moved]).unwrap().0.contains("/webhook/set/"), "ours moved");
    let others = answer(200, &json!({ "enabled": true, "url": "https://elsewhere.example/hook" }));
    let failure = sessions.start(url, &[found, others]).unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent(Cause::Account), "it is not taken away");
    assert!(sessions.start(url, &[answer(401, &json!({}))]).is_err());
    let borealis = fixtures::accounts(provider()).remove(1).open(provider());
    let created = borealis.sessions().unwrap().start(url, &[answer(404, &json!({}))]).unwrap();
    let Step::Next(request) = created else { panic!("it is not created") };
    let headers = &shown(&request.http).1["webhook"]["headers"];
    assert_eq!(headers, &json!({ "jwt_key": "borealis-evolution-Jc5Hn8Gy3BfS6uEa" }));
}

#[test]
fn an_instance_reports_how_it_is_doing() {
    let account = account();
    let sessions = account.sessions().unwrap();
    let me = json!("5511955520001@s.whatsapp.net");
    let none = Value::Null;
    let cases = [
        ("open", &me, &none, SessionState::Working),
        ("open", &me, &json!(401), SessionState::Working),
        ("connecting", &me, &json!(401), SessionState::Starting),
        ("connecting", &none, &none, SessionState::Pairing),
        ("close", &none, &none, SessionState::Stopped),
        ("close", &me, &none, SessionState::Failed),
        ("close", &me, &json!(428), SessionState::Failed),
        ("close", &me, &json!(401), SessionState::LoggedOut),
        ("close", &me, &json!("403"), SessionState::LoggedOut),
        ("close", &none, &json!(402), SessionState::LoggedOut),
        ("new-word", &me, &none, SessionState::Failed),
    ];
    for (status, owner, code, state) in cases {
        let report = sessions.report(&instance(status, owner, code)).unwrap();
        assert_eq!(report.state, state, "{status} {owner} {code}");
        let number = owner.is_string().then(|| "+5511955520001".to_owned());
        assert_eq!(report.number, number);
    }
    let older = json!([{ "instance": { "instanceName": "aurora-frontdesk", "owner": me, "status": "open" } }]);
    assert_eq!(sessions.report(&answer(200, &older)).unwrap().state, SessionState::Working);
    for missing in [answer(404, &json!({})), answer(200, &json!([]))] {
        assert_eq!(sessions.report(&missing).unwrap().state, SessionState::Stopped);
    }
    assert!(sessions.report(&answer(401, &json!({}))).is_err());
    assert!(sessions.stop().is_none(), "stopping it would unlink it");
    let (line, _) = shown(&sessions.log_out().http);
    assert_eq!(line, format!("DELETE {BASE}/instance/logout/aurora-frontdesk"));
}

#[test]
fn health_asks_whether_the_device_is_connected() {
    let account = account();
    let health = account.health().unwrap();
    let (line, _) = shown(&health.probe().http);
    assert_eq!(line, format!("GET {BASE}/instance/connectionState/aurora-frontdesk"));
    let state =
        |word: &str| answer(200, &json!({ "instance": { "instanceName": "x", "state": word } }));
    assert!(health.diagnose(&state("open")).is_ok());
    assert_eq!(health.diagnose(&state("close")).unwrap_err().class, FailureClass::Transient);
    let missing = health.diagnose(&answer(404, &json!({}))).unwrap_err();
    assert_eq!(missing.class, FailureClass::Permanent(Cause::Account));
}

#[test]
fn a_device_is_linked_by_picture_or_by_code() {
    let account = account();
    let sessions = account.sessions().unwrap();
    let connect = format!("GET {BASE}/instance/connect/aurora-frontdesk");
    assert_eq!(shown(&sessions.pair(None).http).0, connect);
    let (line, _) = shown(&sessions.pair(Some("+55 11 95552-0001")).http);
    assert_eq!(line, format!("{connect}?number=5511955520001"));
    let shows = |body: Value| sessions.paired(&answer(200, &body));
    let qr = json!({ "pairingCode": null, "code": "2@made,up", "base64": "data:", "count": 1 });
    assert_eq!(shows(qr), Ok(PairingCode::Qr("2@made,up".to_owned())));
    let code = json!({ "pairingCode": "WZYEH1YY", "code": "2@made,up", "count": 1 });
    assert_eq!(shows(code), Ok(PairingCode::Code("WZYEH1YY".to_owned())));
    let linked = shows(json!({ "instance": { "state": "open" } })).unwrap_err();
    assert_eq!(linked.code.as_deref(), Some("open"));
    assert_eq!(shows(json!({ "count": 0 })).unwrap_err().class, FailureClass::Transient);
}
