//! What a key, a token or a stranger may not: take back what is stronger, speak for an address that nobody verified, read the
//! metrics.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use switchboard::flow::organizations::create_user;
use switchboard::model::{Role, Scope};

use crate::support::program::{Program, free_port};
use crate::support::{Answer, Database, Kind, Org, TestGateway, on_both_engines};

on_both_engines! {
    whoever_has_little_takes_back_little(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let weak = gateway.key(aurora.id, vec![Scope::KeysWrite, Scope::LeadsRead]).await;
        let weak = Org { id: aurora.id, key: weak };
        let other = gateway.key(aurora.id, vec![Scope::LeadsRead]).await;
        let other = Org { id: aurora.id, key: other };
        let keys = gateway.get(&aurora, "/api/v1/api-keys").await.expect(200);
        let by_scopes = |count: usize| {
            let all = keys["items"].as_array().unwrap();
            let found = all.iter().find(|key| key["scopes"].as_array().unwrap().len() == count);
            format!("/api/v1/api-keys/{}", found.unwrap()["id"].as_str().unwrap())
        };
        let all = by_scopes(Scope::ALL.len());
        let refused = gateway.call(&weak, Method::DELETE, &all, None).await.expect(403);
        assert!(refused["detail"].as_str().unwrap().contains(':'), "it names what is lacking: {refused}");
        gateway.get(&aurora, "/api/v1/leads").await.expect(200);
        // What it covers it takes back, itself too.
        gateway.call(&weak, Method::DELETE, &by_scopes(1), None).await.expect(204);
        gateway.get(&other, "/api/v1/leads").await.expect(401);
        gateway.call(&weak, Method::DELETE, &by_scopes(1), None).await.expect(404);
        let nobodys = "/api/v1/api-keys/0197d0a0-0000-7000-8000-000000000000";
        gateway.call(&weak, Method::DELETE, nobodys, None).await.expect(404);
        gateway.call(&weak, Method::DELETE, &by_scopes(2), None).await.expect(204);
        gateway.get(&weak, "/api/v1/leads").await.expect(401);
        gateway.call(&aurora, Method::DELETE, &all, None).await.expect(204);
    }
}

const SECRET: &str = "a-secret-of-the-crm-that-is-long-enough";

async fn ask(gateway: &TestGateway, org: &Org, claims: &Value) -> Answer {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap();
    let request = Request::get("/api/v1/leads")
        .header("authorization", format!("Bearer {token}"))
        .header("x-org-id", org.id.to_string());
    gateway.send(request.body(Bytes::new()).unwrap()).await
}

#[tokio::test]
async fn an_address_that_nobody_verified_is_nobodys() {
    let secret = format!("auth.jwt_secret={SECRET}");
    let gateway = TestGateway::start(Kind::Sqlite, &[&secret]).await;
    let aurora = gateway.organization("Aurora").await;
    let member = Some((aurora.id, Role::Member));
    create_user(&gateway.gateway, "ana@example.com", None, Some("subject-1"), member)
        .await
        .unwrap();
    let until = UNIX_EPOCH.elapsed().unwrap().as_secs() + 3_600;
    let claims = |user: &str, verified: Option<Value>| {
        let mut claims =
            json!({ "sub": user, "organization_id": aurora.id.to_string(), "exp": until });
        if let Some(verified) = verified {
            claims["email_verified"] = verified;
        }
        claims
    };
    for verified in [None, Some(json!(true)), Some(json!("true")), Some(Value::Null)] {
        ask(&gateway, &aurora, &claims("ana@example.com", verified)).await.expect(200);
    }
    for verified in [json!(false), json!("false"), json!(0), json!("no"), json!([true])] {
        let claims = claims("ana@example.com", Some(verified));
        let refused = ask(&gateway, &aurora, &claims).await.expect(401);
        assert!(refused["detail"].as_str().unwrap().contains("not verified"), "{refused}");
    }
    // Who is known by the identity provider's own id is known whatever becomes of their address.
    ask(&gateway, &aurora, &claims("subject-1", Some(json!(false)))).await.expect(200);
    gateway.end().await;
}

async fn metrics(base: &str, token: Option<&str>) -> (u16, String) {
    let mut request = reqwest::Client::new().get(format!("{base}/metrics"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn metrics_are_closed_unless_they_have_a_token_or_an_address_of_their_own() {
    let database = Database::create(Kind::Sqlite).await;
    let own = format!("127.0.0.1:{}", free_port());
    let listen = format!("metrics.listen={own}");
    let own = format!("http://{own}");
    let program = Program::serve(&database, &[&listen]).await;
    for token in [None, Some(""), Some("guess")] {
        let (status, told) = metrics(&program.base, token).await;
        assert_eq!(status, 401, "{told}");
        assert!(told.contains("metrics.token") && told.contains("metrics.listen"), "{told}");
        assert!(!told.contains("switchboard_"), "{told}");
        let (status, told) = metrics(&own, token).await;
        assert!(status == 200 && told.contains("switchboard_"), "{status}: {told}");
    }
    // Nothing else is there.
    for path in ["/", "/health", "/api/v1/leads", "/metrics/"] {
        assert_eq!(reqwest::get(format!("{own}{path}")).await.unwrap().status(), 404, "{path}");
    }
    let posted = reqwest::Client::new().post(format!("{own}/metrics")).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    drop(program);
    let program = Program::serve(&database, &[&listen, "metrics.token=for-metrics"]).await;
    for base in [&program.base, &own] {
        assert_eq!(metrics(base, None).await.0, 401, "{base}");
        assert_eq!(metrics(base, Some("for-metric")).await.0, 401, "{base}");
        assert_eq!(metrics(base, Some("for-metrics")).await.0, 200, "{base}");
    }
}
