//! What is asked of Twilio beside sending: what became of a message, files, templates, typing, and whether the
//! credentials work.

use providers::{
    Address, Attachment, ListedTemplate, MediaKind, MediaStep, MessageRef, OutboundContent,
    ProviderResponse, Sender, Step, TemplateDraft, Timestamp, Told,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{answer, cases, class, open};
use crate::fixtures;
use crate::openapi::operation_of;
use crate::twilio_sending::{KEY, account, text, twilio};

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

fn draft() -> TemplateDraft {
    TemplateDraft {
        name: "visit".to_owned(),
        language: "pt_BR".to_owned(),
        category: Some("utility".to_owned()),
        parameter_format: None,
        components: json!({ "types": { "twilio/text": { "body": "Olá {{1}}!" } }, "variables": { "1": "Ana" } }),
    }
}

#[test]
fn a_content_is_made_submitted_and_taken_back_where_whatsapp_is_not_asked() {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    let sid = "HX60e066266448767f61feb97debf684c1";
    let draft = draft();
    drafts.check(&draft).unwrap();
    let next = |draft: &TemplateDraft, answers: &[ProviderResponse]| match drafts
        .create(draft, answers)
        .unwrap()
    {
        Step::Next(request) => {
            assert!(!request.repeatable);
            let body = serde_json::from_slice(request.http.body()).unwrap_or_default();
            (operation_of(twilio(), &request.http), body)
        }
        Step::Done(made) => ("made".to_owned(), serde_json::to_value(made).unwrap()),
    };
    let (operation, body) = next(&draft, &[]);
    assert_eq!(operation, "CreateContent");
    let wanted = json!({ "friendly_name": "visit", "language": "pt_BR", "variables": { "1": "Ana" },
                         "types": { "twilio/text": { "body": "Olá {{1}}!" } } });
    assert_eq!(body, wanted);
    let made = || answer(201, json!({ "sid": sid }));
    let (operation, body) = next(&draft, &[made()]);
    assert_eq!(
        (operation.as_str(), body),
        ("CreateApprovalCreate", json!({ "name": "visit", "category": "UTILITY" }))
    );
    let submitted = answer(201, json!({ "status": "received", "category": "UTILITY" }));
    let (_, listed) = next(&draft, &[made(), submitted]);
    assert_eq!((&listed["id"], &listed["status"]), (&json!(sid), &json!("received")));
    assert_eq!(listed["components"], draft.components);
    let unasked = TemplateDraft { category: None, ..draft.clone() };
    assert_eq!(next(&unasked, &[made()]).1["status"], "unsubmitted");

    let refused =
        || answer(400, json!({ "code": 63040, "message": "Template rejected", "status": 400 }));
    assert_eq!(next(&draft, &[made(), refused()]).0, "DeleteContent");
    let failure = drafts.create(&draft, &[made(), refused(), answer(204, json!(""))]).unwrap_err();
    assert_eq!(failure.code.as_deref(), Some("63040"));
    assert!(!failure.detail.contains(sid), "nothing is left: {}", failure.detail);
    let left = drafts.create(&draft, &[made(), refused(), answer(503, json!(""))]).unwrap_err();
    assert!(left.detail.contains(sid), "it says what is left: {}", left.detail);

    let known = ListedTemplate {
        id: sid.to_owned(),
        name: draft.name.clone(),
        language: draft.language.clone(),
        status: "approved".to_owned(),
        category: draft.category.clone(),
        parameter_format: None,
        components: draft.components.clone(),
    };
    assert!(drafts.change(&known, &draft).is_none(), "a content stays what it is");
    assert!(drafts.delete_all("visit").is_none());
    assert_eq!(operation_of(twilio(), &drafts.delete(&known).http), "DeleteContent");
    assert_eq!(drafts.deleted(&answer(204, json!(""))), Ok(()));
    assert_eq!(drafts.deleted(&answer(404, json!({ "code": 20404, "status": 404 }))), Ok(()));
    assert!(drafts.deleted(&answer(404, json!("<html>"))).is_err(), "that was not Twilio");
}

#[test]
fn what_whatsapp_would_not_approve_of_a_content_is_refused_by_its_member() {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    let with = |change: fn(&mut TemplateDraft)| {
        let mut draft = draft();
        change(&mut draft);
        drafts.check(&draft).unwrap_err().field
    };
    assert_eq!(with(|draft| draft.name = "A visit".to_owned()), "name");
    assert_eq!(with(|draft| draft.language = "p".to_owned()), "language");
    assert_eq!(with(|draft| draft.category = Some("sale".to_owned())), "category");
    assert_eq!(with(|draft| draft.parameter_format = Some("named".to_owned())), "parameter_format");
    assert_eq!(with(|draft| draft.components = json!([])), "components.types");
    assert_eq!(with(|draft| draft.components["text"] = json!("x")), "components.text");
    assert_eq!(with(|draft| draft.components["variables"] = json!({})), "components.variables.1");
    let long = |draft: &mut TemplateDraft| {
        draft.components["types"]["twilio/text"]["body"] = json!("x".repeat(1_601));
    };
    assert_eq!(with(long), "components.types.twilio/text.body");
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
