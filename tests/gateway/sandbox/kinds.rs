//! Pages, places, forms, products and polls: the emulators refuse of them what the providers refuse.

use serde_json::{Value, json};

use super::{Rig, answer};

const LINE: &str = "+551140028922";

/// The credential of the fixtures' account.
fn secret(provider: &str, name: &str) -> String {
    let provider = providers::provider(provider).unwrap();
    let account = switchboard::sandbox::accounts(provider).into_iter().next().unwrap();
    account.secrets[name].clone()
}

/// What Meta says to an interactive message: its code, 0 if it takes it.
async fn meta(rig: &Rig, interactive: &Value) -> i64 {
    let body = json!({ "messaging_product": "whatsapp", "to": "5511987654321", "type": "interactive", "interactive": interactive });
    let url = rig.url("/meta/v25.0/106540352242922/messages");
    let token = secret("meta", "access_token");
    let (_, answer) = answer(rig.http.post(url).bearer_auth(token).json(&body)).await;
    answer["error"]["code"].as_i64().unwrap_or_default()
}

/// A message of this type with this action, and other members in place of the usual ones; null leaves one out.
fn message(kind: &str, action: &Value, others: &Value) -> Value {
    let mut message = json!({ "type": kind, "body": { "text": "?" }, "action": action });
    for (name, value) in others.as_object().unwrap() {
        message[name] = value.clone();
    }
    message.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    message
}

fn page(url: &str) -> Value {
    json!({ "name": "cta_url", "parameters": { "display_text": "Go", "url": url } })
}

fn flow(parameters: &Value) -> Value {
    let mut all = json!({ "flow_message_version": "3", "flow_id": "7", "flow_cta": "Go" });
    for (name, value) in parameters.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json!({ "name": "flow", "parameters": all })
}

/// A list with these numbers of products in its sections.
fn products(counts: &[usize]) -> Value {
    let mut ids = 0..;
    let mut item = || json!({ "product_retailer_id": format!("p{}", ids.next().unwrap()) });
    let section = |count: &usize| json!({ "title": "A", "product_items": (0..*count).map(|_| item()).collect::<Vec<_>>() });
    json!({ "catalog_id": "7", "sections": counts.iter().map(section).collect::<Vec<_>>() })
}

#[tokio::test]
async fn meta_takes_invitations_as_they_are_documented() {
    let rig = Rig::start().await;
    rig.person_writes("meta", LINE, "+5511987654321").await;
    let line = json!({ "header": { "type": "text", "text": "Above" } });
    let taken = [
        message("cta_url", &page("https://a.example/?b=c"), &line),
        message("location_request_message", &json!({ "name": "send_location" }), &json!({})),
        message("flow", &flow(&json!({})), &line),
        message(
            "flow",
            &flow(&json!({ "flow_action": "data_exchange", "mode": "draft" })),
            &json!({}),
        ),
        message(
            "flow",
            &flow(&json!({ "flow_action_payload": { "screen": "S", "data": { "a": 1 } } })),
            &json!({}),
        ),
        message(
            "product",
            &json!({ "catalog_id": "7", "product_retailer_id": "p" }),
            &json!({ "body": null }),
        ),
        message("product_list", &products(&[20, 10]), &line),
        message("catalog_message", &json!({ "name": "catalog_message" }), &json!({})),
    ];
    for interactive in &taken {
        assert_eq!(meta(&rig, interactive).await, 0, "{interactive}");
    }
    assert_eq!(rig.sandbox.counts().accepted, 8);
}

#[tokio::test]
async fn meta_refuses_invitations_that_overstep() {
    let rig = Rig::start().await;
    rig.person_writes("meta", LINE, "+5511987654321").await;
    let line = json!({ "header": { "type": "text", "text": "Above" } });
    let picture = |more: &Value| {
        let mut image = json!({ "link": "https://a.example/b.png" });
        image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "header": { "type": "image", "image": image } })
    };
    let none = json!({});
    let place = json!({ "name": "send_location" });
    let one = json!({ "catalog_id": "7", "product_retailer_id": "p" });
    let refused = [
        (message("cta_url", &page("a.example"), &none), 131_009),
        (message("cta_url", &page("https://"), &none), 131_009),
        (message("cta_url", &page("https:///a"), &none), 131_009),
        (message("cta_url", &page("https://a.example"), &picture(&json!({ "caption": "x" }))), 100),
        (message("location_request_message", &place, &line), 131_009),
        (
            message("location_request_message", &place, &json!({ "footer": { "text": "x" } })),
            131_009,
        ),
        (message("flow", &flow(&json!({ "flow_id": null })), &none), 131_008),
        (message("flow", &flow(&json!({ "flow_name": "n" })), &none), 131_009),
        (message("flow", &flow(&json!({ "flow_id": "n" })), &none), 131_009),
        (message("flow", &flow(&json!({ "flow_message_version": "2" })), &none), 131_009),
        (message("flow", &flow(&json!({ "flow_action": "jump" })), &none), 131_009),
        (message("flow", &flow(&json!({ "screen": "S" })), &none), 100),
        (
            message(
                "flow",
                &flow(&json!({ "flow_action_payload": { "screen": "S", "data": {} } })),
                &none,
            ),
            131_009,
        ),
        (
            message(
                "flow",
                &flow(
                    &json!({ "flow_action": "data_exchange", "flow_action_payload": { "screen": "S" } }),
                ),
                &none,
            ),
            131_009,
        ),
        (message("product", &one, &line), 131_009),
        (
            message(
                "product",
                &json!({ "catalog_id": "seven", "product_retailer_id": "p" }),
                &none,
            ),
            131_009,
        ),
        (message("product_list", &products(&[2]), &none), 131_008),
        (message("product_list", &products(&[2]), &picture(&none)), 131_009),
        (message("product_list", &products(&[31]), &line), 131_009),
        (message("product_list", &products(&[1; 11]), &line), 131_009),
        (message("product_list", &products(&[0]), &line), 131_008),
        (message("catalog_message", &json!({ "name": "catalog" }), &none), 131_009),
        (message("catalog_message", &json!({ "name": "catalog_message" }), &line), 131_009),
        (message("poll", &json!({}), &none), 131_009),
    ];
    for (interactive, code) in &refused {
        assert_eq!(meta(&rig, interactive).await, *code, "{interactive}");
    }
    assert_eq!(rig.sandbox.counts().accepted, 0);
}

#[tokio::test]
async fn waha_takes_polls_of_two_to_twelve_options_that_differ() {
    let rig = Rig::start().await;
    let post = async |poll: Value| {
        let body =
            json!({ "session": "aurora-reception", "chatId": "5511987654321@c.us", "poll": poll });
        let request = rig.http.post(rig.url("/waha/api/sendPoll")).json(&body);
        answer(request.header("x-api-key", secret("waha", "api_key"))).await.0
    };
    let poll = |name: &str, options: Value| json!({ "name": name, "options": options, "multipleAnswers": false });
    let numbers = |count: usize| json!((0..count).map(|n| n.to_string()).collect::<Vec<_>>());
    let refused = [
        poll("", numbers(2)),
        poll(&"x".repeat(256), numbers(2)),
        poll("?", numbers(1)),
        poll("?", numbers(13)),
        poll("?", json!(["a", "a"])),
        poll("?", json!(["a", 1])),
        poll("?", json!(["a", "x".repeat(101)])),
        json!({ "name": "?", "options": ["a", "b"] }),
        json!("?"),
    ];
    for poll in refused {
        assert_eq!(post(poll.clone()).await, 400, "{poll}");
    }
    assert_eq!(post(poll("?", numbers(12))).await, 201);
    assert_eq!(rig.sandbox.counts().accepted, 1);
}
