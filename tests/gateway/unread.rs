//! A message of a kind that nobody knows yet is a message; a version that can read it fills it where it stands.

use chrono::TimeDelta;
use serde_json::{Value, json};
use switchboard::flow::sweep;

use crate::support::graph::{Graph, text};
use crate::support::meta::{self, AURORA, BOREALIS};
use crate::support::{Kind, Org, TestGateway, on_both_engines};

/// A message of a kind that we do not know, written now.
fn unknown(gateway: &TestGateway, id: &str, from: &str) -> Value {
    json!({ "id": id, "from": from, "timestamp": gateway.clock.now().timestamp().to_string(),
            "type": "hologram", "hologram": { "id": "4233", "caption": "Olhe o sorriso" } })
}

/// What is kept becomes what a version that knows the kind would have made of it: the same requests, ids and senders, and every
/// `hologram` is a picture.
async fn becomes_readable(gateway: &TestGateway) {
    let sql = match gateway.database.kind {
        Kind::Sqlite => "cast(replace(cast(body as text), 'hologram', 'image') as blob)",
        Kind::Postgres => {
            "convert_to(replace(convert_from(body, 'UTF8'), 'hologram', 'image'), 'UTF8')"
        }
    };
    gateway.database.execute(&format!("update webhook_inbox set body = {sql}")).await;
}

async fn replay(gateway: &TestGateway, org: &Org, body: Value) -> Value {
    gateway.post(org, "/api/v1/webhook-inbox/replay", body).await.expect(200)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

on_both_engines! {
    a_message_of_an_unknown_kind_is_seen_and_can_be_answered(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let message = unknown(&gateway, "wamid.new", "5511912340000");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        let shown = gateway.communications(&graph.org).await;
        let shown = shown.iter().find(|one| one["kind"] == "unsupported").unwrap();
        assert_eq!((&shown["content"], &shown["metadata"]["what"]), (&json!("Olhe o sorriso"), &json!("hologram")));
        assert_eq!(shown["direction"], "inbound");
        assert!(shown["contact_id"].is_string(), "{shown}");
        let inbox = gateway.get(&graph.org, "/api/v1/webhook-inbox").await.expect(200);
        assert!(inbox["items"].as_array().unwrap().is_empty(), "{inbox}");
        assert!(kinds(&graph.events(&gateway).await).ends_with(&["message.received"]));
        // The window is open.
        gateway.post(&graph.org, "/api/v1/messages", text("+5511912340000", "Que sorriso!")).await.expect(202);
        gateway.drain().await;
        assert_eq!(graph.received()[0]["to"], "5511912340000");
    }

    a_replay_that_can_read_it_fills_the_same_message(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        gateway.advance(TimeDelta::minutes(1));
        let message = unknown(&gateway, "wamid.new", "5511912340000");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        gateway.advance(TimeDelta::minutes(1));
        graph.writes(&gateway, "wamid.later", "5511987654321").await;
        let before = gateway.communications(&graph.org).await;
        let events = graph.events(&gateway).await.len();

        let still = replay(&gateway, &graph.org, json!({ "reason": "unsupported" })).await;
        assert_eq!((still["resolved"].as_u64(), still["items"][0]["resolved"].as_bool()), (Some(0), Some(false)), "{still}");
        assert!(still["items"][0]["webhook_id"].is_string(), "{still}");
        assert!(still["items"][0]["result"].as_str().unwrap().ends_with("messages that still cannot be read: 1"), "{still}");
        assert_eq!(graph.events(&gateway).await.len(), events, "nothing is new");

        becomes_readable(&gateway).await;
        let none = replay(&gateway, &graph.org, json!({ "reason": "unreadable" })).await;
        assert!(none["items"].as_array().unwrap().is_empty(), "{none}");
        let filled = replay(&gateway, &graph.org, json!({ "provider": "meta" })).await;
        assert_eq!(filled["resolved"], 1, "{filled}");
        assert_eq!((&filled["items"][0]["stored"], &filled["items"][0]["duplicate"]), (&json!(1), &json!(0)));
        let after = gateway.communications(&graph.org).await;
        let places = |all: &[Value]| -> Vec<Value> { all.iter().map(|one| one["id"].clone()).collect() };
        assert_eq!(places(&after), places(&before), "each stays in its place");
        let shown = after.iter().find(|one| one["content"] == "Olhe o sorriso").unwrap();
        assert_eq!(shown["kind"], "image");
        assert_eq!(shown["metadata"]["attachments"].as_array().unwrap().len(), 1, "{shown}");
        assert!(shown["metadata"]["what"].is_null(), "{shown}");
        let told = graph.events(&gateway).await;
        assert_eq!(kinds(&told[events..]), ["message.edited"]);
        assert_eq!(told[events]["subject_id"], shown["id"], "{:?}", told[events]);
        assert_eq!(gateway.count("unread_messages").await, 0);
        let again = replay(&gateway, &graph.org, json!({})).await;
        assert!(again["items"].as_array().unwrap().is_empty(), "{again}");
    }

    one_request_of_several_organizations_fills_the_messages_of_each(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        gateway.meta(&[
            meta::change(AURORA, &[unknown(&gateway, "wamid.a", "5511912340000")], &[]),
            meta::change(BOREALIS, &[unknown(&gateway, "wamid.b", "5511912340000")], &[]),
        ]).await.expect(200);
        assert_eq!(gateway.count("unread_messages").await, 2);
        becomes_readable(&gateway).await;
        let filled = replay(&gateway, &aurora, json!({})).await;
        assert_eq!((&filled["resolved"], &filled["items"][0]["stored"]), (&json!(1), &json!(1)), "{filled}");
        let kind = async |org| gateway.communications(org).await[0]["kind"].clone();
        assert_eq!(kind(&aurora).await, "image");
        assert_eq!(kind(&borealis).await, "unsupported", "what is another's stays as it was");
        assert_eq!(replay(&gateway, &borealis, json!({})).await["resolved"], 1);
        assert_eq!(kind(&borealis).await, "image");
    }

    its_webhook_is_kept_as_long_as_those_that_wait(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let written = meta::text("wamid.t", "5511912340000", "Oi");
        gateway.meta(&[meta::change(AURORA, &[written], &[])]).await.expect(200);
        let message = unknown(&gateway, "wamid.new", "5511912340000");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        gateway.advance(TimeDelta::days(31));
        assert_eq!(sweep::run(&gateway.gateway).await.unwrap().webhooks, 1, "the text's");
        becomes_readable(&gateway).await;
        gateway.advance(TimeDelta::days(60));
        assert_eq!(sweep::run(&gateway.gateway).await.unwrap().webhooks, 1);
        assert_eq!((gateway.count("webhook_inbox").await, gateway.count("unread_messages").await), (0, 0));
        let none = replay(&gateway, &aurora, json!({})).await;
        assert!(none["items"].as_array().unwrap().is_empty(), "{none}");
        assert_eq!(gateway.count("messages").await, 2, "messages are kept for ever");
    }
}
