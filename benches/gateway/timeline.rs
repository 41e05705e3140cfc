//! The timeline of one lead among 1,000,000 messages of 1,000 organizations: over HTTP, and the same SQL run bare.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use switchboard::ids;
use switchboard::store::Engine;
use uuid::Uuid;

use crate::intake::generate;
use crate::load::{Order, Result, What, mix};
use crate::prepare::{self, Bench, Running};
use crate::{MEASURED, WARM_UP, process};

const ORGANIZATIONS: usize = 1_000;
const LEADS: usize = 20;
const MESSAGES_OF_LEAD: usize = 50;

/// What the API gives without being asked for more or less.
const PAGE: i64 = 50;

const CONTENT: &str = "Bom dia! Gostaria de confirmar a consulta de amanhã às 14h30 e saber se preciso levar os exames \
                       anteriores. Obrigada! Aproveito para perguntar se o estacionamento é cortesia.";

const PERSON: [&str; 3] = [
    "insert into contacts (organization_id, id, name, created_at, updated_at) values ($1, $3, $5, $6, $6)",
    "insert into contact_identities (organization_id, id, contact_id, kind, value, match_key, name, created_at)
     values ($1, $4, $3, 'phone', $5, $5, $5, $6)",
    "insert into leads (organization_id, id, contact_id, name, phone, stage, created_at, updated_at)
     values ($1, $2, $3, $5, $5, 'new', $6, $6)",
];
const MESSAGE: &str = "insert into messages (organization_id, id, identity_id, provider_ref, provider_message_id, provider,
     channel, direction, our_address, kind, content, status, occurred_at, created_at)
     values ($1, $2, $3, $4, $5, 'meta', 'whatsapp', 'inbound', '+551140028922', 'text', $6, 'received', $7, $7)";

/// Gives every organization its leads and their messages; returns each lead with the index of its organization.
macro_rules! fill {
    ($connection:expr, $bench:expr) => {{
        let mut leads = Vec::new();
        let start = chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let made = ids::Ids::new(switchboard::clock::Clock::System);
        for (index, organization) in $bench.organizations.iter().enumerate() {
            let mut transaction = $connection.begin().await.unwrap();
            let mut identities = Vec::with_capacity(LEADS);
            for number in 0..LEADS {
                let (lead, contact, identity) = (made.next(), made.next(), made.next());
                for sql in PERSON {
                    let phone = format!("+5511{:08}", 70_000_000 + number);
                    let query = sqlx::query(sql).bind(organization.id).bind(lead).bind(contact);
                    let query = query.bind(identity).bind(phone).bind(start);
                    query.execute(&mut *transaction).await.unwrap();
                }
                identities.push(identity);
                leads.push((index, lead));
            }
            for number in 0..LEADS * MESSAGES_OF_LEAD {
                // Everybody writes in turn, so that one person's messages lie far apart.
                let at = start + chrono::TimeDelta::seconds(number as i64 * 60);
                let query = sqlx::query(MESSAGE).bind(organization.id).bind(made.at(at));
                let query =
                    query.bind(identities[number % LEADS]).bind(scattered(index * 1_000 + number));
                let query = query
                    .bind(format!("wamid.HBgNNTUxMTk4NzY1NDMyMRUCABIYFjNFQjBDMUQ{number:016}"));
                query.bind(CONTENT).bind(at).execute(&mut *transaction).await.unwrap();
            }
            transaction.commit().await.unwrap();
        }
        leads
    }};
}

/// Reads pages until the time is over; counts those of the measured time.
macro_rules! read {
    ($connection:expr, $sql:expr, $leads:expr, $number:expr, $start:expr, $end:expr) => {{
        let mut connection = $connection;
        let (mut counted, mut count) = (0_u64, 0_u64);
        loop {
            let sent = Instant::now();
            if sent >= $end {
                break counted;
            }
            let (organization, lead) =
                $leads[(mix(($number << 32) + count) % $leads.len() as u64) as usize];
            count += 1;
            let query = sqlx::query(AssertSqlSafe($sql)).bind(organization).bind(Uuid::max());
            let query = query.bind(Uuid::nil()).bind(lead).bind(PAGE + 1).bind(0_i64);
            let rows = query.fetch_all(&mut connection).await.unwrap();
            assert_eq!(rows.len(), MESSAGES_OF_LEAD);
            counted += u64::from(sent >= $start);
        }
    }};
}

pub async fn on_postgres() {
    println!("\n## Timeline of a lead, PostgreSQL\n");
    let url = prepare::database("timeline").await;
    let bench = prepare::organizations(&prepare::folder("timeline"), &url, ORGANIZATIONS).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let leads = fill!(connection, bench);
    sqlx::raw_sql("vacuum analyze").execute(&mut connection).await.unwrap();
    compare(&bench, &leads, Engine::Postgres).await;
}

pub async fn on_sqlite() {
    println!("\n## Timeline of a lead, SQLite\n");
    let folder = prepare::folder("timeline-sqlite");
    let url = format!("sqlite:{}", folder.join("switchboard.db").display());
    let bench = prepare::organizations(&folder, &url, ORGANIZATIONS).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let leads = fill!(connection, bench);
    sqlx::raw_sql("pragma optimize").execute(&mut connection).await.unwrap();
    compare(&bench, &leads, Engine::Sqlite).await;
    let _ = std::fs::remove_dir_all(&folder);
}

/// As scattered as the hashes that stand in its place.
fn scattered(number: usize) -> Uuid {
    Uuid::from_u64_pair(mix(number as u64), mix(!number as u64))
}

const HEADING: &str = "| what | connections | per second | of bare | p50 ms | p99 ms | max ms | not 200 | gateway or client CPU s/1000 | PostgreSQL CPU s/1000 |\n\
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

/// CPU seconds of a process and of PostgreSQL at some instant.
struct Costs(f64, f64);

impl Costs {
    fn until_now(process: u32) -> Self {
        Self(process::cpu(process), process::postgres_cpu(prepare::cluster_port()))
    }

    /// What was spent since, a thousand pages.
    fn since(&self, thousands: f64, process: u32) -> (f64, f64) {
        let Self(own, database) = Self::until_now(process);
        ((own - self.0) / thousands, (database - self.1) / thousands)
    }
}

async fn compare(bench: &Bench, leads: &[(usize, Uuid)], engine: Engine) {
    println!("{HEADING}");
    let requests: Vec<String> =
        leads.iter().map(|(index, lead)| request(bench, *index, *lead)).collect();
    for connections in [8, 32] {
        let client = Costs::until_now(std::process::id());
        let bare = bare(bench, leads, engine, connections).await;
        let (client, database) =
            client.since((bare * (WARM_UP + MEASURED).as_secs_f64()) / 1_000.0, std::process::id());
        println!(
            "| bare SQL | {connections} | {bare:.0} | 1.00 | | | | | {client:.3} | {database:.3} |"
        );
        let running = Running::start(bench, &[]);
        let what = What::Gets { requests: requests.clone() };
        let (port, measured) = (running.port, MEASURED);
        let order = Order { port, connections, warm_up: WARM_UP, measured, what };
        let before = std::sync::Mutex::new(None);
        let begun = || *before.lock().unwrap() = Some(Costs::until_now(running.id()));
        let result = generate(&order, begun);
        let before = before.into_inner().unwrap().unwrap();
        let (gateway, database) = before.since(result.answered as f64 / 1_000.0, running.id());
        let Result { refused, p50_ms, p99_ms, max_ms, .. } = result;
        let (rate, share) = (result.rate(), result.rate() / bare);
        println!(
            "| over HTTP | {connections} | {rate:.0} | {share:.2} | {p50_ms:.2} | {p99_ms:.2} | {max_ms:.1} | {refused} | {gateway:.3} | {database:.3} |"
        );
    }
}

fn request(bench: &Bench, organization: usize, lead: Uuid) -> String {
    let Bench { organizations, keys, .. } = bench;
    format!(
        "GET /api/v1/crm/communications?lead_id={lead} HTTP/1.1\r\nhost: gateway.example.com\r\n\
         authorization: Bearer {}\r\nx-org-id: {}\r\n\r\n",
        keys[organization], organizations[organization].id
    )
}

/// Pages a second, read by the very statement of the gateway, each connection one after the other.
async fn bare(bench: &Bench, leads: &[(usize, Uuid)], engine: Engine, connections: usize) -> f64 {
    let sql = switchboard::store::timeline::lead_page_sql(engine);
    let start = Instant::now() + WARM_UP;
    let end = start + MEASURED;
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..connections as u64 {
        let leads: Vec<(Uuid, Uuid)> =
            leads.iter().map(|(index, lead)| (bench.organizations[*index].id.0, *lead)).collect();
        let url = bench.url.clone();
        readers.spawn(async move {
            match engine {
                Engine::Postgres => {
                    read!(
                        PgConnection::connect(&url).await.unwrap(),
                        sql,
                        leads,
                        number,
                        start,
                        end
                    )
                }
                Engine::Sqlite => {
                    read!(
                        SqliteConnection::connect(&url).await.unwrap(),
                        sql,
                        leads,
                        number,
                        start,
                        end
                    )
                }
            }
        });
    }
    let total: u64 = readers.join_all().await.into_iter().sum();
    total as f64 / MEASURED.as_secs_f64()
}
