//! Sending by the real program while it is killed, while its database is away, and while it is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use switchboard::sandbox::{Fault, FaultKind, On};

use crate::support::restarted::Restarted;
use crate::support::site::{Site, campaign};
use crate::support::{Database, Kind};

const UNFINISHED: &str = "select count(*) from send_attempts where finished_at is null";

fn fault(next: u32, kind: FaultKind) -> Fault {
    let provider = "meta".to_owned();
    Fault { provider, account: None, to: None, next, always: next == 0, on: On::Send, kind }
}

/// Kills one program after another while messages are accepted and sent.
async fn kills_under_load(kind: Kind, programs: usize, kills: usize) {
    let mut site = Site::start(Database::create(kind).await, programs, 150).await;
    assert!(site.sandbox.fault(fault(0, FaultKind::DelayAfter { ms: 30 })));
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(campaign(site.clients(), 600, Arc::clone(&stop)));
    for kill in 0..kills {
        tokio::time::sleep(Duration::from_millis(350 + 170 * (kill as u64 % 4))).await;
        site.kill(kill % programs);
        site.revive(kill % programs).await;
    }
    stop.store(true, Ordering::Relaxed);
    let ids = load.await.unwrap();
    let tally = site.tally(&ids).await;
    assert!(tally.accepted >= 600, "{tally:?}");
    tally.check(&format!("kill -9 under load, {kind:?}, {programs} processes"), kills);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_killed_at_random_lose_nothing_and_double_nothing_on_postgres() {
    kills_under_load(Kind::Postgres, 2, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_random_loses_nothing_and_doubles_nothing_on_sqlite() {
    kills_under_load(Kind::Sqlite, 1, 6).await;
}

/// Holds back whoever writes what a process must write next: other connections wait until it is dropped.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    async fn take(database: &Database, postgres: &str) -> Self {
        match database.kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
                sqlx::raw_sql("begin immediate").execute(&mut connection).await.unwrap();
                Self::Sqlite(connection)
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                sqlx::raw_sql("begin").execute(&mut connection).await.unwrap();
                let sql = AssertSqlSafe(postgres.to_owned());
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                Self::Postgres(connection)
            }
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

/// Killed between the claim and the journal: the request cannot have left, so it is sent, once, by whoever comes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_claim_it_is_sent_once() {
    let mut site = Site::start(Database::create(Kind::Postgres).await, 1, 100).await;
    let lock = Lock::take(&site.database, "lock table send_attempts in exclusive mode").await;
    let id = site.send(1).await;
    site.counts("select count(*) from outbound where state = 'claimed'", 1).await;
    site.kill(0);
    lock.release().await;
    site.revive(0).await;
    site.reaches(&id, "read").await;
    assert_eq!(site.sandbox.count_of(&id), 1);
    let tally = site.tally(&[id]).await;
    assert_eq!(tally.ever_unknown, 0, "it was never in doubt");
    tally.check("killed after the claim, before the journal, Postgres", 1);
}

/// Killed while the request is on its way and the provider has not taken it: nobody can know that, so it is not sent again
/// until a person says so.
async fn killed_before_the_request_arrives(kind: Kind) {
    let mut site = Site::start(Database::create(kind).await, 1, 100).await;
    assert!(site.sandbox.fault(fault(1, FaultKind::DelayBefore { ms: 60_000 })));
    let id = site.send(1).await;
    site.counts(UNFINISHED, 1).await;
    site.kill(0);
    site.revive(0).await;
    site.reaches(&id, "unknown").await;
    assert_eq!(site.sandbox.count_of(&id), 0);
    let path = format!("/api/v1/messages/{id}/resolve");
    site.client.post(&path, json!({ "outcome": "send_again" })).await;
    site.reaches(&id, "read").await;
    assert_eq!(site.sandbox.count_of(&id), 1);
    let tally = site.tally(&[id]).await;
    tally.check(&format!("killed after the journal, before the provider took it, {kind:?}"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_request_arrives_it_is_in_doubt_on_sqlite() {
    killed_before_the_request_arrives(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_request_arrives_it_is_in_doubt_on_postgres() {
    killed_before_the_request_arrives(Kind::Postgres).await;
}

/// Killed after the provider took the message and before it answered: in doubt, until the status webhook tells.
async fn killed_before_the_answer(kind: Kind) {
    let mut site = Site::start(Database::create(kind).await, 1, 100).await;
    site.sandbox.hold("meta", None);
    assert!(site.sandbox.fault(fault(5, FaultKind::DelayAfter { ms: 60_000 })));
    let mut ids = Vec::new();
    for person in 0..5 {
        ids.push(site.send(person).await);
    }
    site.counts(UNFINISHED, 5).await;
    arrived(&site, 5).await;
    site.kill(0);
    site.revive(0).await;
    for id in &ids {
        site.reaches(id, "unknown").await;
    }
    site.sandbox.release();
    for id in &ids {
        site.reaches(id, "read").await;
    }
    let tally = site.tally(&ids).await;
    assert_eq!(tally.ever_unknown, 5);
    tally.check(&format!("killed after the provider took it, before the answer, {kind:?}"), 1);
}

/// Returns when the provider has taken so many messages.
async fn arrived(site: &Site, messages: u64) {
    while site.sandbox.counts().accepted < messages {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_answer_the_webhook_tells_on_sqlite() {
    killed_before_the_answer(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_answer_the_webhook_tells_on_postgres() {
    killed_before_the_answer(Kind::Postgres).await;
}

/// Killed with the answer in its hands and not yet written down.
async fn killed_before_the_commit(kind: Kind) {
    let mut site = Site::start(Database::create(kind).await, 1, 100).await;
    site.sandbox.hold("meta", None);
    assert!(site.sandbox.fault(fault(1, FaultKind::DelayAfter { ms: 700 })));
    let id = site.send(1).await;
    arrived(&site, 1).await;
    let lock = Lock::take(&site.database, "select * from event_heads for update").await;
    let answered = || site.sandbox.requests().iter().any(|request| request.status == 200);
    while !answered() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    match kind {
        Kind::Postgres => {
            let waiting = "select count(*) from pg_stat_activity
                           where datname = current_database() and wait_event_type = 'Lock'";
            site.counts(waiting, 1).await;
        }
        // It does not show who waits.
        Kind::Sqlite => tokio::time::sleep(Duration::from_millis(200)).await,
    }
    site.kill(0);
    lock.release().await;
    site.revive(0).await;
    site.reaches(&id, "unknown").await;
    site.sandbox.release();
    site.reaches(&id, "read").await;
    let tally = site.tally(&[id]).await;
    tally.check(&format!("killed after the answer, before the commit, {kind:?}"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_commit_the_webhook_tells_on_sqlite() {
    killed_before_the_commit(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_commit_the_webhook_tells_on_postgres() {
    killed_before_the_commit(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_go_away_while_messages_are_sent() {
    let restarted = Restarted::create().await;
    let site = Site::start(restarted.database.clone(), 2, 150).await;
    assert!(site.sandbox.fault(fault(0, FaultKind::DelayAfter { ms: 100 })));
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(campaign(site.clients(), 400, Arc::clone(&stop)));
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        restarted.control("stop").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        restarted.control("start").await;
    }
    stop.store(true, Ordering::Relaxed);
    let ids = load.await.unwrap();
    let tally = site.tally(&ids).await;
    assert!(tally.accepted >= 400, "{tally:?}");
    tally.check("PostgreSQL stopped and started under load, 2 processes", 3);
}

/// A polite stop in the middle of a campaign waits for what is on its way, and the rest goes on afterwards.
async fn asked_to_stop(kind: Kind) {
    let mut site = Site::start(Database::create(kind).await, 1, 80).await;
    assert!(site.sandbox.fault(fault(0, FaultKind::DelayAfter { ms: 600 })));
    let ids = campaign(site.clients(), 500, Arc::new(AtomicBool::new(true))).await;
    arrived(&site, 100).await;
    let mut program = site.programs[0].take().unwrap();
    assert!(program.terminate().await, "it stops by itself when asked to");
    let left = site.database.scalar("select count(*) from outbound where state = 'due'").await;
    assert!(left > 0, "the campaign was over too early");
    for state in ["claimed", "unknown"] {
        let sql = format!("select count(*) from outbound where state = '{state}'");
        assert_eq!(site.database.scalar(&sql).await, 0, "{state}");
    }
    site.sandbox.clear();
    site.revive(0).await;
    let tally = site.tally(&ids).await;
    assert_eq!(tally.ever_unknown, 0);
    tally.check(&format!("SIGTERM in the middle of a campaign, {kind:?}"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_it_finishes_what_is_on_its_way_on_sqlite() {
    asked_to_stop(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_it_finishes_what_is_on_its_way_on_postgres() {
    asked_to_stop(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_holds_up_nobody_else() {
    let site = Site::start(Database::create(Kind::Sqlite).await, 1, 100).await;
    assert!(site.sandbox.fault(fault(1, FaultKind::DelayAfter { ms: 60_000 })));
    site.send(1).await;
    arrived(&site, 1).await;
    let id = site.send(2).await;
    site.reaches(&id, "read").await;
    site.counts(UNFINISHED, 1).await;
}
