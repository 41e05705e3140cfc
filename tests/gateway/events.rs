//! The stream of events: one order, no gap, no repetition, while transactions commit in any order.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::meta::{self, AURORA, BOREALIS};
use crate::support::{Kind, Org, TestGateway, on_both_engines};

async fn read(gateway: &TestGateway, org: &Org, after: i64, limit: i64) -> (Vec<Value>, i64) {
    let path = format!("/api/v1/events?after={after}&limit={limit}");
    let page = gateway.get(org, &path).await.expect(200);
    (page["items"].as_array().unwrap().clone(), page["next_after"].as_i64().unwrap())
}

on_both_engines! {
    a_reader_that_resumes_sees_everything_once_and_in_order(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for number in 0..15 {
            let line = if number % 3 == 0 { BOREALIS } else { AURORA };
            let message = meta::text(&format!("wamid.{number}"), "5511987654321", &number.to_string());
            gateway.meta(&[meta::change(line, &[message], &[])]).await.expect(200);
        }
        let mut seen = Vec::new();
        let mut after = 0;
        loop {
            let (items, next) = read(&gateway, &aurora, after, 3).await;
            if items.is_empty() {
                break;
            }
            seen.extend(items);
            after = next;
        }
        let numbers: Vec<i64> = seen.iter().map(|e| e["seq"].as_i64().unwrap()).collect();
        let last = i64::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "without a gap");
        let texts: Vec<&str> = seen.iter().filter(|e| e["type"] == "message.received")
            .map(|e| e["communication"]["content"].as_str().unwrap()).collect();
        assert_eq!(texts, ["1", "2", "4", "5", "7", "8", "10", "11", "13", "14"]);
        let (of_borealis, _) = read(&gateway, &borealis, 0, 200).await;
        assert_eq!(of_borealis.iter().filter(|e| e["type"] == "message.received").count(), 5);
    }

    a_reader_waits_for_news(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let reading = gateway.get(&aurora, "/api/v1/events?after=0&wait_seconds=10");
        let writing = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let message = meta::text("wamid.news", "5511987654321", "news");
            gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        };
        let started = std::time::Instant::now();
        let (answer, ()) = tokio::join!(reading, writing);
        assert!(!answer.expect(200)["items"].as_array().unwrap().is_empty());
        assert!(started.elapsed() < Duration::from_secs(5), "it is woken, not left to its time-out");
    }

    cursors_that_make_no_sense_are_refused(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.get(&aurora, "/api/v1/events?after=-1").await.expect(422);
        gateway.get(&aurora, "/api/v1/events?after=99").await.expect(422);
        gateway.get(&aurora, "/api/v1/events?after=x").await.expect(422);
        gateway.get(&aurora, "/api/v1/events?wait_seconds=11").await.expect(422);
    }

    the_past_of_a_number_sets_nothing_off(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = |number: i64| json!({
            "from": "5511987654321", "id": format!("wamid.h{number}"), "timestamp": (1_790_000_000 + number).to_string(),
            "type": "text", "text": { "body": "old" }, "history_context": { "status": "READ" },
        });
        let messages: Vec<Value> = (0..300).map(message).collect();
        let change = json!({ "field": "history", "value": {
            "metadata": { "display_phone_number": "551140028922", "phone_number_id": AURORA },
            "history": [{ "metadata": { "phase": 0, "chunk_order": 1, "progress": 50 },
                "threads": [{ "id": "5511987654321", "messages": messages }] }],
        }});
        gateway.meta(&[change]).await.expect(200);
        assert_eq!(gateway.count("messages").await, 300);
        let (events, _) = read(&gateway, &aurora, 0, 200).await;
        let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert!(!kinds.contains(&"message.received"));
        let imported = events.iter().find(|e| e["type"] == "history.imported").unwrap();
        assert_eq!(imported["data"]["messages"], 300);
    }
}

/// Two gateways on one PostgreSQL write for one organization at once, while a reader follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_misses_nothing_while_two_processes_commit_out_of_order() {
    let one =
        TestGateway::start(Kind::Postgres, &["intake.writers=2", "intake.batch_requests=3"]).await;
    let (aurora, _) = one.two_organizations().await;
    let other = TestGateway::start_on(
        one.database.clone(),
        &["intake.writers=2", "intake.batch_requests=3"],
    )
    .await;
    let total = 400;
    let writing = async {
        let posts: Vec<_> = (0..total)
            .map(|number| {
                let from = format!("55119876{:05}", number % 50);
                vec![meta::change(
                    AURORA,
                    &[meta::text(&format!("wamid.{number}"), &from, "x")],
                    &[],
                )]
            })
            .collect();
        for chunk in posts.chunks(40) {
            let both = chunk.iter().enumerate().map(|(index, changes)| {
                if index % 2 == 0 { one.meta(changes) } else { other.meta(changes) }
            });
            assert!(join_all(both).await.iter().all(|answer| answer.status == 200));
        }
    };
    let reading = async {
        let (mut after, mut seen, mut received) = (0, Vec::new(), 0);
        while received < total {
            let path = format!("/api/v1/events?after={after}&limit=7&wait_seconds=5");
            let page = other.get(&aurora, &path).await.expect(200);
            for event in page["items"].as_array().unwrap() {
                seen.push(event["seq"].as_i64().unwrap());
                received += i32::from(event["type"] == "message.received");
            }
            after = page["next_after"].as_i64().unwrap();
        }
        seen
    };
    let ((), seen) = tokio::join!(writing, reading);
    let last = i64::try_from(seen.len()).unwrap();
    assert_eq!(seen, (1..=last).collect::<Vec<_>>(), "every number once, in order");
    other.end().await;
    one.end().await;
}
