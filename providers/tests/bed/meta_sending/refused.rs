//! Messages that Meta would refuse are refused by us, with the member and the limit named.

use providers::{Cause, FailureClass, OutboundContent, OutboundFile, Reach, Sender};
use serde::Deserialize;

use super::{MessageFixture, account, text_message};

#[derive(Debug, Deserialize)]
struct Refused {
    #[serde(flatten)]
    message: MessageFixture,
    /// What is said of it, word for word.
    says: String,
}

#[test]
fn every_overstepped_limit_is_named() {
    let account = account();
    let messages = account.messages().unwrap();
    let all: Vec<Refused> = super::read("refused.json");
    assert!(all.len() >= 40);
    for refused in all {
        let message = refused.message.message();
        let unfit = messages.check(&message).expect_err(&refused.says);
        assert_eq!(unfit.to_string(), refused.says);
        // It is not sent either, and the message is to blame, or the recipient.
        let failure = messages.step(&message, &[]).expect_err(&refused.says);
        let cause = match unfit.field.as_str() {
            "to" => Cause::Recipient(Reach::NotThisTime),
            _ => Cause::Message,
        };
        assert_eq!(failure.class, FailureClass::Permanent(cause), "{}", refused.says);
        assert_eq!(failure.detail, refused.says);
    }
}

/// The longest texts that are accepted, and by one character the shortest that are not.
#[test]
fn a_limit_counts_characters_and_is_itself_allowed() {
    let button = |id: &str, title: &str| format!(r#"{{"id":"{id}","title":"{title}"}}"#);
    let buttons = |header: &str, body: &str, footer: &str, button: &str| {
        format!(
            r#"{{"kind":"buttons","header":"{header}","body":"{body}","footer":"{footer}","buttons":[{button}]}}"#
        )
    };
    let list = |body: &str, button: &str, title: &str, row: &str| {
        format!(
            r#"{{"kind":"list","body":"{body}","button":"{button}","sections":[{{"title":"{title}","rows":[{row}]}}]}}"#
        )
    };
    let row = |id: &str, title: &str, description: &str| {
        format!(r#"{{"id":"{id}","title":"{title}","description":"{description}"}}"#)
    };
    let image = r#"{"kind":"media","caption":"§","files":[{"media":"image","source":{"link":"https://example.com/a.png"}}]}"#;
    let limits: [(usize, String); 15] = [
        (4_096, r#"{"kind":"text","body":"§"}"#.to_owned()),
        (1_024, image.to_owned()),
        (60, buttons("§", "b", "f", &button("i", "t"))),
        (1_024, buttons("h", "§", "f", &button("i", "t"))),
        (60, buttons("h", "b", "§", &button("i", "t"))),
        (256, buttons("h", "b", "f", &button("§", "t"))),
        (20, buttons("h", "b", "f", &button("i", "§"))),
        (4_096, list("§", "o", "t", &row("i", "r", "d"))),
        (20, list("b", "§", "t", &row("i", "r", "d"))),
        (24, list("b", "o", "§", &row("i", "r", "d"))),
        (200, list("b", "o", "t", &row("§", "r", "d"))),
        (24, list("b", "o", "t", &row("i", "§", "d"))),
        (72, list("b", "o", "t", &row("i", "r", "§"))),
        (512, r#"{"kind":"template","name":"§","language":"pt_BR"}"#.to_owned()),
        // What has no limit in the contract is not cut short.
        (9_999, r#"{"kind":"location","latitude":1,"longitude":2,"name":"§"}"#.to_owned()),
    ];
    keep(&limits);
}

#[test]
fn a_limit_of_an_invitation_is_itself_allowed() {
    let page = |header: &str, body: &str, footer: &str, text: &str| {
        format!(
            r#"{{"kind":"cta_url","header":"{header}","body":"{body}","footer":"{footer}","text":"{text}","url":"https://a.example"}}"#
        )
    };
    let flow = |body: &str, cta: &str, token: &str| {
        format!(
            r#"{{"kind":"flow","body":"{body}","flow_id":"7","cta":"{cta}","token":"{token}"}}"#
        )
    };
    let products = |header: &str, body: &str, title: &str, id: &str| {
        format!(
            r#"{{"kind":"products","catalog_id":"7","header":"{header}","body":"{body}","sections":[{{"title":"{title}","ids":["{id}","b"]}}]}}"#
        )
    };
    keep(&[
        (60, page("§", "b", "f", "t")),
        (1_024, page("h", "§", "f", "t")),
        (60, page("h", "b", "§", "t")),
        (20, page("h", "b", "f", "§")),
        (1_024, r#"{"kind":"location_request","body":"§"}"#.to_owned()),
        (1_024, flow("§", "c", "t")),
        (20, flow("b", "§", "t")),
        (9_999, flow("b", "c", "§")),
        (60, products("§", "b", "t", "a")),
        (1_024, products("h", "§", "t", "a")),
        (24, products("h", "b", "§", "a")),
        (100, products("h", "b", "t", "§")),
    ]);
}

/// Whether texts of these lengths fit where `§` stands, and longer ones do not; 9999 stands for no limit.
fn keep(limits: &[(usize, String)]) {
    let account = account();
    let messages = account.messages().unwrap();
    let content = |template: &str, text: &str| -> OutboundContent {
        serde_json::from_str(&template.replace("§", text)).unwrap()
    };
    for (most, template) in limits {
        let most = *most;
        let mut message = text_message();
        // Templates' names are plain; everything else may be any character.
        let one = if template.contains("template") { "a" } else { "ã" };
        message.content = content(template, &one.repeat(most));
        assert_eq!(messages.check(&message), Ok(()), "{most} characters in {template}");
        message.content = content(template, &one.repeat(most + 1));
        let verdict = messages.check(&message);
        if most == 9_999 {
            assert_eq!(verdict, Ok(()));
            continue;
        }
        let reason = verdict.expect_err(template).reason;
        assert_eq!(reason, format!("at most {most} characters, {} were given", most + 1));
    }
}

#[test]
fn a_file_of_the_largest_size_is_accepted_and_one_byte_more_is_not() {
    let account = account();
    let messages = account.messages().unwrap();
    let sizes = [
        ("image", "image/png", 5 << 20, "5 MB"),
        ("audio", "audio/amr", 16 << 20, "16 MB"),
        ("voice", "audio/ogg; codecs=opus", 16 << 20, "16 MB"),
        ("video", "video/3gpp", 16 << 20, "16 MB"),
        ("document", "application/pdf", 100 << 20, "100 MB"),
        ("sticker", "image/webp", 500 << 10, "500 KB"),
    ];
    for (kind, mime_type, most, name) in sizes {
        let file = |size: i64| -> OutboundFile {
            let source = serde_json::json!({ "stored": "7" });
            let file = serde_json::json!({ "media": kind, "source": source, "mime_type": mime_type, "size": size });
            serde_json::from_value(file).unwrap()
        };
        let mut message = text_message();
        message.content = OutboundContent::Media { files: vec![file(most)], caption: None };
        assert_eq!(messages.check(&message), Ok(()), "{kind}");
        message.content = OutboundContent::Media { files: vec![file(most + 1)], caption: None };
        let unfit = messages.check(&message).unwrap_err();
        assert_eq!(unfit.field, "content.files[0].size");
        let size = most + 1;
        let reason = format!("{kind} files have at most {name}, this one has {size} bytes");
        assert_eq!(unfit.reason, reason);
    }
}

#[test]
fn a_loaded_file_is_measured_whatever_was_announced() {
    let account = account();
    let file = serde_json::json!({ "media": "sticker", "source": { "stored": "7" }, "size": 3 });
    let mut message = text_message();
    let files = vec![serde_json::from_value(file).unwrap()];
    message.content = OutboundContent::Media { files, caption: None };
    let bytes = vec![0; (500 << 10) + 1];
    message.files = vec![providers::LoadedFile { bytes: Some(bytes.into()), link: None }];
    assert!(account.messages().unwrap().check(&message).is_err());
}

#[test]
fn a_route_without_a_handle_is_the_accounts_fault() {
    let account = account();
    let messages = account.messages().unwrap();
    for handle in [None, Some(String::new()), Some("../me".to_owned()), Some("1 2".to_owned())] {
        let mut message = text_message();
        message.from = Sender { address: "+551140028922".to_owned(), handle };
        assert_eq!(messages.check(&message), Ok(()), "the message itself is well");
        let failure = messages.step(&message, &[]).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Account));
        let person = message.to;
        let read = providers::MessageRef("wamid.1".to_owned());
        assert!(account.receipts().unwrap().read(&message.from, &person, &read, true).is_none());
    }
}
