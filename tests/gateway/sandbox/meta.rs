//! Meta's emulator.

use chrono::TimeDelta;
use providers::EventKind;
use serde_json::{Value, json};
use switchboard::sandbox::{Inbound, InboundFile};

use super::{Rig, answer, read, statuses};

const PHONE: &str = "106540352242922";
pub(super) const WABA: &str = "102290129340398";
const LINE: &str = "+551140028922";
const ANA: &str = "5511987654321";
const OURS: &str = "01930d5c-9b1e-7c44-8f2a-6d1e0b7a5c33";

pub(super) async fn send(rig: &Rig, message: Value) -> (u16, Value) {
    let mut body = json!({ "messaging_product": "whatsapp", "to": ANA });
    for (name, value) in message.as_object().unwrap() {
        body[name] = value.clone();
    }
    let token = token();
    let url = rig.url(&format!("/meta/v25.0/{PHONE}/messages"));
    answer(rig.http.post(url).bearer_auth(token).json(&body)).await
}

/// The token of the fixtures' account.
pub(super) fn token() -> String {
    let meta = providers::provider("meta").unwrap();
    let account = switchboard::sandbox::accounts(meta).into_iter().next().unwrap();
    let token = account.secrets.get("access_token").cloned();
    token.unwrap_or_else(|| "sandbox-meta-token".to_owned())
}

fn text(body: &str) -> Value {
    json!({ "type": "text", "text": { "body": body } })
}

pub(super) fn code(answer: &(u16, Value)) -> i64 {
    answer.1["error"]["code"].as_i64().unwrap_or_default()
}

pub(super) fn ours(request: http::Request<bytes::Bytes>) -> providers::Batch {
    let secrets = [
        ("app_secret", "5f4dcc3b5aa765d61d8327deb882cf99"),
        ("verify_token", "aurora-verify-token-7d1f"),
        ("access_token", "sandbox-meta-token"),
    ];
    read("meta", &[("waba_id", WABA)], &secrets, request)
}

#[tokio::test]
async fn a_message_to_meta_is_accepted_and_its_statuses_are_genuine() {
    let rig = Rig::start().await;
    rig.person_writes("meta", LINE, "+5511987654321").await;
    let heard = ours(rig.webhooks().await.remove(0));
    assert!(matches!(&heard.events[0].kind, EventKind::Message(_)));

    let mut message = text("Bom dia");
    message["biz_opaque_callback_data"] = json!(OURS);
    let (status, body) = send(&rig, message).await;
    assert_eq!(status, 200, "{body}");
    let user_id = body["contacts"][0]["user_id"].clone();
    assert!(user_id.as_str().unwrap().starts_with("BR."), "{body}");
    assert_eq!(body["contacts"][0], json!({ "input": ANA, "wa_id": ANA, "user_id": user_id }));
    let told = rig.webhooks().await;
    let first: Value = serde_json::from_slice(told[0].body()).unwrap();
    let value = &first["entry"][0]["changes"][0]["value"];
    assert_eq!(value["contacts"], json!([{ "profile": {}, "wa_id": ANA, "user_id": user_id }]));
    let status = &value["statuses"][0];
    assert_eq!((&status["recipient_id"], &status["recipient_user_id"]), (&json!(ANA), &user_id));
    let batches: Vec<_> = told.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered", "read"]);
    for event in batches.iter().flat_map(|batch| &batch.events) {
        let EventKind::Status(change) = &event.kind else { panic!("{event:?}") };
        assert_eq!(change.ours.as_deref(), Some(OURS));
        assert_eq!(change.reference.0, body["messages"][0]["id"].as_str().unwrap());
    }
    assert_eq!(rig.sandbox.count_of(OURS), 1);
}

#[tokio::test]
async fn only_the_right_token_and_number_send_through_meta() {
    let rig = Rig::start().await;
    let body = json!({ "messaging_product": "whatsapp", "to": ANA, "text": { "body": "x" } });
    let url = rig.url(&format!("/meta/v25.0/{PHONE}/messages"));
    let none = answer(rig.http.post(&url).json(&body)).await;
    assert_eq!(code(&none), 104);
    let wrong = answer(rig.http.post(&url).bearer_auth("wrong").json(&body)).await;
    assert_eq!((wrong.0, code(&wrong)), (401, 190));
    let token = token();
    let url = rig.url("/meta/v25.0/999/messages");
    let foreign = answer(rig.http.post(url).bearer_auth(token).json(&body)).await;
    assert_eq!((foreign.0, code(&foreign)), (400, 100));
    assert_eq!(foreign.1["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn meta_opens_the_window_when_a_person_writes_and_closes_it_after_a_day() {
    let rig = Rig::start().await;
    assert_eq!(code(&send(&rig, text("cold")).await), 131_047);
    let hello = json!({ "type": "template",
        "template": { "name": "hello_world", "language": { "code": "en_US" } } });
    let (status, body) = send(&rig, hello).await;
    assert_eq!((status, &body["messages"][0]["message_status"]), (200, &json!("accepted")));
    rig.person_writes("meta", LINE, "+5511987654321").await;
    assert_eq!(send(&rig, text("warm")).await.0, 200);
    rig.sandbox.advance(TimeDelta::hours(24));
    assert_eq!(code(&send(&rig, text("cold again")).await), 131_047);
}

#[tokio::test]
async fn meta_refuses_what_oversteps_its_limits() {
    let rig = Rig::start().await;
    rig.person_writes("meta", LINE, "+5511987654321").await;
    let button = |id: usize| json!({ "type": "reply", "reply": { "id": id.to_string(), "title": format!("Option {id}") } });
    let buttons = |buttons: Vec<Value>| {
        json!({ "type": "interactive", "interactive": { "type": "button",
            "body": { "text": "Which?" }, "action": { "buttons": buttons } } })
    };
    let rows = |count: usize| {
        let rows: Vec<Value> = (0..count)
            .map(|id| json!({ "id": id.to_string(), "title": format!("Row {id}") }))
            .collect();
        json!({ "type": "interactive", "interactive": { "type": "list", "body": { "text": "Which?" },
            "action": { "button": "Choose", "sections": [{ "title": "All", "rows": rows }] } } })
    };
    let template = |name: &str, components: Value| {
        json!({ "type": "template",
            "template": { "name": name, "language": { "code": "pt_BR" }, "components": components } })
    };
    let parameters = json!([{ "type": "body", "parameters": [{ "type": "text", "text": "Ana" }] }]);
    let refused = [
        (text(""), 100),
        (text(&"x".repeat(4_097)), 100),
        (json!({ "type": "text" }), 100),
        (json!({ "type": "text", "text": { "body": "x", "typo": 1 } }), 100),
        (json!({ "type": "text", "text": { "body": "x" }, "recipient": "US.1" }), 131_009),
        (json!({ "to": "abc", "type": "text", "text": { "body": "x" } }), 131_009),
        (json!({ "to": "551140028922", "type": "text", "text": { "body": "x" } }), 131_021),
        (json!({ "type": "image", "image": {} }), 131_008),
        (json!({ "type": "image", "image": { "id": "42" } }), 131_009),
        (
            json!({ "type": "audio", "audio": { "link": "https://a.example/b", "caption": "x" } }),
            100,
        ),
        (json!({ "type": "location", "location": { "latitude": 91, "longitude": 0 } }), 131_009),
        (
            json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A" } }] }),
            131_008,
        ),
        (json!({ "type": "reaction", "reaction": { "message_id": "wamid.x" } }), 131_008),
        (buttons((0..4).map(button).collect()), 131_009),
        (buttons(vec![button(1), button(1)]), 131_009),
        (rows(11), 131_009),
        (template("nobody_made_this", json!([])), 132_001),
        (template("appointment_reminder", parameters), 132_000),
    ];
    for (message, wanted) in refused {
        let refused = send(&rig, message.clone()).await;
        assert_eq!(code(&refused), wanted, "{message}: {}", refused.1);
    }
    for message in [buttons((0..3).map(button).collect()), rows(10), text(&"x".repeat(4_096))] {
        assert_eq!(send(&rig, message).await.0, 200);
    }
    assert_eq!(rig.sandbox.counts().accepted, 3);
}

#[tokio::test]
async fn meta_limits_pairs_and_lines() {
    let rig = Rig::start().await;
    rig.person_writes("meta", LINE, "+5511987654321").await;
    for _ in 0..45 {
        assert_eq!(send(&rig, text("x")).await.0, 200);
    }
    assert_eq!(code(&send(&rig, text("x")).await), 131_056);
    rig.sandbox.advance(TimeDelta::seconds(6));
    assert_eq!(send(&rig, text("x")).await.0, 200);

    let slow = Rig::start().await;
    slow.add(json!({
        "provider": "meta",
        "settings": { "waba_id": WABA },
        "routes": [{ "channel": "whatsapp", "address": LINE, "handle": PHONE }],
        "secrets": { "access_token": token() },
        "limits": { "per_second": 1.0, "window": false },
    }));
    assert_eq!(send(&slow, text("x")).await.0, 200);
    assert_eq!(code(&send(&slow, text("x")).await), 130_429);
}

#[tokio::test]
async fn a_reaction_to_what_was_never_said_does_not_arrive() {
    let rig = Rig::start().await;
    let heard = rig.person_writes("meta", LINE, "+5511987654321").await;
    let (_, sent) = send(&rig, text("Oi")).await;
    rig.webhooks().await;
    let reaction =
        |id: &str| json!({ "type": "reaction", "reaction": { "message_id": id, "emoji": "👍" } });
    let sent = sent["messages"][0]["id"].as_str().unwrap();
    for (target, wanted) in [(heard.as_str(), "sent"), (sent, "sent"), ("wamid.never", "failed")] {
        assert_eq!(send(&rig, reaction(target)).await.0, 200, "it is found out only afterwards");
        let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
        assert_eq!(statuses(&batches), [wanted], "{target}");
    }
    assert_eq!(rig.sandbox.messages().pop().unwrap().code, Some(131_009));
}

#[tokio::test]
async fn files_go_to_meta_and_come_from_it() {
    let rig = Rig::start().await;
    let token = token();
    let file = InboundFile {
        mime_type: "image/png".to_owned(),
        data: "iVBORw0KGgo=".to_owned(),
        ..InboundFile::default()
    };
    let inbound = Inbound {
        provider: "meta".to_owned(),
        to: Some(LINE.to_owned()),
        from: "+5511987654321".to_owned(),
        media: Some(file),
        ..Inbound::default()
    };
    rig.sandbox.inbound(&inbound).await.unwrap();
    let batch = ours(rig.webhooks().await.remove(0));
    let EventKind::Message(message) = &batch.events[0].kind else { panic!("{batch:?}") };
    let id = format!("{:?}", message.content).split("id: Some(\"").nth(1).unwrap()[..16].to_owned();
    let described = rig.http.get(rig.url(&format!("/meta/v25.0/{id}"))).bearer_auth(&token);
    let (status, described) = answer(described).await;
    assert_eq!((status, &described["file_size"]), (200, &json!(8)));
    let url = described["url"].as_str().unwrap();
    assert_eq!(rig.http.get(url).send().await.unwrap().status(), 401);
    let got = rig.http.get(url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(&got.bytes().await.unwrap()[..4], b"\x89PNG");
    rig.sandbox.advance(TimeDelta::minutes(5));
    assert_eq!(rig.http.get(url).bearer_auth(&token).send().await.unwrap().status(), 404);

    let body = "--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\n\
                Content-Disposition: form-data; name=\"type\"\r\n\r\nimage/png\r\n--b\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\
                12345\r\n--b--\r\n";
    let upload = rig.http.post(rig.url(&format!("/meta/v25.0/{PHONE}/media"))).bearer_auth(&token);
    let upload = upload.header("content-type", "multipart/form-data; boundary=b").body(body);
    let (status, uploaded) = answer(upload).await;
    assert_eq!(status, 200, "{uploaded}");
    let image = json!({ "type": "image", "image": { "id": uploaded["id"], "caption": "A photo" } });
    let in_query = format!("/meta/v25.0/{PHONE}/media?messaging_product=whatsapp&type=image/png");
    let bare = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
                Content-Type: image/png\r\n\r\n12345\r\n--b--\r\n";
    for (path, wanted) in [(in_query, 200), (format!("/meta/v25.0/{PHONE}/media"), 400)] {
        let upload = rig.http.post(rig.url(&path)).bearer_auth(&token).body(bare);
        let upload = upload.header("content-type", "multipart/form-data; boundary=b");
        assert_eq!(answer(upload).await.0, wanted, "{path}");
    }
    assert_eq!(send(&rig, image).await.0, 200);
    let video = json!({ "type": "video", "video": { "id": uploaded["id"] } });
    assert_eq!(code(&send(&rig, video).await), 131_053);
    let gone = rig.url(&format!("/meta/v25.0/{}", uploaded["id"].as_str().unwrap()));
    assert_eq!(answer(rig.http.delete(&gone).bearer_auth(&token)).await.0, 200);
    assert_eq!(code(&answer(rig.http.get(&gone).bearer_auth(&token)).await), 100);
}

#[tokio::test]
async fn meta_lists_templates_in_pages_and_takes_read_marks() {
    let rig = Rig::start().await;
    let token = token();
    let first = rig.url(&format!("/meta/v25.0/{WABA}/message_templates?limit=4"));
    let (_, first) = answer(rig.http.get(first).bearer_auth(&token)).await;
    assert_eq!(first["data"].as_array().unwrap().len(), 4);
    let next = first["paging"]["next"].as_str().unwrap();
    let (_, second) = answer(rig.http.get(next).bearer_auth(&token)).await;
    assert_eq!(second["data"].as_array().unwrap().len(), 4);
    assert_eq!(second["data"][0]["parameter_format"], "NAMED");
    assert!(second["paging"]["next"].is_null());
    let url = rig.url(&format!("/meta/v25.0/{PHONE}/messages"));
    let id = rig.person_writes("meta", LINE, "+5511987654321").await;
    let read = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": id,
        "typing_indicator": { "type": "text" } });
    let (status, done) = answer(rig.http.post(&url).bearer_auth(&token).json(&read)).await;
    assert_eq!((status, done), (200, json!({ "success": true })));
    assert_eq!(rig.sandbox.counts().accepted, 0);
}
