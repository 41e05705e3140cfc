//! Messages that wait for a paused template, and failures that were judged: what people and other accounts do meanwhile.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, refused};
use crate::support::{TestGateway, on_both_engines, recorded_account};

fn content() -> Value {
    json!({ "kind": "template", "name": "hello_world", "language": "en_US" })
}

/// An organization whose template was called paused by the answer to its first message; returns that message's id.
async fn paused(gateway: &TestGateway) -> (Graph, String) {
    let graph = Graph::connect(gateway, vec![refused(400, 132_015)]).await;
    let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content() });
    let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
    gateway.drain().await;
    assert_eq!(graph.received().len(), 1);
    (graph, accepted["id"].as_str().unwrap().to_owned())
}

/// What the job does that lets messages go on.
async fn look(gateway: &TestGateway) {
    switchboard::flow::send::holds::look(&gateway.gateway).await.unwrap();
    gateway.drain().await;
}

on_both_engines! {
    a_held_message_that_is_edited_goes_at_once(gateway) {
        let (graph, id) = paused(&gateway).await;
        let edit = json!({ "content": { "kind": "text", "body": "Oi" } });
        gateway.post(&graph.org, &format!("/api/v1/messages/{id}/edit"), edit).await.expect(200);
        gateway.drain().await;
        assert_eq!(graph.received()[1]["type"], "text");
        assert_eq!(graph.status(&gateway, &id).await, "sent");
    }

    a_person_may_try_a_paused_template(gateway) {
        let (graph, id) = paused(&gateway).await;
        look(&gateway).await;
        assert_eq!(graph.received().len(), 1);
        gateway.post(&graph.org, "/api/v1/queue/resume", json!({ "channel": "whatsapp" })).await.expect(200);
        look(&gateway).await;
        assert_eq!(graph.received().len(), 2);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
    }

    a_template_of_which_nobody_tells_is_tried_after_the_longest_pause(gateway) {
        let (graph, id) = paused(&gateway).await;
        gateway.advance(TimeDelta::hours(5));
        look(&gateway).await;
        assert_eq!(graph.received().len(), 1);
        gateway.advance(TimeDelta::hours(2));
        look(&gateway).await;
        assert_eq!(graph.received().len(), 2);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
    }

    what_waits_for_the_template_of_another_account_goes_on(gateway) {
        let (graph, id) = paused(&gateway).await;
        let provider = providers::provider("meta").unwrap();
        let mut account = recorded_account(provider, "aurora");
        account.settings.insert("base_url".to_owned(), graph.peer.url(""));
        let other = gateway.connect_only(&graph.org, provider, &account).await;
        let routes = gateway.get(&graph.org, "/api/v1/routes").await.expect(200);
        let route = routes["items"][0]["id"].as_str().unwrap().to_owned();
        let retired = Some(json!({ "state": "retired" }));
        gateway.call(&graph.org, http::Method::PATCH, &format!("/api/v1/routes/{route}"), retired).await.expect(200);
        let body = json!({ "account_id": other, "channel": "whatsapp", "address": "+551140028999",
                           "handle": "217461884773999", "state": "active" });
        gateway.post(&graph.org, "/api/v1/routes", body).await.expect(201);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
        let path = format!("/api/v1/accounts/{}", graph.account);
        gateway.call(&graph.org, http::Method::DELETE, &path, None).await.expect(204);
        assert_eq!(gateway.count("template_holds").await, 0);
    }

    a_failure_that_was_judged_is_not_judged_again_by_what_never_left(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = json!({ "channel": "whatsapp", "to": PERSON, "content": { "kind": "text", "body": "Oi" },
                           "fallback_template": { "name": "hello_world", "language": "en_US" } });
        let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        let id = accepted["id"].as_str().unwrap();
        gateway.drain().await;
        graph.fails(&gateway, "wamid.SENT1", 131_009).await;
        assert_eq!(graph.status(&gateway, id).await, "failed");
        gateway.advance(TimeDelta::hours(25));
        gateway.post(&graph.org, &format!("/api/v1/messages/{id}/retry"), json!({})).await.expect(200);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2, "the window is closed: the template is sent");
        assert_eq!(graph.received()[1]["type"], "template");
        assert_eq!(graph.status(&gateway, id).await, "sent");
    }

    a_refusal_that_a_status_disproves_sends_nothing_again(gateway) {
        for (word, state) in [("sent", "sent"), ("failed", "due")] {
            let graph = Graph::connect(&gateway, vec![refused(500, 999)]).await;
            let id = graph.send(&gateway, "one").await;
            gateway.drain().await;
            assert_eq!(gateway.message(&graph.org, &id).await["queue_state"], "due");
            match word {
                "failed" => graph.fails_ours(&gateway, "wamid.LOST2", 131_000, &id).await,
                word => graph.reports(&gateway, "wamid.LOST1", word, Some(&id)).await,
            }
            assert_eq!(gateway.message(&graph.org, &id).await["queue_state"], state, "{word}");
            graph.later(&gateway, TimeDelta::seconds(30)).await;
            assert_eq!(graph.received().len(), 1, "{word}");
            let path = format!("/api/v1/messages/{id}/cancel");
            gateway.post(&graph.org, &path, json!({})).await;
            graph.leave(&gateway).await;
        }
    }
}
