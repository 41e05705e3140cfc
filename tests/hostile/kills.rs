//! A soak in which the program, and PostgreSQL, are killed: what was answered is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{figure, scale};
use crate::support::client::Client;
use crate::support::meta::{self, AURORA};
use crate::support::restarted::Restarted;
use crate::support::site::{Site, template};
use crate::support::{Database, Kind};

/// Kills at each step of the scale.
const KILLS: usize = 3;

/// What the clients were told.
#[derive(Debug, Default)]
struct Told {
    /// The ids of webhooks that were answered 2xx.
    webhooks: Vec<String>,
    /// The message that was answered 202 under each key.
    messages: BTreeMap<String, String>,
    /// Requests that were tried again because no good answer came.
    again: usize,
}

/// What all clients share.
#[derive(Debug, Default)]
struct Load {
    stop: AtomicBool,
    webhooks: AtomicUsize,
    messages: AtomicUsize,
}

impl Load {
    /// Whether to go on with what got no good answer; a moment passes.
    async fn goes_on(&self, told: &mut Told) -> bool {
        told.again += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
        !self.stop.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Posts webhooks as Meta does: each until it is answered 2xx, and some once more.
async fn post_webhooks(client: Client, load: Arc<Load>) -> Told {
    let mut told = Told::default();
    'next: while !load.is_over() {
        let number = load.webhooks.fetch_add(1, Ordering::Relaxed);
        let id = format!("wamid.soak.{number}");
        let person = format!("55119{:08}", number % 500);
        let change = meta::change(AURORA, &[meta::text(&id, &person, &id)], &[]);
        let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        let mut deliveries = if number.is_multiple_of(16) { 2 } else { 1 };
        while deliveries > 0 {
            let mut request = meta::signed("/hooks/meta", body.clone());
            *request.uri_mut() = format!("{}/hooks/meta", client.base).parse().unwrap();
            let answer = client.http.execute(request.try_into().unwrap()).await;
            let status = answer.map(|answer| answer.status().as_u16());
            match status {
                Ok(200) => deliveries -= 1,
                Ok(503) | Err(_) if load.goes_on(&mut told).await => {}
                Ok(503) | Err(_) => break 'next,
                Ok(other) => panic!("a genuine webhook is answered {other}"),
            }
        }
        told.webhooks.push(id);
    }
    told
}

/// Sends messages through the API, each under a key of its own and until it is answered 202, and asks once more.
async fn send_messages(client: Client, load: Arc<Load>) -> Told {
    let mut told = Told::default();
    'next: while !load.is_over() {
        let number = load.messages.fetch_add(1, Ordering::Relaxed);
        let key = format!("soak-{number}");
        for _ in 0..2 {
            let id = loop {
                match accept(&client, &key, number).await {
                    Some((202, body)) => break body["id"].as_str().unwrap().to_owned(),
                    Some((409 | 429 | 503, _)) | None if load.goes_on(&mut told).await => {}
                    Some((409 | 429 | 503, _)) | None => break 'next,
                    Some((status, body)) => panic!("{status}: {body}"),
                }
            };
            let before = told.messages.insert(key.clone(), id.clone());
            assert!(before.is_none_or(|before| before == id), "{key} stands for two messages");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    told
}

async fn accept(client: &Client, key: &str, person: usize) -> Option<(u16, Value)> {
    let request = client.http.post(format!("{}/api/v1/messages", client.base));
    let request = request.bearer_auth(&client.key).header("x-org-id", &client.organization);
    let request = request.header("idempotency-key", key).json(&template(person));
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

/// Kills the program again and again while clients go on, and, where the cluster may be killed, that in every third place.
async fn soak(site: &mut Site, cluster: Option<&Restarted>) -> (Told, usize, usize) {
    let load = Arc::new(Load::default());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..6 {
        clients.spawn(post_webhooks(site.client.clone(), Arc::clone(&load)));
    }
    for _ in 0..2 {
        clients.spawn(send_messages(site.client.clone(), Arc::clone(&load)));
    }
    let (mut kills, mut crashes) = (0, 0);
    for round in 0..KILLS * scale() {
        tokio::time::sleep(Duration::from_millis(300 + 230 * (round as u64 % 4))).await;
        match cluster {
            Some(cluster) if round % 3 == 1 => {
                cluster.control("crash").await;
                cluster.control("start").await;
                crashes += 1;
            }
            _ => {
                site.kill(0);
                site.revive(0).await;
                kills += 1;
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.stop.store(true, Ordering::Relaxed);
    let mut all = Told::default();
    for told in clients.join_all().await {
        all.webhooks.extend(told.webhooks);
        all.messages.extend(told.messages);
        all.again += told.again;
    }
    (all, kills, crashes)
}

/// How often each webhook's message stands on the timeline.
async fn stored(client: &Client) -> BTreeMap<String, usize> {
    let mut stored = BTreeMap::new();
    for item in client.communications().await {
        let content = item["content"].as_str().unwrap_or_default();
        if content.starts_with("wamid.soak.") {
            *stored.entry(content.to_owned()).or_default() += 1;
        }
    }
    stored
}

/// Numbers of events without a gap, the last of them the head's, and no message told twice as new.
async fn events_are_whole(database: &Database) {
    for (what, sql) in [
        (
            "gaps between events",
            "select count(*) from (select organization_id from events group by organization_id
                 having max(seq) - min(seq) + 1 <> count(*) or min(seq) <> 1) as gaps",
        ),
        (
            "heads that are not their last event's",
            "select count(*) from event_heads where seq <> coalesce((select max(seq) from events
                 where events.organization_id = event_heads.organization_id), 0)",
        ),
        (
            "messages without an event",
            "select count(*) from messages where not exists (select 1 from events
                 where events.organization_id = messages.organization_id and subject_id = messages.id)",
        ),
    ] {
        assert_eq!(database.scalar(sql).await, 0, "{what}");
    }
}

async fn nothing_answered_is_missing_or_doubled(database: Database, cluster: Option<&Restarted>) {
    let kind = database.kind;
    let mut site = Site::start(database, 1, 200).await;
    let (told, kills, crashes) = soak(&mut site, cluster).await;
    let ids: BTreeSet<&String> = told.messages.values().collect();
    assert_eq!(ids.len(), told.messages.len(), "two keys stand for one message");
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let tally = site.tally(&ids).await;
    let stored = stored(&site.client).await;
    let missing = told.webhooks.iter().filter(|id| !stored.contains_key(*id)).count();
    let doubled = stored.values().filter(|count| **count > 1).count();
    let engine = cluster.map_or("", |_| ", itself killed");
    figure(
        format!("kill soak, {kind:?}{engine}"),
        format!(
            "{kills} × kill -9, {crashes} × PostgreSQL, {} webhooks answered, missing {missing}, doubled {doubled}, {} tried again",
            told.webhooks.len(),
            told.again
        ),
    );
    tally.check(&format!("kill soak, sent with keys, {kind:?}{engine}"), kills + crashes);
    assert_eq!((missing, doubled), (0, 0));
    assert!(
        told.webhooks.len() > 5 * (kills + crashes),
        "only {} were answered",
        told.webhooks.len()
    );
    assert!(told.again > 0, "nobody noticed the kills");
    events_are_whole(&site.database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_soak_on_sqlite() {
    nothing_answered_is_missing_or_doubled(Database::create(Kind::Sqlite).await, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_soak_on_postgres() {
    nothing_answered_is_missing_or_doubled(Database::create(Kind::Postgres).await, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_soak_on_a_postgres_that_is_killed_too() {
    let cluster = Restarted::create().await;
    nothing_answered_is_missing_or_doubled(cluster.database.clone(), Some(&cluster)).await;
}
