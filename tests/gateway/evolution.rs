//! Evolution as the gateway meets it: connected over the API, believed by its secret alone, sending, files, linked devices.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use providers::evolution::PROVIDER;
use serde_json::{Value, json};
use switchboard::flow::lines::supervise;
use switchboard::flow::media;

use crate::lines::with_a_peer;
use crate::support::peer::{Peer, PeerAnswer};
use crate::support::{Answer, Kind, Org, TestGateway, recorded_account, recording};

const INSTANCE: &str = "aurora-frontdesk";
const PERSON: &str = "+5511987654321";
const OURS: &str = "3EB0A94C17D2E05B8F6301";

/// Connects aurora's account at the bridge, which is the peer, with its route; returns the account's id.
async fn connect(gateway: &TestGateway, org: &Org, peer: &Peer) -> String {
    let mut account = recorded_account(&PROVIDER, "aurora");
    let settings = [
        ("base_url", peer.url("")),
        ("pause_least_ms", "0".to_owned()),
        ("pause_most_ms", "0".to_owned()),
    ];
    account.settings.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    let id = gateway.connect_only(org, &PROVIDER, &account).await;
    let route = json!({ "account_id": id, "channel": "whatsapp", "address": "+5511955520001",
                        "handle": INSTANCE, "state": "active" });
    gateway.post(org, "/api/v1/routes", route).await.expect(201);
    id
}

fn answer(status: u16, body: &Value) -> PeerAnswer {
    PeerAnswer::new(status).header("content-type", "application/json").body(body.to_string())
}

/// Delivers a webhook to the account's own URL under this header.
async fn deliver(
    gateway: &TestGateway,
    id: &str,
    proof: Option<&str>,
    event: &str,
    data: &Value,
) -> Answer {
    let body = json!({ "event": event, "instance": INSTANCE, "data": data, "date_time": "2026-11-01T09:00:00.000Z",
                       "sender": "5511955520001@s.whatsapp.net", "apikey": "hidden" });
    let mut request =
        http::Request::post(format!("https://gateway.example.com/hooks/evolution/{id}"))
            .header("content-type", "application/json");
    if let Some(proof) = proof {
        request = request.header("authorization", proof);
    }
    gateway.deliver(request.body(body.to_string().into()).unwrap()).await
}

fn secret() -> String {
    recorded_account(&PROVIDER, "aurora").signing_secret
}

async fn ack(gateway: &TestGateway, id: &str, status: &str) {
    let data = json!({ "keyId": OURS, "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "status": status });
    deliver(gateway, id, Some(&secret()), "messages.update", &data).await.expect(200);
}

/// What the bridge lists.
fn listed(status: &str, reason: &Value) -> PeerAnswer {
    let owner = "5511955520001@s.whatsapp.net";
    let instance = json!({ "name": INSTANCE, "connectionStatus": status, "ownerJid": owner, "disconnectionReasonCode": reason });
    answer(200, &json!([instance]))
}

async fn of_kind(gateway: &TestGateway, org: &Org, kind: &str) -> usize {
    let page = gateway.get(org, "/api/v1/events?limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap();
    items.iter().filter(|event| event["type"] == kind).count()
}

with_a_peer! {
    a_webhook_is_believed_by_its_secret_and_by_nothing_else(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let peer = Peer::start(vec![]).await;
        let id = connect(&gateway, &aurora, &peer).await;
        let known = gateway.get(&aurora, "/api/v1/providers").await.expect(200);
        let proofs: Vec<&str> = known.as_array().unwrap().iter().map(|p| p["proof"].as_str().unwrap()).collect();
        assert_eq!(proofs, ["request", "request", "request", "request", "sender"]);
        let message = json!({
            "key": { "remoteJid": "198273645500112@lid", "remoteJidAlt": "5511987654321@s.whatsapp.net", "fromMe": false, "id": "3A5E01" },
            "pushName": "Ana", "messageType": "conversation", "message": { "conversation": "Bom dia!" }, "messageTimestamp": 1_793_534_000,
        });
        let other = recorded_account(&PROVIDER, "borealis").signing_secret;
        let nearly = secret().replace("Qm7", "Qm8");
        for forged in [None, Some(""), Some("Bearer x"), Some("Bearer a.b.c"), Some(other.as_str()), Some(nearly.as_str())] {
            let refused = deliver(&gateway, &id, forged, "messages.upsert", &message).await;
            assert_eq!(refused.expect(401)["error_code"], "unauthorized", "{forged:?}");
        }
        for table in ["webhook_inbox", "messages", "webhook_quarantine"] {
            assert_eq!(gateway.count(table).await, 0, "{table}");
        }
        deliver(&gateway, &id, Some(&secret()), "messages.upsert", &message).await.expect(200);
        deliver(&gateway, &id, Some(&secret()), "MESSAGES_UPSERT", &message).await.expect(200);
        let items = gateway.communications(&aurora).await;
        assert_eq!(items.len(), 1, "{items:?}");
        assert_eq!((&items[0]["content"], &items[0]["provider"]), (&json!("Bom dia!"), &json!("evolution")));
        assert_eq!(gateway.count("contacts").await, 1, "number and LID are one person");
        assert_eq!(gateway.count("contact_identities").await, 2);
        let kept = gateway.database.scalar("select count(*) from webhook_inbox where headers like '%authorization%'").await;
        assert_eq!(kept, 0, "the secret is not kept");
        let inbox = gateway.get(&aurora, "/api/v1/webhook-inbox/requests").await.expect(200);
        let one = inbox["items"][0]["id"].as_str().unwrap();
        let shown = gateway.get(&aurora, &format!("/api/v1/webhook-inbox/requests/{one}")).await.expect(200);
        let body = STANDARD.decode(shown["body_base64"].as_str().unwrap()).unwrap();
        let shown = String::from_utf8(body).unwrap();
        assert!(shown.contains("******") && !shown.contains("hidden"), "{shown}");
    }

    a_text_is_sent_and_its_acks_move_it_on(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let peer = Peer::start(vec![]).await;
        let id = connect(&gateway, &aurora, &peer).await;
        let draft = json!({ "channel": "whatsapp", "to": PERSON, "content": { "kind": "text", "body": "Amanhã às 15h" } });
        let accepted = gateway.post(&aurora, "/api/v1/messages", draft.clone()).await.expect(202);
        let message = accepted["id"].as_str().unwrap();
        peer.will(answer(201, &json!({
            "key": { "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "id": OURS }, "status": "PENDING",
        })));
        gateway.drain().await;
        let asked = peer.requests();
        assert_eq!(asked.len(), 1);
        assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/message/sendText/aurora-frontdesk"));
        assert_eq!(asked[0].header("apikey"), Some("A1F3C6E0-5B2D-4D8A-9C47-0E6F1B7D2A93"));
        let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
        assert_eq!((&body["number"], &body["text"]), (&json!("5511987654321"), &json!("Amanhã às 15h")));

        let echo = json!({ "key": { "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "id": OURS }, "status": "SERVER_ACK",
                           "messageType": "conversation", "message": { "conversation": "Amanhã às 15h" }, "messageTimestamp": 1_793_534_400 });
        deliver(&gateway, &id, Some(&secret()), "messages.upsert", &echo).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1, "an echo is no second message");
        for (word, status) in [("SERVER_ACK", "sent"), ("DELIVERY_ACK", "delivered"), ("SERVER_ACK", "delivered"), ("READ", "read")] {
            ack(&gateway, &id, word).await;
            assert_eq!(gateway.message(&aurora, message).await["status"], status, "{word}");
        }

        let unknown = json!({ "status": 400, "response": { "message": [{ "jid": "x", "exists": false, "number": "5511987654321" }] } });
        let second = gateway.post(&aurora, "/api/v1/messages", draft).await.expect(202);
        peer.will(answer(400, &unknown));
        gateway.advance(TimeDelta::seconds(5));
        gateway.drain().await;
        let failed = gateway.message(&aurora, second["id"].as_str().unwrap()).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        let buttons = json!({ "kind": "buttons", "body": "?", "buttons": [{ "id": "1", "title": "Sim" }] });
        let refused = json!({ "channel": "whatsapp", "to": "+5511987650000", "content": buttons });
        let problem = gateway.post(&aurora, "/api/v1/messages", refused).await.expect(422);
        assert!(problem.to_string().contains("content.buttons"), "{problem}");
    }

    a_poll_is_sent_and_its_echo_is_no_second_message(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let peer = Peer::start(vec![]).await;
        let id = connect(&gateway, &aurora, &peer).await;
        let poll = json!({ "kind": "poll", "question": "Quando?", "options": ["Sexta", "Sábado"] });
        let draft = json!({ "channel": "whatsapp", "to": PERSON, "content": poll });
        let accepted = gateway.post(&aurora, "/api/v1/messages", draft).await.expect(202);
        peer.will(answer(201, &json!({
            "key": { "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "id": OURS }, "status": "PENDING",
        })));
        gateway.drain().await;
        let asked = peer.requests();
        assert_eq!(asked[0].path, "/message/sendPoll/aurora-frontdesk");
        let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
        let expected = json!({ "number": "5511987654321", "name": "Quando?", "selectableCount": 1, "values": ["Sexta", "Sábado"] });
        assert_eq!(body, expected);
        let options = json!([{ "optionName": "Sexta" }, { "optionName": "Sábado" }]);
        let echo = json!({ "key": { "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "id": OURS }, "status": "SERVER_ACK",
                           "messageType": "pollCreationMessageV3", "messageTimestamp": 1_793_534_400,
                           "message": { "pollCreationMessageV3": { "name": "Quando?", "options": options, "selectableOptionsCount": 1 } } });
        deliver(&gateway, &id, Some(&secret()), "messages.upsert", &echo).await.expect(200);
        let items = gateway.communications(&aurora).await;
        assert_eq!(items.len(), 1, "{items:?}");
        assert_eq!((&items[0]["id"], &items[0]["kind"]), (&accepted["id"], &json!("poll")));
        assert_eq!(items[0]["metadata"]["options"], json!(["Sexta", "Sábado"]));
        let many = json!({ "kind": "poll", "question": "?", "options": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"] });
        let refused = json!({ "channel": "whatsapp", "to": PERSON, "content": many });
        let problem = gateway.post(&aurora, "/api/v1/messages", refused).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], "content.options");
    }

    who_is_not_found_by_lid_is_written_to_by_number(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let peer = Peer::start(vec![]).await;
        let id = connect(&gateway, &aurora, &peer).await;
        let now = gateway.clock.now().timestamp();
        let mut written = json!({
            "key": { "remoteJid": "198273645500112@lid", "fromMe": false, "id": "3A5E01" },
            "messageType": "conversation", "message": { "conversation": "Bom dia!" }, "messageTimestamp": now,
        });
        deliver(&gateway, &id, Some(&secret()), "messages.upsert", &written).await.expect(200);
        let contact = gateway.communications(&aurora).await[0]["contact_id"].as_str().unwrap().to_owned();
        let draft = json!({ "channel": "whatsapp", "contact_id": contact, "content": { "kind": "text", "body": "Bom dia!" } });
        let accepted = gateway.post(&aurora, "/api/v1/messages", draft.clone()).await.expect(202);
        // The bridge tells their number before the answer goes.
        written["key"] = json!({ "remoteJid": "198273645500112@lid", "remoteJidAlt": "5511987654321@s.whatsapp.net", "fromMe": false, "id": "3A5E02" });
        deliver(&gateway, &id, Some(&secret()), "messages.upsert", &written).await.expect(200);
        let unknown = json!({ "status": 400, "response": { "message": [{ "jid": "198273645500112@lid", "exists": false, "number": "198273645500112" }] } });
        peer.will(answer(400, &unknown));
        peer.will(answer(201, &json!({ "key": { "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "id": OURS }, "status": "PENDING" })));
        gateway.drain().await;
        let numbers: Vec<Value> = peer.requests().iter().map(|asked| serde_json::from_slice::<Value>(&asked.body).unwrap()["number"].clone()).collect();
        assert_eq!(numbers, [json!("198273645500112@lid"), json!("5511987654321")]);
        let sent = gateway.message(&aurora, accepted["id"].as_str().unwrap()).await;
        assert_eq!((&sent["status"], &sent["journal"].as_array().unwrap().len()), (&json!("sending"), &1), "{sent}");
        let suppressed = gateway.get(&aurora, "/api/v1/suppressions").await.expect(200);
        assert_eq!(suppressed["items"], json!([]));
        // Whoever is not to be written to by number is not.
        gateway.post(&aurora, "/api/v1/suppressions", json!({ "channel": "whatsapp", "address": PERSON })).await.expect(204);
        gateway.advance(TimeDelta::seconds(5));
        written["key"] = json!({ "remoteJid": "198273645500112@lid", "fromMe": false, "id": "3A5E03" });
        written["messageTimestamp"] = json!(gateway.clock.now().timestamp());
        deliver(&gateway, &id, Some(&secret()), "messages.upsert", &written).await.expect(200);
        let accepted = gateway.post(&aurora, "/api/v1/messages", draft).await.expect(202);
        peer.will(answer(400, &unknown));
        gateway.drain().await;
        assert_eq!(gateway.message(&aurora, accepted["id"].as_str().unwrap()).await["status"], "failed");
        assert_eq!(peer.requests().len(), 3);
    }

    a_file_is_taken_out_of_the_answer(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let file = json!({ "mediaType": "imageMessage", "fileName": "a.jpeg", "size": { "fileLength": "5000000" },
                           "mimetype": "image/jpeg", "base64": STANDARD.encode(&bytes), "buffer": null });
        let peer = Peer::start(vec![answer(500, &json!({ "response": { "message": "Connection Closed" } })), answer(201, &file)]).await;
        connect(&gateway, &aurora, &peer).await;
        gateway.deliver_recorded(&PROVIDER, "message-video").await.expect(200);
        for _ in 0..2 {
            media::fetch_due(&gateway.gateway).await.unwrap();
            gateway.advance(TimeDelta::minutes(1));
        }
        let asked = peer.requests();
        assert_eq!(asked.len(), 2, "what is closed for a moment is tried again");
        assert_eq!(asked[1].path, "/chat/getBase64FromMediaMessage/aurora-frontdesk");
        let stored = gateway.file(&aurora).await;
        assert_eq!((&stored["state"], &stored["size"]), (&json!("stored"), &json!(5_000_000)));
        let whole = gateway.get(&aurora, stored["url"].as_str().unwrap()).await;
        assert_eq!(whole.body, bytes);
        assert_eq!(whole.headers["content-type"], "video/mp4", "not that of the JSON around it");
    }

    a_device_is_watched_and_a_ban_is_told_loudly(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let peer = Peer::start(vec![]).await;
        let id = connect(&gateway, &aurora, &peer).await;
        let path = format!("/api/v1/accounts/{id}/session");
        peer.will(answer(404, &json!({})));
        peer.will(answer(201, &json!({ "instance": { "instanceName": INSTANCE } })));
        peer.will(listed("connecting", &Value::Null));
        gateway.post(&aurora, &format!("{path}/start"), json!({})).await.expect(200);
        let asked = peer.requests();
        assert_eq!(asked[1].path, "/instance/create");
        let body: Value = serde_json::from_slice(&asked[1].body).unwrap();
        assert_eq!(body["webhook"]["url"], format!("https://gateway.example.com/hooks/evolution/{id}"));
        assert_eq!(body["webhook"]["headers"]["authorization"], secret());
        peer.will(answer(200, &json!({ "pairingCode": null, "code": "2@scan-me", "count": 1 })));
        let paired = gateway.post(&aurora, &format!("{path}/pair"), json!({})).await.expect(200);
        assert_eq!(paired, json!({ "qr": "2@scan-me" }));

        let look = async |after: i64, status: &str, reason: Value| {
            gateway.advance(TimeDelta::seconds(after));
            peer.will(listed(status, &reason));
            supervise::look(&gateway.gateway).await.unwrap();
            gateway.get(&aurora, &path).await.expect(200)["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(look(5, "open", Value::Null).await, "working");
        let stop = gateway.post(&aurora, &format!("{path}/stop"), json!({})).await.expect(422);
        assert_eq!(stop["error_code"], "not_supported", "stopping it would unlink it");
        assert_eq!(gateway.get(&aurora, &path).await.expect(200)["wish"], "run");
        let before = peer.requests().len();
        assert_eq!(look(30, "close", json!(403)).await, "logged_out");
        assert_eq!(look(3_600, "close", json!(403)).await, "logged_out");
        let orders = peer.requests().split_off(before);
        assert!(orders.iter().all(|asked| asked.path.contains("fetchInstances")), "{orders:?}");
        assert_eq!(of_kind(&gateway, &aurora, "account.notice").await, 1);
        let banned = recording(&PROVIDER, "connection-banned");
        let url = format!("https://gateway.example.com/hooks/evolution/{id}");
        gateway.deliver(banned.signed(&url, gateway.clock.now()).unwrap()).await.expect(200);
        let notices = gateway.get(&aurora, &path.replace("/session", "/notices")).await.expect(200);
        assert!(notices["items"].as_array().unwrap().iter().all(|notice| notice["severity"] == "critical"));
    }
}
