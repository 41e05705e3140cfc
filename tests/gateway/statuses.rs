//! Delivery statuses only move forward, and may come before their message.

use serde_json::{Value, json};

use crate::support::meta::{self, AURORA};
use crate::support::{Org, TestGateway, on_both_engines};

const T: i64 = 1_793_534_400;

async fn deliver(gateway: &TestGateway, status: &str, at: i64) {
    let status = meta::status("wamid.echo", status, at);
    gateway.meta(&[meta::change(AURORA, &[], &[status])]).await.expect(200);
}

async fn message(gateway: &TestGateway, org: &Org) -> Value {
    let items = gateway.communications(org).await;
    let item = items.iter().find(|item| item["direction"] == "outbound").unwrap();
    let path = format!("/api/v1/messages/{}", item["id"].as_str().unwrap());
    gateway.get(org, &path).await.expect(200)
}

on_both_engines! {
    statuses_move_forward_only(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.meta(&[meta::echo("wamid.echo", "5511987654321", "our answer")]).await.expect(200);
        assert_eq!(message(&gateway, &aurora).await["status"], "sent");
        deliver(&gateway, "read", T + 3).await;
        deliver(&gateway, "delivered", T + 2).await;
        deliver(&gateway, "sent", T + 1).await;
        let found = message(&gateway, &aurora).await;
        assert_eq!(found["status"], "read", "an older status changes nothing");
        let words: Vec<&str> = found["statuses"].as_array().unwrap().iter().map(|s| s["status"].as_str().unwrap()).collect();
        assert_eq!(words, ["sent", "delivered", "read"], "the history is in the order in which it happened");
        deliver(&gateway, "failed", T + 9).await;
        assert_eq!(message(&gateway, &aurora).await["status"], "read", "what was read did not fail");
    }

    a_failure_after_sent_stands_until_delivery_disproves_it(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.meta(&[meta::echo("wamid.echo", "5511987654321", "our answer")]).await.expect(200);
        let mut failed = meta::status("wamid.echo", "failed", T + 1);
        failed["errors"] = json!([{ "code": 131_026, "title": "Message undeliverable" }]);
        gateway.meta(&[meta::change(AURORA, &[], &[failed])]).await.expect(200);
        let found = message(&gateway, &aurora).await;
        assert_eq!(found["status"], "failed");
        assert_eq!(found["metadata"]["failure"]["code"], "131026");
        assert_eq!(found["metadata"]["failure"]["cause"], "recipient");
        deliver(&gateway, "sent", T + 2).await;
        assert_eq!(message(&gateway, &aurora).await["status"], "failed", "failed does not return to sent");
        deliver(&gateway, "delivered", T + 3).await;
        assert_eq!(message(&gateway, &aurora).await["status"], "delivered");
    }

    statuses_that_come_before_their_message_wait_for_it(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        deliver(&gateway, "read", T + 3).await;
        deliver(&gateway, "sent", T + 1).await;
        assert_eq!(gateway.count("waiting_changes").await, 2);
        deliver(&gateway, "sent", T + 1).await;
        assert_eq!(gateway.count("waiting_changes").await, 2, "a redelivery waits once");
        gateway.meta(&[meta::echo("wamid.echo", "5511987654321", "our answer")]).await.expect(200);
        assert_eq!(gateway.count("waiting_changes").await, 0);
        let found = message(&gateway, &aurora).await;
        assert_eq!(found["status"], "read");
        assert_eq!(found["statuses"].as_array().unwrap().len(), 2);
    }

    a_message_and_its_statuses_in_one_request_meet(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let status = |word, at| meta::status("wamid.echo", word, at);
        gateway.meta(&[
            meta::change(AURORA, &[], &[status("delivered", T + 2), status("sent", T + 1)]),
            meta::echo("wamid.echo", "5511987654321", "our answer"),
        ]).await.expect(200);
        assert_eq!(message(&gateway, &aurora).await["status"], "delivered");
        assert_eq!(gateway.count("waiting_changes").await, 0);
    }

    every_order_of_three_statuses_ends_the_same(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let words = [("sent", T + 1), ("delivered", T + 2), ("read", T + 3)];
        for (index, order) in orders.iter().enumerate() {
            let id = format!("wamid.order{index}");
            for (place, which) in order.iter().enumerate() {
                let (word, at) = words[*which];
                gateway.meta(&[meta::change(AURORA, &[], &[meta::status(&id, word, at)])]).await.expect(200);
                if place == index % 3 {
                    gateway.meta(&[meta::echo(&id, "5511987654321", &id)]).await.expect(200);
                }
            }
        }
        let items = gateway.communications(&aurora).await;
        assert_eq!(items.len(), 6);
        assert!(items.iter().all(|item| item["status"] == "read"));
        assert_eq!(gateway.count("message_statuses").await, 18);
    }

    the_stream_tells_of_progress_and_not_of_what_is_old(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.meta(&[meta::echo("wamid.echo", "5511987654321", "our answer")]).await.expect(200);
        deliver(&gateway, "delivered", T + 2).await;
        deliver(&gateway, "sent", T + 1).await;
        deliver(&gateway, "delivered", T + 2).await;
        let events = gateway.get(&aurora, "/api/v1/events").await.expect(200);
        let kinds: Vec<(&str, &str)> = events["items"].as_array().unwrap().iter()
            .map(|e| (e["type"].as_str().unwrap(), e["data"]["status"].as_str().unwrap_or("")))
            .filter(|(kind, _)| kind.starts_with("message."))
            .collect();
        assert_eq!(kinds, [("message.sent", ""), ("message.status", "delivered")]);
    }

    edits_and_revocations_apply_once_and_in_any_order(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let edit = |id: &str, body: &str, at: i64| json!({
            "id": id, "from": "5511987654321", "timestamp": at.to_string(), "type": "edit",
            "edit": { "original_message_id": "wamid.original", "message": { "type": "text", "text": { "body": body } } },
        });
        // The second edit first, then the message, then the first edit, then the revocation.
        gateway.meta(&[meta::change(AURORA, &[edit("wamid.e2", "third version", T + 20)], &[])]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.original", "5511987654321", "first version")], &[])]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[edit("wamid.e1", "second version", T + 10)], &[])]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[edit("wamid.e1", "second version", T + 10)], &[])]).await.expect(200);
        let items = gateway.communications(&aurora).await;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["content"], "third version");
        let revoke = json!({
            "id": "wamid.r", "from": "5511987654321", "timestamp": (T + 30).to_string(), "type": "revoke",
            "revoke": { "original_message_id": "wamid.original" },
        });
        gateway.meta(&[meta::change(AURORA, &[revoke], &[])]).await.expect(200);
        let path = format!("/api/v1/messages/{}", items[0]["id"].as_str().unwrap());
        let found = gateway.get(&aurora, &path).await.expect(200);
        assert_eq!(found["edits"].as_array().unwrap().len(), 3);
        assert!(found["metadata"]["revoked_at"].is_string());
    }
}
