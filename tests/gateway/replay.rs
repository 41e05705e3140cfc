//! What could not be read or routed waits, whole, and is written when it can be.

use serde_json::json;

use crate::support::meta::{self, AURORA, NOBODYS};
use crate::support::on_both_engines;

on_both_engines! {
    an_unknown_number_waits_until_a_route_claims_it(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for number in 0..3 {
            let message = meta::text(&format!("wamid.{number}"), "5511987654321", &number.to_string());
            gateway.meta(&[
                meta::change(NOBODYS, &[message], &[]),
                meta::change(AURORA, &[meta::text(&format!("wamid.a{number}"), "5511987654321", "a")], &[]),
            ]).await.expect(200);
        }
        assert_eq!(gateway.count("webhook_quarantine").await, 3);
        let accounts = gateway.get(&borealis, "/api/v1/accounts").await.expect(200);
        let account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap().clone();
        let route = json!({ "account_id": account["id"], "channel": "whatsapp", "address": "+5491150300000", "handle": NOBODYS });
        let added = gateway.post(&borealis, "/api/v1/routes", route).await.expect(201);
        assert_eq!(added["claimed_items"], 3);
        let contents: Vec<String> = gateway.communications(&borealis).await.iter().map(|i| i["content"].as_str().unwrap().to_owned()).collect();
        assert_eq!(contents.len(), 3);
        assert_eq!(gateway.communications(&aurora).await.len(), 3, "what aurora had is not written again");
        let open = gateway.database.scalar("select count(*) from webhook_quarantine where state = 'open'").await;
        assert_eq!(open, 0);
    }

    an_item_is_replayed_one_by_one_and_by_range_with_its_result_on_record(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for number in 0..3 {
            let unknown = json!({ "id": format!("wamid.{number}"), "timestamp": "1793534400", "type": "hologram" });
            gateway.meta(&[meta::change(AURORA, &[unknown], &[])]).await.expect(200);
        }
        let waiting = gateway.get(&aurora, "/api/v1/webhook-inbox?reason=unreadable&provider=meta").await.expect(200);
        let items = waiting["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 3);
        let id = items[0]["id"].as_str().unwrap();
        let path = format!("/api/v1/webhook-inbox/{id}");
        gateway.get(&borealis, &path).await.expect(404);
        gateway.post(&borealis, &format!("{path}/replay"), json!({})).await.expect(404);
        let replayed = gateway.post(&aurora, &format!("{path}/replay"), json!({})).await.expect(200);
        assert_eq!(replayed["resolved"], false);
        let item = gateway.get(&aurora, &path).await.expect(200);
        assert_eq!(item["attempts"], 1);
        assert_eq!(item["last_result"], "0 written, 0 known already, 0 waiting, 1 still quarantined");
        assert_eq!(item["state"], "open");
        let range = gateway.post(&aurora, "/api/v1/webhook-inbox/replay", json!({ "reason": "unreadable" })).await.expect(200);
        let order: Vec<_> = range["items"].as_array().unwrap().iter().map(|item| item["item_id"].clone()).collect();
        let newest_first: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
        assert_eq!(order, [&newest_first[2], &newest_first[1], &newest_first[0]].map(Clone::clone), "what was tried comes last");
        let none = gateway.post(&aurora, "/api/v1/webhook-inbox/replay", json!({ "to": "2026-01-01T00:00:00Z" })).await.expect(200);
        assert!(none["items"].as_array().unwrap().is_empty());
        gateway.call(&aurora, http::Method::DELETE, &path, None).await.expect(204);
        gateway.call(&aurora, http::Method::DELETE, &path, None).await.expect(404);
        let left = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
        assert_eq!(left["items"].as_array().unwrap().len(), 2);
        let all = gateway.get(&aurora, "/api/v1/webhook-inbox?state=all").await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 3);
    }

    replaying_a_request_that_was_written_changes_nothing(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = meta::text("wamid.1", "5511987654321", "once");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        let events = gateway.count("events").await;
        let requests = gateway.get(&aurora, "/api/v1/webhook-inbox/requests").await.expect(200);
        let path = format!("/api/v1/webhook-inbox/requests/{}/replay", requests["items"][0]["id"].as_str().unwrap());
        let replayed = gateway.post(&aurora, &path, json!({})).await.expect(200);
        assert_eq!((&replayed["stored"], &replayed["duplicate"]), (&json!(0), &json!(1)));
        assert_eq!(gateway.count("events").await, events);
        assert_eq!(gateway.count("webhook_inbox").await, 1, "a replay is not kept again");
    }

    a_replay_needs_no_signature_that_has_been_rotated_since(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.1", "5511987654321", "once")], &[])]).await.expect(200);
        let accounts = gateway.get(&aurora, "/api/v1/accounts").await.expect(200);
        let account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap()["id"].clone();
        let path = format!("/api/v1/accounts/{}", account.as_str().unwrap());
        let change = json!({ "credentials": { "app_secret": "ffffffffffffffffffffffffffffffff" } });
        gateway.call(&aurora, http::Method::PATCH, &path, Some(change)).await.expect(200);
        gateway.database.execute("delete from messages").await;
        let requests = gateway.get(&aurora, "/api/v1/webhook-inbox/requests").await.expect(200);
        let path = format!("/api/v1/webhook-inbox/requests/{}/replay", requests["items"][0]["id"].as_str().unwrap());
        assert_eq!(gateway.post(&aurora, &path, json!({})).await.expect(200)["stored"], 1);
    }
}
