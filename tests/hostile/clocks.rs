//! Clocks that are wrong for a while: nothing is deleted or given up for it, and nothing is sent twice.

use chrono::TimeDelta;
use http::{Method, Request, header};
use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::flow::sweep::Swept;
use switchboard::flow::{sweep, time};
use switchboard::gateway::Standing;

use super::figure;
use crate::support::graph::{Graph, PERSON, text};
use crate::support::meta::{self, AURORA, NOBODYS};
use crate::support::program::{Program, must};
use crate::support::{Answer, Database, Kind, Org, TestGateway, beginning};

/// What an attack would delete: a webhook that was read, one that waits for its organization, and one for nobody.
async fn fill(gateway: &TestGateway) -> Org {
    let (aurora, _) = gateway.two_organizations().await;
    let unknown = json!({ "id": "wamid.x", "timestamp": "1793534400", "type": "hologram" });
    for change in [
        meta::change(AURORA, &[meta::text("wamid.old", "5511987654321", "old")], &[]),
        meta::change(AURORA, &[unknown], &[]),
        meta::change(AURORA, &[], &[meta::status("wamid.never", "sent", 1_793_534_400)]),
        meta::change(NOBODYS, &[meta::text("wamid.n", "5511987654321", "n")], &[]),
    ] {
        gateway.meta(&[change]).await.expect(200);
    }
    aurora
}

/// Another process on the same database, after this one has ended, by a clock that stands there.
async fn again(gateway: TestGateway, clock: Clock) -> TestGateway {
    let database = gateway.database.clone();
    gateway.end().await;
    TestGateway::start_at(database, &[], clock).await
}

async fn swept(gateway: &TestGateway) -> Swept {
    sweep::run(&gateway.gateway).await.unwrap()
}

/// What `doctor --clock-is-right` does, on a machine with the gateway's clock.
async fn say_right(gateway: &TestGateway) {
    let said = time::say_right(&gateway.gateway.store, &gateway.clock).await.unwrap();
    assert_eq!(said.contradicted, None);
}

async fn health(gateway: &TestGateway) -> Value {
    let request = Request::builder().uri("/health/crm").body(bytes::Bytes::new()).unwrap();
    gateway.send(request).await.json()["time"].clone()
}

async fn send_once(gateway: &TestGateway, org: &Org, key: &str) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/messages")
        .header(header::AUTHORIZATION, format!("Bearer {}", org.key))
        .header("x-org-id", org.id.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key);
    let body = serde_json::to_vec(&text(PERSON, "once")).unwrap();
    gateway.send(request.body(body.into()).unwrap()).await
}

/// Like `on_both_engines!`, for tests that end the gateway themselves.
macro_rules! over_restarts {
    ($($name:ident($gateway:ident) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn check($gateway: TestGateway) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(TestGateway::start(Kind::Sqlite, &[]).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(TestGateway::start(Kind::Postgres, &[]).await).await;
            }
        }
    )+};
}

over_restarts! {
    a_clock_that_is_ahead_at_one_start_deletes_nothing(gateway) {
        let aurora = fill(&gateway).await;
        swept(&gateway).await;
        let kept = [gateway.count("webhook_inbox").await, gateway.count("webhook_quarantine").await,
                    gateway.count("events").await, gateway.count("waiting_changes").await];
        let clock = Clock::frozen(beginning() + TimeDelta::days(120));
        clock.set_ahead_of_database(TimeDelta::zero());
        let gateway = again(gateway, clock.clone()).await;
        // Hour by hour, and over a restart.
        for _ in 0..3 {
            assert_eq!(swept(&gateway).await, Swept::default());
            clock.advance(TimeDelta::hours(1));
        }
        let would_go = sweep::would_go(&gateway.gateway).await.unwrap();
        assert_eq!((would_go.webhooks, would_go.open_items), (4, 2));
        assert!(would_go.events > 0);
        let health = health(&gateway).await;
        assert_eq!(health["status"], "ok", "a holiday looks the same: {health}");
        assert!(health["detail"].as_str().unwrap().contains("doctor --clock-is-right"), "{health}");
        let gateway = again(gateway, clock).await;
        assert_eq!(swept(&gateway).await, Swept::default(), "a restart proves nothing");
        // The battery was changed.
        let gateway = again(gateway, Clock::frozen(beginning() + TimeDelta::hours(5))).await;
        assert_eq!(swept(&gateway).await, Swept::default());
        assert_eq!(time::look(&gateway.gateway).await.unwrap(), Standing::Well);
        assert_eq!(
            [gateway.count("webhook_inbox").await, gateway.count("webhook_quarantine").await,
             gateway.count("events").await, gateway.count("waiting_changes").await],
            kept
        );
        gateway.get(&aurora, "/api/v1/events?after=0").await.expect(200);
        figure(
            format!("a clock 120 days ahead at one start, {:?}", gateway.database.kind),
            format!("{} webhooks, items and events kept, deleted 0", kept.iter().sum::<i64>()),
        );
        gateway.end().await;
    }

    a_holiday_is_believed_after_a_day_of_running(gateway) {
        fill(&gateway).await;
        swept(&gateway).await;
        let clock = Clock::frozen(beginning() + TimeDelta::days(40));
        let gateway = again(gateway, clock.clone()).await;
        assert_eq!(swept(&gateway).await, Swept::default());
        clock.advance(TimeDelta::hours(14));
        assert_eq!(swept(&gateway).await, Swept::default());
        let gateway = again(gateway, clock.clone()).await;
        clock.advance(TimeDelta::hours(11));
        let swept = swept(&gateway).await;
        assert_eq!((swept.webhooks, swept.quarantined, swept.waiting), (2, 0, 1), "the open ones stay");
        gateway.end().await;
    }

    a_holiday_is_believed_at_an_operators_word(gateway) {
        fill(&gateway).await;
        swept(&gateway).await;
        let gateway = again(gateway, Clock::frozen(beginning() + TimeDelta::days(40))).await;
        assert_eq!(swept(&gateway).await, Swept::default());
        say_right(&gateway).await;
        assert_eq!(swept(&gateway).await.webhooks, 2);
        assert_eq!(gateway.database.scalar("select count(*) from audit_log where action = 'clock.is_right'").await, 1);
        gateway.end().await;
    }

    a_jump_under_a_running_gateway_stops_sweeping_until_an_operators_word(gateway) {
        fill(&gateway).await;
        gateway.clock.set_ahead_of_database(TimeDelta::zero());
        swept(&gateway).await;
        gateway.clock.jump(TimeDelta::days(120));
        assert_eq!(swept(&gateway).await, Swept::default());
        let failing = health(&gateway).await;
        assert_eq!(failing["status"], "failing", "{failing}");
        assert!(failing["detail"].as_str().unwrap().contains("jumped ahead by 120 days"), "{failing}");
        gateway.advance(TimeDelta::days(3));
        assert_eq!(swept(&gateway).await, Swept::default(), "waiting does not help");
        // Nor does a restart.
        let clock = gateway.clock.clone();
        let gateway = again(gateway, clock).await;
        gateway.advance(TimeDelta::hours(30));
        assert_eq!(swept(&gateway).await, Swept::default());
        assert_eq!(health(&gateway).await["status"], "failing");
        say_right(&gateway).await;
        let first = swept(&gateway).await;
        assert_eq!((first.webhooks, first.quarantined), (2, 0), "what waits is told of first");
        assert_eq!(health(&gateway).await["status"], "ok");
        gateway.end().await;
    }

    a_small_jump_deletes_no_more_than_the_time_that_passed(gateway) {
        fill(&gateway).await;
        swept(&gateway).await;
        gateway.advance(TimeDelta::days(29) + TimeDelta::hours(12));
        gateway.clock.jump(TimeDelta::hours(20));
        assert_eq!(swept(&gateway).await.webhooks, 0, "a month has not passed");
        gateway.advance(TimeDelta::hours(13));
        assert_eq!(swept(&gateway).await.webhooks, 2);
        gateway.end().await;
    }

    a_clock_that_goes_back_is_told_of(gateway) {
        fill(&gateway).await;
        gateway.clock.set_ahead_of_database(TimeDelta::zero());
        gateway.advance(TimeDelta::days(3));
        swept(&gateway).await;
        gateway.clock.jump(TimeDelta::days(-2));
        assert_eq!(swept(&gateway).await, Swept::default());
        let failing = health(&gateway).await;
        assert_eq!(failing["status"], "failing");
        assert!(failing["detail"].as_str().unwrap().contains("before the time that was known"), "{failing}");
        say_right(&gateway).await;
        swept(&gateway).await;
        assert_eq!(health(&gateway).await["status"], "ok");
        gateway.end().await;
    }

    what_waits_is_deleted_after_a_notice_and_not_before(gateway) {
        let aurora = fill(&gateway).await;
        gateway.advance(TimeDelta::days(82));
        swept(&gateway).await;
        let notices = "select count(*) from account_notices where topic = 'inbox.expiring'";
        assert_eq!(gateway.database.scalar(notices).await, 0);
        gateway.advance(TimeDelta::days(20));
        for _ in 0..2 {
            assert_eq!(swept(&gateway).await.quarantined, 0);
        }
        assert_eq!(gateway.database.scalar(notices).await, 1, "one notice, and nothing of the platform's");
        let events = gateway.database.scalar("select max(pruned_seq) from event_heads").await;
        let told = gateway.get(&aurora, &format!("/api/v1/events?after={events}")).await.expect(200);
        let notice = told["items"].as_array().unwrap().iter().find(|event| event["type"] == "account.notice");
        let notice = notice.unwrap_or_else(|| panic!("{told}"));
        assert!(notice.to_string().contains("1 items that wait"), "{notice}");
        // Whoever replays or discards has a week.
        gateway.advance(TimeDelta::days(6));
        assert_eq!(swept(&gateway).await.quarantined, 0);
        assert_eq!(gateway.count("webhook_inbox").await, 2);
        gateway.advance(TimeDelta::days(1));
        assert_eq!(swept(&gateway).await.quarantined, 2);
        assert_eq!(gateway.count("webhook_inbox").await, 0);
        gateway.end().await;
    }

    the_same_key_sends_nothing_twice_after_a_jump(gateway) {
        let graph = Graph::connect(&gateway, Vec::new()).await;
        let first = send_once(&gateway, &graph.org, "order-1").await;
        first.expect(202);
        gateway.drain().await;
        swept(&gateway).await;
        gateway.clock.jump(TimeDelta::days(120));
        swept(&gateway).await;
        let second = send_once(&gateway, &graph.org, "order-1").await;
        assert_eq!(second.expect(202)["id"], first.json()["id"]);
        assert!(second.headers.contains_key("idempotency-replayed"));
        let clock = Clock::frozen(beginning() + TimeDelta::days(240));
        let database = gateway.database.clone();
        gateway.end().await;
        let gateway = TestGateway::start_at(database, &[], clock).await;
        swept(&gateway).await;
        let third = send_once(&gateway, &graph.org, "order-1").await;
        assert_eq!(third.expect(202)["id"], first.json()["id"]);
        assert_eq!(gateway.database.scalar("select count(*) from outbound").await, 1);
        gateway.end().await;
    }

    a_jump_gives_no_message_up(gateway) {
        let graph = Graph::connect(&gateway, Vec::new()).await;
        let id = graph.send(&gateway, "waits").await;
        gateway.clock.jump(TimeDelta::days(120));
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "sent", "a day has not passed");
        gateway.end().await;
    }

    what_may_be_too_old_after_a_holiday_waits(gateway) {
        let graph = Graph::connect(&gateway, Vec::new()).await;
        let id = graph.send(&gateway, "waits").await;
        swept(&gateway).await;
        let clock = Clock::frozen(beginning() + TimeDelta::days(10));
        let gateway = again(gateway, clock.clone()).await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "queued", "neither sent nor given up");
        say_right(&gateway).await;
        time::look(&gateway.gateway).await.unwrap();
        clock.advance(TimeDelta::minutes(2));
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "failed");
        gateway.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresqls_clock_must_agree_within_a_minute() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    fill(&gateway).await;
    gateway.advance(TimeDelta::days(40));
    gateway.clock.set_ahead_of_database(TimeDelta::days(39));
    assert_eq!(swept(&gateway).await, Swept::default());
    let failing = health(&gateway).await;
    assert_eq!(failing["status"], "failing");
    assert!(failing["detail"].as_str().unwrap().contains("ahead of PostgreSQL's"), "{failing}");
    let said = time::say_right(&gateway.gateway.store, &gateway.clock).await.unwrap();
    assert!(said.contradicted.is_some(), "both cannot be right");
    gateway.clock.set_ahead_of_database(TimeDelta::seconds(-59));
    assert_eq!(swept(&gateway).await.webhooks, 2);
    gateway.end().await;
}

/// The program itself, by the machine's clock: a sign of life 40 days ago, and what `doctor` says and writes.
async fn an_operators_word(kind: Kind) {
    let database = Database::create(kind).await;
    let mut program = Program::serve(&database, &[]).await;
    let alive = "select count(*) from timekeeping where alive_at is not null";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while database.scalar(alive).await == 0 {
        assert!(std::time::Instant::now() < deadline, "a sign of life comes soon after the start");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(program.terminate().await);
    let past = match kind {
        Kind::Sqlite => "'2026-01-01T00:00:00+00:00'",
        Kind::Postgres => "'2026-01-01T00:00:00Z'",
    };
    database.execute(&format!("update timekeeping set alive_at = {past}")).await;
    assert!(must(&database, &["doctor"]).contains("until it is believed nothing is deleted"));
    let program = Program::serve(&database, &[]).await;
    let client = reqwest::Client::new();
    let time = async || {
        let health = client.get(format!("{}/health/crm", program.base)).send().await.unwrap();
        health.json::<Value>().await.unwrap()["time"].clone()
    };
    let doubted = time().await;
    assert_eq!(doubted["status"], "ok");
    assert!(doubted["detail"].as_str().unwrap().contains("2026-01-01T00:00Z"), "{doubted}");
    assert!(must(&database, &["doctor", "--clock-is-right"]).contains("is right, as you say"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    while time().await["detail"].as_str().unwrap().contains("sign of life") {
        assert!(std::time::Instant::now() < deadline, "the word is not heard");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let log = std::fs::read_to_string(database.folder.join("log")).unwrap();
    assert_eq!(log.matches("this is what will be deleted").count(), 1, "{log}");
    assert!(log.contains("an operator said that the clock is right"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_program_hears_an_operators_word_on_sqlite() {
    an_operators_word(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_program_hears_an_operators_word_on_postgres() {
    an_operators_word(Kind::Postgres).await;
}
