//! Questions to Meta: files, receipts, templates, health.

use providers::{
    Attachment, Cause, Download, Failure, FailureClass, MediaKind, MediaStep, MessageRef,
    ProviderResponse,
};
use serde_json::json;

use super::{account, answer, bearer, phone, sender, show, token, word};

const FILE_URL: &str = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=13&ext=17";

fn attachment(media_id: Option<&str>, url: Option<&str>) -> Attachment {
    Attachment {
        kind: MediaKind::Image,
        media_id: media_id.map(ToOwned::to_owned),
        url: url.map(ToOwned::to_owned),
        mime_type: None,
        filename: None,
        size: None,
        sha256: Some("of the webhook".to_owned()),
    }
}

fn media_step(file: &Attachment, answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
    account().media().unwrap().step(file, answers)
}

fn download(step: Result<MediaStep, Failure>) -> Download {
    match step {
        Ok(MediaStep::Download(download)) => download,
        other => panic!("no download: {other:?}"),
    }
}

/// What stands in the URL of the snapshot's request.
fn asked(request: &providers::ProviderRequest) -> (String, String) {
    assert_eq!(bearer(request), Some(token()));
    (request.http.method().to_string(), request.http.uri().to_string())
}

#[test]
fn a_file_is_asked_for_by_its_id_and_then_fetched_with_the_token() {
    // The address of the webhook is too old by now, so it is not used where there is an id.
    let file = attachment(Some("1479537139650973"), Some("https://lookaside.fbsbx.com/old"));
    let Ok(MediaStep::Ask(question)) = media_step(&file, &[]) else { panic!("no question") };
    let url = "https://graph.facebook.com/v24.0/1479537139650973".to_owned();
    assert_eq!(asked(&question), ("GET".to_owned(), url));
    assert!(question.repeatable);
    let body = json!({
        "messaging_product": "whatsapp", "url": FILE_URL, "mime_type": "image/jpeg",
        "sha256": "of the answer", "file_size": 303_833, "id": "1479537139650973",
    });
    let download = download(media_step(&file, &[answer(200, &[], &body.to_string())]));
    assert_eq!(asked(&download.request), ("GET".to_owned(), FILE_URL.to_owned()));
    assert!(download.request.repeatable);
    let expected = Attachment {
        url: Some(FILE_URL.to_owned()),
        mime_type: Some("image/jpeg".to_owned()),
        size: Some(303_833),
        ..file
    };
    assert_eq!(download.expected, expected, "the webhook's digest stays");
}

#[test]
fn a_file_that_has_only_an_address_is_fetched_at_once() {
    let download = download(media_step(&attachment(None, Some(FILE_URL)), &[]));
    assert_eq!(asked(&download.request).1, FILE_URL);
}

#[test]
fn a_file_that_is_gone_is_the_messages_fault() {
    let file = attachment(Some("1479537139650973"), None);
    let unknown = json!({ "error": { "message": "Unsupported get request.", "code": 100, "error_subcode": 33 } });
    for gone in [answer(404, &[], ""), answer(400, &[], &unknown.to_string())] {
        let failure = media_step(&file, &[gone]).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Message));
    }
    let nowhere = media_step(&attachment(None, None), &[]).unwrap_err();
    assert_eq!(nowhere.class, FailureClass::Permanent(Cause::Message));
    for odd in ["", "../x", "a b", "1?fields=x", &"9".repeat(300)] {
        let failure = media_step(&attachment(Some(odd), None), &[]).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Message), "{odd}");
    }
}

#[test]
fn the_token_only_goes_to_meta_and_to_where_the_api_is() {
    for (url, trusted) in [
        ("https://lookaside.fbsbx.com/a", true),
        ("https://scontent.xx.fbcdn.net/a", true),
        ("https://mmg.whatsapp.net/a", true),
        ("https://graph.facebook.com/a", true),
        ("https://fbsbx.com.example.org/a", false),
        ("https://evilfbsbx.com/a", false),
        ("https://203.0.113.9/a", false),
        ("https://fbsbx.com@example.org/a", false),
    ] {
        match media_step(&attachment(None, Some(url)), &[]) {
            Ok(MediaStep::Download(download)) => {
                assert_eq!(bearer(&download.request).is_some(), trusted, "{url}");
            }
            Ok(MediaStep::Ask(_) | MediaStep::Unwrap { .. }) => {
                panic!("{url}: there is nothing to ask")
            }
            Err(failure) => {
                assert_eq!(failure.class, FailureClass::Permanent(Cause::Message));
                assert!(url.contains('@'), "{url}: {failure:?}");
            }
        }
    }
    for url in ["http://lookaside.fbsbx.com/a", "ftp://example.org/a", "file:///etc/passwd", "a"] {
        assert!(media_step(&attachment(None, Some(url)), &[]).is_err(), "{url}");
    }
}

#[test]
fn a_refused_download_never_blames_the_account_without_a_code() {
    let account = account();
    let media = account.media().unwrap();
    for (status, class) in [
        (401, "permanent:message"),
        (403, "permanent:message"),
        (404, "permanent:message"),
        (410, "permanent:message"),
        (429, "rate_limited:account"),
        (500, "transient"),
        (502, "transient"),
        (504, "transient"),
    ] {
        let failure = media.refused(&answer(status, &[], "<html>…</html>"));
        assert_eq!(word(failure.class), class, "{status}");
    }
    let expired = json!({ "error": { "message": "Session has expired", "code": 190 } });
    let failure = media.refused(&answer(401, &[], &expired.to_string()));
    assert_eq!(failure.class, FailureClass::Permanent(Cause::Account));
}

#[test]
fn a_message_is_marked_as_read_and_we_are_seen_typing() {
    let account = account();
    let receipts = account.receipts().unwrap();
    let person = phone("+5511987654321");
    let message = MessageRef("wamid.HBgNNTUxMTk4".to_owned());
    let request = receipts.read(&sender(), &person, &message, true).unwrap();
    assert!(request.repeatable);
    let shown = show(&request);
    assert_eq!(shown["url"], "https://graph.facebook.com/v24.0/106540352242922/messages");
    let mut body = json!({
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.HBgNNTUxMTk4",
        "typing_indicator": { "type": "text" },
    });
    assert_eq!(shown["body"], body);
    let request = receipts.read(&sender(), &person, &message, false).unwrap();
    body.as_object_mut().unwrap().remove("typing_indicator");
    assert_eq!(show(&request)["body"], body);
    assert_eq!(receipts.done(&answer(200, &[], r#"{"success":true}"#)), Ok(()));
    for (status, body, class) in [
        (200, r#"{"success":false}"#, "transient"),
        (200, "", "transient"),
        (502, "", "transient"),
        (400, r#"{"error":{"code":100}}"#, "permanent:message"),
        (401, r#"{"error":{"code":190}}"#, "permanent:account"),
    ] {
        let failure = receipts.done(&answer(status, &[], body)).unwrap_err();
        assert_eq!(word(failure.class), class, "{status} {body}");
    }
}

#[test]
fn templates_are_listed_page_by_page() {
    let account = account();
    let templates = account.templates().unwrap();
    let first = "https://graph.facebook.com/v24.0/102290129340398/message_templates?fields=id,name,language,status,category,parameter_format,components&limit=100";
    assert_eq!(asked(&templates.list(None)).1, first);
    let second = templates.list(Some("MjQ=&a b"));
    assert_eq!(asked(&second).1, format!("{first}&after=MjQ%3D%26a+b"));
    let huge = "%".repeat(100_000);
    assert!(asked(&templates.list(Some(&huge))).1.len() < 4_000);
    let body = json!({
        "data": [
            {
                "id": "1259544702043867", "name": "order_shipped", "language": "pt_BR",
                "status": "APPROVED", "category": "UTILITY", "parameter_format": "POSITIONAL",
                "components": [{ "type": "BODY", "text": "Order {{1}} is on its way." }],
            },
            { "id": 1_259_544_702_043_868_i64, "name": "hello", "language": "en_US", "status": "PAUSED" },
            { "id": "7", "name": "nameless in every language", "status": "REJECTED" },
            17,
        ],
        "paging": { "cursors": { "before": "MAZDZD", "after": "MjQZD" }, "next": "https://graph.facebook.com/…" },
    });
    let page = templates.listed(&answer(200, &[], &body.to_string())).unwrap();
    assert_eq!(page.next.as_deref(), Some("MjQZD"));
    let known: Vec<(&str, &str, &str)> = page
        .templates
        .iter()
        .map(|template| (template.id.as_str(), template.name.as_str(), template.status.as_str()))
        .collect();
    let expected = [
        ("1259544702043867", "order_shipped", "approved"),
        ("1259544702043868", "hello", "paused"),
    ];
    assert_eq!(known, expected);
    assert_eq!(page.templates[0].category.as_deref(), Some("utility"));
    assert_eq!(page.templates[0].parameter_format.as_deref(), Some("positional"));
    assert_eq!(page.templates[1].parameter_format, None);
    assert_eq!(page.templates[0].components, body["data"][0]["components"]);
    // The last page has cursors too, but no next page.
    let last = r#"{"data":[],"paging":{"cursors":{"before":"a","after":"b"}}}"#;
    assert_eq!(templates.listed(&answer(200, &[], last)).unwrap().next, None);
    let unreadable = templates.listed(&answer(200, &[], "<html>")).unwrap_err();
    assert_eq!(unreadable.class, FailureClass::Transient);
}

#[test]
fn an_account_is_well_if_its_token_sees_its_own_waba() {
    let account = account();
    let health = account.health().unwrap();
    let url = "https://graph.facebook.com/v24.0/102290129340398?fields=id,name";
    assert_eq!(asked(&health.probe()).1, url);
    assert!(health.probe().repeatable);
    let well = r#"{"id":"102290129340398","name":"Aurora"}"#;
    assert_eq!(health.diagnose(&answer(200, &[], well)), Ok(()));
    for (status, body, class) in [
        (200, r#"{"id":"1","name":"Somebody else"}"#, "transient"),
        (400, r#"{"error":{"code":100,"error_subcode":33}}"#, "permanent:account"),
        (401, r#"{"error":{"code":190,"error_subcode":463}}"#, "permanent:account"),
        (404, "", "permanent:account"),
        (400, r#"{"error":{"code":80008}}"#, "rate_limited:account"),
        (400, r#"{"error":{"code":4}}"#, "rate_limited:account"),
        (503, "", "transient"),
        (504, "", "transient"),
    ] {
        let failure = health.diagnose(&answer(status, &[], body)).unwrap_err();
        assert_eq!(word(failure.class), class, "{status} {body}");
    }
}
