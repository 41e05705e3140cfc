//! A message that is edited passes what a new one passes.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, refused, text};
use crate::support::{Answer, Org, TestGateway, on_both_engines};

async fn edit(gateway: &TestGateway, org: &Org, id: &str, content: Value) -> Answer {
    gateway.post(org, &format!("/api/v1/messages/{id}/edit"), json!({ "content": content })).await
}

fn reaction(to: &str) -> Value {
    json!({ "kind": "reaction", "message_id": to, "emoji": "👍" })
}

/// A message to the person that is due in an hour; returns its id.
async fn scheduled(gateway: &TestGateway, graph: &Graph) -> String {
    let mut later = text(PERSON, "later");
    later["send_at"] = json!(gateway.clock.now() + TimeDelta::hours(1));
    let accepted = gateway.post(&graph.org, "/api/v1/messages", later).await.expect(202);
    accepted["id"].as_str().unwrap().to_owned()
}

on_both_engines! {
    a_reaction_names_a_message_of_the_organization_by_the_providers_id(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let sent = graph.send(&gateway, "one").await;
        gateway.drain().await;
        let id = scheduled(&gateway, &graph).await;
        let unsent = scheduled(&gateway, &graph).await;
        let others = gateway.organization("Borealis").await;
        let lead = gateway.lead(&others, "Bia", "+5491150317788").await;
        let recorded = json!({ "lead_id": lead, "channel": "sms", "direction": "inbound", "content": "Oi" });
        let of_others = gateway.post(&others, "/api/v1/crm/communications", recorded).await.expect(201);
        let of_others = of_others["id"].as_str().unwrap();
        for target in [of_others, "0197d0a0-0000-7000-8000-000000000000", unsent.as_str()] {
            let refusal = edit(&gateway, &graph.org, &id, reaction(target)).await.expect(422);
            assert_eq!(refusal["errors"][0]["field"], "content.message_id", "{target}: {refusal}");
        }
        edit(&gateway, &graph.org, &id, reaction(&sent)).await.expect(200);
        gateway.post(&graph.org, &format!("/api/v1/messages/{unsent}/cancel"), json!({})).await.expect(200);
        graph.later(&gateway, TimeDelta::hours(2)).await;
        let received = graph.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[1]["reaction"]["message_id"], "wamid.SENT1", "the provider knows its own ids");
    }

    who_is_left_alone_and_whose_window_is_closed_get_no_edited_message(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_009)]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "failed");
        let better = || json!({ "kind": "text", "body": "better" });
        let alone = json!({ "channel": "whatsapp", "address": PERSON });
        gateway.post(&graph.org, "/api/v1/suppressions", alone.clone()).await.expect(204);
        let refusal = edit(&gateway, &graph.org, &id, better()).await.expect(422);
        assert_eq!(refusal["error_code"], "recipient_suppressed");
        gateway.call(&graph.org, http::Method::DELETE, "/api/v1/suppressions", Some(alone)).await.expect(204);
        gateway.advance(TimeDelta::hours(25));
        let refusal = edit(&gateway, &graph.org, &id, better()).await.expect(422);
        assert_eq!(refusal["error_code"], "window_closed");
        graph.writes(&gateway, "wamid.AGAIN", "5511987654321").await;
        edit(&gateway, &graph.org, &id, better()).await.expect(200);
        gateway.post(&graph.org, &format!("/api/v1/messages/{id}/retry"), json!({})).await.expect(200);
        gateway.drain().await;
        assert_eq!(graph.received()[1]["text"]["body"], "better");
    }

    an_edited_message_that_no_account_could_send_is_refused(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = scheduled(&gateway, &graph).await;
        let nothing = json!({ "kind": "text", "body": "x".repeat(5_000) });
        assert_eq!(edit(&gateway, &graph.org, &id, nothing).await.expect(422)["error_code"], "invalid_request");
        let routes = gateway.get(&graph.org, "/api/v1/routes").await.expect(200);
        let path = format!("/api/v1/routes/{}", routes["items"][0]["id"].as_str().unwrap());
        gateway.call(&graph.org, http::Method::PATCH, &path, Some(json!({ "state": "retired" }))).await.expect(200);
        let better = json!({ "kind": "text", "body": "better" });
        assert_eq!(edit(&gateway, &graph.org, &id, better.clone()).await.expect(422)["error_code"], "no_active_route");
        gateway.call(&graph.org, http::Method::PATCH, &path, Some(json!({ "state": "active" }))).await.expect(200);
        edit(&gateway, &graph.org, &id, better.clone()).await.expect(200);
        graph.later(&gateway, TimeDelta::hours(2)).await;
        edit(&gateway, &graph.org, &id, better).await.expect(409);
    }
}
