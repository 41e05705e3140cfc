//! The timeline of one lead among 1,000,000 messages of 1,000 organizations: over HTTP, and the same SQL run bare.

use std::sync::Arc;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use switchboard::ids;
use switchboard::store::Engine;
use uuid::Uuid;

use crate::load::{Order, What, mix};
use crate::prepare::{self, Bench, Running};
use crate::turns::{self, Turn};
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

const HEADING: &str = "| connections | bare SQL per second | over HTTP per second | of bare | p50 ms | p99 ms | max ms | not 200 | gateway (client) CPU s/1000 | PostgreSQL (bare) CPU s/1000 | gateway memory MB (highest) |\n\
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

async fn compare(bench: &Bench, leads: &[(usize, Uuid)], engine: Engine) {
    println!("{HEADING}");
    let requests: Vec<String> =
        leads.iter().map(|(index, lead)| request(bench, *index, *lead)).collect();
    let running = Running::start(bench, &[]);
    let port = running.port;
    for connections in [8, 32] {
        let bare = async |_| bare(bench, leads, engine, connections).await;
        let order = |_| {
            let what = What::Gets { requests: requests.clone() };
            Order { port, connections, warm_up: WARM_UP, measured: MEASURED, per_second: 0, what }
        };
        let turns = turns::take(Some(bare), &running, order).await;
        let (share, least, most) = turns.share().unwrap();
        let (gateway, database) = turns::costs(&turns.gateway);
        let (client, bare_database) = turns::costs(&turns.base);
        let (memory, highest) = process::memory(running.id());
        println!(
            "| {connections} | {:.0} | {:.0} | {share:.2} ({least:.2} to {most:.2}) | {:.2} | {:.2} | {:.1} | {} | {gateway:.3} ({client:.3}) | {database:.3} ({bare_database:.3}) | {memory:.0} ({highest:.0}) |",
            turns::rate(&turns.base),
            turns::rate(&turns.gateway),
            turns.median_of(|result| result.p50_ms),
            turns.median_of(|result| result.p99_ms),
            turns.highest_ms(),
            turns.refused(),
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

/// Pages read by the very statement of the gateway, each connection one after the other.
async fn bare(bench: &Bench, leads: &[(usize, Uuid)], engine: Engine, connections: usize) -> Turn {
    let sql = switchboard::store::timeline::lead_page_sql(engine);
    let leads: Vec<(Uuid, Uuid)> =
        leads.iter().map(|(index, lead)| (bench.organizations[*index].id.0, *lead)).collect();
    let leads: Arc<[(Uuid, Uuid)]> = leads.into();
    let numbers = 0..connections as u64;
    match engine {
        Engine::Postgres => {
            let mut open = Vec::new();
            for number in numbers {
                open.push((
                    number,
                    PgConnection::connect(&bench.url).await.unwrap(),
                    Arc::clone(&leads),
                ));
            }
            let readers = open.into_iter().map(|(number, connection, leads)| {
                move |start, end| async move { read!(connection, sql, leads, number, start, end) }
            });
            turns::without_gateway(readers).await
        }
        Engine::Sqlite => {
            let mut open = Vec::new();
            for number in numbers {
                let mut connection = SqliteConnection::connect(&bench.url).await.unwrap();
                // As much as each of the gateway's readers has.
                sqlx::raw_sql("pragma cache_size = -8000").execute(&mut connection).await.unwrap();
                open.push((number, connection, Arc::clone(&leads)));
            }
            let readers = open.into_iter().map(|(number, connection, leads)| {
                move |start, end| async move { read!(connection, sql, leads, number, start, end) }
            });
            turns::without_gateway(readers).await
        }
    }
}
