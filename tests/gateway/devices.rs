//! Linked devices: started again when they break, never after a log-out, never by two at once.

use chrono::TimeDelta;
use providers::waha;
use serde_json::{Value, json};
use switchboard::flow::lines::supervise;

use crate::lines::{unplug, with_a_peer};
use crate::support::peer::{Peer, PeerAnswer};
use crate::support::{Kind, Org, TestGateway, recorded_account};

const SESSION: &str = "/api/sessions/aurora-reception";

/// Connects aurora's account at the bridge, which is the peer; returns the path of its session.
async fn connect(gateway: &TestGateway, org: &Org, peer: &Peer) -> String {
    let mut account = recorded_account(&waha::PROVIDER, "aurora");
    account.settings.insert("base_url".to_owned(), peer.url(""));
    let id = gateway.connect_only(org, &waha::PROVIDER, &account).await;
    format!("/api/v1/accounts/{id}/session")
}

fn answer(status: u16, body: &Value) -> PeerAnswer {
    PeerAnswer::new(status).header("content-type", "application/json").body(body.to_string())
}

/// What the bridge tells of the session.
fn told(status: &str) -> PeerAnswer {
    let me = match status {
        "WORKING" => json!({ "id": "5511955510001@c.us", "pushName": "Aurora" }),
        _ => Value::Null,
    };
    answer(200, &json!({ "name": "aurora-reception", "status": status, "me": me }))
}

/// Looks at the device after so many seconds, when the bridge will tell this.
async fn look(gateway: &TestGateway, peer: &Peer, after: i64, status: &str) {
    gateway.advance(TimeDelta::seconds(after));
    peer.will(told(status));
    supervise::look(&gateway.gateway).await.unwrap();
}

async fn device(gateway: &TestGateway, org: &Org, path: &str) -> Value {
    gateway.get(org, path).await.expect(200)
}

async fn of_kind(gateway: &TestGateway, org: &Org, kind: &str) -> Vec<Value> {
    let page = gateway.get(org, "/api/v1/events?limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap().clone();
    items.into_iter().filter(|event| event.to_string().contains(&format!("\"{kind}\""))).collect()
}

/// The paths that the bridge was asked for, without those that only ask how the session is doing.
fn orders(peer: &Peer) -> Vec<String> {
    let asked = peer.requests().into_iter().filter(|asked| asked.method != "GET");
    asked.map(|asked| format!("{} {}", asked.method, asked.path)).collect()
}

with_a_peer! {
    a_session_is_created_linked_and_watched(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let peer = Peer::start(vec![]).await;
        let path = connect(&gateway, &aurora, &peer).await;
        assert_eq!(device(&gateway, &aurora, &path).await["state"], "unknown");
        for action in ["start", "stop", "log-out", "pair"] {
            gateway.post(&borealis, &format!("{path}/{action}"), json!({})).await.expect(404);
        }
        gateway.get(&borealis, &path).await.expect(404);
        assert!(peer.requests().is_empty());

        peer.will(answer(404, &json!({ "message": "Session not found" })));
        peer.will(answer(201, &json!({ "name": "aurora-reception", "status": "STARTING" })));
        peer.will(told("STARTING"));
        let started = gateway.post(&aurora, &format!("{path}/start"), json!({})).await.expect(200);
        assert_eq!((&started["state"], &started["wish"]), (&json!("starting"), &json!("run")));
        assert_eq!(orders(&peer), ["POST /api/sessions"]);
        let body: Value = serde_json::from_slice(&peer.requests()[1].body).unwrap();
        let id = path.split('/').nth(4).unwrap();
        assert_eq!(body["config"]["webhooks"][0]["url"], format!("https://gateway.example.com/hooks/waha/{id}"));

        look(&gateway, &peer, 5, "SCAN_QR_CODE").await;
        assert_eq!(device(&gateway, &aurora, &path).await["state"], "pairing");
        peer.will(answer(200, &json!({ "value": "2@scan-me" })));
        let pair = format!("{path}/pair");
        assert_eq!(gateway.post(&aurora, &pair, json!({})).await.expect(200), json!({ "qr": "2@scan-me" }));
        peer.will(answer(200, &json!({ "code": "ABCD-EFGH" })));
        let by_code = gateway.post(&aurora, &pair, json!({ "phone": "+5511955510001" })).await.expect(200);
        assert_eq!(by_code, json!({ "code": "ABCD-EFGH" }));
        gateway.post(&aurora, &pair, json!({ "phone": "55 11" })).await.expect(422);

        look(&gateway, &peer, 5, "WORKING").await;
        let working = device(&gateway, &aurora, &path).await;
        assert_eq!((&working["state"], &working["number"]), (&json!("working"), &json!("+5511955510001")));
        let states: Vec<Value> = of_kind(&gateway, &aurora, "session.status").await;
        assert_eq!(states.len(), 3, "{states:?}");
        let log = gateway.get(&aurora, "/api/v1/audit-log").await.expect(200).to_string();
        assert!(log.contains("account.session.start") && log.contains("account.session.pair"));
        assert!(!log.contains("ABCD-EFGH") && !log.contains("scan-me"));
    }

    a_session_is_asked_twice_a_minute_and_by_one_process(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![told("WORKING")]).await;
        connect(&gateway, &aurora, &peer).await;
        let other = TestGateway::start_on(gateway.database.clone(), &["outgoing.allow=[\"127.0.0.1/32\"]"]).await;
        let both = || async {
            let (one, two) = tokio::join!(supervise::look(&gateway.gateway), supervise::look(&other.gateway));
            one.and(two).unwrap();
        };
        both().await;
        assert_eq!(peer.requests().len(), 1);
        for _ in 0..2 {
            gateway.advance(TimeDelta::seconds(29));
            other.advance(TimeDelta::seconds(29));
            both().await;
            peer.will(told("WORKING"));
        }
        assert_eq!(peer.requests().len(), 2, "thirty seconds have passed once");
        other.end().await;
    }

    what_breaks_is_started_again_ever_more_slowly(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![]).await;
        let path = connect(&gateway, &aurora, &peer).await;
        look(&gateway, &peer, 0, "WORKING").await;
        look(&gateway, &peer, 30, "FAILED").await;
        assert!(orders(&peer).is_empty(), "not at once");
        for (failures, pause) in [(1, 5), (2, 10), (3, 20)] {
            gateway.advance(TimeDelta::seconds(pause));
            peer.will(told("FAILED"));
            // How starting begins; then the webhook is set up, and it is started.
            for status in ["FAILED", "STARTING", "STARTING"] {
                peer.will(told(status));
            }
            supervise::look(&gateway.gateway).await.unwrap();
            let shown = device(&gateway, &aurora, &path).await;
            assert_eq!(shown["failures"], failures, "{shown}");
            assert_eq!(shown["state"], "failed");
        }
        let starts: Vec<String> = orders(&peer).into_iter().filter(|order| order.starts_with("POST")).collect();
        assert_eq!(starts, vec![format!("POST {SESSION}/start"); 3]);
        look(&gateway, &peer, 40, "WORKING").await;
        assert_eq!(device(&gateway, &aurora, &path).await["state"], "working");
        look(&gateway, &peer, 120, "WORKING").await;
        assert_eq!(device(&gateway, &aurora, &path).await["failures"], 0);
    }

    a_log_out_is_told_loudly_and_mended_by_nobody_but_a_person(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![]).await;
        let path = connect(&gateway, &aurora, &peer).await;
        look(&gateway, &peer, 0, "WORKING").await;
        look(&gateway, &peer, 30, "SCAN_QR_CODE").await;
        let out = device(&gateway, &aurora, &path).await;
        assert_eq!((&out["state"], &out["wish"], &out["number"]), (&json!("logged_out"), &json!("nothing"), &Value::Null));
        assert_eq!(out["alerted_at"], "2026-11-01T12:00:30.000000Z");
        for status in ["SCAN_QR_CODE", "FAILED", "STOPPED"] {
            look(&gateway, &peer, 3_600, status).await;
            assert_eq!(device(&gateway, &aurora, &path).await["state"], "logged_out");
        }
        assert!(orders(&peer).is_empty(), "{:?}", orders(&peer));
        let notices = gateway.get(&aurora, &path.replace("/session", "/notices")).await.expect(200);
        assert_eq!(notices["items"].as_array().unwrap().len(), 1, "{notices}");
        assert_eq!(notices["items"][0]["severity"], "critical");
        assert_eq!(of_kind(&gateway, &aurora, "account.notice").await.len(), 1);

        for status in ["STOPPED", "STARTING", "STARTING", "SCAN_QR_CODE"] {
            peer.will(told(status));
        }
        let started = gateway.post(&aurora, &format!("{path}/start"), json!({})).await.expect(200);
        assert_eq!((&started["state"], &started["wish"]), (&json!("pairing"), &json!("run")));
        assert_eq!(started["alerted_at"], Value::Null);
        assert_eq!(of_kind(&gateway, &aurora, "account.notice").await.len(), 1);
    }

    what_a_person_stops_stays_stopped(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![]).await;
        let path = connect(&gateway, &aurora, &peer).await;
        look(&gateway, &peer, 0, "WORKING").await;
        peer.will(answer(201, &json!({})));
        peer.will(told("STOPPED"));
        let stopped = gateway.post(&aurora, &format!("{path}/stop"), json!({})).await.expect(200);
        assert_eq!((&stopped["state"], &stopped["wish"]), (&json!("stopped"), &json!("stop")));
        look(&gateway, &peer, 30, "STOPPED").await;
        look(&gateway, &peer, 3_600, "STOPPED").await;
        assert_eq!(orders(&peer), [format!("POST {SESSION}/stop")]);

        peer.will(answer(201, &json!({})));
        peer.will(told("SCAN_QR_CODE"));
        let out = gateway.post(&aurora, &format!("{path}/log-out"), json!({})).await.expect(200);
        assert_eq!((&out["state"], &out["wish"]), (&json!("pairing"), &json!("log_out")));
        assert!(of_kind(&gateway, &aurora, "account.notice").await.is_empty(), "it was wanted");
    }

    a_bridge_that_does_not_answer_is_unreachable_and_what_it_refuses_is_told(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![]).await;
        let path = connect(&gateway, &aurora, &peer).await;
        look(&gateway, &peer, 0, "WORKING").await;
        let wrong = || answer(401, &json!({ "statusCode": 401, "message": "Unauthorized" }));
        peer.will(wrong());
        peer.will(wrong());
        let problem = gateway.post(&aurora, &format!("{path}/stop"), json!({})).await.expect(502);
        assert_eq!((&problem["error_code"], &problem["provider_code"]), (&json!("provider_refused"), &json!("401")));
        gateway.advance(TimeDelta::seconds(5));
        peer.will(wrong());
        supervise::look(&gateway.gateway).await.unwrap();
        let shown = device(&gateway, &aurora, &path).await;
        assert_eq!((&shown["state"], &shown["detail"]), (&json!("unreachable"), &json!("Unauthorized")));
        unplug(&gateway, &aurora, path.trim_end_matches("/session")).await;
        let problem = gateway.post(&aurora, &format!("{path}/start"), json!({})).await.expect(504);
        assert_eq!(problem["error_code"], "provider_unanswered");
        let meta = gateway.connect(&aurora, &providers::meta::PROVIDER, "aurora").await;
        let refused = gateway.get(&aurora, &format!("/api/v1/accounts/{meta}/session")).await;
        assert_eq!(refused.expect(422)["error_code"], "not_supported");
    }
}
