//! Who may make whom what: nobody hands on, or takes away, more than they have.

use http::Method;
use serde_json::json;
use switchboard::flow::organizations::create_user;
use switchboard::model::{Role, Scope};

use crate::support::{Answer, Org, TestGateway, on_both_engines};

async fn set(gateway: &TestGateway, org: &Org, email: &str, role: &str) -> Answer {
    let body = json!({ "email": email, "role": role });
    gateway.call(org, Method::PUT, "/api/v1/members", Some(body)).await
}

async fn remove(gateway: &TestGateway, org: &Org, id: &str) -> Answer {
    gateway.call(org, Method::DELETE, &format!("/api/v1/members/{id}"), None).await
}

on_both_engines! {
    what_an_organization_says_of_a_person_stays_there(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let put = async |org: &Org, name: Option<&str>, role: &str| {
            let body = json!({ "email": "ana@example.com", "role": role, "name": name });
            let answer = gateway.call(org, Method::PUT, "/api/v1/members", Some(body)).await.expect(200);
            answer["user_id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap()
        };
        let name = async |org: &Org| gateway.get(org, "/api/v1/members").await.expect(200)["items"][0]["name"].clone();
        let id = put(&aurora, Some("Ana (difficult)"), "member").await;
        assert_eq!(id.get_version_num(), 4, "an id says nothing of when somebody else made the person known");
        gateway.advance(chrono::TimeDelta::days(1));
        assert_eq!(put(&borealis, None, "member").await, id);
        assert_eq!(name(&borealis).await, json!(null), "another organization's name is not shown");
        put(&borealis, Some("Ana Souza"), "member").await;
        assert_eq!(name(&borealis).await, "Ana Souza");
        put(&borealis, None, "admin").await;
        assert_eq!(name(&borealis).await, "Ana Souza", "a role is changed without the name");
        assert_eq!(name(&aurora).await, "Ana (difficult)");
        let created = |members: serde_json::Value| members["items"][0]["created_at"].clone();
        assert_eq!(created(gateway.get(&borealis, "/api/v1/members").await.expect(200)), json!("2026-11-02T12:00:00.000000Z"));
        let nowhere = create_user(&gateway.gateway, "eve@example.com", Some("Eve"), None, None).await.unwrap_err();
        assert!(nowhere.to_string().contains("--org"), "{nowhere}");
    }

    nobody_gives_or_takes_a_role_that_may_do_more_than_they_may(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let owner = set(&gateway, &aurora, "ana@example.com", "owner").await.expect(200);
        set(&gateway, &aurora, "joao@example.com", "owner").await.expect(200);
        let owner = owner["user_id"].as_str().unwrap();

        let only = Org { id: aurora.id, key: gateway.key(aurora.id, vec![Scope::MembersWrite]).await };
        for role in ["owner", "admin", "member"] {
            let refused = set(&gateway, &only, "eve@example.com", role).await.expect(403);
            assert_eq!(refused["error_code"], "insufficient_scope", "{role}");
        }
        remove(&gateway, &only, owner).await.expect(403);

        // As much as an admin, and members besides.
        let mut scopes = Role::Admin.scopes();
        scopes.push(Scope::MembersWrite);
        scopes.retain(|scope| *scope != Scope::VoipWrite);
        let lacking = Org { id: aurora.id, key: gateway.key(aurora.id, scopes).await };
        assert!(set(&gateway, &lacking, "eve@example.com", "admin").await.expect(403)["detail"].as_str().unwrap().contains("voip:write"));
        set(&gateway, &lacking, "ana@example.com", "member").await.expect(403);
        remove(&gateway, &lacking, owner).await.expect(403);

        let listed = gateway.get(&aurora, "/api/v1/members").await.expect(200);
        let roles: Vec<_> = listed["items"].as_array().unwrap().iter().map(|m| (&m["email"], &m["role"])).collect();
        assert_eq!(roles, [(&json!("ana@example.com"), &json!("owner")), (&json!("joao@example.com"), &json!("owner"))]);

        let enough = [Role::Member.scopes(), vec![Scope::MembersWrite]].concat();
        let enough = Org { id: aurora.id, key: gateway.key(aurora.id, enough).await };
        let member = set(&gateway, &enough, "eve@example.com", "member").await.expect(200);
        remove(&gateway, &enough, member["user_id"].as_str().unwrap()).await.expect(204);
        remove(&gateway, &aurora, owner).await.expect(204);
    }
}
