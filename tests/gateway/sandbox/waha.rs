//! WAHA's emulator.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;
use switchboard::sandbox::Inbound;

use super::{Rig, answer};

const KEY: &str = "a-key-of-this-test";
const ANA: &str = "5511987654321@c.us";

async fn start() -> Rig {
    let rig = Rig::start().await;
    rig.add(json!({
        "provider": "waha",
        "settings": { "session": "reception" },
        "secrets": { "api_key": KEY },
        "signing_secret": "webhook-secret",
        "routes": [{ "channel": "whatsapp", "address": "+551140028900", "handle": "reception" }],
        "webhook_url": format!("{}/hooks/waha", rig.hooks),
    }));
    rig
}

async fn post(rig: &Rig, path: &str, body: Value) -> (u16, Value) {
    answer(
        rig.http.post(rig.url(&format!("/waha/api/{path}"))).header("x-api-key", KEY).json(&body),
    )
    .await
}

async fn get(rig: &Rig, path: &str) -> (u16, Value) {
    answer(rig.http.get(rig.url(&format!("/waha/api/{path}"))).header("x-api-key", KEY)).await
}

/// The webhooks, once their signature was found right.
async fn events(rig: &Rig, key: &str) -> Vec<Value> {
    let read = |request: &http::Request<bytes::Bytes>| {
        let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(request.body());
        assert_eq!(request.headers()["x-webhook-hmac"], hex::encode(mac.finalize().into_bytes()));
        assert_eq!(request.headers()["x-webhook-hmac-algorithm"], "sha512");
        serde_json::from_slice(request.body()).unwrap()
    };
    rig.webhooks().await.iter().map(read).collect()
}

#[tokio::test]
async fn a_message_to_waha_is_accepted_and_its_acks_are_signed() {
    let rig = start().await;
    let (_, id) = get(&rig, "reception/new-message-id").await;
    let body = json!({ "session": "reception", "chatId": ANA, "text": "Oi", "id": id["id"] });
    let (status, sent) = post(&rig, "sendText", body.clone()).await;
    assert_eq!((status, &sent["fromMe"], &sent["ack"]), (201, &json!(true), &json!(0)));
    let acks: Vec<Value> = events(&rig, "webhook-secret").await;
    let acks: Vec<&Value> = acks.iter().map(|event| &event["payload"]["ack"]).collect();
    assert_eq!(acks, [&json!(1), &json!(2), &json!(3)]);
    // The same id again is the same message.
    assert_eq!(post(&rig, "sendText", body).await.1["id"], sent["id"]);
    assert_eq!(rig.sandbox.count_of(id["id"].as_str().unwrap()), 1);
    let (_, list) = get(&rig, &format!("reception/chats/{ANA}/messages?limit=5")).await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["ackName"]), (1, &json!("READ")));
}

#[tokio::test]
async fn a_session_is_linked_by_a_code_and_sends_only_then() {
    let rig = start().await;
    let config = json!({ "webhooks": [{ "url": format!("{}/own", rig.hooks),
        "events": ["session.status", "message.ack"], "hmac": { "key": "own-key" } }] });
    let (status, made) = post(&rig, "sessions", json!({ "name": "desk", "config": config })).await;
    assert_eq!((status, &made["status"]), (201, &json!("STARTING")));
    assert_eq!(post(&rig, "sessions", json!({ "name": "desk" })).await.0, 422);
    let seen = events(&rig, "own-key").await;
    assert_eq!(seen.last().unwrap()["payload"]["status"], "SCAN_QR_CODE");
    let text = json!({ "session": "desk", "chatId": ANA, "text": "Oi" });
    let (status, refused) = post(&rig, "sendText", text.clone()).await;
    assert_eq!((status, &refused["status"]), (422, &json!("SCAN_QR_CODE")));
    assert!(get(&rig, "desk/auth/qr?format=raw").await.1["value"].is_string());
    let code = post(&rig, "desk/auth/request-code", json!({ "phoneNumber": "551140028900" })).await;
    assert_eq!((code.0, &code.1["code"]), (201, &json!("ABCD-EFGH")));

    let scan = json!({ "session": "desk", "status": "WORKING" });
    rig.http.post(rig.url("/control/session")).json(&scan).send().await.unwrap();
    assert_eq!(get(&rig, "desk/auth/qr").await.0, 422);
    assert_eq!(post(&rig, "sendText", text.clone()).await.0, 201);
    assert_eq!(post(&rig, "sessions/desk/logout", json!({})).await.1["status"], "STOPPED");
    assert_eq!(post(&rig, "sendText", text).await.0, 422);
    assert_eq!(get(&rig, "sessions/nobody").await.0, 404);
}

#[tokio::test]
async fn waha_refuses_what_it_refuses() {
    let rig = start().await;
    let text = json!({ "session": "reception", "chatId": ANA, "text": "Oi" });
    let url = rig.url("/waha/api/sendText");
    assert_eq!(answer(rig.http.post(&url).json(&text)).await.0, 401);
    assert_eq!(answer(rig.http.post(&url).header("x-api-key", "wrong").json(&text)).await.0, 401);
    let image = |file: Value| json!({ "session": "reception", "chatId": ANA, "file": file });
    let refused = [
        ("sendText", json!({ "session": "reception", "chatId": "+5511987654321", "text": "x" })),
        ("sendText", json!({ "session": "reception", "chatId": ANA })),
        ("sendText", json!({ "chatId": ANA, "text": "x" })),
        ("sendImage", image(json!({ "url": "https://a.example/b" }))),
        ("sendImage", image(json!({ "mimetype": "text/plain", "url": "https://a.example/b" }))),
        ("sendImage", image(json!({ "mimetype": "image/png", "data": "not base64!" }))),
        ("sendLocation", json!({ "session": "reception", "chatId": ANA, "latitude": 1 })),
        ("sendContactVcard", json!({ "session": "reception", "chatId": ANA, "contacts": [] })),
    ];
    for (action, body) in refused {
        assert_eq!(post(&rig, action, body.clone()).await.0, 400, "{action} {body}");
    }
    assert_eq!(rig.sandbox.counts().accepted, 0);
    let file = json!({ "mimetype": "image/png", "data": "iVBORw0KGgo=" });
    assert_eq!(post(&rig, "sendImage", image(file)).await.0, 201);
    let check = "contacts/check-exists?session=reception&phone=";
    assert_eq!(get(&rig, &format!("{check}5511987654321")).await.1["chatId"], ANA);
    assert_eq!(get(&rig, &format!("{check}5511987650000")).await.1["numberExists"], false);
}

#[tokio::test]
async fn waha_knows_who_wrote_and_what_was_said_last() {
    let rig = start().await;
    let ping = answer(rig.http.get(rig.url("/waha/ping"))).await;
    assert_eq!(ping, (200, json!({ "message": "pong" })));
    let inbound = Inbound {
        provider: "waha".to_owned(),
        to: Some("reception".to_owned()),
        from: "+5511987654322".to_owned(),
        name: Some("Bia".to_owned()),
        user_id: Some("123456789012345".to_owned()),
        location: Some((-23.55, -46.63)),
        location_name: Some("Clínica".to_owned()),
        location_address: Some("Rua 1".to_owned()),
        ..Inbound::default()
    };
    let (bia, _) = rig.sandbox.inbound(&inbound).await.unwrap();
    let heard = events(&rig, "webhook-secret").await.remove(0);
    let place = &heard["payload"]["location"];
    assert_eq!((&place["latitude"], &place["name"]), (&json!("-23.55"), &json!("Clínica")));
    let place = json!({ "session": "reception", "chatId": ANA, "latitude": 1.5, "longitude": 2, "title": "Here" });
    let (_, sent) = post(&rig, "sendLocation", place).await;
    assert_eq!(
        (&sent["location"]["latitude"], &sent["location"]["name"]),
        (&json!("1.5"), &json!("Here"))
    );
    rig.webhooks().await;

    let lid = "123456789012345@lid";
    let (_, chats) = get(&rig, "reception/chats").await;
    let ids: Vec<_> = chats.as_array().unwrap().iter().map(|chat| &chat["id"]).collect();
    assert_eq!(ids, [&json!(ANA), &json!(lid)]);
    let (_, overview) = get(&rig, "reception/chats/overview?limit=1&offset=1").await;
    assert_eq!(
        (&overview[0]["name"], &overview[0]["lastMessage"]["id"]),
        (&json!("Bia"), &json!(bia))
    );
    let only = json!({ "pagination": { "limit": 5 }, "filter": { "ids": [ANA] } });
    let (status, overview) = post(&rig, "reception/chats/overview", only).await;
    assert_eq!((status, overview.as_array().unwrap().len()), (201, 1));
    let (_, all) = get(&rig, "reception/chats/all/messages").await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let (_, theirs) = get(&rig, "reception/chats/all/messages?filter.fromMe=false").await;
    assert_eq!((theirs.as_array().unwrap().len(), &theirs[0]["id"]), (1, &json!(bia)));
    assert_eq!(get(&rig, &format!("reception/chats/{lid}/messages/{bia}")).await.0, 200);
    let read = post(&rig, &format!("reception/chats/{lid}/messages/read"), json!({})).await;
    assert_eq!(read, (201, json!({ "ids": [bia] })));

    assert_eq!(get(&rig, "reception/lids/count").await.1["count"], 1);
    assert_eq!(get(&rig, "reception/lids/pn/5511987654322").await.1["lid"], lid);
    let contact = rig.http.put(rig.url(&format!("/waha/api/reception/contacts/{ANA}")));
    let contact = contact.header("x-api-key", KEY);
    let named = answer(contact.json(&json!({ "firstName": "Ana", "lastName": "Souza" }))).await;
    assert_eq!(named, (200, json!({ "success": true })));
    let (_, one) = get(&rig, &format!("contacts?session=reception&contactId={ANA}")).await;
    assert_eq!((&one["name"], &one["isMyContact"]), (&json!("Ana Souza"), &json!(true)));
    let (_, every) = get(&rig, "contacts/all?session=reception").await;
    assert_eq!(every.as_array().unwrap().len(), 2);
    assert_eq!(get(&rig, "contacts?session=nobody&contactId=1").await.0, 404);
    assert_eq!(get(&rig, "contacts?session=reception").await.0, 400);
}
