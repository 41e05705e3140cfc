//! What holds for any message at all: no panic, no secret shown, and what passes the check can be sent.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use providers::{
    Address, Button, ContactCard, FileSource, Flow, FlowAction, FlowForm, Header, ListRow,
    ListSection, LoadedFile, MediaKind, MessageRef, OutboundContent, OutboundFile, OutboundMessage,
    PhoneNumber, ProductSection, Step, Template,
};
use serde_json::{Value, json};

use super::{account, answer, bearer, text_message, token};

/// Texts of all lengths around the limits, some of them blank.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        24 => "[a-z][a-zã\"\\\\\n ]{0,17}",
        1 => "\\PC{0,80}",
        1 => (prop::sample::select(vec![20_usize, 24, 60, 72, 200, 256, 1_024, 4_096]), 0..2_usize)
            .prop_map(|(length, more)| "ü".repeat(length + more)),
        1 => Just(" ".to_owned()),
    ]
}

fn file() -> impl Strategy<Value = OutboundFile> {
    let kinds = [
        MediaKind::Image,
        MediaKind::Audio,
        MediaKind::Voice,
        MediaKind::Video,
        MediaKind::Document,
        MediaKind::Sticker,
    ];
    let types = ["image/png", "audio/ogg", "audio/ogg; codecs=opus", "video/mp4", "image/webp"];
    let mime_type = prop_oneof![
        12 => prop::sample::select(types.to_vec()).prop_map(ToOwned::to_owned),
        1 => "\\PC{0,12}",
        1 => Just("a/b\r\nX: y".to_owned()),
    ];
    let source = prop_oneof![
        1 => "[a-z:/.]{0,12}".prop_map(FileSource::Link),
        4 => "[a-z]{0,9}".prop_map(|path| FileSource::Link(format!("https://example.com/{path}"))),
        4 => text().prop_map(FileSource::Stored),
    ];
    let size = prop_oneof![1 => any::<i64>(), 4 => 0..6_000_000_i64];
    (
        prop::sample::select(kinds.to_vec()),
        source,
        option::of(mime_type),
        option::of("\\PC{0,20}"),
        option::of(size),
    )
        .prop_map(|(media, source, mime_type, filename, size)| OutboundFile {
            media,
            source,
            mime_type,
            filename,
            size,
        })
}

fn header() -> BoxedStrategy<Option<Header>> {
    option::of(prop_oneof![
        text().prop_map(Header::Text),
        file().prop_map(|file| Header::File(Box::new(file)))
    ])
    .boxed()
}

fn invitations() -> BoxedStrategy<OutboundContent> {
    let words = || (text(), option::of(text()));
    let url = prop_oneof![4 => "https://[a-z]{1,9}\\.example/[a-z?=&%]{0,9}", 1 => text()];
    let id = || prop_oneof![4 => "[0-9]{1,16}", 1 => text()];
    let form = prop_oneof![id().prop_map(FlowForm::FlowId), text().prop_map(FlowForm::FlowName),];
    let action = prop::sample::select(vec![FlowAction::Navigate, FlowAction::DataExchange]);
    let data = prop::sample::select(vec![json!({ "a": [1] }), json!({}), json!("a"), Value::Null]);
    let begins = (option::of(action), option::of(text()), option::weighted(0.3, data));
    let section = (option::weighted(0.8, text()), vec(text(), 0..4));
    let section = section.prop_map(|(title, ids)| ProductSection { title, ids });
    prop_oneof![
        (header(), words(), text(), url).prop_map(|(header, (body, footer), text, url)| {
            OutboundContent::CtaUrl { header, body, footer, text, url }
        }),
        text().prop_map(|body| OutboundContent::LocationRequest { body }),
        (header(), words(), form, text(), option::of(text()), begins).prop_map(
            |(header, (body, footer), form, cta, token, (action, screen, data))| {
                OutboundContent::Flow(Box::new(Flow {
                    header,
                    body,
                    footer,
                    form,
                    cta,
                    token,
                    action,
                    screen,
                    data,
                }))
            }
        ),
        (id(), option::of(text()), words(), vec(section, 0..3)).prop_map(
            |(catalog_id, header, (body, footer), sections)| {
                OutboundContent::Products { catalog_id, header, body, footer, sections }
            }
        ),
        (text(), vec(text(), 0..4), any::<bool>()).prop_map(|(question, options, multiple)| {
            OutboundContent::Poll { question, options, multiple }
        }),
    ]
    .boxed()
}

fn choices() -> BoxedStrategy<OutboundContent> {
    let button = (text(), text()).prop_map(|(id, title)| Button { id, title });
    let row = (text(), text(), option::of(text()));
    let row = row.prop_map(|(id, title, description)| ListRow { id, title, description });
    let row = row.boxed();
    let rows = prop_oneof![9 => vec(row.clone(), 1..4), 1 => vec(row, 0..12)];
    let section = (option::weighted(0.9, text()), rows);
    let section = section.prop_map(|(title, rows)| ListSection { title, rows });
    let lines = || (option::of(text()), text(), option::of(text()));
    prop_oneof![
        (header(), lines(), vec(button, 0..5)).prop_map(|(header, (_, body, footer), buttons)| {
            OutboundContent::Buttons { header, body, footer, buttons }
        }),
        (lines(), text(), vec(section, 0..3)).prop_map(
            |((header, body, footer), button, sections)| {
                OutboundContent::List { header, body, footer, button, sections }
            }
        ),
    ]
    .boxed()
}

fn template() -> impl Strategy<Value = OutboundContent> {
    let key = prop_oneof![3 => "[1-4]", 1 => "[a-z_]{0,4}", 1 => "[0-9]{0,25}", 1 => "\\PC{0,4}"];
    let components = prop::sample::select(vec![
        json!([]),
        json!([{ "type": "body", "parameters": [] }]),
        json!([{}]),
        json!({}),
        Value::Null,
    ]);
    let numbered = vec(text(), 0..12).prop_map(|texts| {
        texts.into_iter().enumerate().map(|(index, text)| ((index + 1).to_string(), text)).collect()
    });
    let variables = prop_oneof![
        2 => numbered,
        1 => btree_map("[a-z_]{1,9}", text(), 0..3),
        1 => btree_map(key, text(), 0..4),
    ];
    let components = option::weighted(0.3, components);
    (text(), option::weighted(0.9, text()), variables, components).prop_map(
        |(name, language, variables, components)| {
            OutboundContent::Template(Template {
                name,
                language,
                variables,
                header: None,
                components,
            })
        },
    )
}

fn card() -> impl Strategy<Value = ContactCard> {
    let texts = || vec(text(), 0..3);
    (
        text(),
        texts(),
        texts(),
        option::of(text()),
        texts(),
        option::weighted(0.4, prop_oneof!["[0-9-]{8,11}", Just("1990-02-28".to_owned())]),
    )
        .prop_map(|(name, phones, emails, organization, addresses, birthday)| ContactCard {
            name,
            phones,
            emails,
            organization,
            addresses,
            urls: Vec::new(),
            birthday,
        })
}

fn content() -> impl Strategy<Value = OutboundContent> {
    prop_oneof![
        1 => (text(), any::<bool>())
            .prop_map(|(body, preview_url)| OutboundContent::Text { body, preview_url }),
        1 => (vec(file(), 0..3), option::of(text()))
            .prop_map(|(files, caption)| OutboundContent::Media { files, caption }),
        3 => file().prop_map(|file| OutboundContent::Media { files: vec![file], caption: None }),
        1 => (prop_oneof![any::<f64>(), -90.0..90.0], -180.0..180.0, option::of(text()), option::of(text())).prop_map(
            |(latitude, longitude, name, address)| OutboundContent::Location {
                latitude,
                longitude,
                name,
                address
            }
        ),
        1 => vec(card(), 0..3).prop_map(|cards| OutboundContent::Contacts { cards }),
        1 => (text(), option::of(text())).prop_map(|(target, emoji)| OutboundContent::Reaction {
            target: MessageRef(target),
            emoji
        }),
        2 => choices(),
        2 => invitations(),
        2 => template(),
    ]
}

fn message() -> impl Strategy<Value = OutboundMessage> {
    let to = prop_oneof![
        12 => "[1-9][0-9]{6,14}"
            .prop_map(|digits| Address::Phone(PhoneNumber::international(&digits).unwrap())),
        6 => "[A-Z]{2}\\.(ENT\\.)?[A-Za-z0-9]{1,20}".prop_map(Address::WaUser),
        1 => text().prop_map(Address::WaUser),
        1 => text().prop_map(Address::Handle),
    ];
    (content(), to, option::weighted(0.2, text()), any::<bool>(), "[a-z]\\PC{0,40}").prop_map(
        |(content, to, reply_to, with_bytes, id)| {
            let count = content.files().len();
            let loaded = LoadedFile {
                bytes: with_bytes.then(|| "a file\0\r\n--".into()),
                link: (!with_bytes).then(|| "https://example.com/ours".to_owned()),
            };
            let reply_to = reply_to.map(MessageRef);
            OutboundMessage {
                id,
                content,
                to,
                reply_to,
                files: vec![loaded; count],
                ..text_message()
            }
        },
    )
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_the_check_accepts_becomes_a_request(message in message()) {
        let account = account();
        let messages = account.messages().unwrap();
        let verdict = messages.check(&message);
        prop_assert_eq!(&messages.check(&message), &verdict, "it judges the same twice");
        let step = messages.step(&message, &[]);
        let shown = format!("{step:?}");
        prop_assert!(!shown.contains(&token()), "{}", shown);
        prop_assert_eq!(step.is_ok(), verdict.is_ok(), "{:?} {:?}", step, verdict);
        let Ok(Step::Next(request)) = step else {
            prop_assert!(verdict.is_err(), "nothing is sent without a request");
            return Ok(());
        };
        prop_assert_eq!(bearer(&request), Some(token()));
        prop_assert!(!request.http.uri().to_string().contains(&token()));
        let is_upload = request.http.uri().path().ends_with("/media");
        prop_assert_eq!(request.repeatable, is_upload, "only an upload may be repeated");
        let body = match is_upload {
            false => request.http.body().clone(),
            true => {
                let uploaded = [answer(200, &[], r#"{"id":"990011"}"#)];
                match messages.step(&message, &uploaded) {
                    Ok(Step::Next(request)) => request.http.body().clone(),
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(&body["biz_opaque_callback_data"], &json!(message.id));
        prop_assert!(body["to"].is_string() != body["recipient"].is_string());
        let kind = body["type"].as_str().unwrap();
        prop_assert!(!body[kind].is_null(), "the type names its block");
        prop_assert!(!has_null(&body), "what is missing is left out: {}", body);
    }

    #[test]
    fn no_answer_makes_a_panic_or_shows_the_token(
        status in 100..600_u16,
        noise in "\\PC{0,60}",
        shape in 0..6_usize,
        wait in "[0-9]{0,22}",
    ) {
        let token = token();
        let said = json!(format!("{noise}{token}"));
        let body = [
            json!({ "error": { "message": said, "code": noise, "error_subcode": token } }),
            json!({ "error": { "message": said, "code": 4, "error_data": { "details": said } } }),
            json!({ "error": { "code": 190, "error_data": noise, "is_transient": noise } }),
            json!({ "messages": [{ "id": null }], "contacts": [] }),
            json!({ "error": [] }),
            json!(noise),
        ][shape].to_string();
        let usage = format!(r#"{{"1":[{{"estimated_time_to_regain_access":{wait}}}]}}"#);
        let headers = [("retry-after", wait.as_str()), ("x-business-use-case-usage", &usage)];
        let response = answer(status, &headers, &body);
        let account = account();
        let step = account.messages().unwrap().step(&text_message(), std::slice::from_ref(&response));
        let failures = [
            step.expect_err("it refuses"),
            account.media().unwrap().refused(&response),
            account.templates().unwrap().listed(&response).expect_err("it refuses"),
            account.health().unwrap().diagnose(&response).expect_err("it refuses"),
            account.receipts().unwrap().done(&response).expect_err("it refuses"),
        ];
        for failure in failures {
            prop_assert!(failure.detail.chars().count() <= 600, "{:?}", failure);
            prop_assert!(failure.retry_after.is_none_or(|wait| wait.as_secs() <= 86_400));
            prop_assert!(!failure.detail.contains(&token), "{:?}", failure);
        }
    }
}
