//! What no text can hold, and times that have not come yet, in every field of every fixture.

use bytes::Bytes;
use chrono::TimeDelta;
use providers::{Batch, CLOCK_SKEW, CallFact, EventKind, Inbound, ProviderResponse, Rejection};
use serde_json::{Value, json};

use crate::fixtures::{self, Fixture, now};

fn read(fixture: &Fixture, request: http::Request<Bytes>) -> Batch {
    let account = fixture.account.open(fixture.provider);
    account.webhooks().unwrap().receive(&Inbound::Kept { at: now(), request }).unwrap()
}

fn texts(value: &mut Value) -> Vec<&mut String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter_mut().flat_map(texts).collect(),
        Value::Object(members) => members.values_mut().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The fixture with a NUL and half an emoji in one of its texts, for each of them.
fn soiled(fixture: &Fixture) -> Vec<http::Request<Bytes>> {
    let json: Option<Value> = providers::outside::read(fixture.unsigned.body()).ok();
    if let Some(mut value) = json.filter(Value::is_object) {
        let count = texts(&mut value).len();
        let soil = |place: usize| {
            let mut value = value.clone();
            texts(&mut value)[place].insert(0, '\0');
            let json = value.to_string().replace("\\u0000", "\\ud83d\\u0000");
            fixture.unsigned.clone().map(|_| Bytes::from(json))
        };
        return (0..count).map(soil).collect();
    }
    let is_query = fixture.unsigned.method() == http::Method::GET;
    let form = match is_query {
        true => fixture.unsigned.uri().query().unwrap_or_default().to_owned(),
        false => String::from_utf8_lossy(fixture.unsigned.body()).into_owned(),
    };
    let soil = |(place, _): (usize, &str)| {
        let form = format!("{}=%00%F0%9F{}", &form[..place], &form[place + 1..]);
        let mut request = fixture.unsigned.clone();
        match is_query {
            true => {
                let uri = format!("https://gateway.example.com{}?{form}", request.uri().path());
                *request.uri_mut() = uri.parse().unwrap();
            }
            false => *request.body_mut() = form.into(),
        }
        request
    };
    form.match_indices('=').map(soil).collect()
}

#[test]
fn nothing_that_is_read_holds_what_no_database_keeps() {
    for fixture in fixtures::all().iter().filter(|fixture| !fixture.is_challenge()) {
        for request in soiled(fixture) {
            let batch = read(fixture, request);
            let name = format!("{}/{}", fixture.provider.name, fixture.name);
            let events = serde_json::to_string(&batch.events).unwrap();
            assert!(!events.contains("\\u0000"), "{name}: {events}");
            assert!(!format!("{:?}", batch.events).contains("\\0"), "{name}");
            for item in &batch.unparsed {
                let all = [&item.position, &item.reason, &item.raw];
                assert!(!all.iter().any(|text| text.contains('\0')), "{name}: {item:?}");
                assert!(!format!("{:?}", item.line).contains("\\0"), "{name}: {item:?}");
                let wrong = ["surrogate", "hex escape", "UTF-8"];
                assert!(!wrong.iter().any(|word| item.reason.contains(word)), "{name}: {item:?}");
            }
        }
    }
}

#[test]
fn nothing_happened_after_we_were_told_of_it() {
    let early = "2020-01-01T00:00:00Z".parse().unwrap();
    for fixture in fixtures::all() {
        let account = fixture.account.open(fixture.provider);
        let kept = Inbound::Kept { at: early, request: fixture.unsigned.clone() };
        for event in account.webhooks().unwrap().receive(&kept).unwrap().events {
            let name = format!("{}/{}", fixture.provider.name, fixture.name);
            assert!(event.at <= early + CLOCK_SKEW, "{name}: {event:?}");
            let EventKind::Call(progress) = &event.kind else { continue };
            for fact in &progress.facts {
                let at = match fact {
                    CallFact::AnsweredAt { at } => Some(*at),
                    CallFact::Recorded { recording } => recording.started_at,
                    _ => None,
                };
                assert!(at.is_none_or(|at| at <= early + CLOCK_SKEW), "{name}: {fact:?}");
            }
        }
    }
}

#[test]
fn a_clock_that_is_a_little_ahead_is_believed() {
    let provider = providers::provider("waha").unwrap();
    let all = fixtures::of(provider);
    let fixture = all.iter().find(|fixture| fixture.name == "message-text").unwrap();
    let at = fixture.batch().events[0].at;
    let account = fixture.account.open(provider);
    for (before, expected) in [
        (CLOCK_SKEW, at),
        (CLOCK_SKEW + TimeDelta::seconds(1), at - CLOCK_SKEW - TimeDelta::seconds(1)),
    ] {
        let kept = Inbound::Kept { at: at - before, request: fixture.unsigned.clone() };
        let batch = account.webhooks().unwrap().receive(&kept).unwrap();
        assert_eq!(batch.events[0].at, expected);
    }
}

#[test]
fn answers_are_read_like_webhooks() {
    let body = Bytes::from_static(br#"{"error":{"message":"a\u0000 \ud83d"}}"#);
    let answer = ProviderResponse { at: now(), http: http::Response::new(body) };
    let read: Value = answer.json().unwrap();
    assert_eq!(read, json!({ "error": { "message": "a\u{fffd} \u{fffd}" } }));
}

#[test]
fn every_provider_says_which_methods_it_uses() {
    for provider in providers::PROVIDERS {
        let fixture = fixtures::of(provider).into_iter().find(|f| !f.is_challenge()).unwrap();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
            let method = http::Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = fixture.unsigned.clone();
            *request.method_mut() = method.clone();
            let verdict = fixture.receive(request);
            let is_refused = matches!(verdict, Err(Rejection::MethodNotUsed));
            assert_eq!(
                is_refused,
                !provider.methods.contains(&method),
                "{} {method}",
                provider.name
            );
        }
    }
}

/// Who answers at an address that somebody wrote into the settings may be anybody: nothing of it is told.
#[test]
fn nothing_is_told_of_an_answer_that_is_nobodys() {
    let word = "internal-secret-4711";
    let bodies = [
        json!(word),
        json!({ "status": word, "message": word, "error": word, "code": word, "name": word }),
        json!({ "error": { "message": word, "code": word, "error_data": { "details": word } } }),
        json!({ "errors": [{ "code": word, "title": word, "detail": word }] }),
        json!({ "exception": { "message": word }, "response": { "message": [word] } }),
        json!({ "instance": { "state": word }, "value": word, "pairingCode": word }),
        json!([{ "name": "default", "connectionStatus": word, "disconnectionReasonCode": word }]),
    ];
    for provider in providers::PROVIDERS {
        let account = crate::cases::open(provider, &[], &[]).unwrap();
        for (status, body) in
            [200, 401, 404, 422, 500].into_iter().flat_map(|s| bodies.iter().map(move |b| (s, b)))
        {
            let response = crate::cases::answer(status, body.clone());
            assert!(!(provider.speaks)(&response), "{}: {status} {body}", provider.name);
            let mut told = vec![format!("{:?}", account.health().unwrap().diagnose(&response))];
            told.push(format!("{:?}", account.media().unwrap().refused(&response)));
            if let Some(sessions) = account.sessions() {
                let (report, paired) = (sessions.report(&response), sessions.paired(&response));
                told.push(format!("{report:?} {paired:?}"));
            }
            if let Some(templates) = account.templates() {
                told.push(format!("{:?}", templates.listed(&response).err()));
            }
            let told = told.concat();
            assert!(!told.contains(word), "{}: {status} {body}: {told}", provider.name);
        }
    }
}
