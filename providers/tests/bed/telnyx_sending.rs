//! Sending through Telnyx: what messages become, what answers mean, and how our id comes back.

use proptest::prelude::*;
use providers::{
    Account, Attachment, Channel, EventKind, MediaKind, MediaStep, Pace, Provider, Step,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{
    CaseAnswer, CaseMessage, OUR_ID, answer, any_message, cases, class, loaded, open, outcome,
    request,
};
use crate::fixtures;
use crate::openapi::operation_of;

#[derive(Deserialize)]
struct Request {
    name: String,
    message: CaseMessage,
    json: Value,
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

fn telnyx() -> &'static Provider {
    providers::provider("telnyx").unwrap()
}

fn account() -> Box<dyn Account> {
    open(telnyx(), &[], &[]).unwrap()
}

fn text(from: &str) -> CaseMessage {
    let message = json!({
        "channel": "sms", "from": from, "to": "+13125550199",
        "content": { "kind": "text", "body": "Hello" },
    });
    serde_json::from_value(message).unwrap()
}

#[test]
fn every_message_becomes_the_json_it_should() {
    let account = account();
    for case in cases::<Request>(telnyx(), "requests.json") {
        let message = case.message.build();
        account.messages().unwrap().check(&message).unwrap();
        let request = request(account.as_ref(), &message);
        assert!(!request.repeatable, "{}", case.name);
        assert_eq!(operation_of(telnyx(), &request.http), "SendMessage", "{}", case.name);
        let body: Value = serde_json::from_slice(request.http.body()).unwrap();
        assert_eq!(body, case.json, "{}", case.name);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let account = account();
    let messages = account.messages().unwrap();
    for case in cases::<Refused>(telnyx(), "unfit.json") {
        let message = case.message.build();
        let unfit = messages.check(&message).expect_err(&case.name);
        assert_eq!(unfit.field, case.field, "{}: {unfit}", case.name);
        assert!(unfit.reason.contains(&case.about), "{}: {unfit}", case.name);
        let failure = messages.step(&message, &[]).expect_err(&case.name);
        assert_eq!(class(failure.class), "permanent:message", "{}", case.name);
    }
}

#[test]
fn answers_say_what_became_of_a_message() {
    let account = account();
    let message = text("+13125550130").build();
    for case in cases::<Answered>(telnyx(), "answers.json") {
        let outcome = outcome(account.as_ref(), &message, case.answer.build());
        assert_eq!(outcome, case.outcome, "{}", case.name);
    }
}

#[test]
fn without_an_api_key_an_account_only_receives() {
    let account = open(telnyx(), &[], &[("api_key", " ")]).unwrap();
    assert!(account.messages().is_none() && account.health().is_none());
    assert!(account.webhooks().is_some() && account.media().is_some());
}

#[test]
fn telnyx_cannot_be_asked_for_a_message_without_its_id() {
    assert!(account().tracking().is_none());
}

#[test]
fn the_key_is_in_no_text() {
    let key = fixtures::accounts(telnyx()).remove(0).secrets["api_key"].clone();
    let account = account();
    let request = request(account.as_ref(), &text("+13125550130").build()).http;
    let header = &request.headers()["authorization"];
    assert_eq!(header.to_str().unwrap(), format!("Bearer {key}"));
    assert!(header.is_sensitive());
    assert!(!format!("{request:?} {account:?}").contains(&key));
    let refused = open(telnyx(), &[], &[("api_key", "open sesame\u{e9}")]).unwrap_err();
    assert_eq!(refused.field, "api_key");
    assert!(!refused.reason.contains("sesame"));
}

#[test]
fn a_name_sends_for_a_messaging_profile_or_not_at_all() {
    let message = text("Aurora").build();
    account().messages().unwrap().check(&message).unwrap();
    let without = open(telnyx(), &[("messaging_profile_ids", "")], &[]).unwrap();
    let unfit = without.messages().unwrap().check(&message).unwrap_err();
    assert_eq!(unfit.field, "from");
    assert!(unfit.reason.contains("messaging_profile_id"), "{unfit}");
}

#[test]
fn an_account_sends_where_and_as_fast_as_its_settings_say() {
    let base = "http://127.0.0.1:8090/telnyx/";
    let settings = [("base_url", base), ("messages_per_second", "12.5")];
    let account = open(telnyx(), &settings, &[]).unwrap();
    let sent = request(account.as_ref(), &text("+13125550130").build()).http;
    assert_eq!(sent.uri().to_string(), "http://127.0.0.1:8090/telnyx/v2/messages");
    let pace = Pace { per_second: 12.5, burst: 12.5, pair: None, human: None };
    assert_eq!(account.messages().unwrap().pace(Channel::Sms), pace);
    let usual = Pace { per_second: 1.0, burst: 1.0, pair: None, human: None };
    assert_eq!(self::account().messages().unwrap().pace(Channel::Sms), usual);
    assert_eq!(account.messages().unwrap().window_hours(Channel::Sms), None);
    for (name, value) in [("base_url", "telnyx"), ("messages_per_second", "0")] {
        assert_eq!(open(telnyx(), &[(name, value)], &[]).unwrap_err().field, name);
    }
}

#[test]
fn files_are_fetched_without_the_key() {
    let account = account();
    let media = account.media().unwrap();
    let url = "https://storage.telnyx.com/media/8b1d.jpg?X-Amz-Signature=00ff";
    let file = |url: Option<&str>| Attachment {
        kind: MediaKind::Image,
        media_id: None,
        url: url.map(ToOwned::to_owned),
        mime_type: None,
        filename: None,
        size: Some(4_711),
        sha256: None,
    };
    let MediaStep::Download(download) = media.step(&file(Some(url)), &[]).unwrap() else {
        panic!("it is not downloaded");
    };
    assert_eq!(download.request.http.uri().to_string(), url);
    assert!(download.request.http.headers().is_empty());
    assert_eq!(download.expected.size, Some(4_711));
    for odd in [None, Some("storage.telnyx.com/a"), Some("file:///etc/passwd")] {
        let failure = media.step(&file(odd), &[]).unwrap_err();
        assert_eq!(class(failure.class), "permanent:message", "{odd:?}");
    }
    let class_of = |status| class(media.refused(&answer(status, json!("<Error/>"))).class);
    assert_eq!([404, 410, 403].map(class_of), ["permanent:message"; 3]);
    assert_eq!(class_of(503), "transient");
}

#[test]
fn the_key_is_tried_on_the_messaging_profiles() {
    let account = account();
    let health = account.health().unwrap();
    assert_eq!(operation_of(telnyx(), &health.probe().http), "ListMessagingProfiles");
    assert_eq!(health.diagnose(&answer(200, json!({ "data": [] }))), Ok(()));
    let refused = answer(401, json!({ "errors": [{ "code": "10009", "title": "No" }] }));
    let failure = health.diagnose(&refused).unwrap_err();
    assert_eq!(class(failure.class), "permanent:account");
    assert_eq!(failure.code.as_deref(), Some("10009"));
}

#[test]
fn an_event_names_our_message_in_its_signed_body_only() {
    let all = fixtures::of(telnyx());
    let find = |name: &str| all.iter().find(|fixture| fixture.name == name).unwrap();
    let ours = |name: &str, query: &str| {
        let fixture = find(name);
        let mut request = fixture.signed();
        *request.uri_mut() = format!("{}{query}", request.uri()).parse().unwrap();
        let batch = fixture.receive(request).unwrap();
        let changes = batch.events.into_iter().map(|event| match event.kind {
            EventKind::Status(change) => change.ours,
            other => panic!("no status: {other:?}"),
        });
        changes.collect::<Vec<_>>()
    };
    let named = vec![Some(OUR_ID.to_owned())];
    assert_eq!(ours("sms-sent-names-our-id", ""), named);
    assert_eq!(
        ours("sms-sent-names-our-id", "?message=019a8f3e-0000-7d40-9f55-3b8a1c2d4e6f"),
        named
    );
    // The signature does not cover the URL, so that anybody may have changed it on the way.
    assert_eq!(ours("sms-sent", &format!("?message={OUR_ID}")), [None]);
}

proptest! {
    #[test]
    fn what_check_accepts_becomes_a_request_that_telnyx_knows(message in any_message()) {
        let account = account();
        let messages = account.messages().unwrap();
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
                prop_assert_eq!(operation_of(telnyx(), &request.http), "SendMessage");
            }
            other => prop_assert!(false, "{:?} became {:?}", message, other),
        }
    }

    #[test]
    fn no_answer_makes_it_panic(status in 200..600u16, body in "[ -~]{0,80}", known in any::<bool>()) {
        let account = account();
        let message = text("+13125550130").build();
        let odd = json!({ "data": { "id": null, "to": [{}] }, "errors": [{}] });
        let answer = answer(status, if known { odd } else { json!(body) });
        let sent = account.messages().unwrap().step(&message, std::slice::from_ref(&answer));
        prop_assert!(sent.is_err());
        let _ = account.health().unwrap().diagnose(&answer);
    }
}
