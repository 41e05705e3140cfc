//! A full disk: what cannot be written is refused and nothing else, health says so, and when there is space again all goes on
//! without a restart, with everything that was answered, once.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use switchboard::clock::Clock;
use switchboard::store::jobs::JobPool;

use super::figure;
use crate::support::meta::{self, AURORA};
use crate::support::{Database, Kind, Org, TestGateway, recorded_account};

/// More than fits into what is left of a page, so that a table must grow.
const LONG: usize = 3_000;

/// How many rounds find the disk full, at most.
const ROUNDS: usize = 200;

/// A file system of its own, in memory.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// `None` where none can be made, which is printed.
    fn mount(folder: &Path, mebibytes: u32, options: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={mebibytes}m{options}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mount.is_ok_and(|done| done.status.success()) {
            return Some(Self { folder: folder.to_owned() });
        }
        skipped("a small file system cannot be mounted here, which takes root");
        None
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    fn fill(&self) {
        use std::io::Write;
        let mut filler =
            std::fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for piece in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

/// Past the capture of what tests print: whoever reads the result shall know.
fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Webhooks and what was answered.
#[derive(Default)]
struct Told {
    stored: Vec<String>,
    refused: Vec<String>,
}

impl Told {
    async fn tell(&mut self, gateway: &TestGateway, ids: Vec<String>) {
        let answers = join_all(ids.iter().map(async |id| {
            let body = format!("{id} {}", "x".repeat(LONG));
            let change = meta::change(AURORA, &[meta::text(id, "5511987654321", &body)], &[]);
            gateway.meta(&[change]).await
        }));
        for (answer, id) in answers.await.into_iter().zip(&ids) {
            match answer.status.as_u16() {
                200 => self.stored.push(id.clone()),
                503 => self.refused.push(id.clone()),
                other => panic!("{id}: {other}: {}", answer.text()),
            }
        }
    }

    /// Tells new ones until one is refused.
    async fn tell_until_refused(&mut self, gateway: &TestGateway) {
        for round in 0..ROUNDS {
            self.tell(gateway, (0..8).map(|n| format!("wamid.{round}.{n}")).collect()).await;
            if !self.refused.is_empty() {
                return;
            }
        }
        panic!("the disk is never full: {} webhooks were stored", self.stored.len());
    }

    /// What was refused is told again; then everything is there, once.
    async fn all_is_there(mut self, gateway: &TestGateway, org: &Org) {
        let again = std::mem::take(&mut self.refused);
        let refused = again.len();
        self.tell(gateway, again).await;
        assert_eq!(self.refused, Vec::<String>::new());
        assert_eq!(gateway.count("webhook_quarantine").await, 0, "nothing is wrong with what came");
        let mut found = everything(gateway, org).await;
        found.sort_unstable();
        self.stored.sort_unstable();
        assert_eq!(found, self.stored);
        figure(
            format!("full disk, {:?}", gateway.database.kind),
            format!(
                "{} webhooks stored, of which {refused} were refused while it was full; missing 0, doubled 0",
                found.len()
            ),
        );
    }
}

/// The ids that stand at the beginning of the texts that came.
async fn everything(gateway: &TestGateway, org: &Org) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/crm/communications?direction=inbound&limit=200{cursor}");
        let page = gateway.get(org, &path).await.expect(200);
        for item in page["items"].as_array().unwrap() {
            found.push(item["content"].as_str().unwrap().split(' ').next().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn health(gateway: &TestGateway, org: &Org) -> (u16, Value) {
    let answer = gateway.get(org, "/health/crm").await;
    (answer.status.as_u16(), answer.json())
}

/// What the API takes and refuses, while it can write and while it cannot.
#[derive(Default)]
struct Asked {
    leads: usize,
    messages: usize,
    refused: usize,
}

impl Asked {
    async fn ask(&mut self, gateway: &TestGateway, org: &Org, number: usize) {
        let name = format!("{number} {}", "x".repeat(150));
        let lead = json!({ "name": name, "email": format!("{number}@example.com") });
        let text = json!({ "kind": "text", "body": format!("{number} {}", "y".repeat(1_000)) });
        let message = json!({ "channel": "sms", "to": "+5511987654321", "content": text });
        for (path, body, good) in [("/api/v1/leads", lead, 201), ("/api/v1/messages", message, 202)]
        {
            let answer = gateway.post(org, path, body).await;
            match answer.status.as_u16() {
                status if status == good && path.ends_with("leads") => self.leads += 1,
                status if status == good => self.messages += 1,
                503 => self.refused += 1,
                other => panic!("{path}: {other}: {}", answer.text()),
            }
        }
    }

    async fn all_is_there(&self, gateway: &TestGateway) {
        let count =
            |table: &'static str| async { usize::try_from(gateway.count(table).await).unwrap() };
        assert_eq!(count("leads").await, self.leads);
        assert_eq!(count("outbound").await, self.messages);
        let ours = "select count(*) from messages where direction = 'outbound'";
        assert_eq!(usize::try_from(gateway.database.scalar(ours).await).unwrap(), self.messages);
    }
}

/// Files below a folder, whatever they are called.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// An organization that receives through Meta and sends through Twilio.
async fn prepare(gateway: &TestGateway) -> Org {
    let org = gateway.organization_in("Aurora", Some("BR")).await;
    gateway.connect(&org, &providers::meta::PROVIDER, "aurora").await;
    let twilio = recorded_account(&providers::twilio::PROVIDER, "aurora");
    let id = gateway.connect_only(&org, &providers::twilio::PROVIDER, &twilio).await;
    let route = twilio.routes.into_iter().find(|route| route.channel == "sms").unwrap();
    let body = json!({ "account_id": id, "channel": "sms", "address": route.address, "handle": route.handle,
                       "state": "active" });
    gateway.post(&org, "/api/v1/routes", body).await.expect(201);
    org
}

/// Fills the disk on which the database is, and frees it again.
async fn a_full_disk_passes(gateway: TestGateway, disk: &SmallDisk) {
    let org = prepare(&gateway).await;
    let (mut told, mut asked) = (Told::default(), Asked::default());
    told.tell(&gateway, vec!["wamid.before".to_owned()]).await;
    asked.ask(&gateway, &org, 0).await;
    assert_eq!((told.stored.len(), asked.leads, asked.messages), (1, 1, 1));
    let (status, body) = health(&gateway, &org).await;
    assert_eq!(status, 200, "{body}");

    disk.fill();
    told.tell_until_refused(&gateway).await;
    let (status, body) = health(&gateway, &org).await;
    assert_eq!(
        (status, &body["status"], &body["intake"]["status"]),
        (503, &json!("failing"), &json!("failing")),
        "{body}"
    );
    assert!(body["intake"]["detail"].as_str().unwrap().contains("since "), "{body}");
    for number in 1..=ROUNDS {
        asked.ask(&gateway, &org, number).await;
        if asked.refused >= 2 {
            break;
        }
    }
    assert!(asked.refused >= 2, "the API writes on a full disk");

    disk.free();
    told.tell(&gateway, vec!["wamid.after".to_owned()]).await;
    let began = Instant::now();
    while told.stored.last().is_none_or(|id| id != "wamid.after") {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not recover");
        told.refused.retain(|id| id != "wamid.after");
        told.tell(&gateway, vec!["wamid.after".to_owned()]).await;
    }
    let (status, body) = health(&gateway, &org).await;
    assert_eq!(status, 200, "{body}");
    asked.refused = 0;
    asked.ask(&gateway, &org, 1_000).await;
    assert_eq!(asked.refused, 0);
    asked.all_is_there(&gateway).await;
    told.all_is_there(&gateway, &org).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_recovers_from_a_full_disk() {
    let database = Database::create(Kind::Sqlite).await;
    let Some(disk) = SmallDisk::mount(&database.folder.join("disk"), 24, "") else { return };
    let url = format!("sqlite:{}", disk.folder.join("switchboard.db").display());
    let gateway = TestGateway::start_at(Database { url, ..database }, &[], Clock::System).await;
    a_full_disk_passes(gateway, &disk).await;
}

/// SQLite ends a transaction by itself where the database may not grow, as it does on a full disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_recovers_from_a_limit_that_was_reached() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let org = prepare(&gateway).await;
    let (mut told, mut asked) = (Told::default(), Asked::default());
    for round in 0..5 {
        let JobPool::Sqlite(writer) = gateway.gateway.store.job_pool(false) else { unreachable!() };
        // It holds for a connection, and none that is fresh has it.
        let limit = async || {
            sqlx::raw_sql("pragma max_page_count = 1").execute(&writer).await.unwrap();
        };
        limit().await;
        let before = told.refused.len();
        for number in 0..ROUNDS {
            told.tell(&gateway, vec![format!("wamid.{round}.{number}")]).await;
            if told.refused.len() > before {
                break;
            }
        }
        assert!(told.refused.len() > before, "there is no limit");
        assert!(gateway.gateway.batcher.outcome().failing.is_some());
        asked.refused = 0;
        limit().await;
        for number in 0..ROUNDS {
            asked.ask(&gateway, &org, round * ROUNDS + number).await;
            if asked.refused > 0 {
                break;
            }
        }
        assert!(asked.refused > 0, "the API writes beyond the limit");
        sqlx::raw_sql("pragma max_page_count = 1000000").execute(&writer).await.unwrap();
        told.tell(&gateway, vec![format!("wamid.{round}.after")]).await;
        assert_eq!(told.refused.len(), before + 1, "the next one is written");
        asked.refused = 0;
        asked.ask(&gateway, &org, (10 + round) * ROUNDS).await;
        assert_eq!(asked.refused, 0);
    }
    asked.all_is_there(&gateway).await;
    told.all_is_there(&gateway, &org).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_recovers_from_a_full_disk() {
    let database = Database::create(Kind::Postgres).await;
    let name = database.folder.file_name().unwrap().to_string_lossy().into_owned();
    let Some(disk) = SmallDisk::mount(&database.folder.join("disk"), 64, ",mode=777") else {
        return;
    };
    let space = disk.folder.join("space");
    std::fs::create_dir(&space).unwrap();
    let owned = Command::new("chown").arg("postgres").arg(&space).status();
    if !owned.is_ok_and(|done| done.success()) {
        skipped("PostgreSQL does not run as the user postgres here");
        return;
    }
    let cluster = std::env::var("TEST_POSTGRES").unwrap();
    let mut admin = PgConnection::connect(&format!("{cluster}/postgres")).await.unwrap();
    let place = format!("create tablespace {name}_disk location '{}'", space.display());
    let move_there = format!("alter database {name} set tablespace {name}_disk");
    for sql in [place, move_there] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    let gateway = TestGateway::start_at(database.clone(), &[], Clock::System).await;
    a_full_disk_passes(gateway, &disk).await;
    for sql in
        [format!("drop database {name} with (force)"), format!("drop tablespace {name}_disk")]
    {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_finds_no_room_is_refused_whole() {
    let database = Database::create(Kind::Sqlite).await;
    let Some(disk) = SmallDisk::mount(&database.folder.join("media"), 24, "") else { return };
    let gateway = TestGateway::start_on(database.clone(), &[]).await;
    let org = gateway.organization("Aurora").await;
    let file = |mebibytes: usize| vec![b'x'; mebibytes << 20];
    gateway.hand_in(&org, "", "image/png", &file(1)).await.expect(201);
    let kept = files(&disk.folder);
    disk.fill();
    // One that is written at once, and one that is written part by part.
    for mebibytes in [1, 14] {
        let problem = gateway.hand_in(&org, "", "image/png", &file(mebibytes)).await.expect(503);
        assert_eq!(problem["detail"], "the file store is not available now");
    }
    disk.free();
    let began = Instant::now();
    while files(&disk.folder) != kept {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", files(&disk.folder));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gateway.count("media_files").await, 1);
    for mebibytes in [1, 14] {
        gateway.hand_in(&org, "", "image/png", &file(mebibytes)).await.expect(201);
    }
    assert_eq!(gateway.count("media_files").await, 3);
    gateway.end().await;
}
