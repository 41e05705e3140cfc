//! Many searches, and many requests: what one organization asks for does not keep another one waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use http::{Method, Request, header};
use serde_json::{Value, json};

use super::figure;
use crate::support::{Answer, Database, Kind, Org, TestGateway, beginning, on_both_engines};

/// How many messages the organization has that searches.
fn messages() -> i64 {
    60_000 * i64::try_from(crate::hostile::scale()).unwrap().min(16)
}

/// Writes so many messages of a past month for an organization, straight into its table.
async fn fill(gateway: &TestGateway, org: &Org) {
    let count = messages();
    let begin = (beginning() - TimeDelta::days(30)).timestamp_millis();
    let sql = match gateway.database.kind {
        Kind::Sqlite => format!(
            "with recursive n (n) as (select 1 union all select n + 1 from n where n < {count})
             insert into messages (organization_id, id, channel, provider, direction, kind, content, status, metadata,
                 occurred_at, created_at, processed_at)
             select x'{}', unhex(printf('%012x7000b000%012x', {begin} + n, n)), 'sms', 'twilio', 'inbound', 'text',
                 'message ' || n || ' says nothing that anybody looks for, at some length', 'received', '{{}}',
                 '2026-10-02T12:00:00+00:00', '2026-10-02T12:00:00+00:00', '2026-10-02T12:00:00+00:00' from n",
            org.id.0.simple()
        ),
        Kind::Postgres => format!(
            "insert into messages (organization_id, id, channel, provider, direction, kind, content, status, metadata,
                 occurred_at, created_at, processed_at)
             select '{}', (lpad(to_hex({begin} + n), 12, '0') || '7000b000' || lpad(to_hex(n), 12, '0'))::uuid, 'sms', 'twilio',
                 'inbound', 'text', 'message ' || n || ' says nothing that anybody looks for, at some length', 'received',
                 '{{}}', '2026-10-02T12:00:00Z', '2026-10-02T12:00:00Z', '2026-10-02T12:00:00Z'
             from generate_series(1, {count}::bigint) n",
            org.id
        ),
    };
    gateway.database.execute(&sql).await;
}

/// A gateway whose database is full, and the organization that has it so.
async fn crowded(kind: Kind, settings: &[&str]) -> (TestGateway, Org) {
    let gateway = TestGateway::start(kind, settings).await;
    let busy = gateway.organization("Busy").await;
    fill(&gateway, &busy).await;
    (gateway, busy)
}

async fn searches_leave_room(kind: Kind) {
    let (gateway, busy) = crowded(kind, &[]).await;
    let quiet = gateway.organization("Quiet").await;
    let lead = gateway.lead(&quiet, "Maria", "+5511987654321").await;
    let (gateway, path) = (Arc::new(gateway), "/api/v1/crm/communications?search=needle");
    let search = |_| {
        let (gateway, busy) = (Arc::clone(&gateway), busy.clone());
        tokio::spawn(async move { gateway.get(&busy, path).await })
    };
    let searching: Vec<_> = (0..16).map(search).collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    // With all connections taken by searches, this waits for the last of them.
    let mut worst = Duration::ZERO;
    while searching.iter().any(|one| !one.is_finished()) {
        let started = Instant::now();
        gateway
            .get(&quiet, &format!("/api/v1/crm/communications?lead_id={lead}"))
            .await
            .expect(200);
        worst = worst.max(started.elapsed());
    }
    let mut waited = 0;
    for answer in join_all(searching).await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            200 => assert_eq!(answer.json()["total"], 0),
            429 | 503 => {
                waited += 1;
                assert!(answer.headers.contains_key("retry-after"));
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    figure(
        format!("16 searches of {} messages on {kind:?}", messages()),
        format!("another organization's worst read {worst:.0?}; {waited} told to come again"),
    );
    assert!(
        worst < Duration::from_secs(3),
        "a read waited {worst:?} for another organization's searches"
    );
    Arc::into_inner(gateway).unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_leave_room_on_sqlite() {
    searches_leave_room(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_leave_room_on_postgres() {
    searches_leave_room(Kind::Postgres).await;
}

/// More at once than may wait: some are told to come again, all others are answered, and afterwards everything is as before.
async fn a_crowd_is_told_to_come_again(kind: Kind) {
    let (gateway, busy) = crowded(kind, &[]).await;
    let path = "/api/v1/crm/communications?search=needle";
    let answers = join_all((0..40).map(|_| gateway.get(&busy, path))).await;
    let refused: Vec<&Answer> = answers.iter().filter(|one| one.status == 429).collect();
    assert!(refused.len() >= 10, "two at once, and sixteen wait: {}", refused.len());
    for answer in refused {
        assert_eq!(answer.json()["error_code"], "too_many_searches");
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    gateway.get(&busy, path).await.expect(200);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_told_to_come_again_on_sqlite() {
    a_crowd_is_told_to_come_again(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_told_to_come_again_on_postgres() {
    a_crowd_is_told_to_come_again(Kind::Postgres).await;
}

async fn what_takes_too_long_is_broken_off(kind: Kind) {
    let (gateway, busy) = crowded(kind, &["database.statement_timeout_ms=10"]).await;
    for path in ["/api/v1/crm/communications?search=needle", "/api/v1/messages?status=unheard"] {
        let problem = gateway.get(&busy, path).await.expect(422);
        assert_eq!(problem["error_code"], "search_too_broad", "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("narrow it"), "{problem}");
    }
    // The connection goes on.
    gateway.get(&busy, "/api/v1/leads").await.expect(200);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_broken_off_on_sqlite() {
    what_takes_too_long_is_broken_off(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_broken_off_on_postgres() {
    what_takes_too_long_is_broken_off(Kind::Postgres).await;
}

/// A request as somebody else than the organization's usual key.
async fn get_with(gateway: &TestGateway, org: &Org, token: &str) -> Answer {
    let request = Request::builder()
        .method(Method::GET)
        .uri("/api/v1/leads")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("x-org-id", org.id.to_string());
    gateway.send(request.body(bytes::Bytes::new()).unwrap()).await
}

fn told(answer: &Answer, name: &str) -> String {
    answer.headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

async fn requests_have_quotas(kind: Kind) {
    let settings = ["limits.key_per_minute=3", "limits.organization_per_minute=5"];
    let gateway = TestGateway::start(kind, &settings).await;
    let (busy, quiet) = (gateway.organization("Busy").await, gateway.organization("Quiet").await);
    let other = gateway.key(busy.id, switchboard::model::Scope::ALL.to_vec()).await;
    let first = gateway.get(&busy, "/api/v1/leads").await;
    first.expect(200);
    assert_eq!(told(&first, "ratelimit-policy"), "\"key\";q=3;w=60, \"organization\";q=5;w=60");
    assert_eq!(told(&first, "ratelimit"), "\"key\";r=2;t=60, \"organization\";r=4;t=60");
    gateway.advance(TimeDelta::seconds(20));
    // One that asks for events and waits for them counts once, and so does one that is refused.
    gateway.get(&busy, "/api/v1/events?after=0&wait_seconds=1").await.expect(200);
    gateway.get(&busy, "/api/v1/leads?limit=0").await.expect(422);
    for _ in 0..3 {
        let refused = gateway.get(&busy, "/api/v1/leads").await;
        let problem = refused.expect(429);
        assert_eq!(
            problem["type"],
            "https://iana.org/assignments/http-problem-types#quota-exceeded"
        );
        assert_eq!(problem["violated-policies"], json!(["key"]));
        assert_eq!(problem["error_code"], "quota_exceeded");
        assert_eq!(told(&refused, "retry-after"), "40");
        assert_eq!(told(&refused, "ratelimit"), "\"key\";r=0;t=40");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    // What was refused to one key is not taken from the others of its organization.
    get_with(&gateway, &busy, &other).await.expect(200);
    get_with(&gateway, &busy, &other).await.expect(200);
    let refused = get_with(&gateway, &busy, &other).await;
    assert_eq!(refused.expect(429)["violated-policies"], json!(["organization"]));
    gateway.get(&quiet, "/api/v1/leads").await.expect(200);
    // Nobody who is unknown is counted, and neither webhooks nor health.
    assert!(!get_with(&gateway, &busy, "sbk_nobody").await.headers.contains_key("ratelimit"));
    let health = Request::builder().uri("/health").body(bytes::Bytes::new()).unwrap();
    assert!(!gateway.send(health).await.headers.contains_key("ratelimit"));
    gateway.advance(TimeDelta::seconds(41));
    gateway.get(&busy, "/api/v1/leads").await.expect(200);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_have_quotas_on_sqlite() {
    requests_have_quotas(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_have_quotas_on_postgres() {
    requests_have_quotas(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_tokens_count_together() {
    let secret = "0123456789abcdef0123456789abcdef";
    let settings = [format!("auth.jwt_secret={secret}"), "limits.key_per_minute=2".to_owned()];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let gateway = TestGateway::start_on(Database::create(Kind::Sqlite).await, &settings).await;
    let org = gateway.organization("Aurora").await;
    let token = |user: &str, expires: i64| {
        let claims = json!({ "sub": user, "organization_id": org.id.to_string(), "exp": expires });
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    // Not even a member: each request is refused, and counted.
    for expires in [4_000_000_000, 4_000_000_001] {
        get_with(&gateway, &org, &token("maria@example.com", expires)).await.expect(403);
    }
    get_with(&gateway, &org, &token("maria@example.com", 4_000_000_002)).await.expect(429);
    get_with(&gateway, &org, &token("joao@example.com", 4_000_000_000)).await.expect(403);
    gateway.end().await;
}

on_both_engines! {
    a_search_looks_at_the_last_90_days_and_says_so(gateway) {
        let org = gateway.organization("Aurora").await;
        let lead = gateway.lead(&org, "Maria", "+5511987654321").await;
        for (content, days) in [("an old needle", 100), ("a needle", 10)] {
            let at = beginning() - TimeDelta::days(days);
            let body = json!({ "lead_id": lead, "channel": "sms", "direction": "inbound", "content": content,
                               "occurred_at": at });
            gateway.post(&org, "/api/v1/crm/communications", body).await.expect(201);
        }
        let path = "/api/v1/crm/communications";
        let found = async |query: &str| {
            let page = gateway.get(&org, &format!("{path}?{query}")).await.expect(200);
            (page["total"].clone(), page["searched_from"].clone())
        };
        let days_before = |days| json!((beginning() - TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        assert_eq!(found("").await, (json!(2), Value::Null));
        for whose in [String::new(), format!("&lead_id={lead}")] {
            assert_eq!(found(&format!("search=needle{whose}")).await, (json!(1), days_before(90)));
        }
        let to = (beginning() - TimeDelta::days(50)).format("%Y-%m-%dT%H:%M:%SZ");
        assert_eq!(found(&format!("search=needle&to={to}")).await, (json!(1), days_before(140)));
        let from = (beginning() - TimeDelta::days(400)).format("%Y-%m-%dT%H:%M:%SZ");
        assert_eq!(found(&format!("search=needle&from={from}")).await, (json!(2), days_before(400)));
        let openapi = gateway.get(&org, "/openapi.json").await.expect(200);
        let list = &openapi["components"]["schemas"]["CommunicationList"]["properties"];
        assert!(list["searched_from"].is_object(), "{list}");
        assert!(openapi["paths"]["/api/v1/leads"]["get"]["responses"]["429"].is_object());
    }

    without_limits_nothing_is_counted_and_nothing_is_told(gateway) {
        let org = gateway.organization("Aurora").await;
        for _ in 0..20 {
            let answer = gateway.get(&org, "/api/v1/leads").await;
            answer.expect(200);
            assert!(!answer.headers.keys().any(|name| name.as_str().contains("ratelimit")));
        }
    }
}
