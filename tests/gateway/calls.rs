//! Calls: the same row, in whatever order the news arrives.

use providers::{telnyx, twilio};
use serde_json::{Value, json};

use crate::support::{Kind, TestGateway, on_both_engines};

/// The call's row without what depends on when we were told.
fn stripped(mut call: Value) -> Value {
    for name in ["id", "created_at", "processed_at", "contact_id", "organization_id"] {
        call.as_object_mut().unwrap().remove(name);
    }
    call
}

async fn told_in(order: &[&str], provider: &'static providers::Provider) -> Value {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let (aurora, _) = gateway.two_organizations().await;
    for name in order {
        gateway.deliver_recorded(provider, name).await.expect(200);
    }
    let calls = gateway.get(&aurora, "/api/v1/calls").await.expect(200);
    let calls = calls["items"].as_array().unwrap().clone();
    assert_eq!(calls.len(), 1, "all news is of one call");
    gateway.end().await;
    stripped(calls[0].clone())
}

#[tokio::test]
async fn news_of_a_twilio_call_gives_one_row_in_any_order() {
    let told = [
        "call-inbound-01-arrives",
        "call-inbound-02-in-progress",
        "call-inbound-03-ringing",
        "call-inbound-06-recording-begins",
        "call-inbound-07-completed",
        "call-inbound-09-recording-completed",
        "call-inbound-10-transcription",
    ];
    let expected = told_in(&told, &twilio::PROVIDER).await;
    assert_eq!(expected["status"], "completed");
    assert_eq!(expected["metadata"]["outcome"], "answered");
    assert_eq!(expected["metadata"]["recordings"].as_array().unwrap().len(), 1);
    let mut order = told;
    order.reverse();
    assert_eq!(told_in(&order, &twilio::PROVIDER).await, expected);
    order.swap(0, 3);
    order.swap(2, 5);
    assert_eq!(told_in(&order, &twilio::PROVIDER).await, expected);
}

#[tokio::test]
async fn news_of_a_telnyx_call_gives_one_row_in_any_order() {
    let told = [
        "voice-incoming-01-initiated",
        "voice-incoming-03-answered-late",
        "voice-incoming-09-hangup",
        "voice-incoming-11-cost",
        "voice-incoming-12-recording-saved",
        "voice-incoming-13-recording-transcription-saved",
    ];
    let expected = told_in(&told, &telnyx::PROVIDER).await;
    assert_eq!(expected["status"], "completed");
    assert_eq!(expected["direction"], "inbound");
    assert!(expected["metadata"]["cost"]["amount"].is_string());
    let mut order = told;
    order.reverse();
    assert_eq!(told_in(&order, &telnyx::PROVIDER).await, expected);
}

on_both_engines! {
    a_call_of_its_own_makes_its_caller_a_contact(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-inbound-01-arrives").await.expect(200);
        let calls = gateway.get(&aurora, "/api/v1/calls").await.expect(200);
        let id = calls["items"][0]["id"].as_str().unwrap();
        let call = gateway.get(&aurora, &format!("/api/v1/calls/{id}")).await.expect(200);
        assert!(call["contact_id"].is_string());
        assert_eq!(call["kind"], "call");
        assert_eq!(call["channel"], "voip");
        assert_eq!(call["events"].as_array().unwrap().len(), 1);
        gateway.get(&aurora, &format!("/api/v1/messages/{id}")).await.expect(404);
    }

    a_caller_who_withholds_their_number_is_nobody(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-inbound-withheld").await.expect(200);
        let calls = gateway.get(&aurora, "/api/v1/calls").await.expect(200);
        assert!(calls["items"][0]["contact_id"].is_null());
        assert_eq!(gateway.count("contacts").await, 0);
    }

    a_recording_that_names_no_number_joins_its_call(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for name in ["call-inbound-01-arrives", "call-inbound-09-recording-completed"] {
            gateway.deliver_recorded(&twilio::PROVIDER, name).await.expect(200);
        }
        let calls = gateway.get(&aurora, "/api/v1/calls").await.expect(200);
        assert_eq!(calls["items"].as_array().unwrap().len(), 1);
        assert_eq!(calls["items"][0]["metadata"]["recordings"].as_array().unwrap().len(), 1);
        assert!(gateway.communications(&borealis).await.is_empty());
    }

    news_without_a_number_on_a_shared_account_belongs_to_whoever_has_the_call(gateway) {
        // One Telnyx account serves both organizations: only the call can say whose its recording is.
        let (aurora, borealis) = gateway.two_organizations().await;
        gateway.deliver_recorded(&telnyx::PROVIDER, "voice-incoming-01-initiated").await.expect(200);
        gateway.deliver_recorded(&telnyx::PROVIDER, "voice-incoming-12-recording-saved").await.expect(200);
        let calls = gateway.get(&aurora, "/api/v1/calls").await.expect(200);
        assert_eq!(calls["items"][0]["metadata"]["recordings"].as_array().unwrap().len(), 1);
        assert!(gateway.communications(&borealis).await.is_empty());
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
    }

    what_is_said_of_a_recorded_call_is_checked_and_kept(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let record = |direction: &str, metadata: Value| {
            let body = json!({ "lead_id": lead, "channel": "voip", "direction": direction, "metadata": metadata });
            let (gateway, aurora) = (&gateway, &aurora);
            async move { gateway.post(aurora, "/api/v1/crm/communications", body).await }
        };
        for (direction, metadata, outcome) in [
            ("inbound", json!({ "duration_seconds": 864_000 }), "answered"),
            ("inbound", json!({ "duration_seconds": 0, "outcome": "answered" }), "answered"),
            ("inbound", json!({}), "missed"),
            ("inbound", json!({ "outcome": "missed", "duration_seconds": 0 }), "missed"),
            ("inbound", json!({ "outcome": "rejected" }), "rejected"),
            ("outbound", json!({ "outcome": "no_answer" }), "no_answer"),
            ("outbound", json!({ "outcome": "canceled" }), "canceled"),
            ("outbound", json!({ "outcome": "busy" }), "busy"),
            ("outbound", json!({ "outcome": "failed" }), "failed"),
            ("outbound", json!({ "outcome": null, "duration_seconds": null }), "no_answer"),
        ] {
            let call = record(direction, metadata).await.expect(201);
            assert_eq!(call["metadata"]["outcome"], outcome, "{call}");
        }
        for (direction, metadata, field) in [
            ("inbound", json!({ "duration_seconds": -1 }), "metadata.duration_seconds"),
            ("inbound", json!({ "duration_seconds": 864_001 }), "metadata.duration_seconds"),
            ("inbound", json!({ "duration_seconds": 1.5 }), "metadata.duration_seconds"),
            ("inbound", json!({ "duration_seconds": "60" }), "metadata.duration_seconds"),
            ("inbound", json!({ "outcome": "canceled" }), "metadata.outcome"),
            ("outbound", json!({ "outcome": "missed" }), "metadata.outcome"),
            ("outbound", json!({ "outcome": "great" }), "metadata.outcome"),
            ("outbound", json!({ "outcome": 1 }), "metadata.outcome"),
            ("outbound", json!({ "outcome": "busy", "duration_seconds": 5 }), "metadata.outcome"),
        ] {
            let problem = record(direction, metadata).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        }
    }

    a_telephone_system_reports_completed_calls(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let report = |key: Option<&str>, body: Value| {
            let mut request = http::Request::builder().method("POST")
                .uri("/api/v1/crm/communications/voip/call-completed")
                .header("content-type", "application/json");
            if let Some(key) = key {
                request = request.header("x-voip-api-key", key);
            }
            request.body(bytes::Bytes::from(serde_json::to_vec(&body).unwrap())).unwrap()
        };
        let body = json!({
            "call_id": "pbx-1", "direction": "inbound", "from": "(11) 98765-4321", "to": "+551140028922",
            "status": "completed", "started_at": "2026-11-01T09:00:00-03:00", "duration_seconds": 63,
            "recording_url": "https://pbx.example.com/r/1.mp3",
        });
        let key = gateway.key(aurora.id, vec![switchboard::model::Scope::VoipWrite]).await;
        gateway.send(report(None, body.clone())).await.expect(401);
        gateway.send(report(Some("sbk_wrong"), body.clone())).await.expect(401);
        gateway.send(report(None, json!({}))).await.expect(401);
        gateway.send(report(Some("sbk_wrong"), json!({}))).await.expect(401);
        let reader = gateway.key(aurora.id, vec![switchboard::model::Scope::LeadsRead]).await;
        gateway.send(report(Some(&reader), body.clone())).await.expect(403);
        let told = gateway.send(report(Some(&key), body.clone())).await.expect(200);
        assert_eq!(told["lead_id"], lead);
        assert_eq!(told["metadata"]["duration_seconds"], 63);
        assert_eq!(told["metadata"]["outcome"], "answered");
        assert_eq!(told["occurred_at"], "2026-11-01T12:00:00.000000Z");
        let mut later = body.clone();
        later["transcript"] = "Olá".into();
        let again = gateway.send(report(Some(&key), later)).await.expect(200);
        assert_eq!(again["id"], told["id"], "a second report completes the first");
        assert_eq!(again["content"], "Olá");
        assert_eq!(gateway.timeline(&aurora, &lead).await.len(), 1);
        let mut foreign = report(Some(&key), body.clone());
        foreign.headers_mut().insert("x-org-id", borealis.id.to_string().parse().unwrap());
        let problem = gateway.send(foreign).await.expect(403);
        assert!(problem["detail"].as_str().unwrap().contains("organization mismatch"));
        for org in [&aurora, &borealis] {
            let log = gateway.get(org, "/api/v1/audit-log").await.expect(200);
            assert_eq!(log["items"][0]["action"], "access.refused", "the attempt is on record");
        }
        let mut wrong = body;
        wrong["status"] = "ringing".into();
        assert_eq!(gateway.send(report(Some(&key), wrong)).await.expect(422)["errors"][0]["field"], "status");
        assert!(gateway.communications(&borealis).await.is_empty());
    }
}
