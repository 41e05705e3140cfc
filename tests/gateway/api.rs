//! The API as a whole: its description, its documentation page, its errors.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use crate::support::{Kind, TestGateway, on_both_engines};

async fn fetch(gateway: &TestGateway, path: &str) -> crate::support::Answer {
    gateway.send(Request::builder().uri(path).body(Bytes::new()).unwrap()).await
}

#[tokio::test]
async fn every_route_is_described_and_the_description_is_openapi_3_1() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let description = fetch(&gateway, "/openapi.json").await.expect(200);
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/api/v1/crm/communications",
        "/api/v1/crm/communications/voip/call-completed",
        "/api/v1/crm/communications/whatsapp/webhook",
        "/hooks/{provider}",
        "/hooks/{provider}/{account}",
        "/api/v1/messages",
        "/api/v1/calls/{id}",
        "/api/v1/contacts/{id}/merge",
        "/api/v1/contact-merges/{id}/undo",
        "/api/v1/leads",
        "/api/v1/accounts/{id}/rotate",
        "/api/v1/routes",
        "/api/v1/webhook-inbox/{id}/replay",
        "/api/v1/events",
        "/api/v1/api-keys",
        "/api/v1/members",
        "/api/v1/audit-log",
        "/health",
        "/health/crm",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let text = operation["summary"].as_str().or(operation["description"].as_str());
            assert!(text.is_some_and(|text| text.len() > 8), "{method} {path} is not explained");
            assert!(
                operation["responses"].as_object().is_some_and(|r| !r.is_empty()),
                "{method} {path}"
            );
        }
    }
    // Each kind of content is described under its name.
    let contents = description.pointer("/components/schemas/ContentBody").unwrap().to_string();
    for kind in ["text", "media", "location", "contacts", "reaction", "buttons", "list", "cta_url"]
        .into_iter()
        .chain(["location_request", "flow", "products", "poll", "template"])
    {
        assert!(contents.contains(&format!("\"{kind}\"")), "{kind} is not described");
    }
    // References lead somewhere.
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let place = reference.split('"').next().unwrap();
        let found = place.strip_prefix('#').and_then(|pointer| description.pointer(pointer));
        assert!(found.is_some(), "{place} is not described");
    }
    gateway.end().await;
}

#[tokio::test]
async fn the_description_can_be_made_into_a_client() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let description = fetch(&gateway, "/openapi.json").await.expect(200);
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is the id of two operations");
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses {
                let text = response["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{method} {path}: {status} is not explained");
            }
            for status in ["401", "403"].into_iter().filter(|_| path.starts_with("/api/")) {
                let problem = &responses[status]["content"]["application/problem+json"]["schema"];
                assert_eq!(problem["$ref"], "#/components/schemas/Problem", "{method} {path}");
            }
        }
    }
    for id in ["list_leads", "create_lead", "get_lead", "list_account_notices", "merge_contact"] {
        assert!(ids.contains(id), "{id} is missing from {ids:?}");
    }
    for path in [
        "/hooks/{provider}",
        "/hooks/{provider}/{account}",
        "/api/v1/crm/communications/whatsapp/webhook",
    ] {
        let check = description["paths"][path]["get"].to_string();
        assert!(check.contains("hub.challenge") && check.contains("text/plain"), "{path}: {check}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn the_documentation_page_needs_no_network() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let page = fetch(&gateway, "/docs/").await;
    page.expect(200);
    assert!(
        !page.text().contains("https://") && !page.text().contains("//cdn"),
        "it loads nothing from elsewhere"
    );
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        fetch(&gateway, &format!("/docs/{file}")).await.expect(200);
    }
    let initializer = fetch(&gateway, "/docs/swagger-initializer.js").await.text();
    assert!(initializer.contains("\"validatorUrl\": \"none\""), "{initializer}");
    assert_eq!(fetch(&gateway, "/").await.status.as_u16(), 307);
    gateway.end().await;
}

on_both_engines! {
    health_is_told_part_by_part(gateway) {
        assert_eq!(fetch(&gateway, "/health").await.expect(200)["status"], "ok");
        let health = fetch(&gateway, "/health/crm").await.json();
        assert_eq!(health["database"]["status"], "ok");
        assert_eq!(health["queue"]["status"], "ok");
        // The test's clock stands in the past or future of the database's: exactly what this part is for.
        assert_eq!(health["time"]["status"], "failing");
        assert_eq!(health["status"], "failing");
    }

    errors_are_problem_documents(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let post = |kind: Option<&str>, body: &'static str| {
            let mut request = Request::builder().method("POST").uri("/api/v1/leads")
                .header("authorization", format!("Bearer {}", aurora.key)).header("x-org-id", aurora.id.to_string());
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            gateway.send(request.body(Bytes::from_static(body.as_bytes())).unwrap())
        };
        let json_type = Some("application/json");
        assert_eq!(post(json_type, "{").await.expect(400)["error_code"], "malformed_request");
        assert_eq!(post(json_type, "{\"name\": \"x\"} {}").await.expect(400)["error_code"], "malformed_request");
        assert_eq!(post(None, "{}").await.expect(415)["error_code"], "unsupported_media_type");
        assert_eq!(post(Some("text/plain"), "{}").await.expect(415)["error_code"], "unsupported_media_type");
        let missing = post(json_type, "{}").await.expect(422);
        assert_eq!(missing["errors"][0]["field"], "name");
        let wrong = post(json_type, "{\"name\": 17}").await.expect(422);
        assert_eq!(wrong["errors"][0]["field"], "name");
        let unknown = post(json_type, "{\"name\": \"x\", \"nmae\": \"y\"}").await.expect(422);
        assert_eq!(unknown["errors"][0]["field"], "nmae");
        let nested = "[".repeat(1_000);
        let nested: &'static str = Box::leak(nested.into_boxed_str());
        assert!([400, 422].contains(&post(json_type, nested).await.status.as_u16()));
        assert_eq!(fetch(&gateway, "/nowhere").await.expect(404)["error_code"], "not_found");
        let method = gateway.call(&aurora, Method::DELETE, "/api/v1/leads", None).await;
        assert_eq!(method.expect(405)["error_code"], "method_not_allowed");
        let large = json!({ "name": "x".repeat(1_100_000) });
        gateway.post(&aurora, "/api/v1/leads", large).await.expect(413);
        assert_eq!(gateway.count("leads").await, 0);
    }

    a_nul_is_refused_wherever_it_stands(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        for query in [
            "leads?search=a%00b", "leads?stage=%00", "messages?status=%00", "messages?provider_message_id=%00",
            "crm/communications?search=%00", "calls?status=%00", "webhook-inbox?reason=%00", "leads?%00=1",
        ] {
            let problem = gateway.get(&aurora, &format!("/api/v1/{query}")).await.expect(422);
            assert_eq!(problem["errors"][0]["detail"], "must not hold NUL characters", "{query}: {problem}");
        }
        for path in ["leads/%00", "calls/a%00b", "accounts/%00"] {
            gateway.get(&aurora, &format!("/api/v1/{path}")).await.expect(404);
        }
        let record = |metadata: serde_json::Value| json!({ "lead_id": lead, "channel": "email", "direction": "outbound", "metadata": metadata });
        for (path, body, field) in [
            ("leads", json!({ "name": "a\u{0}b" }), "name"),
            ("contacts", json!({ "emails": ["a@example.com", "\u{0}@example.com"] }), "emails[1]"),
            ("crm/communications", record(json!({ "a": [{ "b": "\u{0}" }] })), "metadata.a[0].b"),
            ("crm/communications", record(json!({ "a\u{0}": 1 })), "metadata.a"),
        ] {
            let problem = gateway.post(&aurora, &format!("/api/v1/{path}"), body).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        }
        let kept = gateway.post(&aurora, "/api/v1/crm/communications", record(json!({ "a": "\\u0000" }))).await.expect(201);
        assert_eq!(kept["metadata"]["a"], "\\u0000", "a backslash and five letters are text like any other");
    }

    words_that_are_none_are_named(gateway) {
        let aurora = gateway.organization("Aurora").await;
        for (query, field) in [("reason=zz", "reason"), ("provider=zz", "provider"), ("state=zz", "state")] {
            let problem = gateway.get(&aurora, &format!("/api/v1/webhook-inbox?{query}")).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], field);
        }
        for (body, field) in [(json!({ "reason": "zz" }), "reason"), (json!({ "provider": "zz" }), "provider")] {
            let problem = gateway.post(&aurora, "/api/v1/webhook-inbox/replay", body).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], field);
        }
        for query in ["reason=unrouted&provider=meta", "reason=refused&provider=telnyx&state=all"] {
            gateway.get(&aurora, &format!("/api/v1/webhook-inbox?{query}")).await.expect(200);
        }
    }

    a_body_is_an_object(gateway) {
        let aurora = gateway.organization("Aurora").await;
        for body in [json!(["Ana"]), json!(["Ana", null, null, null, null, null, null]), json!("Ana"), json!(1), json!(null)] {
            let problem = gateway.post(&aurora, "/api/v1/leads", body).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], "body");
        }
        assert_eq!(gateway.count("leads").await, 0);
    }

    a_request_keeps_the_id_it_came_with(gateway) {
        let request = Request::builder().uri("/health").header("x-request-id", "crm-42").body(Bytes::new()).unwrap();
        assert_eq!(gateway.send(request).await.headers["x-request-id"], "crm-42");
        let request = Request::builder().uri("/health").header("x-request-id", "a b\"c").body(Bytes::new()).unwrap();
        let given = gateway.send(request).await.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(given.len() == 32 && given != "a b\"c", "what is no plain id is replaced");
    }

    leads_are_created_listed_and_changed(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let body = json!({ "name": " Ana Souza ", "email": "Ana@Example.com", "phone": "(11) 98765-4321", "company": "Souza", "source": "site" });
        let lead = gateway.post(&aurora, "/api/v1/leads", body).await.expect(201);
        assert_eq!((&lead["name"], &lead["stage"]), (&json!("Ana Souza"), &json!("new")));
        let twin = gateway.post(&aurora, "/api/v1/leads", json!({ "name": "Ana again", "email": "ana@example.COM" })).await.expect(201);
        assert_eq!(twin["contact_id"], lead["contact_id"], "the same mailbox is the same person");
        let path = format!("/api/v1/leads/{}", lead["id"].as_str().unwrap());
        let change = json!({ "stage": "won", "company": null });
        let changed = gateway.call(&aurora, Method::PATCH, &path, Some(change)).await.expect(200);
        assert_eq!((&changed["stage"], &changed["company"], &changed["email"]), (&json!("won"), &json!(null), &lead["email"]));
        for (change, field) in [(json!({ "name": null }), "name"), (json!({ "stage": null }), "stage")] {
            let problem = gateway.call(&aurora, Method::PATCH, &path, Some(change)).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], field);
        }
        let total = |query: &'static str| {
            let gateway = &gateway;
            let aurora = aurora.clone();
            async move { gateway.get(&aurora, &format!("/api/v1/leads?{query}")).await.expect(200)["items"].as_array().unwrap().len() }
        };
        assert_eq!(total("").await, 2);
        assert_eq!(total("stage=won").await, 1);
        assert_eq!(total("search=AGAIN").await, 1);
        assert_eq!(total("limit=1").await, 1);
        for wrong in [json!({ "name": "" }), json!({ "name": "x", "email": "x" }), json!({ "name": "x", "phone": "123" }), json!({ "name": "x".repeat(201) })] {
            gateway.post(&aurora, "/api/v1/leads", wrong).await.expect(422);
        }
        assert_eq!(total("").await, 2, "nothing of a refused lead is written");
        assert_eq!(gateway.count("contacts").await, 1);
    }
}
