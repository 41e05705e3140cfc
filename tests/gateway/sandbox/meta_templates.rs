//! Templates at Meta's emulator.

use chrono::TimeDelta;
use providers::EventKind;
use serde_json::{Value, json};

use super::meta::{WABA, code, ours, send, token};
use super::{Rig, answer};

#[tokio::test]
async fn meta_wants_of_a_template_what_the_template_has() {
    let rig = Rig::start().await;
    let template = |name: &str, language: &str, components: Value| {
        json!({ "type": "template",
            "template": { "name": name, "language": { "code": language }, "components": components } })
    };
    let text = json!([{ "type": "text", "text": "Ana" }]);
    let link = json!({ "link": "https://files.example/a.pdf" });
    let document = json!([{ "type": "document", "document": link }]);
    let image = json!([{ "type": "image", "image": link }]);
    let part = |kind: &str, parameters: &Value| json!({ "type": kind, "parameters": parameters });
    let button = |index: Value, parameters: &Value| json!({ "type": "button", "sub_type": "url", "index": index, "parameters": parameters });
    let hello = |parts: Value| template("hello_world", "en_US", parts);
    let invoice = |parts: Value| template("invoice", "pt_BR", parts);
    let shipped = |parts: Value| template("order_shipped", "en_US", parts);
    let (head, body) = (part("header", &text), part("body", &text));
    let refused = [
        (hello(json!([head])), 132_000),
        (hello(json!([part("header", &image)])), 132_012),
        (hello(json!([body])), 132_000),
        (invoice(json!([body])), 132_012),
        (invoice(json!([part("header", &image), body])), 132_012),
        (invoice(json!([head, body])), 132_012),
        (shipped(json!([head, body])), 131_008),
        (shipped(json!([body, button(json!("0"), &text)])), 132_000),
        (shipped(json!([head, body, button(json!("7"), &text)])), 132_012),
        (template("payment_link", "en_US", json!([body])), 132_012),
    ];
    for (message, wanted) in refused {
        let refused = send(&rig, message.clone()).await;
        assert_eq!(code(&refused), wanted, "{message}: {}", refused.1);
    }
    let taken = [
        invoice(json!([part("HEADER", &document), part("BODY", &text)])),
        shipped(json!([part("Header", &text), part("body", &text), button(json!(0), &text)])),
    ];
    for message in taken {
        let (status, answer) = send(&rig, message.clone()).await;
        assert_eq!(status, 200, "{message}: {answer}");
    }
}

#[tokio::test]
async fn meta_looks_at_templates_and_tells_what_it_thinks() {
    let rig = Rig::start().await;
    let token = token();
    let url = rig.url(&format!("/meta/v25.0/{WABA}/message_templates"));
    let call = async |method: reqwest::Method, url: &str, body: Value| {
        answer(rig.http.request(method, url).bearer_auth(&token).json(&body)).await
    };
    let make = async |name: &str, components: Value| {
        let body = json!({ "name": name, "language": "pt_BR", "category": "utility", "components": components });
        call(reqwest::Method::POST, &url, body).await
    };
    let subcode =
        |answer: &(u16, Value)| answer.1["error"]["error_subcode"].as_i64().unwrap_or_default();
    let parts =
        || json!([{ "type": "body", "text": "Olá {{1}}!", "example": { "body_text": [["Ana"]] } }]);
    let refused = [
        (json!([{ "type": "BODY", "text": "Olá {{1}}!" }]), 2_388_072),
        (
            json!([{ "type": "BODY", "text": "Olá {{1}}", "example": { "body_text": [["Ana"]] } }]),
            2_388_299,
        ),
        (json!([{ "type": "BODY", "text": "x".repeat(1_025) }]), 2_388_040),
        (
            json!([{ "type": "BODY", "text": "x" }, { "type": "HEADER", "format": "IMAGE" }]),
            2_388_047,
        ),
        (
            json!([{ "type": "BODY", "text": "x" }, { "type": "FOOTER", "text": "{{1}}" }]),
            2_388_073,
        ),
    ];
    for (components, wanted) in refused {
        assert_eq!(subcode(&make("visit", components.clone()).await), wanted, "{components}");
    }
    let (status, visit) = make("visit", parts()).await;
    assert_eq!((status, &visit["status"]), (200, &json!("PENDING")), "{visit}");
    assert_eq!(subcode(&make("visit", parts()).await), 2_388_024);
    make("visit_rejected", parts()).await;
    let news: Vec<String> = rig
        .webhooks()
        .await
        .into_iter()
        .map(ours)
        .flat_map(|batch| batch.events)
        .map(news)
        .collect();
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(news.contains(&"visit approved".to_owned()), "{news:?}");
    assert!(news.contains(&"visit_rejected rejected".to_owned()), "{news:?}");

    let one = rig.url(&format!("/meta/v25.0/{}", visit["id"].as_str().unwrap()));
    let (_, shown) =
        call(reqwest::Method::GET, &format!("{one}?fields=name,status"), Value::Null).await;
    assert_eq!(shown, json!({ "id": visit["id"], "name": "visit", "status": "APPROVED" }));
    let edit = json!({ "components": [{ "type": "BODY", "text": "Até logo." }] });
    assert_eq!(call(reqwest::Method::POST, &one, edit).await, (200, json!({ "success": true })));
    let other = json!({ "name": "other" });
    assert_eq!(code(&call(reqwest::Method::POST, &one, other).await), 100);
    rig.webhooks().await;
    let moved = json!({ "category": "MARKETING" });
    assert_eq!(code(&call(reqwest::Method::POST, &one, moved).await), 100, "it is approved");

    let gone = format!("{url}?name=visit");
    assert_eq!(call(reqwest::Method::DELETE, &gone, Value::Null).await.0, 200);
    assert_eq!(subcode(&call(reqwest::Method::DELETE, &gone, Value::Null).await), 2_593_002);
    assert_eq!(subcode(&make("visit", parts()).await), 2_388_023, "its name is taken for a while");
    rig.sandbox.advance(TimeDelta::days(31));
    assert_eq!(make("visit", parts()).await.0, 200);
}

/// What a webhook says of a template.
fn news(event: providers::Event) -> String {
    let EventKind::Notice(notice) = event.kind else { panic!("{event:?}") };
    let template = notice.template.unwrap();
    format!("{} {}", template.name, template.status)
}
