//! One tenant's bulk: it delays nobody's webhooks, and goes on where it stopped.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::heads::head_of;
use super::{figure, scale};
use crate::support::graph::Graph;
use crate::support::site::Site;
use crate::support::{Answer, Database, Kind, Org, TestGateway, on_both_engines};

/// How long anything may take that does not wait for anybody.
const SOON: Duration = Duration::from_secs(20);

/// A template to the nth of many people, of whom nobody is known.
fn message(n: usize) -> Value {
    json!({ "channel": "whatsapp", "to": format!("+55119{:08}", 70_000_000 + n), "client_reference": n.to_string(),
            "content": { "kind": "template", "name": "hello", "language": "pt_BR" } })
}

fn campaign(count: usize) -> Value {
    json!({ "messages": (0..count).map(message).collect::<Vec<_>>() })
}

async fn bulk(gateway: &TestGateway, org: &Org, key: Option<&str>, body: &Value) -> Answer {
    let mut request = http::Request::post("/api/v1/messages/bulk")
        .header("authorization", format!("Bearer {}", org.key))
        .header("x-org-id", org.id.to_string())
        .header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    gateway.send(request.body(serde_json::to_vec(body).unwrap().into()).unwrap()).await
}

/// The ids of an answer's messages, in their order; all must have been accepted.
#[track_caller]
fn ids(answer: &Value) -> Vec<String> {
    let id =
        |result: &Value| result["id"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned();
    answer["results"].as_array().unwrap().iter().map(id).collect()
}

/// The ids of all messages in the queue, as lower-case hexadecimal digits.
async fn queued(gateway: &TestGateway) -> String {
    let sql = match gateway.database.kind {
        Kind::Sqlite => "select coalesce(group_concat(lower(hex(message_id))), '') from outbound",
        Kind::Postgres => {
            "select coalesce(string_agg(replace(message_id::text, '-', ''), ','), '') from outbound"
        }
    };
    gateway.database.text(sql).await
}

/// Begins a bulk under a key and gives it up once a part of it is written, as a broken connection does.
async fn stop_half_way(gateway: &TestGateway, org: &Org, key: &str, body: &Value) -> i64 {
    let count = body["messages"].as_array().unwrap().len();
    tokio::select! {
        biased;
        () = async {
            while gateway.count("outbound").await == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => {}
        answer = bulk(gateway, org, Some(key), body) => panic!("it was answered: {}", answer.text()),
    }
    // A commit that was under way may still end.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let written = gateway.count("outbound").await;
    assert!(written > 0 && written < i64::try_from(count).unwrap(), "{written} of {count}");
    assert_eq!(gateway.count("idempotency_progress").await, 1);
    written
}

/// From `from` on, nobody can be put into the queue until it is taken back.
async fn break_queue(database: &Database, from: usize) {
    let full = format!("(select count(*) from outbound) >= {from}");
    let sql = match database.kind {
        Kind::Sqlite => format!(
            "create trigger broken before insert on outbound when {full}
             begin select raise(abort, 'the queue is broken'); end"
        ),
        Kind::Postgres => format!(
            "create function broken() returns trigger language plpgsql as $$ begin
                 if {full} then raise exception 'the disk is full' using errcode = '53100'; end if; return new; end $$;
             create trigger broken before insert on outbound for each row execute function broken()"
        ),
    };
    database.execute(&sql).await;
}

async fn mend_queue(database: &Database) {
    let sql = match database.kind {
        Kind::Sqlite => "drop trigger broken",
        Kind::Postgres => "drop trigger broken on outbound; drop function broken()",
    };
    database.execute(sql).await;
}

on_both_engines! {
    pieces_keep_the_order_and_each_message_its_own_result(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let nobody = "+5511970000013";
        let suppression = json!({ "channel": "whatsapp", "address": nobody });
        gateway.post(&graph.org, "/api/v1/suppressions", suppression).await.expect(204);
        let mut messages: Vec<Value> = (0..320).map(message).collect();
        messages[7] = json!({ "channel": "pigeon", "to": "1", "content": { "kind": "text", "body": "x" } });
        messages[100]["content"] = json!({ "kind": "text", "body": "" });
        messages[200]["content"] = json!({ "kind": "text", "body": "the window is closed" });
        // The same person again: in the same piece, in another, and with the digit that Brazil put in front.
        messages[21]["to"] = messages[20]["to"].clone();
        messages[300]["to"] = messages[20]["to"].clone();
        messages[22]["to"] = json!("+551170000020");
        let body = json!({ "messages": messages });
        let answer = bulk(&gateway, &graph.org, Some("campaign"), &body).await;
        let told = answer.expect(202);
        assert_eq!((&told["accepted"], &told["refused"]), (&json!(316), &json!(4)));
        let results = told["results"].as_array().unwrap();
        assert_eq!(results[7]["errors"][0]["field"], "channel");
        assert_eq!(results[13]["error_code"], "recipient_suppressed");
        assert_eq!(results[100]["errors"][0]["field"], "content.body");
        assert_eq!(results[200]["error_code"], "window_closed");
        for place in [0, 8, 99, 101, 250, 319] {
            let found = gateway.message(&graph.org, results[place]["id"].as_str().unwrap()).await;
            assert_eq!(found["metadata"]["client_reference"], place.to_string());
        }
        assert_eq!(gateway.count("outbound").await, 316);
        // 320 less the unreadable one, four refused before anybody was made known (one of them unreadable), three repeated.
        let people = gateway.database.scalar("select count(*) from contact_identities where value like '+551197%'").await;
        assert_eq!(people, 320 - 4 - 3);
        assert_eq!(gateway.count("idempotency_progress").await + gateway.count("idempotency_pieces").await, 0);
        let again = bulk(&gateway, &graph.org, Some("campaign"), &body).await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.expect(202), told);
        assert_eq!(gateway.count("outbound").await, 316);
        // Events are in order and without gaps.
        let gaps = "select count(*) from (select seq - row_number() over (partition by organization_id order by seq) as gap
                    from events) g where gap <> 0";
        assert_eq!(gateway.database.scalar(gaps).await, 0);
    }

    what_was_stopped_half_way_goes_on(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = campaign(1_000);
        let written = stop_half_way(&gateway, &graph.org, "campaign", &body).await;
        let before = queued(&gateway).await;
        let other = bulk(&gateway, &graph.org, Some("campaign"), &campaign(999)).await;
        assert_eq!(other.expect(422)["error_code"], "idempotency_key_reused");
        let single = http::Request::post("/api/v1/messages")
            .header("authorization", format!("Bearer {}", graph.org.key))
            .header("x-org-id", graph.org.id.to_string())
            .header("content-type", "application/json")
            .header("idempotency-key", "campaign")
            .body(serde_json::to_vec(&message(1)).unwrap().into())
            .unwrap();
        let single = gateway.send(single).await;
        assert_eq!(single.expect(422)["error_code"], "idempotency_key_reused");
        assert_eq!(gateway.count("outbound").await, written, "nobody goes on by themselves");
        let answer = bulk(&gateway, &graph.org, Some("campaign"), &body).await;
        let told = answer.expect(202);
        assert!(!answer.headers.contains_key("idempotency-replayed"));
        let ids: Vec<String> = ids(&told).iter().map(|id| id.replace('-', "")).collect();
        assert!(before.split(',').all(|id| ids.iter().any(|told| told == id)), "what was accepted keeps its id");
        assert!(ids[..usize::try_from(written).unwrap()].iter().all(|id| before.contains(id)), "in its place");
        assert_eq!(gateway.count("outbound").await, 1_000);
        let twice = "select count(*) from (select identity_id from outbound group by identity_id having count(*) > 1) t";
        assert_eq!(gateway.database.scalar(twice).await, 0);
        let again = bulk(&gateway, &graph.org, Some("campaign"), &body).await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.expect(202), told);
        assert_eq!(gateway.count("idempotency_progress").await + gateway.count("idempotency_pieces").await, 0);
    }

    another_process_goes_on_once_the_first_is_given_up(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let body = campaign(700);
        stop_half_way(&gateway, &graph.org, "campaign", &body).await;
        let other = TestGateway::start_at(gateway.database.clone(), &[], gateway.clock.clone()).await;
        let early = bulk(&other, &graph.org, Some("campaign"), &body).await;
        early.expect(409);
        gateway.advance(TimeDelta::seconds(6));
        let told = bulk(&other, &graph.org, Some("campaign"), &body).await.expect(202);
        assert_eq!(ids(&told).len(), 700);
        figure(
            format!("a bulk of 700 that stopped half way, {:?}", gateway.database.kind),
            "another process went on; accepted 700, missing 0, doubled 0",
        );
        assert_eq!(gateway.count("outbound").await, 700);
        let again = bulk(&gateway, &graph.org, Some("campaign"), &body).await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.expect(202), told);
        other.end().await;
    }

    what_ends_in_the_middle_says_what_was_accepted(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        break_queue(&gateway.database, 60).await;
        let without = bulk(&gateway, &graph.org, None, &campaign(400)).await.expect(202);
        let accepted = gateway.count("outbound").await;
        assert!(accepted > 0 && accepted <= 60, "{accepted}");
        assert_eq!((&without["accepted"], &without["refused"]), (&json!(accepted), &json!(400 - accepted)));
        let results = without["results"].as_array().unwrap();
        assert_eq!(results.len(), 400);
        let accepted_place = usize::try_from(accepted).unwrap();
        for (place, result) in results.iter().enumerate() {
            match place < accepted_place {
                true => assert_eq!(result["status"], "queued"),
                false => assert_eq!((&result["error_code"], &result["status"]), (&json!("unavailable"), &json!(503))),
            }
        }
        let known = results[accepted_place - 1]["id"].as_str().unwrap();
        gateway.message(&graph.org, known).await;

        // With nothing accepted, or with a key, the request as a whole is to be made again.
        let none = bulk(&gateway, &graph.org, None, &campaign(400)).await;
        assert!(none.status.is_server_error(), "{}", none.text());
        let keyed = bulk(&gateway, &graph.org, Some("later"), &campaign(400)).await;
        assert!(keyed.status.is_server_error(), "{}", keyed.text());
        mend_queue(&gateway.database).await;
        break_queue(&gateway.database, accepted_place + 80).await;
        let keyed = bulk(&gateway, &graph.org, Some("later"), &campaign(400)).await;
        assert!(keyed.status.is_server_error(), "{}", keyed.text());
        let so_far = gateway.count("outbound").await;
        assert!(so_far > accepted, "a part of it is accepted");
        mend_queue(&gateway.database).await;
        let told = bulk(&gateway, &graph.org, Some("later"), &campaign(400)).await.expect(202);
        assert_eq!(ids(&told).len(), 400);
        assert_eq!(gateway.count("outbound").await, accepted + 400);
    }

    who_sweeps_forgets_what_nobody_went_on_with(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        stop_half_way(&gateway, &graph.org, "campaign", &campaign(700)).await;
        assert!(gateway.count("idempotency_pieces").await > 0);
        let (mut session, later) =
            (gateway.gateway.store.write_all().await.unwrap(), gateway.clock.now() + TimeDelta::days(1));
        switchboard::store::sending::recovery::delete_served(&mut session, graph.org.id, later).await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(gateway.count("idempotency_progress").await + gateway.count("idempotency_pieces").await, 0);
    }
}

/// While one bulk is under way, the organization's next one waits; and is told to come back when that takes too long.
async fn one_at_a_time(kind: Kind) {
    let gateway = TestGateway::start(kind, &["sending.bulk_wait_ms=300"]).await;
    let graph = Graph::connect(&gateway, vec![]).await;
    let head = head_of(&gateway, &graph.org).await;
    let (one, other) = (campaign(30), campaign(31));
    let first = bulk(&gateway, &graph.org, None, &one);
    let second = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let refused = bulk(&gateway, &graph.org, None, &other).await;
        drop(head);
        refused
    };
    let (first, refused) = tokio::join!(first, second);
    assert_eq!(refused.expect(429)["error_code"], "bulk_in_progress");
    let after: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(after > 0);
    first.expect(202);
    bulk(&gateway, &graph.org, None, &other).await.expect(202);
    assert_eq!(gateway.count("outbound").await, 61);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_has_one_bulk_at_a_time_on_sqlite() {
    Box::pin(one_at_a_time(Kind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_has_one_bulk_at_a_time_on_postgres() {
    Box::pin(one_at_a_time(Kind::Postgres)).await;
}

/// Side by side, four a time: all come to their end, nothing is doubled.
async fn many_side_by_side(kind: Kind) {
    let gateway = TestGateway::start(kind, &[]).await;
    let (aurora, borealis) = gateway.two_organizations().await;
    let body = json!({ "messages": (0..60 * scale()).map(|n| {
        let mut one = message(n % 1_000);
        one["content"] = json!({ "kind": "template", "name": "hello", "language": "pt_BR" });
        one
    }).take(1_000).collect::<Vec<_>>() });
    let count = i64::try_from(body["messages"].as_array().unwrap().len()).unwrap();
    let bulks =
        (0..8).map(|n| bulk(&gateway, if n % 2 == 0 { &aurora } else { &borealis }, None, &body));
    for answer in join_all(bulks).await {
        assert_eq!(answer.expect(202)["refused"], 0);
    }
    assert_eq!(gateway.count("outbound").await, 8 * count);
    let people = gateway.database.scalar("select count(*) from contact_identities").await;
    assert_eq!(people, 2 * count, "nobody is known twice");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bulks_side_by_side_come_to_their_end_on_sqlite() {
    many_side_by_side(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bulks_side_by_side_come_to_their_end_on_postgres() {
    many_side_by_side(Kind::Postgres).await;
}

/// The real program is killed while it accepts; it is started again and goes on where it stopped.
async fn killed_half_way(kind: Kind) {
    let mut site = Site::start(Database::create(kind).await, 1, 100).await;
    let body = campaign(1_000);
    let post = |site: &Site| {
        let client = site.client.clone();
        let body = body.clone();
        async move {
            let request = client.http.post(format!("{}/api/v1/messages/bulk", client.base));
            let request = request.bearer_auth(&client.key).header("x-org-id", &client.organization);
            let request = request.header("idempotency-key", "campaign").json(&body);
            let response = request.send().await.ok()?;
            Some((response.status().as_u16(), response.json::<Value>().await.ok()?))
        }
    };
    let under_way = tokio::spawn(post(&site));
    while site.database.scalar("select count(*) from outbound").await == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    site.kill(0);
    assert!(under_way.await.unwrap().is_none(), "it was killed before it answered");
    let written = site.database.scalar("select count(*) from outbound").await;
    assert!(written > 0 && written < 1_000, "{written}");
    site.revive(0).await;
    let deadline = std::time::Instant::now() + 3 * SOON;
    let told = loop {
        match post(&site).await {
            Some((202, told)) => break told,
            // The dead process is believed to be at work for some seconds; a slow machine takes more than one request for it.
            Some((409 | 503, _)) if std::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            other => panic!("{other:?}"),
        }
    };
    let unique: std::collections::HashSet<String> = ids(&told).into_iter().collect();
    assert_eq!(unique.len(), 1_000);
    assert_eq!(site.database.scalar("select count(*) from outbound").await, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_that_is_killed_half_way_goes_on_on_sqlite() {
    killed_half_way(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_that_is_killed_half_way_goes_on_on_postgres() {
    killed_half_way(Kind::Postgres).await;
}
