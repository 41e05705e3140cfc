//! Failures that Meta tells by status webhooks mean what the same failures mean in answers: for the message, its lane, its
//! template, its recipient and the customer-service window.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, refused};
use crate::support::peer::PeerAnswer;
use crate::support::{TestGateway, on_both_engines};

/// Accepts a template to somebody; returns its id.
async fn template(gateway: &TestGateway, graph: &Graph, to: &str) -> String {
    let body = json!({ "channel": "whatsapp", "to": to,
                       "content": { "kind": "template", "name": "hello_world", "language": "en_US" } });
    let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
    accepted["id"].as_str().unwrap().to_owned()
}

/// The queue of WhatsApp.
async fn queue(gateway: &TestGateway, graph: &Graph) -> Value {
    gateway.get(&graph.org, "/api/v1/queue").await.expect(200)["items"][0].clone()
}

/// The critical notices of the account, by topic.
async fn critical(gateway: &TestGateway, graph: &Graph) -> Vec<String> {
    let path = format!("/api/v1/accounts/{}/notices", graph.account);
    let page = gateway.get(&graph.org, &path).await.expect(200);
    let items = page["items"].as_array().unwrap().iter();
    let critical = items.filter(|notice| notice["severity"] == "critical");
    critical.map(|notice| notice["topic"].as_str().unwrap().to_owned()).collect()
}

/// How often an event of this kind was told.
async fn told(gateway: &TestGateway, graph: &Graph, kind: &str) -> usize {
    graph.events(gateway).await.iter().filter(|event| event["type"] == kind).count()
}

/// Meta says how a template stands.
async fn template_is(gateway: &TestGateway, event: &str) {
    let change = json!({ "field": "message_template_status_update", "value": {
        "event": event, "message_template_id": 1, "message_template_name": "hello_world",
        "message_template_language": "en_US", "reason": "NONE",
    }});
    gateway.meta(&[change]).await.expect(200);
    switchboard::flow::send::holds::look(&gateway.gateway).await.unwrap();
}

on_both_engines! {
    a_window_that_is_closed_by_status_is_opened_by_the_template(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = json!({ "channel": "whatsapp", "to": PERSON, "content": { "kind": "text", "body": "Oi" },
                           "fallback_template": { "name": "hello_world", "language": "en_US" } });
        let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        gateway.drain().await;
        graph.fails(&gateway, "wamid.SENT1", 131_047).await;
        gateway.drain().await;
        let received = graph.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[1]["type"], "template");
        graph.fails(&gateway, "wamid.SENT2", 131_047).await;
        graph.later(&gateway, TimeDelta::hours(2)).await;
        assert_eq!(graph.received().len(), 2, "a template is not followed by itself");
        assert_eq!(graph.status(&gateway, accepted["id"].as_str().unwrap()).await, "failed");
    }

    an_account_that_cannot_pay_is_tried_by_one_message_until_it_arrives(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let mut ids = Vec::new();
        for person in 0..3 {
            ids.push(template(&gateway, &graph, &format!("+551198765000{person}")).await);
        }
        gateway.drain().await;
        assert_eq!(graph.received().len(), 3);
        for place in 1..=3 {
            graph.fails(&gateway, &format!("wamid.SENT{place}"), 131_042).await;
        }
        assert!(queue(&gateway, &graph).await["account_unwell"].as_bool().unwrap());
        assert_eq!(told(&gateway, &graph, "account.unwell").await, 1);
        assert_eq!(critical(&gateway, &graph).await, ["account.unwell"]);
        ids.push(template(&gateway, &graph, "+5511987650009").await);
        graph.later(&gateway, TimeDelta::minutes(4)).await;
        assert_eq!(graph.received().len(), 3, "the lane rests");
        graph.later(&gateway, TimeDelta::minutes(2)).await;
        assert_eq!(graph.received().len(), 4, "one message tries the account");
        graph.later(&gateway, TimeDelta::seconds(20)).await;
        assert_eq!(graph.received().len(), 4, "being taken proves nothing");
        graph.fails(&gateway, "wamid.SENT4", 131_042).await;
        graph.later(&gateway, TimeDelta::minutes(4)).await;
        assert_eq!(graph.received().len(), 4);
        graph.later(&gateway, TimeDelta::minutes(2)).await;
        assert_eq!(graph.received().len(), 5, "the next one tries it");
        graph.reports(&gateway, "wamid.SENT5", "delivered", None).await;
        graph.later(&gateway, TimeDelta::seconds(10)).await;
        assert!(!queue(&gateway, &graph).await["account_unwell"].as_bool().unwrap());
        assert_eq!(told(&gateway, &graph, "account.well").await, 1);
        graph.later(&gateway, TimeDelta::minutes(20)).await;
        for id in &ids {
            let status = graph.status(&gateway, id).await;
            assert!(["sent", "sending", "delivered"].contains(&status.as_str()), "{status}");
        }
        assert_eq!(told(&gateway, &graph, "account.unwell").await, 1, "told once");
    }

    complaints_in_answers_rest_the_lane_for_hours_and_each_time_longer(gateway) {
        complaints(&gateway, false).await;
    }

    complaints_in_statuses_rest_the_lane_for_hours_and_each_time_longer(gateway) {
        complaints(&gateway, true).await;
    }

    a_template_that_an_answer_calls_paused_holds_what_uses_it(gateway) {
        paused_template(&gateway, false).await;
    }

    a_template_that_a_status_calls_paused_holds_what_uses_it(gateway) {
        paused_template(&gateway, true).await;
    }

    what_waits_for_a_template_that_is_ended_is_given_up(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 132_015)]).await;
        let first = template(&gateway, &graph, "+5511987650001").await;
        gateway.drain().await;
        template_is(&gateway, "DISABLED").await;
        let second = template(&gateway, &graph, "+5511987650002").await;
        gateway.drain().await;
        for id in [&first, &second] {
            let found = gateway.message(&graph.org, id).await;
            assert_eq!((&found["status"], &found["queue_state"]), (&json!("failed"), &json!("dead")));
            assert_eq!(found["metadata"]["failure"]["code"], "template_ended");
        }
        assert_eq!(graph.received().len(), 1);
        // Meta takes it back.
        template_is(&gateway, "REINSTATED").await;
        template(&gateway, &graph, "+5511987650003").await;
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2);
    }

    a_listing_that_calls_a_template_active_lets_it_go_on(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 132_015)]).await;
        template(&gateway, &graph, "+5511987650001").await;
        gateway.drain().await;
        let list = json!({ "data": [{ "id": "1", "name": "hello_world", "language": "en_US", "status": "APPROVED",
                                      "category": "UTILITY", "components": [] }] });
        graph.peer.will(PeerAnswer::new(200).header("content-type", "application/json").body(list.to_string()));
        gateway.advance(TimeDelta::seconds(1));
        let path = format!("/api/v1/accounts/{}/templates/sync", graph.account);
        gateway.post(&graph.org, &path, json!({})).await.expect(200);
        switchboard::flow::send::holds::look(&gateway.gateway).await.unwrap();
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2);
    }

    a_line_that_was_too_fast_by_status_slows(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        gateway.advance(TimeDelta::seconds(1));
        graph.fails(&gateway, "wamid.SENT1", 130_429).await;
        assert_eq!(queue(&gateway, &graph).await["pace_share"], 0.5);
        assert_eq!(graph.status(&gateway, &id).await, "queued");
        graph.later(&gateway, TimeDelta::minutes(2)).await;
        assert_eq!(graph.received().len(), 2);
    }

    a_country_that_an_answer_calls_closed_holds_nobody_else(gateway) {
        closed_country(&gateway, false).await;
    }

    a_country_that_a_status_calls_closed_holds_nobody_else(gateway) {
        closed_country(&gateway, true).await;
    }

    news_of_one_attempt_ends_in_one_state_whatever_its_order_and_however_often_it_is_told(gateway) {
        let stories: [(&[&str], i64, &str, &str); 4] = [
            (&["sent", "failed"], 131_000, "queued", "due"),
            (&["sent", "failed"], 131_009, "failed", "dead"),
            (&["sent", "failed", "delivered"], 131_000, "delivered", "sent"),
            (&["sent", "failed", "delivered", "read"], 131_009, "read", "sent"),
        ];
        let graph = Graph::connect(&gateway, vec![]).await;
        let mut taken = 0;
        for (story, code, status, state) in stories {
            for order in orders(story) {
                let id = graph.send(&gateway, "one").await;
                gateway.advance(TimeDelta::seconds(30));
                gateway.drain().await;
                taken += 1;
                let name = format!("wamid.SENT{taken}");
                for word in order.iter().flat_map(|word| [word, word]).chain(&order) {
                    match *word {
                        "failed" => graph.fails(&gateway, &name, code).await,
                        word => graph.reports(&gateway, &name, word, None).await,
                    }
                }
                let found = gateway.message(&graph.org, &id).await;
                assert_eq!((&found["status"], &found["queue_state"]), (&json!(status), &json!(state)), "{order:?}");
                assert_eq!(graph.received().len(), taken);
                if state == "due" {
                    let cancel = format!("/api/v1/messages/{id}/cancel");
                    gateway.post(&graph.org, &cancel, json!({})).await.expect(200);
                }
            }
        }
    }

    news_of_an_earlier_attempt_sends_nothing_again(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        graph.fails(&gateway, "wamid.SENT1", 131_000).await;
        graph.later(&gateway, TimeDelta::minutes(2)).await;
        assert_eq!(graph.received().len(), 2);
        // The first attempt's failure is told again with another time and code, and so is that it was sent.
        gateway.advance(TimeDelta::minutes(1));
        graph.fails(&gateway, "wamid.SENT1", 131_009).await;
        graph.reports(&gateway, "wamid.SENT1", "sent", None).await;
        let found = gateway.message(&graph.org, &id).await;
        assert_eq!(found["queue_state"], "sent");
        graph.later(&gateway, TimeDelta::hours(2)).await;
        assert_eq!(graph.received().len(), 2);
        // That the first one arrived after all is news.
        graph.reports(&gateway, "wamid.SENT1", "delivered", None).await;
        assert_eq!(graph.status(&gateway, &id).await, "delivered");
    }

    a_failure_shows_its_class_whichever_door_it_came_through(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_026)]).await;
        let mut shown = Vec::new();
        for person in ["+5511987650001", "+5511987650002"] {
            let id = template(&gateway, &graph, person).await;
            gateway.drain().await;
            if !shown.is_empty() {
                graph.fails(&gateway, "wamid.SENT2", 131_026).await;
            }
            let mut failure = gateway.message(&graph.org, &id).await["metadata"]["failure"].clone();
            failure.as_object_mut().unwrap().remove("detail");
            shown.push(failure);
        }
        assert_eq!(shown[0], shown[1]);
        assert_eq!(shown[0], json!({ "class": "permanent", "cause": "recipient", "scope": "nobody", "code": "131026" }));
    }

    a_change_that_waited_from_an_older_version_is_final(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        graph.fails(&gateway, "wamid.SENT1", 131_000).await;
        // As it was parked before failures carried their class.
        gateway.database.execute(
            "update waiting_changes set change = '{\"what\":\"status\",\"status\":\"failed\",\"recipient\":\"\",\
             \"detail\":{\"failure\":{\"code\":\"131000\"}},\"ours\":null}'",
        ).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        let found = gateway.message(&graph.org, &id).await;
        assert_eq!((&found["status"], &found["queue_state"]), (&json!("failed"), &json!("dead")));
    }
}

async fn complaints(gateway: &TestGateway, by_status: bool) {
    let answers =
        if by_status { vec![] } else { vec![refused(400, 131_048), refused(400, 131_048)] };
    let graph = Graph::connect(gateway, answers).await;
    template(gateway, &graph, "+5511987650001").await;
    gateway.drain().await;
    if by_status {
        graph.fails(gateway, "wamid.SENT1", 131_048).await;
    }
    assert_eq!(critical(gateway, &graph).await, ["account.rests"]);
    template(gateway, &graph, "+5511987650002").await;
    graph.later(gateway, TimeDelta::minutes(59)).await;
    assert_eq!(graph.received().len(), 1, "it rests an hour");
    graph.later(gateway, TimeDelta::minutes(2)).await;
    assert_eq!(graph.received().len(), 2, "one message tries it");
    if by_status {
        graph.fails(gateway, "wamid.SENT2", 131_048).await;
    }
    graph.later(gateway, TimeDelta::minutes(118)).await;
    assert_eq!(graph.received().len(), 2, "it rests two hours");
    graph.later(gateway, TimeDelta::minutes(4)).await;
    // Being taken proves that the account works again, but not if its trouble was told by a status.
    assert_eq!(graph.received().len(), if by_status { 3 } else { 4 });
    assert_eq!(critical(gateway, &graph).await.len(), 2);
}

async fn paused_template(gateway: &TestGateway, by_status: bool) {
    let answers = if by_status { vec![] } else { vec![refused(400, 132_015)] };
    let graph = Graph::connect(gateway, answers).await;
    let first = template(gateway, &graph, "+5511987650001").await;
    gateway.drain().await;
    if by_status {
        graph.fails(gateway, "wamid.SENT1", 132_015).await;
    }
    assert_eq!(critical(gateway, &graph).await, ["template.paused"]);
    let second = template(gateway, &graph, "+5511987650002").await;
    let text = graph.send(gateway, "a text goes on").await;
    graph.later(gateway, TimeDelta::hours(3)).await;
    assert_eq!(graph.received().len(), 2, "the first template and the text");
    assert_eq!(graph.status(gateway, &text).await, "sent");
    for id in [&first, &second] {
        assert_eq!(graph.status(gateway, id).await, "queued");
    }
    template_is(gateway, "PAUSED").await;
    gateway.drain().await;
    assert_eq!(graph.received().len(), 2);
    template_is(gateway, "APPROVED").await;
    gateway.drain().await;
    assert_eq!(graph.received().len(), 4, "both go on");
    assert_eq!(critical(gateway, &graph).await.len(), 1);
}

async fn closed_country(gateway: &TestGateway, by_status: bool) {
    let answers = if by_status { vec![] } else { vec![refused(400, 130_497)] };
    let graph = Graph::connect(gateway, answers).await;
    let cuban = template(gateway, &graph, "+5352345678").await;
    gateway.drain().await;
    if by_status {
        graph.fails(gateway, "wamid.SENT1", 130_497).await;
    }
    assert_eq!(graph.status(gateway, &cuban).await, "failed");
    let other = template(gateway, &graph, "+5511987650002").await;
    gateway.drain().await;
    assert_eq!(graph.status(gateway, &other).await, "sent");
    let path = format!("/api/v1/accounts/{}/notices", graph.account);
    let notices = gateway.get(&graph.org, &path).await.expect(200);
    assert_eq!(notices["items"][0]["data"]["country"], "CU");
    assert_eq!(notices["items"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.count("suppressions").await, 0);
}

/// Every order of these words.
fn orders<'a>(words: &[&'a str]) -> Vec<Vec<&'a str>> {
    if words.len() <= 1 {
        return vec![words.to_vec()];
    }
    let mut all = Vec::new();
    for index in 0..words.len() {
        let mut rest = words.to_vec();
        let first = rest.remove(index);
        for mut order in orders(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}
