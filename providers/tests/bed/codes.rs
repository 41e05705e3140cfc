//! What error codes mean: as it was found out, and the same through both doors, the answer and the status.
//!
//! `classes.json` is the table: every code with its class. `codes.json` is what is known of the codes, with source and date, the
//! class that follows from it, and for each code whose class is another one, the reason.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use providers::{EventKind, OutboundMessage, Provider, Severity, StatusFailure, meta, provider};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{CaseMessage, answer, open};
use crate::fixtures::{self, Fixture};

/// HTTP statuses that a refusal may come with. A code that the table knows means the same with each of them.
const STATUSES: [u16; 13] = [400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504];

/// Providers whose answers and statuses both carry codes, with a webhook that tells of a failure, and the code in it.
const DOORS: [(&str, &str, &str); 3] = [
    ("meta", "status-failed-undeliverable", r#""code": 131026"#),
    ("twilio", "status-undelivered-land-line", "ErrorCode=30006"),
    ("telnyx", "sms-finalized-not-routable", r#""code": "40001""#),
];

#[derive(Deserialize)]
struct Collected {
    seen: String,
    sources: BTreeMap<String, String>,
    codes: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    /// A code, or the first and the last of a range.
    code: String,
    means: String,
    /// The class that follows from what it means; `permanent:recipient` stands for any of the recipient's.
    wanted: String,
    /// Our class, where it is another one, and why.
    instead: Option<String>,
    because: Option<String>,
    source: String,
}

impl Row {
    fn codes(&self) -> Vec<String> {
        match self.code.split_once('-') {
            None => vec![self.code.clone()],
            Some((first, last)) => {
                let ends: [u32; 2] = [first, last].map(|end| end.parse().unwrap());
                (ends[0]..=ends[1]).map(|code| code.to_string()).collect()
            }
        }
    }
}

fn collected(provider: &Provider) -> Collected {
    let path = fixtures::folder(provider).join("codes.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All codes of `classes.json` with their classes; each stands there once.
pub fn classes(provider: &Provider) -> BTreeMap<String, String> {
    let path = fixtures::folder(provider).join("classes.json");
    let table: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut classes = BTreeMap::new();
    for (class, codes) in table {
        for code in codes {
            let twice = classes.insert(code.clone(), class.clone());
            assert_eq!(twice, None, "{}: {code} stands there twice", provider.name);
        }
    }
    classes
}

/// Whether a class is what is wanted, perhaps said more exactly.
fn is_wanted(wanted: &str, class: &str) -> bool {
    wanted == class
        || (wanted == "permanent:recipient" && class.starts_with("permanent:recipient:"))
}

#[test]
fn every_code_that_was_found_has_its_class_or_a_reason() {
    for (name, ..) in DOORS {
        let provider = provider(name).unwrap();
        let Collected { seen, sources, codes } = collected(provider);
        assert!(seen.len() == 10 && codes.len() >= 100, "{name}: {} codes", codes.len());
        let alone: BTreeSet<String> = codes.iter().map(|row| row.code.clone()).collect();
        assert_eq!(alone.len(), codes.len(), "{name}: a code stands there twice");
        let table = classes(provider);
        for row in &codes {
            let Row { means, wanted, source, .. } = row;
            assert!(!means.is_empty() && sources.contains_key(source), "{name}: {}", row.code);
            let of_range = |code: &String| *code == row.code || !alone.contains(code);
            for code in row.codes().into_iter().filter(of_range) {
                let class = (provider.class_of)(&code).name();
                match (&row.instead, &row.because) {
                    (None, None) => {
                        assert!(is_wanted(wanted, class), "{name} {code} ({means}): {class}");
                    }
                    (Some(instead), Some(because)) => {
                        assert_eq!(class, instead, "{name} {code} ({means})");
                        assert!(!is_wanted(wanted, instead), "{name} {code} needs no reason");
                        assert!(because.ends_with('.'), "{name} {code}: {because}");
                    }
                    _ => panic!("{name} {code}: another class needs a reason"),
                }
                let met = met(provider, &code, 403);
                assert_eq!(met, class, "{name} {code} ({means}) is not known to an answer");
            }
            let is_in_table = row.code.contains('-') || table.contains_key(&row.code);
            assert!(is_in_table, "{name}: classes.json lacks {}", row.code);
        }
    }
}

/// The provider's fixture with another text in it.
fn changed(provider: &'static Provider, name: &str, from: &str, to: &str) -> Fixture {
    let all = fixtures::of(provider);
    let mut fixture = all.into_iter().find(|fixture| fixture.name == name).unwrap();
    let body = String::from_utf8(fixture.unsigned.body().to_vec()).unwrap();
    assert!(body.contains(from), "{name} holds no {from}");
    fixture.unsigned = fixture.unsigned.map(|_| Bytes::from(body.replace(from, to)));
    fixture
}

fn failure_of(fixture: &Fixture) -> StatusFailure {
    let mut events = fixture.batch().events.into_iter();
    match events.next().unwrap().kind {
        EventKind::Status(change) => change.failure.expect("it tells why it failed"),
        other => panic!("no status: {other:?}"),
    }
}

/// What a status says that a message failed with this code.
fn told(provider: &'static Provider, code: &str) -> StatusFailure {
    let (_, name, old) = DOORS.into_iter().find(|(name, ..)| *name == provider.name).unwrap();
    let known = old.rsplit(['=', ' ']).next().unwrap().trim_matches('"');
    failure_of(&changed(provider, name, old, &old.replace(known, code)))
}

fn message(provider: &Provider) -> OutboundMessage {
    if provider.name == meta::PROVIDER.name {
        return crate::meta_sending::text_message();
    }
    let message: CaseMessage = serde_json::from_value(json!({
        "channel": "sms", "from": "+14155550110", "to": "+13125550199",
        "content": { "kind": "text", "body": "Hello" },
    }))
    .unwrap();
    message.build()
}

/// A refusal's body.
fn refusal(provider: &Provider, code: &str) -> Value {
    let number = code.parse::<i64>().map_or(json!(code), |number| json!(number));
    match provider.name {
        "meta" => json!({ "error": { "message": "No.", "code": number } }),
        "twilio" => json!({ "code": number, "message": "No." }),
        _ => json!({ "errors": [{ "code": code, "title": "No." }] }),
    }
}

fn class_of_answer(provider: &Provider, status: u16, body: Value) -> &'static str {
    let account = open(provider, &[], &[]).unwrap();
    let step = account.messages().unwrap().step(&message(provider), &[answer(status, body)]);
    step.expect_err("the answer refuses").class.name()
}

/// What an answer with this status means that refuses with this code.
fn met(provider: &Provider, code: &str, status: u16) -> &'static str {
    class_of_answer(provider, status, refusal(provider, code))
}

#[test]
fn a_code_means_the_same_in_a_status_and_in_an_answer_with_any_http_status() {
    for (name, ..) in DOORS {
        let provider = provider(name).unwrap();
        for (code, class) in classes(provider) {
            let told = told(provider, &code);
            assert_eq!((told.class.name(), &told.code), (class.as_str(), &code), "{name}");
            for status in STATUSES {
                let met = met(provider, &code, status);
                assert_eq!(met, class, "{name}: an answer {status} with {code}");
            }
        }
    }
}

/// A status tells nothing beside the code. An answer does: where the table does not know the code, its HTTP status may know
/// better than that the message is to blame.
#[test]
fn only_codes_that_nobody_knows_are_judged_by_the_http_status() {
    let unheard = [
        ("meta", ["300", "199", "999999", "131999"]),
        ("twilio", ["31337", "29999", "twenty", "99999"]),
        ("telnyx", ["10999", "D17", "40999", "131999"]),
    ];
    for (name, codes) in unheard {
        let provider = provider(name).unwrap();
        for code in codes {
            // What is no number is no code of Meta's or Twilio's.
            let code = if name == "meta" { code.to_owned() } else { code.replace("twenty", "8") };
            let met = |status| met(provider, &code, status);
            assert_eq!(told(provider, &code).class.name(), "permanent:message", "{name} {code}");
            assert_eq!([400, 404, 422].map(met), ["permanent:message"; 3], "{name} {code}");
            assert_eq!([401, 403].map(met), ["permanent:account"; 2], "{name} {code}");
            assert_eq!(met(429), "rate_limited:account", "{name} {code}");
            assert_eq!([500, 503].map(met), ["transient"; 2], "{name} {code}");
            assert_eq!([502, 504].map(met), ["indeterminate"; 2], "{name} {code}");
        }
    }
}

/// One destination, one pair and one message are not the account, whatever the HTTP status says.
#[test]
fn one_country_is_not_the_account() {
    for (name, status, code, class) in [
        ("twilio", 400, "21408", "permanent:destination"),
        ("twilio", 403, "21602", "permanent:message"),
        ("twilio", 400, "21612", "permanent:recipient:not_this_time"),
        ("telnyx", 403, "40309", "permanent:destination"),
        ("telnyx", 403, "40319", "permanent:message"),
        ("meta", 400, "130497", "permanent:destination"),
        ("meta", 400, "131062", "permanent:message"),
        ("meta", 400, "131030", "permanent:account"),
    ] {
        assert_eq!(met(provider(name).unwrap(), code, status), class, "{name} {status} {code}");
    }
}

#[test]
fn what_was_taken_and_names_no_error_is_final_in_both_doors() {
    let telnyx = provider("telnyx").unwrap();
    for (word, class) in [
        ("expired", "permanent:recipient:not_this_time"),
        ("delivery_failed", "permanent:recipient:not_this_time"),
        ("sending_failed", "permanent:message"),
    ] {
        let (from, to) = (r#""status": "expired""#, format!(r#""status": "{word}""#));
        let failure = failure_of(&changed(telnyx, "sms-finalized-expired", from, &to));
        assert_eq!((failure.code.as_str(), failure.class.name()), (word, class));
        let body = json!({ "data": { "id": "1", "to": [{ "status": word }], "errors": [] } });
        assert_eq!(class_of_answer(telnyx, 200, body), class, "{word}");
    }
    let twilio = provider("twilio").unwrap();
    for word in ["failed", "undelivered"] {
        let form = changed(
            twilio,
            "status-undelivered-land-line",
            "MessageStatus=undelivered",
            &format!("MessageStatus={word}"),
        );
        let body = String::from_utf8(form.unsigned.body().to_vec()).unwrap();
        let body = body.replace("&ErrorCode=30006", "");
        let form = Fixture { unsigned: form.unsigned.map(|_| Bytes::from(body)), ..form };
        let failure = failure_of(&form);
        assert_eq!((failure.code.as_str(), failure.class.name()), (word, "permanent:message"));
        let body = json!({ "sid": "SM1", "status": word, "error_code": null });
        assert_eq!(class_of_answer(twilio, 201, body), "permanent:message");
    }
    let (from, to) = (r#""errors": ["#, r#""no_errors": ["#);
    let meta = changed(&meta::PROVIDER, "status-failed-undeliverable", from, to);
    assert_eq!(failure_of(&meta).class.name(), "permanent:message");
}

/// Telnyx wraps what WhatsApp refuses; and of several errors both doors believe the most telling.
#[test]
fn telnyx_tells_metas_code_among_its_words() {
    let telnyx = provider("telnyx").unwrap();
    let lists = [
        (json!([{ "code": "41000", "detail": "(#131047) Re-engagement" }]), "permanent:window"),
        (json!([{ "code": "41000", "title": "131048" }]), "rate_limited:reputation"),
        (json!([{ "code": "41000", "detail": "+5511131047" }]), "permanent:message"),
        (json!([{ "code": "10015" }, { "code": "40300" }]), "permanent:recipient:opted_out"),
    ];
    for (errors, class) in lists {
        let name = "sms-finalized-not-routable";
        let list = format!(r#""errors": {errors}, "were": ["#);
        let failure = failure_of(&changed(telnyx, name, r#""errors": ["#, &list));
        assert_eq!(failure.class.name(), class, "{errors}");
        assert_eq!(class_of_answer(telnyx, 400, json!({ "errors": errors })), class);
    }
}

/// An error that belongs to no message is told to the administrator: critical where nothing gets through any more.
#[test]
fn errors_of_the_account_alarm() {
    let severity = |code: &str| {
        let to = format!(r#""code": {code}"#);
        let fixture = changed(&meta::PROVIDER, "errors-alone", r#""code": 130429"#, &to);
        match fixture.batch().events.remove(0).kind {
            EventKind::Notice(notice) => notice.severity,
            other => panic!("no notice: {other:?}"),
        }
    };
    for code in ["131042", "131031", "131048", "131064", "132015"] {
        assert_eq!(severity(code), Severity::Critical, "{code}");
    }
    for code in ["130429", "131000", "130497", "2593109", "999999"] {
        assert_eq!(severity(code), Severity::Warning, "{code}");
    }
}

#[test]
fn a_bridges_statuses_and_acks_mean_what_its_table_says() {
    for name in ["waha", "evolution"] {
        let provider = provider(name).unwrap();
        let account = open(provider, &[], &[]).unwrap();
        let message = crate::bridges::message(crate::bridges::text("x"));
        for (code, class) in classes(provider) {
            let status: u16 = code.parse().unwrap_or(0);
            if let 400..=599 = status {
                let step = account.messages().unwrap().step(&message, &[answer(status, json!({}))]);
                assert_eq!(step.unwrap_err().class.name(), class, "{name}: {code}");
            }
            if name == "waha" {
                let (from, to) = (r#""code": "463""#, format!(r#""code": "{code}""#));
                let ack = changed(provider, "ack-error-restricted", from, &to);
                assert_eq!(failure_of(&ack).class.name(), class, "{name}: {code}");
            }
        }
    }
}
