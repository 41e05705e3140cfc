//! Who may call: keys, tokens, scopes, members.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use switchboard::flow::organizations::create_user;
use switchboard::model::{Role, Scope};

use crate::support::{Answer, Kind, Org, TestGateway, on_both_engines};

async fn ask(
    gateway: &TestGateway,
    authorization: Option<&str>,
    organization: Option<&str>,
) -> Answer {
    let mut request = Request::builder().uri("/api/v1/leads");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    if let Some(value) = organization {
        request = request.header("x-org-id", value);
    }
    gateway.send(request.body(Bytes::new()).unwrap()).await
}

on_both_engines! {
    a_request_proves_who_it_is_and_names_its_organization(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let (bearer, id) = (format!("Bearer {}", aurora.key), aurora.id.to_string());
        ask(&gateway, Some(&bearer), Some(&id)).await.expect(200);
        let anonymous = ask(&gateway, None, Some(&id)).await;
        anonymous.expect(401);
        assert_eq!(anonymous.headers["www-authenticate"], "Bearer realm=\"switchboard\"");
        let wrong = ask(&gateway, Some("Bearer sbk_AAAA"), Some(&id)).await;
        wrong.expect(401);
        assert!(wrong.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
        ask(&gateway, Some("Basic YTpi"), Some(&id)).await.expect(401);
        ask(&gateway, Some(&bearer), None).await.expect(422);
        ask(&gateway, Some(&bearer), Some("aurora")).await.expect(422);
        let problem = ask(&gateway, Some(&bearer), None).await;
        assert_eq!(problem.headers["content-type"], "application/problem+json");
        let problem = problem.json();
        for member in ["type", "title", "status", "detail", "error_code", "timestamp"] {
            assert!(!problem[member].is_null(), "{member}");
        }
    }

    a_key_of_another_organization_is_refused_and_the_attempt_is_on_record(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let answer = ask(&gateway, Some(&format!("Bearer {}", aurora.key)), Some(&borealis.id.to_string())).await;
        let problem = answer.expect(403);
        assert!(problem["detail"].as_str().unwrap().contains("organization mismatch"));
        for org in [&aurora, &borealis] {
            let log = gateway.get(org, "/api/v1/audit-log").await.expect(200);
            let entry = &log["items"][0];
            assert_eq!(entry["action"], "access.refused");
            assert_eq!(entry["subject"], borealis.id.to_string());
        }
        let nobody = "0197d0a0-0000-7000-8000-000000000000";
        ask(&gateway, Some(&format!("Bearer {}", aurora.key)), Some(nobody)).await.expect(403);
    }

    what_a_caller_tries_within_an_hour_is_one_row(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let other = gateway.key(aurora.id, vec![Scope::LeadsRead]).await;
        let ask = async |key: &str, org: &str| ask(&gateway, Some(&format!("Bearer {key}")), Some(org)).await.expect(403);
        let refusals = async |org: &Org| {
            let log = gateway.get(org, "/api/v1/audit-log").await.expect(200);
            let refused = log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "access.refused");
            refused.map(|entry| (entry["count"].as_i64().unwrap(), entry["at"].clone(), entry["last_at"].clone())).collect::<Vec<_>>()
        };
        let target = borealis.id.to_string();
        for _ in 0..5 {
            ask(&aurora.key, &target).await;
            gateway.advance(chrono::TimeDelta::minutes(10));
        }
        let [began, last] = ["2026-11-01T12:00:00.000000Z", "2026-11-01T12:40:00.000000Z"].map(Value::from);
        for org in [&aurora, &borealis] {
            assert_eq!(refusals(org).await, [(5, began.clone(), last.clone())], "five requests are one row");
        }
        ask(&other, &target).await;
        gateway.advance(chrono::TimeDelta::minutes(10));
        ask(&aurora.key, &target).await;
        for org in [&aurora, &borealis] {
            let counts: Vec<i64> = refusals(org).await.into_iter().map(|(count, ..)| count).collect();
            assert_eq!(counts, [1, 1, 5], "another caller, another hour");
        }
        let target = "0197d0a0-0000-7000-8000-000000000000";
        ask(&aurora.key, target).await;
        ask(&aurora.key, target).await;
        assert_eq!(refusals(&aurora).await[0].0, 2, "another target");
        assert_eq!(refusals(&borealis).await.len(), 3);
        let log = gateway.get(&borealis, "/api/v1/audit-log").await.expect(200);
        assert_eq!(log["items"][0]["detail"], json!({ "reason": "organization mismatch" }), "what was asked for is the caller's");
        let deed = log["items"].as_array().unwrap().iter().find(|entry| entry["action"] == "key.create").unwrap();
        assert_eq!((&deed["count"], &deed["last_at"]), (&json!(1), &deed["at"]));
    }

    a_key_may_do_what_it_was_made_for(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let reader = crate::support::Org { id: aurora.id, key: gateway.key(aurora.id, vec![Scope::LeadsRead]).await };
        gateway.get(&reader, "/api/v1/leads").await.expect(200);
        let refused = gateway.post(&reader, "/api/v1/leads", json!({ "name": "x" })).await;
        assert_eq!(refused.expect(403)["error_code"], "insufficient_scope");
        assert!(refused.headers["www-authenticate"].to_str().unwrap().contains("scope=\"leads:write\""));
        for path in ["crm/communications", "messages", "calls", "events", "accounts", "routes", "webhook-inbox", "api-keys", "members", "audit-log", "providers"] {
            gateway.get(&reader, &format!("/api/v1/{path}")).await.expect(403);
        }
    }

    a_key_is_shown_once_and_taken_back_at_once(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let body = json!({ "name": "CRM", "scopes": ["leads:read", "keys:write"] });
        let issued = gateway.post(&aurora, "/api/v1/api-keys", body).await.expect(201);
        let secret = issued["secret"].as_str().unwrap().to_owned();
        let other = crate::support::Org { id: aurora.id, key: secret.clone() };
        gateway.get(&other, "/api/v1/leads").await.expect(200);
        let listed = gateway.get(&aurora, "/api/v1/api-keys").await;
        assert!(!listed.text().contains(&secret), "only its beginning is ever shown again");
        assert!(listed.text().contains(issued["prefix"].as_str().unwrap()));
        let more = json!({ "name": "more", "scopes": ["accounts:write"] });
        gateway.post(&other, "/api/v1/api-keys", more).await.expect(403);
        let path = format!("/api/v1/api-keys/{}", issued["id"].as_str().unwrap());
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        gateway.get(&other, "/api/v1/leads").await.expect(401);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(404);
        let dump = gateway.database.text("select cast(count(*) as text) from api_keys where name = 'CRM' and revoked_at is not null").await;
        assert_eq!(dump, "1");
        gateway.post(&aurora, "/api/v1/api-keys", json!({ "name": "x", "scopes": ["everything"] })).await.expect(422);
        gateway.post(&aurora, "/api/v1/api-keys", json!({ "name": "x", "scopes": [] })).await.expect(422);
    }

    a_key_taken_back_by_another_process_stops_working(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let other = crate::support::Org { id: aurora.id, key: gateway.key(aurora.id, vec![Scope::LeadsRead]).await };
        let elsewhere = TestGateway::start_on(gateway.database.clone(), &[]).await;
        let follow = || gateway.app.keys.follow(gateway.gateway.directory.snapshot().version());
        follow();
        gateway.get(&other, "/api/v1/leads").await.expect(200);
        let keys = elsewhere.get(&aurora, "/api/v1/api-keys").await.expect(200);
        let keys = keys["items"].as_array().unwrap();
        let taken = keys.iter().find(|key| other.key.starts_with(key["prefix"].as_str().unwrap())).unwrap();
        let path = format!("/api/v1/api-keys/{}", taken["id"].as_str().unwrap());
        elsewhere.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        gateway.get(&other, "/api/v1/leads").await.expect(200);
        gateway.gateway.refresh_directory().await.unwrap();
        follow();
        gateway.get(&other, "/api/v1/leads").await.expect(401);
        gateway.get(&aurora, "/api/v1/leads").await.expect(200);
    }

    a_key_expires_and_its_last_use_is_known(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let body = json!({ "name": "short", "scopes": ["leads:read"], "expires_at": "2026-11-01T13:00:00Z" });
        let issued = gateway.post(&aurora, "/api/v1/api-keys", body).await.expect(201);
        let short = crate::support::Org { id: aurora.id, key: issued["secret"].as_str().unwrap().to_owned() };
        gateway.get(&short, "/api/v1/leads").await.expect(200);
        switchboard::flow::access::flush_uses(&gateway.gateway, &gateway.app.keys).await.unwrap();
        let listed = gateway.get(&aurora, "/api/v1/api-keys").await.expect(200);
        let key = listed["items"].as_array().unwrap().iter().find(|k| k["name"] == "short").unwrap().clone();
        assert_eq!(key["last_used_at"], "2026-11-01T12:00:00.000000Z");
        gateway.advance(chrono::TimeDelta::hours(1));
        gateway.get(&short, "/api/v1/leads").await.expect(401);
    }

    an_organization_keeps_an_owner(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let set = |email: &str, role: &str| json!({ "email": email, "role": role });
        let owner = gateway.call(&aurora, Method::PUT, "/api/v1/members", Some(set("Ana@example.com", "owner"))).await.expect(200);
        gateway.call(&aurora, Method::PUT, "/api/v1/members", Some(set("ana@example.com", "member"))).await.expect(409);
        let path = format!("/api/v1/members/{}", owner["user_id"].as_str().unwrap());
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(409);
        gateway.call(&aurora, Method::PUT, "/api/v1/members", Some(set("joao@example.com", "owner"))).await.expect(200);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(404);
        let members = gateway.get(&aurora, "/api/v1/members").await.expect(200);
        assert_eq!(members["items"].as_array().unwrap().len(), 1);
        assert_eq!(members["items"][0]["email"], "joao@example.com");
        gateway.call(&aurora, Method::PUT, "/api/v1/members", Some(set("nobody", "owner"))).await.expect(422);
        gateway.call(&aurora, Method::PUT, "/api/v1/members", Some(set("a@b.c", "king"))).await.expect(422);
    }
}

const JWT_SECRET: &str = "a-secret-of-the-crm-that-is-long-enough";

fn token(claims: &Value, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// A good token that names an extension which must be understood.
fn critical(claims: &Value) -> String {
    let crit = Some(vec!["b64".to_owned()]);
    let header = jsonwebtoken::Header { crit, ..Default::default() };
    let key = jsonwebtoken::EncodingKey::from_secret(JWT_SECRET.as_bytes());
    format!("Bearer {}", jsonwebtoken::encode(&header, claims, &key).unwrap())
}

fn in_an_hour() -> i64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |now| i64::try_from(now.as_secs()).unwrap()) + 3_600
}

/// A gateway that believes the CRM's identity provider, and Ana's claims, who is a member of Aurora.
struct Crm {
    gateway: TestGateway,
    aurora: Org,
    borealis: Org,
    claims: Value,
}

impl Crm {
    async fn start(kind: Kind) -> Self {
        let secret = format!("auth.jwt_secret={JWT_SECRET}");
        let settings =
            [&*secret, "auth.jwt_issuer=https://crm.example.com", "auth.jwt_audience=switchboard"];
        let gateway = TestGateway::start(kind, &settings).await;
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let (email, member) = ("ana@example.com", Some((aurora.id, Role::Member)));
        create_user(&gateway.gateway, email, None, Some("subject-1"), member).await.unwrap();
        let claims = json!({
            "sub": "subject-1", "organization_id": aurora.id.to_string(), "exp": in_an_hour(),
            "iss": "https://crm.example.com", "aud": "switchboard",
        });
        Self { gateway, aurora, borealis, claims }
    }

    /// A token with these claims changed.
    fn with(&self, changes: &[(&str, Value)]) -> String {
        let mut claims = self.claims.clone();
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        format!("Bearer {}", token(&claims, JWT_SECRET))
    }
}

#[tokio::test]
async fn tokens_of_the_identity_provider_are_believed_for_members_only() {
    let crm = Crm::start(Kind::Sqlite).await;
    let id = crm.aurora.id.to_string();
    ask(&crm.gateway, Some(&crm.with(&[])), Some(&id)).await.expect(200);
    ask(&crm.gateway, Some(&crm.with(&[("sub", json!("ana@example.com"))])), Some(&id))
        .await
        .expect(200);
    let stranger = crm.with(&[("organization_id", json!(crm.borealis.id.to_string()))]);
    ask(&crm.gateway, Some(&stranger), Some(&crm.borealis.id.to_string())).await.expect(403);
    ask(&crm.gateway, Some(&crm.with(&[("nbf", json!(in_an_hour() - 3_600))])), Some(&id))
        .await
        .expect(200);
    ask(&crm.gateway, Some(&critical(&crm.claims)), Some(&id)).await.expect(401);
    for changes in [
        ("nbf", json!(in_an_hour() - 1_800)),
        ("nbf", json!("tomorrow")),
        ("sub", json!("ana\u{0}@example.com")),
        ("exp", json!(1_000)),
        ("iss", json!("https://evil.example.com")),
        ("aud", json!("another")),
        ("sub", Value::Null),
        ("organization_id", json!("aurora")),
    ] {
        ask(&crm.gateway, Some(&crm.with(&[changes])), Some(&id)).await.expect(401);
    }
    let forged =
        format!("Bearer {}", token(&crm.claims, "another-secret-of-somebody-else-entirely"));
    ask(&crm.gateway, Some(&forged), Some(&id)).await.expect(401);
    // No algorithm, no signature.
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdWJqZWN0LTEifQ.";
    ask(&crm.gateway, Some(&format!("Bearer {none}")), Some(&id)).await.expect(401);
    // A member's role is what counts.
    let member = crate::support::Org {
        id: crm.aurora.id,
        key: crm.with(&[]).trim_start_matches("Bearer ").to_owned(),
    };
    crm.gateway.get(&member, "/api/v1/accounts").await.expect(403);
    crm.gateway.post(&member, "/api/v1/leads", json!({ "name": "Lead" })).await.expect(201);
    crm.gateway.end().await;
}

async fn a_token_for_another_organization_is_on_record(kind: Kind) {
    let crm = Crm::start(kind).await;
    let id = crm.aurora.id.to_string();
    let mismatch = ask(&crm.gateway, Some(&crm.with(&[])), Some(&crm.borealis.id.to_string()))
        .await
        .expect(403);
    assert!(mismatch["detail"].as_str().unwrap().contains("organization mismatch"));
    let log = crm.gateway.get(&crm.borealis, "/api/v1/audit-log").await.expect(200);
    assert_eq!(log["items"][0]["actor_kind"], "user");
    // Nor does it matter whether the user is known at all: the attempt is on record on both sides.
    let unknown = crm.with(&[("sub", json!("nobody@example.com"))]);
    let mismatch =
        ask(&crm.gateway, Some(&unknown), Some(&crm.borealis.id.to_string())).await.expect(403);
    assert!(mismatch["detail"].as_str().unwrap().contains("organization mismatch"));
    for (org, name) in [(&crm.aurora, "nobody@example.com"), (&crm.borealis, "")] {
        let log = crm.gateway.get(org, "/api/v1/audit-log").await.expect(200);
        let entry = &log["items"][0];
        assert_eq!(entry["action"], "access.refused");
        assert_eq!((&entry["actor_kind"], &entry["actor_id"]), (&json!("user"), &json!(name)));
    }
    // What a member's own organization knows of them is not told to the one they tried.
    let by_address = crm.with(&[("sub", json!("Ana@Example.com"))]);
    ask(&crm.gateway, Some(&by_address), Some(&crm.borealis.id.to_string())).await.expect(403);
    let log = crm.gateway.get(&crm.borealis, "/api/v1/audit-log").await.expect(200);
    assert!(!log.to_string().to_lowercase().contains("example.com"), "{log}");
    assert!(!log.to_string().contains("subject-1"), "{log}");
    let own = crm.gateway.get(&crm.aurora, "/api/v1/audit-log").await.expect(200);
    assert!(own.to_string().contains("subject-1"), "{own}");
    let elsewhere = crm.with(&[("organization_id", json!("0197d0a0-0000-7000-8000-000000000000"))]);
    ask(&crm.gateway, Some(&elsewhere), Some(&id)).await.expect(403);
    let log = crm.gateway.get(&crm.aurora, "/api/v1/audit-log").await.expect(200);
    let entry = (&log["items"][0]["action"], &log["items"][0]["actor_id"]);
    assert_eq!(
        entry,
        (&json!("access.refused"), &json!("")),
        "of an organization that is not here"
    );
    crm.gateway.end().await;
}

#[tokio::test]
async fn a_token_for_another_organization_is_on_record_on_sqlite() {
    a_token_for_another_organization_is_on_record(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_token_for_another_organization_is_on_record_on_postgres() {
    a_token_for_another_organization_is_on_record(Kind::Postgres).await;
}

#[tokio::test]
async fn without_an_identity_provider_no_token_is_believed() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let aurora = gateway.organization("Aurora").await;
    let claims =
        json!({ "sub": "x", "organization_id": aurora.id.to_string(), "exp": in_an_hour() });
    for secret in ["", "secret"] {
        let bearer = format!("Bearer {}", token(&claims, secret));
        ask(&gateway, Some(&bearer), Some(&aurora.id.to_string())).await.expect(401);
    }
    gateway.end().await;
}
