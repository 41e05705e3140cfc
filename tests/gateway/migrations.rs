//! Databases of older versions: what is in them is there afterwards, in the new form.

use http::Method;
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection, SqliteConnection};
use switchboard::model::OrganizationId;
use uuid::Uuid;

use crate::support::{Database, Kind, Org, TestGateway};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// A database as the version left it whose newest migration this was.
async fn database_of(kind: Kind, version: i64) -> Database {
    let database = Database::empty(kind).await;
    match kind {
        Kind::Sqlite => {
            let url = format!("{}?mode=rwc", database.url);
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            SQLITE.run_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Kind::Postgres => {
            let mut connection = PgConnection::connect(&database.url).await.unwrap();
            POSTGRES.run_to(version, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
    database
}

/// An id as it stands in a statement.
fn literal(kind: Kind, id: Uuid) -> String {
    match kind {
        Kind::Sqlite => format!("x'{}'", id.simple()),
        Kind::Postgres => format!("'{id}'"),
    }
}

const AURORA: Uuid = Uuid::from_u128(0x0197_d0a0_0000_7000_8000_0000_0000_00a0);
const BOREALIS: Uuid = Uuid::from_u128(0x0197_d0a0_0000_7000_8000_0000_0000_00b0);
/// Whom both organizations made a member at the same moment.
const BEA: Uuid = Uuid::from_u128(0x0197_d0a0_0000_7000_8000_0000_0000_00d0);
const ANA: Uuid = Uuid::from_u128(0x0197_d0a0_0000_7000_8000_0000_0000_00c0);

async fn organizations(database: &Database) {
    for (id, name) in [(AURORA, "Aurora"), (BOREALIS, "Borealis")] {
        let id = literal(database.kind, id);
        for sql in [
            format!(
                "insert into organizations (id, name, plan_tier, created_at)
                 values ({id}, '{name}', 'test', '2026-10-01T00:00:00+00:00')"
            ),
            format!("insert into event_heads (organization_id, seq) values ({id}, 0)"),
        ] {
            database.execute(&sql).await;
        }
    }
}

async fn opened(database: Database) -> (TestGateway, Org, Org) {
    let gateway = TestGateway::start_on(database, &[]).await;
    let mut orgs = Vec::new();
    for id in [AURORA, BOREALIS] {
        let id = OrganizationId(id);
        orgs.push(Org { id, key: gateway.key(id, switchboard::model::Scope::ALL.to_vec()).await });
    }
    let borealis = orgs.pop().unwrap();
    (gateway, orgs.pop().unwrap(), borealis)
}

async fn a_name_stays_with_the_organization_that_gave_it(kind: Kind) {
    let database = database_of(kind, 11).await;
    organizations(&database).await;
    let [aurora, borealis, ana, bea] = [AURORA, BOREALIS, ANA, BEA].map(|id| literal(kind, id));
    for sql in [
        format!(
            "insert into users (id, email, subject, name, created_at)
             values ({ana}, 'ana@example.com', 'subject-1', 'Ana Souza', '2026-10-01T00:00:00+00:00'),
                    ({bea}, 'bea@example.com', 'subject-2', 'Bea Lima', '2026-10-01T00:00:00+00:00')"
        ),
        format!(
            "insert into memberships (organization_id, user_id, role, created_at)
             values ({aurora}, {ana}, 'owner', '2026-10-01T00:00:00+00:00'), ({borealis}, {ana}, 'member', '2026-10-02T00:00:00+00:00'),
                    ({borealis}, {bea}, 'member', '2026-10-03T00:00:00+00:00'), ({aurora}, {bea}, 'member', '2026-10-03T00:00:00+00:00')"
        ),
    ] {
        database.execute(&sql).await;
    }
    let (gateway, aurora, borealis) = opened(database).await;
    let told = [("ana@example.com", ANA, "Ana Souza"), ("bea@example.com", BEA, "Bea Lima")];
    for (org, is_first) in [(&aurora, true), (&borealis, false)] {
        let members = gateway.get(org, "/api/v1/members").await.expect(200);
        for (email, id, name) in told {
            let items = members["items"].as_array().unwrap();
            let member = items.iter().find(|member| member["email"] == email).unwrap();
            assert_eq!(member["name"], if is_first { json!(name) } else { Value::Null }, "{email}");
            assert_eq!(member["user_id"], id.to_string(), "ids stay");
        }
    }
    let again = json!({ "email": "ana@example.com", "role": "owner", "name": "Ana" });
    let again =
        gateway.call(&aurora, Method::PUT, "/api/v1/members", Some(again)).await.expect(200);
    assert_eq!(again["user_id"], ANA.to_string());
    gateway.end().await;
}

async fn a_call_that_was_corrected_takes_its_place(kind: Kind) {
    let database = database_of(kind, 11).await;
    organizations(&database).await;
    let ids = switchboard::ids::Ids::new(switchboard::clock::Clock::System);
    // When each was first heard of, and when it turned out to have begun.
    let calls = [
        ("2026-10-01T12:00:00Z", "2026-10-01T09:00:00Z"),
        ("2026-10-01T11:00:00.123456Z", "2026-10-01T11:00:00.123456Z"),
        ("2026-10-01T10:00:00.5Z", "2026-10-01T08:00:00.999999Z"),
        ("2026-10-01T10:00:00Z", "2026-10-01T08:00:00.25Z"),
        ("2026-10-01T10:30:00Z", "1999-12-31T23:59:59.000001Z"),
        // Before the first time that an id can hold.
        ("2026-10-01T10:31:00Z", "1969-12-31T23:59:59.25Z"),
        ("2026-10-01T10:32:00Z", "1969-07-20T20:17:40.000001Z"),
    ];
    let mut expected = Vec::new();
    for (number, (heard, began)) in calls.into_iter().enumerate() {
        let began: switchboard::clock::Timestamp = began.parse().unwrap();
        let id = ids.at(heard.parse().unwrap());
        let (organization, id_literal) = (literal(kind, AURORA), literal(kind, id));
        let reference = literal(kind, Uuid::from_u128(number as u128));
        // As the store writes times on SQLite; PostgreSQL reads it too.
        let at = began.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false);
        let sql = format!(
            "insert into call_logs (organization_id, id, provider_ref, provider_call_id, provider, channel, direction, state,
                 recordings, occurred_at, created_at, processed_at)
             values ({organization}, {id_literal}, {reference}, 'call-{number}', 'telnyx', 'voip', 'inbound', 'completed', '[]',
                 '{at}', '{at}', '{at}')"
        );
        database.execute(&sql).await;
        expected.push((began, switchboard::ids::moved(id, began), id));
    }
    expected.sort_by(|(_, one, _), (_, other, _)| other.cmp(one));
    let (gateway, aurora, _) = opened(database).await;
    for list in ["calls?", "crm/communications?"] {
        let mut cursor = String::new();
        for (began, place, id) in &expected {
            let page =
                gateway.get(&aurora, &format!("/api/v1/{list}limit=1{cursor}")).await.expect(200);
            assert_eq!(page["items"][0]["id"], id.to_string(), "{list}");
            let shown: switchboard::clock::Timestamp =
                page["items"][0]["occurred_at"].as_str().unwrap().parse().unwrap();
            assert_eq!(shown, *began);
            if let Some(next) = page["next_cursor"].as_str() {
                assert_eq!(next, place.to_string(), "the migration makes what the store makes");
                cursor = format!("&cursor={next}");
            }
        }
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_name_stays_with_the_organization_that_gave_it_on_sqlite() {
    a_name_stays_with_the_organization_that_gave_it(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_name_stays_with_the_organization_that_gave_it_on_postgres() {
    a_name_stays_with_the_organization_that_gave_it(Kind::Postgres).await;
}

#[tokio::test]
async fn a_call_that_was_corrected_takes_its_place_on_sqlite() {
    a_call_that_was_corrected_takes_its_place(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_call_that_was_corrected_takes_its_place_on_postgres() {
    a_call_that_was_corrected_takes_its_place(Kind::Postgres).await;
}
