//! The timeline: one order, filters, pages.

use chrono::TimeDelta;
use providers::twilio;
use serde_json::{Value, json};

use crate::support::meta::{self, AURORA};
use crate::support::{Org, TestGateway, beginning, on_both_engines};

async fn written(gateway: &TestGateway, count: i64) {
    for number in 0..count {
        let mut message =
            meta::text(&format!("wamid.{number}"), "5511987654321", &format!("message {number}"));
        // Two a second: within a second, the order of arrival decides.
        message["timestamp"] = (beginning().timestamp() - 1_000 + number / 2).to_string().into();
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
    }
}

async fn page(gateway: &TestGateway, org: &Org, query: &str) -> Value {
    gateway.get(org, &format!("/api/v1/crm/communications?{query}")).await.expect(200)
}

fn contents(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["content"].as_str().unwrap_or("-").to_owned())
        .collect()
}

on_both_engines! {
    messages_of_one_second_stay_in_the_order_in_which_they_came(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        written(&gateway, 12).await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let expected: Vec<String> = (0..12).rev().map(|number| format!("message {number}")).collect();
        assert_eq!(contents(&page(&gateway, &aurora, &format!("lead_id={lead}")).await), expected);
        assert_eq!(contents(&page(&gateway, &aurora, "").await), expected);
    }

    pages_by_offset_and_by_cursor_cover_everything_once(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        written(&gateway, 11).await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-inbound-01-arrives").await.expect(200);
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        for scope in [format!("lead_id={lead}&"), String::new()] {
            let all = contents(&page(&gateway, &aurora, &format!("{scope}limit=200")).await);
            let mut by_offset = Vec::new();
            for offset in (0..15).step_by(5) {
                let part = page(&gateway, &aurora, &format!("{scope}limit=5&offset={offset}")).await;
                assert_eq!(part["total"], json!(all.len()), "{scope} at {offset}");
                by_offset.extend(contents(&part));
            }
            assert_eq!(by_offset, all);
            let mut by_cursor = Vec::new();
            let mut cursor = String::new();
            loop {
                let part = page(&gateway, &aurora, &format!("{scope}limit=5{cursor}")).await;
                by_cursor.extend(contents(&part));
                match part["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(by_cursor, all);
            let beyond = page(&gateway, &aurora, &format!("{scope}limit=5&offset=500")).await;
            assert_eq!((beyond["total"].as_u64(), contents(&beyond).len()), (Some(all.len() as u64), 0));
        }
    }

    every_filter_narrows_and_they_hold_together(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        written(&gateway, 6).await;
        gateway.meta(&[meta::echo("wamid.echo", "5511987654321", "Our 100% ANSWER")]).await.expect(200);
        gateway.deliver_recorded(&twilio::PROVIDER, "sms-text").await.expect(200);
        gateway.deliver_recorded(&twilio::PROVIDER, "call-inbound-01-arrives").await.expect(200);
        let total = |page: Value| page["total"].as_i64().unwrap();
        assert_eq!(total(page(&gateway, &aurora, "").await), 9);
        assert_eq!(total(page(&gateway, &aurora, "channel=whatsapp").await), 7);
        assert_eq!(total(page(&gateway, &aurora, "channel=sms").await), 1);
        assert_eq!(total(page(&gateway, &aurora, "channel=voip").await), 1);
        assert_eq!(total(page(&gateway, &aurora, "channel=email").await), 0);
        assert_eq!(total(page(&gateway, &aurora, "direction=outbound").await), 1);
        assert_eq!(total(page(&gateway, &aurora, "search=answer").await), 1, "whatever the case");
        assert_eq!(total(page(&gateway, &aurora, "search=100%25").await), 1, "a percent sign is a percent sign");
        assert_eq!(total(page(&gateway, &aurora, "search=1%25r").await), 0);
        assert_eq!(total(page(&gateway, &aurora, "search=message&direction=outbound").await), 0);
        let from = (beginning() - TimeDelta::seconds(999)).format("%Y-%m-%dT%H:%M:%SZ");
        let to = (beginning() - TimeDelta::seconds(998)).format("%Y-%m-%dT%H:%M:%SZ");
        let ranged = page(&gateway, &aurora, &format!("channel=whatsapp&from={from}&to={to}")).await;
        assert_eq!(contents(&ranged), ["message 3", "message 2"], "from is included, to is not");
    }

    bad_parameters_are_named(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let cases = [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("offset=-1", "offset"),
            ("channel=fax", "channel"), ("direction=up", "direction"), ("from=yesterday", "from"), ("cursor=1", "cursor"),
            ("colour=red", "query"), ("lead_id=1", "lead_id"),
        ];
        for (query, field) in cases {
            let answer = gateway.get(&aurora, &format!("/api/v1/crm/communications?{query}")).await;
            let problem = answer.json();
            assert!([400, 422].contains(&answer.status.as_u16()), "{query}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(field) || field == "query", "{query}: {problem}");
            assert!(problem["error_code"].is_string() && problem["timestamp"].is_string());
        }
        let path = format!("/api/v1/crm/communications?lead_id={lead}");
        assert_eq!(gateway.get(&aurora, &path).await.expect(200)["total"], 0, "a lead without history has an empty timeline");
        gateway.get(&borealis, &path).await.expect(404);
    }

    attachments_and_context_stand_in_the_metadata(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let image = json!({
            "id": "wamid.image", "from": "5511987654321", "timestamp": "1793534400", "type": "image",
            "image": { "id": "media-1", "mime_type": "image/jpeg", "sha256": "abc", "caption": "the tooth" },
            "context": { "id": "wamid.before", "from": "551140028922" },
        });
        gateway.meta(&[meta::change(AURORA, &[image], &[])]).await.expect(200);
        let item = &gateway.communications(&aurora).await[0];
        assert_eq!(item["kind"], "image");
        assert_eq!(item["content"], "the tooth");
        assert_eq!(item["metadata"]["reply_to"], "wamid.before");
        let files = item["metadata"]["attachments"].as_array().unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0]["mime_type"], "image/jpeg");
        assert_eq!(files[0]["position"], 0);
    }

    what_took_place_elsewhere_is_put_on_record(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let body = json!({
            "lead_id": lead, "channel": "email", "direction": "outbound", "content": "We sent the offer", "external_id": "crm-1",
            "metadata": { "subject": "Offer" }, "occurred_at": "2026-10-01T10:00:00Z",
        });
        let path = "/api/v1/crm/communications";
        let first = gateway.post(&aurora, path, body.clone()).await.expect(201);
        let second = gateway.post(&aurora, path, body.clone()).await.expect(201);
        assert_eq!(first["id"], second["id"]);
        assert_eq!(first["provider"], "crm");
        assert_eq!(first["metadata"]["subject"], "Offer");
        gateway.post(&borealis, path, body).await.expect(404);
        let call = json!({ "lead_id": lead, "channel": "voip", "direction": "inbound", "metadata": { "duration_seconds": 60 } });
        let call = gateway.post(&aurora, path, call).await.expect(201);
        assert_eq!((&call["kind"], &call["metadata"]["outcome"]), (&json!("call"), &json!("answered")));
        assert_eq!(gateway.timeline(&aurora, &lead).await.len(), 2);
        let wrong = json!({ "channel": "email", "direction": "outbound", "content": "x" });
        assert_eq!(gateway.post(&aurora, path, wrong).await.expect(422)["errors"][0]["field"], "lead_id");
        let wrong = json!({ "lead_id": lead, "channel": "email", "direction": "outbound", "colour": "red" });
        assert!(gateway.post(&aurora, path, wrong).await.expect(422)["detail"].as_str().unwrap().contains("colour"));
    }
}
