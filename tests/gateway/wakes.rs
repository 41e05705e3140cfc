//! Jobs call the processes that send to the lanes in which something is due: also across processes, and whatever becomes of
//! the jobs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::jobs::{self, Jobs};

use crate::support::peer::{Peer, PeerAnswer};
use crate::support::restarted::Restarted;
use crate::support::{Database, Kind, Org, TestGateway};

/// Runs a test on both engines.
macro_rules! on_both {
    ($($name:ident)+) => {$(
        mod $name {
            use super::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::cases::$name(Kind::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::cases::$name(Kind::Postgres).await;
            }
        }
    )+};
}

on_both! {
    what_one_process_accepts_another_sends
    what_a_process_accepts_it_sends_without_a_job
    a_slow_answer_holds_nothing_up
    a_job_that_was_lost_costs_a_sweep
    a_job_that_was_doubled_sends_nothing_twice
    many_messages_are_one_call
    what_a_stopping_process_leaves_another_is_called_to
    jobs_that_have_served_are_deleted
}

/// A gateway of several on one database.
async fn instance(database: &Database, sends: bool, clock: Clock) -> TestGateway {
    let sends = format!("sending.enabled={sends}");
    let started = TestGateway::start_at(database.clone(), &[sends.as_str()], clock).await;
    jobs::migrate(&started.gateway.store).await.unwrap();
    started
}

fn at_work(instance: &TestGateway) -> Jobs {
    Jobs::start(&instance.gateway, &instance.app.keys)
}

/// A provider that takes this many messages.
async fn provider(messages: usize) -> Peer {
    let answer = |number| {
        let body = json!({ "messaging_product": "whatsapp", "messages": [{ "id": format!("wamid.{number}") }] });
        PeerAnswer::new(200).header("content-type", "application/json").body(body.to_string())
    };
    Peer::start((0..messages).map(answer).collect()).await
}

fn settings_at(base_url: String) -> BTreeMap<String, String> {
    let account = crate::support::recorded_account(&providers::meta::PROVIDER, "aurora");
    let mut settings = account.settings;
    settings.insert("base_url".to_owned(), base_url);
    settings
}

/// An organization that sends through this provider.
async fn organization(gateway: &TestGateway, peer: &Peer) -> Org {
    organization_at(gateway, peer.url("")).await
}

async fn organization_at(gateway: &TestGateway, base_url: String) -> Org {
    let org = gateway.organization("Aurora").await;
    let provider = &providers::meta::PROVIDER;
    let mut account = crate::support::recorded_account(provider, "aurora");
    account.settings = settings_at(base_url);
    let id = gateway.connect_only(&org, provider, &account).await;
    let line = account.routes.iter().find(|route| route.channel == "whatsapp").unwrap();
    let body = json!({ "account_id": id, "channel": "whatsapp", "address": line.address, "handle": line.handle });
    gateway.post(&org, "/api/v1/routes", body).await.expect(201);
    org
}

fn draft(number: usize) -> Value {
    json!({
        "channel": "whatsapp", "to": format!("+55119876{number:05}"),
        "content": { "kind": "template", "name": "hello", "language": "en" },
    })
}

async fn accept(gateway: &TestGateway, org: &Org, number: usize) -> String {
    let accepted = gateway.post(org, "/api/v1/messages", draft(number)).await.expect(202);
    accepted["id"].as_str().unwrap().to_owned()
}

fn job_table(database: &Database) -> &'static str {
    match database.kind {
        Kind::Sqlite => "Jobs",
        Kind::Postgres => "apalis.jobs",
    }
}

async fn jobs_where(database: &Database, condition: &str) -> i64 {
    let table = job_table(database);
    database.scalar(&format!("select count(*) from {table} where {condition}")).await
}

/// Waits until as many as these jobs are there.
async fn until_jobs(database: &Database, condition: &str, count: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while jobs_where(database, condition).await != count {
        assert!(Instant::now() < deadline, "there are not {count} jobs {condition}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the provider was asked this often; returns how long that took.
async fn until_sent(peer: &Peer, count: usize) -> Duration {
    let began = Instant::now();
    while peer.requests().len() < count {
        assert!(began.elapsed() < Duration::from_secs(20), "not sent: {:?}", peer.requests());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

mod cases {
    use super::*;

    pub(super) async fn what_one_process_accepts_another_sends(kind: Kind) {
        let database = Database::create(kind).await;
        let (web, sender) = (
            instance(&database, false, Clock::System).await,
            instance(&database, true, Clock::System).await,
        );
        let peer = provider(5).await;
        let org = organization(&web, &peer).await;
        sender.gateway.refresh_directory().await.unwrap();
        let (accepting, sending) = (at_work(&web), at_work(&sender));
        for number in 0..5 {
            accept(&web, &org, number).await;
            let took = until_sent(&peer, number + 1).await;
            assert!(took < Duration::from_secs(5), "it took {took:?}");
        }
        // It was a job that called.
        assert!(jobs_where(&database, "1 = 1").await > 0);
        accepting.stop().await;
        sending.stop().await;
        assert_eq!(peer.requests().len(), 5);
    }

    pub(super) async fn what_a_process_accepts_it_sends_without_a_job(kind: Kind) {
        let database = Database::create(kind).await;
        let both = instance(&database, true, Clock::System).await;
        let peer = provider(20).await;
        let org = organization(&both, &peer).await;
        let working = at_work(&both);
        for number in 0..20 {
            accept(&both, &org, number).await;
            until_sent(&peer, number + 1).await;
        }
        // On a busy machine a message may wait for the sweep, which calls; never one call a message.
        let calls = jobs_where(&database, "1 = 1").await;
        assert!(calls < 5, "{calls} calls for 20 messages of its own");
        working.stop().await;
    }

    /// The provider never answers the first message: the others go beside it.
    pub(super) async fn a_slow_answer_holds_nothing_up(kind: Kind) {
        let database = Database::create(kind).await;
        let both = instance(&database, true, Clock::System).await;
        let peer = provider(3).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = format!("http://{}", listener.local_addr().unwrap());
        let org = organization_at(&both, silent).await;
        let working = at_work(&both);
        accept(&both, &org, 0).await;
        let (first, _) = listener.accept().await.unwrap();
        let accounts = both.get(&org, "/api/v1/accounts").await.expect(200);
        let path = format!("/api/v1/accounts/{}", accounts["items"][0]["id"].as_str().unwrap());
        let secrets =
            crate::support::recorded_account(&providers::meta::PROVIDER, "aurora").secrets;
        let moved = json!({ "settings": settings_at(peer.url("")), "credentials": secrets });
        both.call(&org, http::Method::PATCH, &path, Some(moved)).await.expect(200);
        for number in 1..4 {
            accept(&both, &org, number).await;
            until_sent(&peer, number).await;
        }
        drop(first);
        working.stop().await;
    }

    pub(super) async fn a_job_that_was_lost_costs_a_sweep(kind: Kind) {
        let database = Database::create(kind).await;
        let (web, sender) = (
            instance(&database, false, Clock::System).await,
            instance(&database, true, Clock::System).await,
        );
        let peer = provider(1).await;
        let org = organization(&web, &peer).await;
        sender.gateway.refresh_directory().await.unwrap();
        let accepting = at_work(&web);
        accept(&web, &org, 1).await;
        until_jobs(&database, "status = 'Pending'", 1).await;
        database.execute(&format!("delete from {}", job_table(&database))).await;
        let sending = at_work(&sender);
        let took = until_sent(&peer, 1).await;
        assert!(took < Duration::from_secs(8), "it took {took:?}");
        accepting.stop().await;
        sending.stop().await;
    }

    pub(super) async fn a_job_that_was_doubled_sends_nothing_twice(kind: Kind) {
        let database = Database::create(kind).await;
        let web = instance(&database, false, Clock::System).await;
        let senders = [
            instance(&database, true, Clock::System).await,
            instance(&database, true, Clock::System).await,
        ];
        let peer = provider(4).await;
        let org = organization(&web, &peer).await;
        let accepting = at_work(&web);
        accept(&web, &org, 1).await;
        until_jobs(&database, "status = 'Pending'", 1).await;
        let table = job_table(&database);
        for id in [
            "01K0000000000000000000000A",
            "01K0000000000000000000000B",
            "01K0000000000000000000000C",
        ] {
            let columns =
                "job, job_type, status, attempts, max_attempts, run_at, priority, metadata";
            database
                .execute(&format!("insert into {table} (id, {columns}) select '{id}', {columns} from {table} limit 1"))
                .await;
        }
        for sender in &senders {
            sender.gateway.refresh_directory().await.unwrap();
        }
        let working = senders.each_ref().map(at_work);
        until_sent(&peer, 1).await;
        until_jobs(&database, "status in ('Pending', 'Queued', 'Running')", 0).await;
        for work in working {
            work.stop().await;
        }
        accepting.stop().await;
        assert_eq!(peer.requests().len(), 1);
        assert_eq!(database.scalar("select count(*) from send_attempts").await, 1);
    }

    pub(super) async fn many_messages_are_one_call(kind: Kind) {
        let database = Database::create(kind).await;
        // Its clock stands still: nobody is late.
        let web = instance(&database, false, Clock::frozen(crate::support::beginning())).await;
        let peer = provider(0).await;
        let org = organization(&web, &peer).await;
        let accepting = at_work(&web);
        for number in 0..30 {
            accept(&web, &org, number).await;
        }
        let drafts: Vec<Value> = (100..200).map(draft).collect();
        web.post(&org, "/api/v1/messages/bulk", json!({ "messages": drafts })).await;
        // It finishes what it is about.
        until_jobs(&database, "1 = 1", 1).await;
        accepting.stop().await;
        assert_eq!(jobs_where(&database, "1 = 1").await, 1);
        assert!(database.scalar("select count(*) from outbound where state = 'due'").await >= 30);
    }

    pub(super) async fn what_a_stopping_process_leaves_another_is_called_to(kind: Kind) {
        let database = Database::create(kind).await;
        let stopping = instance(&database, true, Clock::System).await;
        let peer = provider(1).await;
        let org = organization(&stopping, &peer).await;
        let working = at_work(&stopping);
        working.stop().await;
        accept(&stopping, &org, 1).await;
        // Told to stop before it has looked even once.
        at_work(&stopping).stop().await;
        let left = database.scalar("select count(*) from outbound where state = 'due'").await;
        let called = jobs_where(&database, "status = 'Pending'").await;
        assert_eq!(called, left, "what is left has its job");
        let next = instance(&database, true, Clock::System).await;
        let working = at_work(&next);
        until_sent(&peer, 1).await;
        working.stop().await;
    }

    pub(super) async fn jobs_that_have_served_are_deleted(kind: Kind) {
        let database = Database::create(kind).await;
        let sender = instance(&database, true, Clock::System).await;
        let web = instance(&database, false, Clock::System).await;
        let peer = provider(1).await;
        let org = organization(&web, &peer).await;
        sender.gateway.refresh_directory().await.unwrap();
        let (accepting, sending) = (at_work(&web), at_work(&sender));
        accept(&web, &org, 1).await;
        until_jobs(&database, "status = 'Done'", 1).await;
        accepting.stop().await;
        sending.stop().await;
        // The first thing that a process does is to prune.
        at_work(&web).stop().await;
        until_jobs(&database, "1 = 1", 0).await;
    }
}

/// Every connection of the job queue dies with the server: its worker, and what listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_taken_again_after_the_database_was_restarted() {
    let restarted = Restarted::create().await;
    let database = &restarted.database;
    let (web, sender) = (
        instance(database, false, Clock::System).await,
        instance(database, true, Clock::System).await,
    );
    let peer = provider(2).await;
    let org = organization(&web, &peer).await;
    sender.gateway.refresh_directory().await.unwrap();
    let (accepting, sending) = (at_work(&web), at_work(&sender));
    accept(&web, &org, 1).await;
    until_sent(&peer, 1).await;
    restarted.control("stop").await;
    restarted.control("start").await;
    accept(&web, &org, 2).await;
    until_sent(&peer, 2).await;
    // Not only a sweep: the job is taken too.
    until_jobs(database, "status in ('Pending', 'Queued', 'Running')", 0).await;
    assert!(jobs_where(database, "status = 'Done'").await > 0);
    accepting.stop().await;
    sending.stop().await;
}
