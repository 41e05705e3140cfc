//! What Meta's refusals mean: by their code, then by their status.

use providers::{Cause, Failure, FailureClass, ProviderResponse};
use serde::Deserialize;
use serde_json::json;

use super::{AnswerFixture, account, answer, text_message, token, word};

#[derive(Debug, Deserialize)]
struct Refusal {
    name: String,
    #[serde(flatten)]
    answer: AnswerFixture,
    class: String,
    code: Option<String>,
    detail: String,
    retry_after_s: Option<u64>,
}

/// What sending a text fails with, if this is the answer.
fn failure(response: ProviderResponse) -> Failure {
    let account = account();
    let step = account.messages().unwrap().step(&text_message(), &[response]);
    step.expect_err("the answer refuses")
}

#[test]
fn every_refusal_means_what_its_fixture_says() {
    let all: Vec<Refusal> = super::read("failures.json");
    assert!(all.len() >= 20);
    for refusal in all {
        let failure = failure(refusal.answer.response());
        let name = &refusal.name;
        assert_eq!(word(failure.class), refusal.class, "{name}");
        assert_eq!(failure.code, refusal.code, "{name}");
        assert_eq!(failure.detail, refusal.detail, "{name}");
        let waits = failure.retry_after.map(|wait| wait.as_secs());
        assert_eq!(waits, refusal.retry_after_s, "{name}");
    }
}

#[test]
fn a_transient_mark_speaks_only_where_the_code_is_unknown() {
    for (code, class) in [
        (100, "permanent:message"),
        (131_042, "permanent:account"),
        (777, "transient"),
        (4, "rate_limited:account"),
        (131_056, "rate_limited:pair"),
    ] {
        let body = json!({ "error": { "code": code, "is_transient": true } }).to_string();
        assert_eq!(word(failure(answer(400, &[], &body)).class), class, "code {code}");
    }
}

#[test]
fn an_answer_that_says_nothing_is_judged_by_its_status() {
    for (status, class) in [
        (200, "indeterminate"),
        (201, "indeterminate"),
        (400, "permanent:message"),
        (401, "permanent:account"),
        (403, "permanent:account"),
        (404, "permanent:message"),
        (408, "transient"),
        (429, "rate_limited:account"),
        (500, "transient"),
        (502, "indeterminate"),
        (503, "transient"),
        (504, "indeterminate"),
    ] {
        for body in ["", "<html>", "null", "[]", "{}", r#"{"error":"no"}"#, r#"{"messages":[]}"#] {
            let failure = failure(answer(status, &[], body));
            assert_eq!(word(failure.class), class, "{status} with {body:?}");
            assert_eq!(failure.code, None);
        }
    }
}

#[test]
fn a_token_that_meta_repeats_is_not_repeated_by_us() {
    let token = token();
    // The second begins so that cutting the detail would cut the token in two.
    for text in [format!("Malformed access token {token}"), "x".repeat(490) + &token] {
        let body = json!({ "error": { "message": text, "code": 190, "fbtrace_id": token } });
        let failure = failure(answer(401, &[], &body.to_string()));
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Account));
        assert!(!format!("{failure:?}").contains(&token[..8]), "{failure:?}");
        assert!(failure.detail.chars().count() <= 500);
    }
}
