//! Organizations do not see each other: in the API, and in the database even where a statement forgets.

use std::str::FromStr;

use http::Method;
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::support::meta::{self, AURORA, BOREALIS};
use crate::support::{Kind, TestGateway, on_both_engines};

on_both_engines! {
    ids_of_another_organization_are_not_found(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "a")], &[])]).await.expect(200);
        gateway.deliver_recorded(&providers::twilio::PROVIDER, "call-inbound-01-arrives").await.expect(200);
        let unknown = json!({ "id": "wamid.x", "timestamp": "1793534400", "type": "hologram" });
        gateway.meta(&[meta::change(AURORA, &[unknown], &[])]).await.expect(200);
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let first = |list: serde_json::Value| list["items"][0]["id"].as_str().unwrap().to_owned();
        let list = |path: &'static str| gateway.get(&aurora, path);
        let message = first(list("/api/v1/messages").await.expect(200));
        let call = first(list("/api/v1/calls").await.expect(200));
        let contact = first(list("/api/v1/contacts").await.expect(200));
        let account = first(list("/api/v1/accounts").await.expect(200));
        let route = first(list("/api/v1/routes").await.expect(200));
        let item = first(list("/api/v1/webhook-inbox").await.expect(200));
        let request = first(list("/api/v1/webhook-inbox/requests").await.expect(200));
        let key = first(list("/api/v1/api-keys").await.expect(200));
        for path in [
            format!("messages/{message}"), format!("calls/{call}"), format!("contacts/{contact}"), format!("leads/{lead}"),
            format!("accounts/{account}"), format!("accounts/{account}/notices"), format!("webhook-inbox/{item}"),
            format!("webhook-inbox/requests/{request}"), format!("crm/communications?lead_id={lead}"),
            format!("crm/communications?contact_id={contact}"),
        ] {
            gateway.get(&aurora, &format!("/api/v1/{path}")).await.expect(200);
            gateway.get(&borealis, &format!("/api/v1/{path}")).await.expect(404);
        }
        for (method, path, body) in [
            (Method::PATCH, format!("contacts/{contact}"), Some(json!({ "name": "x" }))),
            (Method::PATCH, format!("leads/{lead}"), Some(json!({ "name": "x" }))),
            (Method::PATCH, format!("accounts/{account}"), Some(json!({ "name": "x" }))),
            (Method::PATCH, format!("routes/{route}"), Some(json!({ "state": "retired" }))),
            (Method::POST, format!("accounts/{account}/rotate"), Some(json!({ "credentials": { "auth_token": "x" } }))),
            (Method::POST, format!("webhook-inbox/requests/{request}/replay"), Some(json!({}))),
            (Method::DELETE, format!("routes/{route}"), None),
            (Method::DELETE, format!("accounts/{account}"), None),
            (Method::DELETE, format!("api-keys/{key}"), None),
            (Method::DELETE, format!("webhook-inbox/{item}"), None),
        ] {
            gateway.call(&borealis, method, &format!("/api/v1/{path}"), body).await.expect(404);
        }
        for path in ["messages", "calls", "contacts", "leads", "webhook-inbox", "webhook-inbox/requests", "crm/communications", "events"] {
            let page = gateway.get(&borealis, &format!("/api/v1/{path}")).await.expect(200);
            assert!(page["items"].as_array().unwrap().is_empty(), "{path}");
        }
        for id in ["not-an-id", "0197d0a0-0000-7000-8000-000000000000"] {
            gateway.get(&aurora, &format!("/api/v1/leads/{id}")).await.expect(404);
        }
    }
}

/// Every table whose rows are an organization's.
async fn tables(connection: &mut PgConnection) -> Vec<String> {
    let sql = "select distinct c.table_name::text from information_schema.columns c
               join pg_class t on t.oid = c.table_name::regclass and t.relkind in ('r', 'p')
               where c.table_schema = 'public' and c.column_name = 'organization_id' order by 1";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await.unwrap();
    assert!(tables.len() >= 30, "{tables:?}");
    tables
}

/// A session as the API has it, but with statements that forget the organization.
async fn as_role(gateway: &TestGateway, role: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&gateway.database.url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("set role {role}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn row_level_security_holds_where_a_statement_forgets() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    let (aurora, borealis) = gateway.two_organizations().await;
    for (line, id) in [(AURORA, "wamid.a"), (BOREALIS, "wamid.b"), (BOREALIS, "wamid.c")] {
        gateway
            .meta(&[meta::change(line, &[meta::text(id, "5511987654321", id)], &[])])
            .await
            .expect(200);
    }
    let mut app = as_role(&gateway, "switchboard_app").await;
    let mut owner = PgConnection::connect(&gateway.database.url).await.unwrap();
    for table in tables(&mut owner).await {
        // Some are none of the application's at all.
        let sql = format!("select count(*) from {table}");
        let seen = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut app).await;
        let seen: i64 = seen.unwrap_or_default();
        assert_eq!(seen, 0, "{table}: no organization is set");
    }
    assert_eq!(count(&mut app, "organizations").await, 0);
    let set = |id| sqlx::AssertSqlSafe(format!("set switchboard.organization_id = '{id}'"));
    sqlx::raw_sql(set(aurora.id)).execute(&mut app).await.unwrap();
    assert_eq!(count(&mut app, "messages").await, 1);
    assert_eq!(count(&mut app, "organizations").await, 1);
    sqlx::raw_sql(set(borealis.id)).execute(&mut app).await.unwrap();
    assert_eq!(count(&mut app, "messages").await, 2);
    // Nothing of another organization's can be changed, taken over or written.
    let foreign = aurora.id;
    for sql in [
        format!("update messages set content = 'x' where organization_id = '{foreign}'"),
        format!("delete from messages where organization_id = '{foreign}'"),
        format!("update leads set name = 'x' where organization_id = '{foreign}'"),
    ] {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut app).await.unwrap();
        assert_eq!(done.rows_affected(), 0);
    }
    for sql in [
        format!("update messages set organization_id = '{foreign}'"),
        format!(
            "insert into contacts values ('{foreign}', gen_random_uuid(), 'x', null, now(), now())"
        ),
        format!(
            "insert into events values ('{foreign}', 1000, 'x', gen_random_uuid(), null, now())"
        ),
        "alter table messages disable row level security".to_owned(),
        "drop policy organization on messages".to_owned(),
        "truncate messages".to_owned(),
        "create table mine (id int)".to_owned(),
        "select * from pg_authid".to_owned(),
    ] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut app).await;
        assert!(refused.is_err(), "{sql}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn every_table_of_organizations_has_its_policy() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    let mut owner = PgConnection::connect(&gateway.database.url).await.unwrap();
    for table in tables(&mut owner).await {
        let sql = "select coalesce(bool_and(p.qual like '%organization_id = ( SELECT switchboard_organization()%'
                       and p.with_check like '%organization_id = ( SELECT switchboard_organization()%'), false)
                       and (select relrowsecurity from pg_class where oid = $1::regclass)
                   from pg_policies p where p.tablename = $1 and 'switchboard_app' = any(p.roles)";
        let holds: bool = sqlx::query_scalar(sql).bind(&table).fetch_one(&mut owner).await.unwrap();
        let sql =
            "select has_table_privilege('switchboard_app', $1, 'select, insert, update, delete')";
        let is_the_apis: bool =
            sqlx::query_scalar(sql).bind(&table).fetch_one(&mut owner).await.unwrap();
        assert!(holds || !is_the_apis, "{table}");
    }
    gateway.end().await;
}

/// The owner's connections can change back from the application's role; a login of its own cannot become anybody else.
#[tokio::test]
async fn a_login_of_its_own_cannot_leave_the_applications_role() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    let (aurora, _) = gateway.two_organizations().await;
    gateway
        .meta(&[meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "x")], &[])])
        .await
        .expect(200);
    let mut owner = PgConnection::connect(&gateway.database.url).await.unwrap();
    let login = format!("api_{}", aurora.id.to_string().replace('-', ""));
    let run = |sql: String| sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    run(format!("create role {login} login in role switchboard_app"))
        .execute(&mut owner)
        .await
        .unwrap();
    let options = PgConnectOptions::from_str(&gateway.database.url).unwrap().username(&login);
    let mut api = PgConnection::connect_with(&options).await.unwrap();
    for sql in ["set role none", "reset role", "set session authorization default"] {
        run(sql.to_owned()).execute(&mut api).await.unwrap();
        assert_eq!(count(&mut api, "messages").await, 0, "{sql}");
    }
    for role in ["postgres", "switchboard_intake"] {
        assert!(run(format!("set role {role}")).execute(&mut api).await.is_err(), "{role}");
    }
    run(format!("set switchboard.organization_id = '{}'", aurora.id))
        .execute(&mut api)
        .await
        .unwrap();
    assert_eq!(count(&mut api, "messages").await, 1);
    drop(api);
    run(format!("drop role {login}")).execute(&mut owner).await.unwrap();
    gateway.end().await;
}

#[tokio::test]
async fn intake_has_the_rights_it_needs_and_no_others() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    gateway.two_organizations().await;
    let mut intake = as_role(&gateway, "switchboard_intake").await;
    assert_eq!(count(&mut intake, "organizations").await, 2, "it serves them all");
    for sql in [
        "insert into api_keys select * from api_keys",
        "update api_keys set scopes = 'everything'",
        "update api_keys set revoked_at = null",
        "delete from messages",
        "delete from leads",
        "update audit_log set action = 'x'",
        "update audit_log set detail = '{}'",
        "select detail from audit_log",
        "select * from audit_log",
        "insert into memberships select * from memberships",
        "update memberships set role = 'owner'",
        "update organization_keys set wrapped = ''",
        "insert into accounts select * from accounts",
        "delete from routes",
        "update routes set address = 'x'",
        "alter table messages disable row level security",
        "truncate events",
        "create table mine (id int)",
    ] {
        assert!(sqlx::raw_sql(sql).execute(&mut intake).await.is_err(), "{sql}");
    }
    gateway.end().await;
}

/// Whoever could read them could try secrets against the fingerprints of webhook keys.
#[tokio::test]
async fn the_gateways_own_keys_are_none_of_the_applications() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    gateway.two_organizations().await;
    assert!(gateway.count("gateway_keys").await > 0);
    let mut app = as_role(&gateway, "switchboard_app").await;
    let mut intake = as_role(&gateway, "switchboard_intake").await;
    let written = [
        "insert into gateway_keys select * from gateway_keys",
        "update gateway_keys set wrapped = ''",
        "delete from gateway_keys",
    ];
    for sql in written.into_iter().chain(["select * from gateway_keys"]) {
        assert!(sqlx::raw_sql(sql).execute(&mut app).await.is_err(), "{sql}");
    }
    for sql in written {
        assert!(sqlx::raw_sql(sql).execute(&mut intake).await.is_err(), "{sql}");
    }
    // Nor is it the missing right alone that keeps them.
    sqlx::raw_sql(
        "reset role; grant select on gateway_keys to switchboard_app; set role switchboard_app",
    )
    .execute(&mut app)
    .await
    .unwrap();
    assert_eq!(count(&mut app, "gateway_keys").await, 0);
    gateway.end().await;
}

#[tokio::test]
async fn the_roles_are_nobody_special() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    let special = gateway
        .database
        .scalar(
            "select count(*) from pg_roles where rolname in ('switchboard_app', 'switchboard_intake')
             and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolcanlogin)",
        )
        .await;
    assert_eq!(special, 0);
    let owned = gateway
        .database
        .scalar("select count(*) from pg_tables where tableowner in ('switchboard_app', 'switchboard_intake')")
        .await;
    assert_eq!(owned, 0);
    // Every table that has an organization is protected.
    let unprotected = gateway
        .database
        .text(
            "select coalesce(string_agg(c.relname, ', '), '') from pg_class c
             join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
             where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and not c.relrowsecurity",
        )
        .await;
    assert_eq!(unprotected, "");
    gateway.end().await;
}
