//! Sending when things go wrong: nothing is lost, nothing is sent twice.

use std::collections::HashSet;

use chrono::TimeDelta;
use providers::Channel;
use serde_json::{Value, json};
use switchboard::flow::send::{lane, recover};
use switchboard::model::{ClaimId, Lane};
use switchboard::store::sending::claim::{self, Claim};

use crate::support::graph::{Graph, PERSON, refused, text};
use crate::support::peer::PeerAnswer;
use crate::support::{Kind, TestGateway, on_both_engines};

/// Writes to that many different people, whose windows are open.
async fn campaign(gateway: &TestGateway, graph: &Graph, people: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for person in 0..people {
        let from = format!("55119{:08}", 80_000_000 + person);
        graph.writes(gateway, &format!("wamid.IN{person}"), &from).await;
        ids.push(graph.send_to(gateway, &format!("+{from}"), &format!("message {person}")).await);
    }
    ids
}

/// Claims what is due as a process would that dies right afterwards.
async fn claim_and_die(
    gateway: &TestGateway,
    graph: &Graph,
) -> (ClaimId, Vec<switchboard::model::Claimed>) {
    let lane = Lane { organization_id: graph.org.id, channel: Channel::Whatsapp };
    let id = ClaimId { worker: gateway.gateway.ids.next(), claim: gateway.gateway.ids.next() };
    let now = gateway.clock.now();
    let mut session = gateway.gateway.store.write(graph.org.id).await.unwrap();
    let how =
        Claim { id, now, limit: 10, held_back_since: now - TimeDelta::hours(1), step_back_to: now };
    let (claimed, _) = claim::claim(&mut session, lane, &how).await.unwrap();
    session.commit().await.unwrap();
    (id, claimed)
}

on_both_engines! {
    what_passes_is_tried_again(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(500, 131_000), refused(503, 2)]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "queued");
        assert_eq!(graph.received().len(), 1, "it is not tried again at once");
        graph.later(&gateway, TimeDelta::seconds(6)).await;
        graph.later(&gateway, TimeDelta::seconds(11)).await;
        assert_eq!(graph.received().len(), 3);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
    }

    a_provider_that_is_down_for_an_hour_loses_nothing(gateway) {
        let graph = Graph::connect(&gateway, (0..30).map(|_| refused(503, 131_016)).collect()).await;
        let ids = campaign(&gateway, &graph, 3).await;
        gateway.drain().await;
        for _ in 0..40 {
            graph.later(&gateway, TimeDelta::minutes(10)).await;
        }
        for id in ids {
            assert_eq!(graph.status(&gateway, &id).await, "sent");
        }
        assert_eq!(graph.received().len(), 33);
    }

    nothing_is_tried_for_ever(gateway) {
        let graph = Graph::connect(&gateway, (0..100).map(|_| refused(500, 131_000)).collect()).await;
        let mut body = text(PERSON, "one");
        body["content"] = json!({ "kind": "template", "name": "hello", "language": "pt_BR" });
        let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        for _ in 0..30 {
            graph.later(&gateway, TimeDelta::hours(1)).await;
        }
        let failed = gateway.message(&graph.org, accepted["id"].as_str().unwrap()).await;
        assert_eq!(failed["status"], "failed");
        assert!(failed["metadata"]["failure"]["detail"].as_str().unwrap().contains("its time"), "{failed}");
    }

    a_lost_answer_is_never_sent_again(gateway) {
        let graph = Graph::connect(&gateway, vec![PeerAnswer::hang_up()]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "unknown");
        for _ in 0..30 {
            graph.later(&gateway, TimeDelta::hours(1)).await;
        }
        assert_eq!(graph.received().len(), 1, "it may have arrived");
        // The status webhook that carries our id tells.
        graph.reports(&gateway, "wamid.REAL", "delivered", Some(&id)).await;
        let found = gateway.message(&graph.org, &id).await;
        assert_eq!(found["status"], "delivered");
        assert_eq!(found["provider_message_ids"], json!(["wamid.REAL"]));
        graph.reports(&gateway, "wamid.REAL", "read", None).await;
        assert_eq!(graph.status(&gateway, &id).await, "read", "its id is known from then on");
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["unknown"]["count"], 0);
    }

    statuses_that_race_for_a_message_in_doubt_agree(gateway) {
        let graph = Graph::connect(&gateway, vec![PeerAnswer::hang_up()]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "unknown");
        let report = |status: &'static str| graph.reports(&gateway, "wamid.REAL", status, Some(&id));
        let races = ["read", "sent", "delivered", "delivered", "sent", "read"].map(report);
        futures_util::future::join_all(races).await;
        assert_eq!(graph.status(&gateway, &id).await, "read");
        assert_eq!(gateway.count("message_statuses where status in ('sent', 'delivered', 'read')").await, 3);
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["unknown"]["count"], 0);
    }

    a_person_may_say_what_became_of_it(gateway) {
        let graph = Graph::connect(&gateway, vec![PeerAnswer::hang_up(), PeerAnswer::hang_up()]).await;
        let first = graph.send(&gateway, "one").await;
        gateway.drain().await;
        let second = graph.send(&gateway, "two").await;
        gateway.drain().await;
        let path = format!("/api/v1/messages/{first}/resolve");
        gateway.post(&graph.org, &path, json!({ "outcome": "perhaps" })).await.expect(422);
        gateway.post(&graph.org, &path, json!({ "outcome": "arrived" })).await.expect(200);
        assert_eq!(graph.status(&gateway, &first).await, "sent");
        let path = format!("/api/v1/messages/{second}/resolve");
        gateway.post(&graph.org, &path, json!({ "outcome": "send_again" })).await.expect(200);
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &second).await, "sent");
        assert_eq!(graph.received().len(), 3);
    }

    a_status_that_outruns_the_answer_waits_for_it(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        graph.reports(&gateway, "wamid.SENT1", "delivered", None).await;
        assert_eq!(graph.status(&gateway, &id).await, "queued");
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "delivered");
        assert_eq!(gateway.count("waiting_changes").await, 0);
    }

    a_revoked_token_stops_a_campaign_and_loses_none_of_it(gateway) {
        let graph = Graph::connect(&gateway, (0..3).map(|_| refused(401, 190)).collect()).await;
        let ids = campaign(&gateway, &graph, 3).await;
        gateway.drain().await;
        assert_eq!(graph.received().len(), 3);
        let late = campaign_of_one(&gateway, &graph).await;
        gateway.drain().await;
        assert_eq!(graph.received().len(), 3, "nothing more is tried");
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["account_unwell"], true);
        let events = graph.events(&gateway).await;
        let unwell: Vec<&Value> = events.iter().filter(|event| event["type"] == "account.unwell").collect();
        assert_eq!(unwell.len(), 1, "the organization is told once");
        graph.later(&gateway, TimeDelta::minutes(6)).await;
        graph.later(&gateway, TimeDelta::minutes(1)).await;
        for id in ids.iter().chain([&late]) {
            assert_eq!(graph.status(&gateway, id).await, "sent");
        }
        assert_eq!(graph.received().len(), 7);
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["account_unwell"], false);
    }

    an_account_that_is_too_fast_rests_and_goes_on(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(429, 130_429)]).await;
        let ids = campaign(&gateway, &graph, 4).await;
        gateway.drain().await;
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["pace_share"], 0.5);
        assert!(queue["items"][0]["pause_reason"].as_str().unwrap().contains("slower"));
        for _ in 0..60 {
            graph.later(&gateway, TimeDelta::seconds(2)).await;
        }
        for id in ids {
            assert_eq!(graph.status(&gateway, &id).await, "sent");
        }
        let queue = gateway.get(&graph.org, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["pace_share"], 1.0, "it recovers");
    }

    a_pair_that_is_too_fast_waits_alone(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_056)]).await;
        let throttled = graph.send(&gateway, "one").await;
        gateway.drain().await;
        let other = campaign_of_one(&gateway, &graph).await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &other).await, "sent");
        assert_eq!(graph.status(&gateway, &throttled).await, "queued");
        graph.later(&gateway, TimeDelta::seconds(2)).await;
        assert_eq!(graph.status(&gateway, &throttled).await, "sent");
    }

    one_person_is_not_written_to_faster_than_whatsapp_allows(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        for number in 0..47 {
            graph.send(&gateway, &format!("message {number}")).await;
        }
        for _ in 0..100 {
            graph.later(&gateway, TimeDelta::milliseconds(10)).await;
        }
        assert_eq!(graph.received().len(), 45, "a burst of 45");
        graph.later(&gateway, TimeDelta::seconds(6)).await;
        graph.later(&gateway, TimeDelta::milliseconds(600)).await;
        assert_eq!(graph.received().len(), 46, "then one in six seconds");
        graph.later(&gateway, TimeDelta::seconds(7)).await;
        assert_eq!(graph.received().len(), 47);
    }

    a_later_message_waits_for_an_earlier_one(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(500, 131_000)]).await;
        graph.send(&gateway, "first").await;
        graph.send(&gateway, "second").await;
        gateway.drain().await;
        graph.later(&gateway, TimeDelta::seconds(2)).await;
        assert_eq!(graph.received().len(), 1, "the second one waits for the first");
        graph.later(&gateway, TimeDelta::seconds(6)).await;
        graph.later(&gateway, TimeDelta::seconds(1)).await;
        let bodies: Vec<Value> = graph.received().iter().map(|m| m["text"]["body"].clone()).collect();
        assert_eq!(bodies, [json!("first"), json!("first"), json!("second")]);
    }

    a_clock_that_is_set_back_or_ahead_stops_nothing(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let before = campaign(&gateway, &graph, 81).await;
        gateway.drain().await;
        assert_eq!(graph.received().len(), 80, "a second's worth at once");
        gateway.advance(TimeDelta::minutes(-50));
        for _ in 0..3 {
            graph.later(&gateway, TimeDelta::seconds(1)).await;
        }
        let after = campaign_of_one(&gateway, &graph).await;
        gateway.drain().await;
        graph.later(&gateway, TimeDelta::seconds(1)).await;
        assert_eq!(graph.status(&gateway, &after).await, "sent", "the bucket is filled by the new time");
        graph.later(&gateway, TimeDelta::hours(9)).await;
        assert_eq!(recover::take_over(&gateway.gateway).await.unwrap(), 0);
        assert_eq!(graph.received().len(), 82);
        for id in before {
            assert_eq!(graph.status(&gateway, &id).await, "sent");
        }
    }

    who_cannot_be_reached_is_left_alone_for_a_day(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_026)]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "failed");
        let refusal = gateway.post(&graph.org, "/api/v1/messages", text(PERSON, "Oi")).await.expect(422);
        assert_eq!(refusal["error_code"], "recipient_suppressed");
        gateway.advance(TimeDelta::hours(25));
        graph.writes(&gateway, "wamid.AGAIN", "5511987654321").await;
        graph.send(&gateway, "two").await;
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2);
    }

    throttling_that_is_told_later_is_no_failure(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        for round in 1..=2 {
            graph.fails(&gateway, &format!("wamid.SENT{round}"), 131_056).await;
            assert_eq!(graph.status(&gateway, &id).await, "queued");
            graph.later(&gateway, TimeDelta::minutes(11)).await;
            assert_eq!(graph.received().len(), round + 1);
            assert_eq!(graph.status(&gateway, &id).await, "sent");
        }
        graph.reports(&gateway, "wamid.SENT3", "delivered", None).await;
        let found = gateway.message(&graph.org, &id).await;
        assert_eq!(found["status"], "delivered");
        assert_eq!(found["provider_message_ids"].as_array().unwrap().len(), 3);
        assert_eq!(found["journal"].as_array().unwrap().len(), 3);
    }

    a_failure_that_is_told_later_is_a_dead_letter_too(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        gateway.drain().await;
        graph.fails(&gateway, "wamid.SENT1", 131_009).await;
        assert_eq!(graph.status(&gateway, &id).await, "failed");
        let dead = gateway.get(&graph.org, "/api/v1/dead-letters").await.expect(200);
        assert_eq!(dead["items"][0]["id"], id.as_str());
        gateway.post(&graph.org, &format!("/api/v1/messages/{id}/retry"), json!({})).await.expect(200);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 2);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
        graph.fails(&gateway, "wamid.SENT2", 131_009).await;
        assert_eq!(graph.status(&gateway, &id).await, "failed", "a second failure is news");
    }

    what_a_dead_process_had_not_sent_is_sent_by_another(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        let (_, claimed) = claim_and_die(&gateway, &graph).await;
        assert_eq!(claimed.len(), 1);
        gateway.drain().await;
        assert!(graph.received().is_empty(), "it is claimed");
        assert_eq!(recover::take_over(&gateway.gateway).await.unwrap(), 0, "its process may still live");
        gateway.advance(TimeDelta::seconds(20));
        assert_eq!(recover::take_over(&gateway.gateway).await.unwrap(), 1);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 1);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
    }

    what_a_dead_process_may_have_sent_is_unknown(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        let (claim, claimed) = claim_and_die(&gateway, &graph).await;
        let account_id = graph.account.parse().unwrap();
        let opening = switchboard::store::sending::journal::Opening {
            claim, account_id, provider: "meta", our_address: "+551140028922",
        };
        let ids: Vec<_> = claimed.iter().map(|message| message.id).collect();
        let mut session = gateway.gateway.store.write(graph.org.id).await.unwrap();
        let now = gateway.clock.now();
        let opened = switchboard::store::sending::journal::open(&mut session, graph.org.id, &opening, &ids, now).await;
        assert_eq!(opened.unwrap().len(), 1);
        session.commit().await.unwrap();
        gateway.advance(TimeDelta::seconds(20));
        assert_eq!(recover::take_over(&gateway.gateway).await.unwrap(), 1);
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "unknown");
        assert!(graph.received().is_empty());
        // The process was only asleep: what it claimed is not its own any more.
        let mut session = gateway.gateway.store.write(graph.org.id).await.unwrap();
        let opened = switchboard::store::sending::journal::open(&mut session, graph.org.id, &opening, &ids, now).await;
        assert!(opened.unwrap().is_empty());
    }

    what_the_database_did_not_take_down_is_given_back(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.send(&gateway, "one").await;
        let (fail, work) = match gateway.database.kind {
            Kind::Sqlite => (
                "create trigger away before insert on send_attempts begin select raise(abort, 'away'); end",
                "drop trigger away",
            ),
            Kind::Postgres => (
                "alter table send_attempts add constraint away check (attempt < 0)",
                "alter table send_attempts drop constraint away",
            ),
        };
        gateway.database.execute(fail).await;
        let lane = Lane { organization_id: graph.org.id, channel: Channel::Whatsapp };
        assert!(lane::run(&gateway.gateway, lane, &tokio::sync::Notify::new(), &|| false).await.is_err());
        gateway.database.execute(work).await;
        assert!(graph.received().is_empty(), "nothing leaves without a journal");
        gateway.drain().await;
        assert_eq!(graph.received().len(), 1);
        assert_eq!(graph.status(&gateway, &id).await, "sent");
    }

    two_senders_at_once_send_each_message_once(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let ids = campaign(&gateway, &graph, 60).await;
        let lane = Lane { organization_id: graph.org.id, channel: Channel::Whatsapp };
        let run = || async { lane::run(&gateway.gateway, lane, &tokio::sync::Notify::new(), &|| false).await.unwrap() };
        let runs: Vec<_> = (0..4).map(|_| Box::pin(run())).collect();
        futures_util::future::join_all(runs).await;
        gateway.drain().await;
        let received: Vec<String> =
            graph.received().iter().map(|m| m["biz_opaque_callback_data"].as_str().unwrap().to_owned()).collect();
        assert_eq!(received.len(), 60);
        assert_eq!(received.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect::<HashSet<_>>());
    }
}

async fn campaign_of_one(gateway: &TestGateway, graph: &Graph) -> String {
    graph.writes(gateway, "wamid.ONE", "5511933334444").await;
    graph.send_to(gateway, "+5511933334444", "to one").await
}
