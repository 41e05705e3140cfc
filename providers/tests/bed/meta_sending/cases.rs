//! What Meta is sent for a message, and what becomes of its answers: snapshots in `fixtures/meta/sending/expected`.

use providers::{ProviderResponse, Sent, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AnswerFixture, MessageFixture, account, folder, show, show_failure, token};

/// One file of `cases/`.
#[derive(Debug, Deserialize)]
struct Case {
    #[serde(flatten)]
    message: MessageFixture,
    answers: Vec<AnswerFixture>,
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder().join("cases")).unwrap();
    let name = |file: std::fs::DirEntry| file.file_name().into_string().unwrap();
    let mut names: Vec<String> = files.map(|file| name(file.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn every_message_is_sent_as_its_snapshot_says() {
    for name in names() {
        let case: Case = super::read(&format!("cases/{name}"));
        let story = tell(&case);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder().join("expected"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let name = name.trim_end_matches(".json").to_owned();
        settings.bind(|| insta::assert_json_snapshot!(name, story));
    }
}

#[test]
fn every_snapshot_of_sending_has_its_case() {
    let names = names();
    assert!(names.len() >= 20, "only {} cases", names.len());
    for file in std::fs::read_dir(folder().join("expected")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        let name = format!("{}.json", file.trim_end_matches(".snap"));
        assert!(names.contains(&name), "{file} has no case");
    }
}

/// Every step, until something is done or fails. All answers must have been needed.
fn tell(case: &Case) -> Value {
    let account = account();
    let message = case.message.message();
    let messages = account.messages().unwrap();
    let mut story = Vec::new();
    let mut answers: Vec<ProviderResponse> = Vec::new();
    loop {
        match messages.step(&message, &answers) {
            Ok(Step::Next(request)) => {
                assert_eq!(super::bearer(&request), Some(token()));
                story.push(show(&request));
                let next = case.answers.get(answers.len()).expect("an answer for each request");
                answers.push(next.response());
            }
            Ok(Step::Done(sent)) => {
                story.push(show_sent(&sent));
                break;
            }
            Err(failure) => {
                story.push(json!({ "failure": show_failure(&failure) }));
                break;
            }
        }
    }
    assert_eq!(answers.len(), case.answers.len(), "an answer was not needed");
    assert!(answers.len() <= 4, "at most four requests a message");
    Value::Array(story)
}

fn show_sent(sent: &Sent) -> Value {
    json!({
        "sent": {
            "references": sent.references,
            "status": sent.status,
            "recipient": sent.recipient,
        }
    })
}
