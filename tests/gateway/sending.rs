//! Sending: what is accepted is queued, sent once, and its fate is on the timeline.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, refused, text};
use crate::support::{TestGateway, on_both_engines};

/// Posts a message with an Idempotency-Key.
async fn post_once(
    gateway: &TestGateway,
    graph: &Graph,
    key: &str,
    body: &Value,
) -> crate::support::Answer {
    let request = http::Request::post("/api/v1/messages")
        .header("authorization", format!("Bearer {}", graph.org.key))
        .header("x-org-id", graph.org.id.to_string())
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(serde_json::to_vec(body).unwrap().into())
        .unwrap();
    gateway.send(request).await
}

on_both_engines! {
    a_message_is_queued_sent_delivered_and_read(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = json!({ "channel": "whatsapp", "to": "(11) 98765-4321", "client_reference": "crm-1",
                           "content": { "kind": "text", "body": "Olá!" } });
        let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        let id = accepted["id"].as_str().unwrap();
        assert_eq!(accepted["url"], format!("/api/v1/messages/{id}"));
        let queued = gateway.message(&graph.org, id).await;
        assert_eq!((&queued["status"], &queued["direction"]), (&json!("queued"), &json!("outbound")));
        assert_eq!(queued["metadata"]["client_reference"], "crm-1");
        assert!(graph.received().is_empty(), "nothing is sent by accepting");

        gateway.drain().await;
        let received = graph.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0]["text"]["body"], "Olá!");
        assert_eq!(received[0]["to"], "5511987654321");
        assert_eq!(received[0]["biz_opaque_callback_data"], id);
        let sent = gateway.message(&graph.org, id).await;
        assert_eq!((&sent["status"], &sent["provider"]), (&json!("sent"), &json!("meta")));
        assert_eq!(sent["provider_message_ids"], json!(["wamid.SENT1"]));

        graph.reports(&gateway, "wamid.SENT1", "delivered", None).await;
        assert_eq!(graph.status(&gateway, id).await, "delivered");
        graph.reports(&gateway, "wamid.SENT1", "read", Some(id)).await;
        assert_eq!(graph.status(&gateway, id).await, "read");
        let timeline = gateway.communications(&graph.org).await;
        assert_eq!(timeline[0]["id"], id, "it stands on the timeline, above what it answers");
        let kinds: Vec<Value> = graph.events(&gateway).await.iter().map(|event| event["type"].clone()).collect();
        for kind in ["message.queued", "message.status"] {
            assert!(kinds.contains(&json!(kind)), "{kinds:?}");
        }
    }

    a_key_is_carried_out_once(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let first = post_once(&gateway, &graph, "order-17", &text(PERSON, "one")).await;
        let again = post_once(&gateway, &graph, "\"order-17\"", &text(PERSON, "one")).await;
        assert_eq!(first.expect(202), again.expect(202), "the same answer, bare or quoted");
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let other = post_once(&gateway, &graph, "order-17", &text(PERSON, "two")).await;
        assert_eq!(other.expect(422)["error_code"], "idempotency_key_reused");
        post_once(&gateway, &graph, "", &text(PERSON, "two")).await.expect(422);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 1);
    }

    one_key_at_once_is_one_message(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = text(PERSON, "one");
        let posts = (0..16).map(|_| post_once(&gateway, &graph, "order-17", &body));
        let answers = futures_util::future::join_all(posts).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert!(statuses.iter().all(|status| [202, 409].contains(status)), "{statuses:?}");
        assert!(statuses.contains(&202));
        gateway.drain().await;
        assert_eq!(graph.received().len(), 1);
    }

    a_closed_window_is_refused_with_the_way_out(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        gateway.advance(TimeDelta::hours(25));
        let refusal = gateway.post(&graph.org, "/api/v1/messages", text(PERSON, "Olá")).await.expect(422);
        assert_eq!(refusal["error_code"], "window_closed");
        assert!(refusal["detail"].as_str().unwrap().contains("fallback_template"));
        let mut with = text(PERSON, "Olá");
        with["fallback_template"] = json!({ "name": "reopen", "language": "pt_BR", "variables": { "1": "Ana" } });
        gateway.post(&graph.org, "/api/v1/messages", with).await.expect(202);
        gateway.drain().await;
        let received = graph.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0]["template"]["name"], "reopen");
    }

    a_window_that_closes_while_the_message_waits_is_noticed(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let mut late = text(PERSON, "Olá");
        late["send_at"] = json!(gateway.clock.now() + TimeDelta::hours(30));
        let without = gateway.post(&graph.org, "/api/v1/messages", late.clone()).await.expect(202);
        late["fallback_template"] = json!({ "name": "reopen", "language": "pt_BR" });
        gateway.post(&graph.org, "/api/v1/messages", late).await.expect(202);
        gateway.drain().await;
        assert!(graph.received().is_empty(), "nothing is sent before its time");
        graph.later(&gateway, TimeDelta::hours(30)).await;
        graph.later(&gateway, TimeDelta::seconds(1)).await;
        let received = graph.received();
        assert_eq!(received.len(), 1, "{received:?}");
        assert_eq!(received[0]["type"], "template");
        let failed = gateway.message(&graph.org, without["id"].as_str().unwrap()).await;
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["metadata"]["failure"]["cause"], "window");
    }

    bulk_gives_each_message_its_own_result(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let bad = json!({ "channel": "whatsapp", "to": PERSON, "content": { "kind": "text", "body": "" } });
        let nobody = json!({ "channel": "sms", "to": PERSON, "content": { "kind": "text", "body": "Oi" } });
        let unreadable = json!({ "channel": "pigeon", "to": PERSON, "content": { "kind": "text", "body": "Oi" } });
        let messages = json!({ "messages": [text(PERSON, "one"), bad, nobody, unreadable, text(PERSON, "two")] });
        let results = gateway.post(&graph.org, "/api/v1/messages/bulk", messages).await.expect(202);
        assert_eq!((&results["accepted"], &results["refused"]), (&json!(2), &json!(3)));
        assert_eq!(results["results"][0]["status"], "queued");
        assert_eq!(results["results"][1]["errors"][0]["field"], "content.body");
        assert_eq!(results["results"][2]["error_code"], "no_active_route");
        assert_eq!(results["results"][3]["errors"][0]["field"], "channel");
        assert_eq!(results["results"][4]["status"], "queued");
        gateway.drain().await;
        graph.later(&gateway, TimeDelta::seconds(1)).await;
        let bodies: Vec<Value> = graph.received().iter().map(|m| m["text"]["body"].clone()).collect();
        assert_eq!(bodies, [json!("one"), json!("two")], "a conversation stays in order");
        let none = gateway.post(&graph.org, "/api/v1/messages/bulk", json!({ "messages": [] })).await;
        assert_eq!(none.expect(422)["errors"][0]["field"], "messages");
    }

    what_the_provider_cannot_do_is_refused_by_its_limit(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let button = |n: usize| json!({ "id": format!("b{n}"), "title": format!("Button {n}") });
        let buttons: Vec<Value> = (0..4).map(button).collect();
        let body = json!({ "channel": "whatsapp", "to": PERSON,
                           "content": { "kind": "buttons", "body": "Choose", "buttons": buttons } });
        let refusal = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(422);
        assert_eq!(refusal["errors"][0]["field"], "content.buttons");
        assert!(refusal["detail"].as_str().unwrap().contains('3'), "{refusal}");
        let two = json!({ "channel": "whatsapp", "to": PERSON, "lead_id": graph.account,
                          "content": { "kind": "text", "body": "Oi" } });
        gateway.post(&graph.org, "/api/v1/messages", two).await.expect(422);
        assert_eq!(gateway.count("outbound").await, 0);
    }

    a_message_that_waits_can_be_called_back_and_changed(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let first = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &first).await, "sent");
        let mut late = text(PERSON, "later");
        late["send_at"] = json!(gateway.clock.now() + TimeDelta::hours(1));
        let accepted = gateway.post(&graph.org, "/api/v1/messages", late.clone()).await.expect(202);
        let id = accepted["id"].as_str().unwrap();
        let edit = json!({ "content": { "kind": "text", "body": "changed" } });
        gateway.post(&graph.org, &format!("/api/v1/messages/{id}/edit"), edit).await.expect(200);
        let other = gateway.post(&graph.org, "/api/v1/messages", late).await.expect(202);
        let other = other["id"].as_str().unwrap();
        gateway.post(&graph.org, &format!("/api/v1/messages/{other}/cancel"), json!({})).await.expect(200);
        assert_eq!(graph.status(&gateway, other).await, "canceled");
        graph.later(&gateway, TimeDelta::hours(2)).await;
        let bodies: Vec<Value> = graph.received().iter().map(|m| m["text"]["body"].clone()).collect();
        assert_eq!(bodies, [json!("one"), json!("changed")]);
        let late = gateway.post(&graph.org, &format!("/api/v1/messages/{id}/cancel"), json!({})).await;
        assert!(late.expect(409)["detail"].as_str().unwrap().contains("sent"));
    }

    another_organization_sees_nothing_of_it(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        let other = gateway.organization("Borealis").await;
        for path in ["cancel", "retry", "discard"] {
            gateway.post(&other, &format!("/api/v1/messages/{id}/{path}"), json!({})).await.expect(404);
        }
        gateway.get(&other, &format!("/api/v1/messages/{id}")).await.expect(404);
        let queue = gateway.get(&other, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"], json!([]));
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["due"]["count"], 1);
        let reference = gateway.post(&other, "/api/v1/messages", json!({ "channel": "whatsapp", "to": PERSON, "reply_to": id,
            "content": { "kind": "text", "body": "Oi" } })).await;
        reference.expect(422);
    }

    whoever_asks_to_be_left_alone_is(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = json!({ "channel": "whatsapp", "address": PERSON });
        let waiting = graph.send(&gateway, "accepted before").await;
        gateway.post(&graph.org, "/api/v1/suppressions", body.clone()).await.expect(204);
        let refusal = gateway.post(&graph.org, "/api/v1/messages", text(PERSON, "Oi")).await.expect(422);
        assert_eq!(refusal["error_code"], "recipient_suppressed");
        gateway.drain().await;
        assert!(graph.received().is_empty());
        assert_eq!(graph.status(&gateway, &waiting).await, "failed");
        let listed = gateway.get(&graph.org, "/api/v1/suppressions").await.expect(200);
        assert_eq!(listed["items"][0]["address"], PERSON);
        gateway.call(&graph.org, http::Method::DELETE, "/api/v1/suppressions", Some(body)).await.expect(204);
        graph.send(&gateway, "again").await;
        gateway.drain().await;
        assert_eq!(graph.received().len(), 1);
    }

    what_was_given_up_is_listed_and_really_sent_again(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_009)]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "failed");
        let dead = gateway.get(&graph.org, "/api/v1/dead-letters").await.expect(200);
        let letter = &dead["items"][0];
        assert_eq!(letter["id"], id.as_str());
        assert_eq!(letter["journal"][0]["code"], "131009");
        let journal = letter["journal"].to_string();
        assert!(journal.contains("[REDACTED]") && !journal.contains("aurora-access-token"), "{journal}");
        let edit = json!({ "content": { "kind": "text", "body": "better" } });
        gateway.post(&graph.org, &format!("/api/v1/messages/{id}/edit"), edit).await.expect(200);
        gateway.post(&graph.org, "/api/v1/dead-letters", json!({ "action": "retry" })).await.expect(200);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2);
        assert_eq!(graph.received()[1]["text"]["body"], "better");
        assert_eq!(graph.status(&gateway, &id).await, "sent");
        let dead = gateway.get(&graph.org, "/api/v1/dead-letters").await.expect(200);
        assert_eq!(dead["items"], json!([]));
    }
}
