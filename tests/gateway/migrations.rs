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

/// A person of aurora's, as an older version wrote them: `key` is the match key.
async fn person(database: &Database, id: u128, value: &str, key: &str, name: &str, username: &str) {
    let kind = database.kind;
    let (aurora, id) = (literal(kind, AURORA), literal(kind, Uuid::from_u128(id)));
    let at = "'2026-10-01T00:00:00+00:00'";
    let of = if value.starts_with('+') { "phone" } else { "wa_lid" };
    for sql in [
        format!(
            "insert into contacts (organization_id, id, name, created_at, updated_at) values ({aurora}, {id}, '{name}', {at}, {at})"
        ),
        format!(
            "insert into contact_identities (organization_id, id, contact_id, kind, value, match_key, name, username, created_at)
             values ({aurora}, {id}, {id}, '{of}', '{value}', '{key}', '{name}', '{username}', {at})"
        ),
    ] {
        database.execute(&sql).await;
    }
}

/// Who asked for it themselves, who is out of reach for a day, and whom people of the organization leave alone.
async fn suppressed_under_both_spellings(database: &Database) {
    let aurora = literal(database.kind, AURORA);
    let suppressed = [
        ("22997123456", "opted_out", "null", "2026-10-01T00:00:00+00:00"),
        (
            "2290197123456",
            "undeliverable",
            "'2026-12-02T00:00:00+00:00'",
            "2026-10-02T00:00:00+00:00",
        ),
        (
            "22507123456",
            "undeliverable",
            "'2026-12-02T00:00:00+00:00'",
            "2026-10-02T00:00:00+00:00",
        ),
        ("2250707123456", "manual", "null", "2026-10-01T00:00:00+00:00"),
        ("2290197999999", "manual", "null", "2026-10-01T00:00:00+00:00"),
    ];
    for (key, reason, until, at) in suppressed {
        let sql = format!(
            "insert into suppressions (organization_id, channel, kind, match_key, scope, value, reason, until, created_at, known_at)
             values ({aurora}, 'whatsapp', 'phone', '{key}', 'all', '+{key}', '{reason}', {until}, '{at}', '{at}')"
        );
        database.execute(&sql).await;
    }
}

async fn old_and_new_spellings_of_a_number_get_one_key(kind: Kind) {
    let database = database_of(kind, 20).await;
    organizations(&database).await;
    let people = [
        ("+22997123456", "Afi", "@afi"),
        ("+2290197123456", "2290197123456", "afi"),
        ("+22507123456", "Koffi", ""),
        ("+2250707123456", "Koffi", ""),
        ("+2252721123456", "Land-line", ""),
        ("+2290297123456", "Somebody else", ""),
        ("+5511987654321", "Ana", ""),
    ];
    for (id, (value, name, username)) in (1..).zip(people) {
        let key = if value == "+5511987654321" { "551187654321" } else { &value[1..] };
        person(&database, id, value, key, name, username).await;
    }
    person(&database, 99, "198273645500112", "198273645500112", "198273645500112", "").await;
    suppressed_under_both_spellings(&database).await;
    let (gateway, ..) = opened(database).await;
    let database = &gateway.database;
    let keys = "select coalesce(max(match_key), '?') || ' ' || count(*) from contact_identities where value in";
    for (values, told) in [
        ("'+22997123456', '+2290197123456'", "22997123456 2"),
        ("'+22507123456', '+2250707123456'", "22507123456 2"),
        ("'+2252721123456'", "2252721123456 1"),
        ("'+2290297123456'", "2290297123456 1"),
        ("'+5511987654321'", "551187654321 1"),
    ] {
        assert_eq!(database.text(&format!("{keys} ({values}) and match_key = (select min(match_key) from contact_identities where value in ({values}))")).await, told);
    }
    let left = "select count(*) from suppressions where reason";
    assert_eq!(
        database.scalar(&format!("{left} = 'opted_out' and match_key = '22997123456'")).await,
        1
    );
    assert_eq!(
        database
            .scalar(&format!("{left} = 'manual' and match_key in ('22507123456', '22997999999')"))
            .await,
        2
    );
    assert_eq!(gateway.count("suppressions").await, 3);
    assert_eq!(
        database.scalar("select count(*) from contact_identities where username = 'afi'").await,
        2
    );
    assert_eq!(
        database.scalar("select count(*) from contact_identities where name is null").await,
        2
    );
    assert_eq!(
        database.scalar("select count(*) from contacts where name is null").await,
        1,
        "whom people named keeps it"
    );
    gateway.end().await;
}

#[tokio::test]
async fn old_and_new_spellings_of_a_number_get_one_key_on_sqlite() {
    old_and_new_spellings_of_a_number_get_one_key(Kind::Sqlite).await;
}

#[tokio::test]
async fn old_and_new_spellings_of_a_number_get_one_key_on_postgres() {
    old_and_new_spellings_of_a_number_get_one_key(Kind::Postgres).await;
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
