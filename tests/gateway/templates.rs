//! Templates at the emulators: made, changed, deleted, and what messages may say of them.

use http::Method;
use serde_json::{Value, json};
use switchboard::model::Scope;
use switchboard::sandbox::{Fault, FaultKind, On};

use crate::support::rig::{META, PERSON, Rig, TELNYX, TWILIO_WHATSAPP, WAHA, each_way};
use crate::support::{Answer, Kind, Org};

each_way! {
    a_template_is_made_changed_and_deleted: meta = META;
    what_a_provider_refuses_of_a_template_is_told: meta = META;
    a_content_is_made_and_deleted_and_never_changed: twilio = TWILIO_WHATSAPP;
    who_has_no_templates_makes_none: telnyx = TELNYX, waha = WAHA;
    an_old_list_takes_nothing_back: meta = META;
    a_message_fits_its_template_or_is_refused: meta = META;
    a_template_has_a_file_at_its_head: meta = META;
}

async fn account(rig: &Rig) -> String {
    let list = rig.gateway.get(&rig.org, "/api/v1/accounts").await.expect(200);
    format!("/api/v1/accounts/{}", list["items"][0]["id"].as_str().unwrap())
}

async fn call(rig: &Rig, method: Method, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then_some(body);
    rig.gateway.call(&rig.org, method, path, body).await
}

/// Name, language and status of the templates of this name.
async fn listed(rig: &Rig, name: &str) -> Vec<String> {
    let path = format!("/api/v1/templates?name={name}");
    let list = rig.gateway.get(&rig.org, &path).await.expect(200);
    let text = |item: &Value, member: &str| item[member].as_str().unwrap().to_owned();
    let told = |item: &Value| format!("{} {}", text(item, "language"), text(item, "status"));
    list["items"].as_array().unwrap().iter().map(told).collect()
}

fn visit(language: &str) -> Value {
    json!({
        "name": "visit", "language": language, "category": "UTILITY",
        "components": [{ "type": "BODY", "text": "Olá {{1}}!", "example": { "body_text": [["Ana"]] } }],
    })
}

async fn deeds(rig: &Rig) -> Vec<String> {
    let log = rig.gateway.get(&rig.org, "/api/v1/audit-log?limit=200").await.expect(200);
    let items = log["items"].as_array().unwrap().iter();
    let deeds = items.filter_map(|item| item["action"].as_str());
    let mut deeds: Vec<String> =
        deeds.filter(|deed| deed.starts_with("template.")).map(ToOwned::to_owned).collect();
    deeds.sort();
    deeds
}

async fn a_template_is_made_changed_and_deleted(rig: &Rig) {
    let templates = format!("{}/templates", account(rig).await);
    let made = call(rig, Method::POST, &templates, visit("pt_BR")).await.expect(201);
    assert_eq!((&made["name"], &made["status"]), (&json!("visit"), &json!("pending")));
    assert_eq!(
        (&made["category"], &made["parameter_format"]),
        (&json!("utility"), &json!("positional"))
    );
    assert_eq!(listed(rig, "visit").await.len(), 1, "it is listed at once");
    call(rig, Method::POST, &templates, visit("en_US")).await.expect(201);
    rig.sandbox.settled().await;
    assert_eq!(listed(rig, "visit").await, ["en_US approved", "pt_BR approved"]);
    let message = json!({ "channel": "whatsapp", "to": PERSON,
        "content": { "kind": "template", "name": "visit", "language": "pt_BR", "variables": { "1": "Ana" } } });
    let id = rig.gateway.post(&rig.org, "/api/v1/messages", message).await.expect(202);
    rig.gateway.drain().await;
    rig.sandbox.settled().await;
    assert_eq!(rig.status(id["id"].as_str().unwrap()).await, "read");

    let one = format!("{templates}/{}", made["id"].as_str().unwrap());
    let change = json!({ "components": [{ "type": "BODY", "text": "Até amanhã." }] });
    let ambiguous = call(rig, Method::PATCH, &format!("{templates}/visit"), change.clone()).await;
    assert_eq!(ambiguous.expect(422)["errors"][0]["field"], "template");
    // The same words of the provider's within one second are one piece of news.
    rig.gateway.advance(chrono::TimeDelta::minutes(1));
    let changed = call(rig, Method::PATCH, &one, change).await.expect(200);
    assert_eq!((&changed["id"], &changed["status"]), (&made["id"], &json!("pending")));
    assert_eq!(changed["components"][0]["text"], "Até amanhã.");
    rig.sandbox.settled().await;
    assert_eq!(listed(rig, "visit").await, ["en_US approved", "pt_BR approved"]);

    call(rig, Method::DELETE, &one, Value::Null).await.expect(204);
    assert_eq!(listed(rig, "visit").await, ["en_US approved"]);
    call(rig, Method::DELETE, &one, Value::Null).await.expect(404);
    call(rig, Method::POST, &templates, visit("es_AR")).await.expect(201);
    call(rig, Method::DELETE, &format!("{templates}/visit"), Value::Null).await.expect(204);
    assert!(listed(rig, "visit").await.is_empty(), "all languages of a name go together");
    rig.sandbox.settled().await;
    rig.gateway.post(&rig.org, &format!("{templates}/sync"), json!({})).await.expect(200);
    assert!(listed(rig, "visit").await.is_empty());
    let wanted = ["change", "create", "create", "create", "delete", "delete"];
    assert_eq!(deeds(rig).await, wanted.map(|deed| format!("template.{deed}")));
}

async fn what_a_provider_refuses_of_a_template_is_told(rig: &Rig) {
    let templates = format!("{}/templates", account(rig).await);
    let fields = [
        ("name", json!("Visit"), "name"),
        ("language", json!("pt-BR"), "language"),
        ("category", json!("sale"), "category"),
        (
            "components",
            json!([{ "type": "BODY", "text": "Oi {{1}}!" }]),
            "components[0].example.body_text",
        ),
        ("components", json!([]), "components"),
    ];
    for (member, value, field) in fields {
        let mut draft = visit("pt_BR");
        draft[member] = value;
        let problem = call(rig, Method::POST, &templates, draft).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    call(rig, Method::POST, &templates, visit("pt_BR")).await.expect(201);
    let problem = call(rig, Method::POST, &templates, visit("pt_BR")).await.expect(502);
    assert_eq!(problem["error_code"], "provider_refused");
    assert_eq!(problem["provider_code"], "2388024");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("there is a template of this name in this language already"),
        "{detail}"
    );
    assert_eq!(deeds(rig).await, ["template.create"], "what was refused was not done");

    let reader = rig.gateway.key(rig.org.id, vec![Scope::AccountsRead]).await;
    let reader = Org { id: rig.org.id, key: reader };
    rig.gateway.post(&reader, &templates, visit("en_US")).await.expect(403);
    let others = rig.gateway.organization("Borealis").await;
    rig.gateway.post(&others, &templates, visit("en_US")).await.expect(404);
    call(rig, Method::PATCH, &format!("{templates}/nobodys"), json!({})).await.expect(404);
    call(rig, Method::DELETE, &format!("{templates}/a%00b"), Value::Null).await.expect(404);
    let nothing = call(rig, Method::PATCH, &format!("{templates}/visit"), json!({})).await;
    assert_eq!(nothing.expect(422)["errors"][0]["field"], "components");

    // Without an answer nobody knows: it is written down, and the list tells.
    let fault = Fault {
        provider: "meta".to_owned(),
        account: None,
        to: None,
        next: 1,
        always: false,
        on: On::Other,
        kind: FaultKind::DropAfter,
    };
    assert!(rig.sandbox.fault(fault));
    let problem = call(rig, Method::POST, &templates, visit("en_US")).await.expect(504);
    assert!(problem["detail"].as_str().unwrap().contains("templates/sync"), "{problem}");
    assert_eq!(deeds(rig).await.len(), 2);
    rig.gateway.post(&rig.org, &format!("{templates}/sync"), json!({})).await.expect(200);
    assert_eq!(listed(rig, "visit").await.len(), 2);
    rig.sandbox.settled().await;
}

async fn a_content_is_made_and_deleted_and_never_changed(rig: &Rig) {
    let templates = format!("{}/templates", account(rig).await);
    let draft = json!({
        "name": "visit", "language": "pt_BR", "category": "utility",
        "components": { "types": { "twilio/text": { "body": "Olá {{1}}!" } }, "variables": { "1": "Ana" } },
    });
    let made = call(rig, Method::POST, &templates, draft.clone()).await.expect(201);
    assert_eq!(made["status"], "received");
    let one = format!("{templates}/{}", made["id"].as_str().unwrap());
    rig.gateway.post(&rig.org, &format!("{templates}/sync"), json!({})).await.expect(200);
    assert_eq!(listed(rig, "visit").await, ["pt_BR approved"]);
    let change = json!({ "components": draft["components"] });
    let problem = call(rig, Method::PATCH, &one, change).await.expect(422);
    assert_eq!(problem["error_code"], "not_supported");
    assert!(problem["detail"].as_str().unwrap().contains("never changes a template"), "{problem}");
    let mut unasked = draft.clone();
    unasked.as_object_mut().unwrap().remove("category");
    let other = call(rig, Method::POST, &templates, unasked).await.expect(201);
    assert_eq!(other["status"], "unsubmitted");
    let both =
        call(rig, Method::DELETE, &format!("{templates}/visit"), Value::Null).await.expect(422);
    assert_eq!(both["errors"][0]["field"], "template", "they have only the name in common");
    call(rig, Method::DELETE, &one, Value::Null).await.expect(204);
    call(rig, Method::DELETE, &format!("{templates}/visit"), Value::Null).await.expect(204);
    assert!(listed(rig, "visit").await.is_empty());
    let mut bare = draft;
    bare["components"]["variables"] = json!({});
    let problem = call(rig, Method::POST, &templates, bare).await.expect(422);
    assert_eq!(problem["errors"][0]["field"], "components.variables.1");
}

async fn who_has_no_templates_makes_none(rig: &Rig) {
    let templates = format!("{}/templates", account(rig).await);
    let problem = call(rig, Method::POST, &templates, visit("pt_BR")).await.expect(422);
    assert_eq!(problem["error_code"], "not_supported");
    let problem = call(rig, Method::DELETE, &format!("{templates}/visit"), Value::Null).await;
    assert_eq!(problem.expect(422)["error_code"], "not_supported");
}

/// A list is asked for, a template is made while it is on its way, and the list does not know it.
async fn an_old_list_takes_nothing_back(rig: &Rig) {
    let templates = format!("{}/templates", account(rig).await);
    let fault = Fault {
        provider: "meta".to_owned(),
        account: None,
        to: None,
        next: 1,
        always: false,
        on: On::Other,
        kind: FaultKind::DelayAfter { ms: 600 },
    };
    assert!(rig.sandbox.fault(fault));
    let sync = format!("{templates}/sync");
    let listing = rig.gateway.post(&rig.org, &sync, json!({}));
    let making = async {
        // The list must be on its way first; if it is not, this shows nothing, and fails nothing.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        call(rig, Method::POST, &templates, visit("pt_BR")).await.expect(201);
    };
    let (listing, ()) = tokio::join!(listing, making);
    listing.expect(200);
    assert_eq!(listed(rig, "visit").await.len(), 1);
    rig.sandbox.settled().await;
}

fn template(name: &str, language: &str, more: &Value) -> Value {
    let mut content = json!({ "kind": "template", "name": name, "language": language });
    for (member, value) in more.as_object().unwrap() {
        content[member] = value.clone();
    }
    json!({ "channel": "whatsapp", "to": PERSON, "content": content })
}

async fn a_message_fits_its_template_or_is_refused(rig: &Rig) {
    let path = account(rig).await;
    let send = async |message: Value| rig.gateway.post(&rig.org, "/api/v1/messages", message).await;
    let reminder = |language: &str, variables: Value| {
        template("appointment_reminder", language, &json!({ "variables": variables }))
    };
    let one = json!({ "1": "Ana" });
    send(reminder("pt_BR", one.clone())).await.expect(202);
    rig.gateway.post(&rig.org, &format!("{path}/templates/sync"), json!({})).await.expect(200);
    let two = json!({ "1": "Ana", "2": "sexta" });
    let image = json!([{ "type": "header", "parameters": [{ "type": "image", "image": { "link": "https://a.example/b.png" } }] }]);
    let refused = [
        (reminder("pt_PT", two.clone()), "content.language"),
        (reminder("pt_BR", one.clone()), "content.variables"),
        (reminder("pt_BR", json!({ "name": "Ana", "day": "sexta" })), "content.variables"),
        (
            template("payment_link", "en_US", &json!({ "variables": { "1": "Ana" } })),
            "content.variables",
        ),
        (template("hello_world", "en_US", &json!({ "components": image })), "content.components"),
        (template("invoice", "pt_BR", &json!({ "variables": one })), "content.header"),
        (template("order_shipped", "en_US", &json!({ "variables": one })), "content.components"),
    ];
    let mut bulk = Vec::new();
    for (message, field) in refused {
        let problem = send(message.clone()).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], field, "{message}: {problem}");
        bulk.push(message);
    }
    let mut fallback = rig.text(PERSON, "Oi");
    fallback["fallback_template"] = reminder("pt_BR", one)["content"].clone();
    fallback["fallback_template"].as_object_mut().unwrap().remove("kind");
    let problem = send(fallback).await.expect(422);
    assert_eq!(problem["errors"][0]["field"], "fallback_template.variables");

    let unknown = template("nobody_listed_this", "pt_BR", &json!({ "variables": { "1": "x" } }));
    bulk.extend([reminder("pt_BR", two.clone()), unknown]);
    let answer =
        rig.gateway.post(&rig.org, "/api/v1/messages/bulk", json!({ "messages": bulk })).await;
    let answer = answer.expect(202);
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(7)), "{answer}");

    let mut later = reminder("pt_BR", two);
    later["send_at"] = json!(rig.gateway.clock.now() + chrono::TimeDelta::hours(1));
    let id = send(later).await.expect(202);
    let edit = format!("/api/v1/messages/{}/edit", id["id"].as_str().unwrap());
    let edited = json!({ "content": reminder("pt_BR", json!({}))["content"] });
    let problem = rig.gateway.post(&rig.org, &edit, edited).await.expect(422);
    assert_eq!(problem["errors"][0]["field"], "content.variables");
}

async fn a_template_has_a_file_at_its_head(rig: &Rig) {
    let path = account(rig).await;
    rig.gateway.post(&rig.org, &format!("{path}/templates/sync"), json!({})).await.expect(200);
    let kind = "application/pdf";
    let file = rig.gateway.hand_in(&rig.org, "?filename=fatura.pdf", kind, b"%PDF-1.7").await;
    let file = file.expect(201)["id"].clone();
    let invoice = |header: Value| {
        template("invoice", "pt_BR", &json!({ "variables": { "1": "Ana" }, "header": header }))
    };
    let refused = [
        (json!({ "media": "image", "media_id": file }), "content.header.mime_type"),
        (json!({ "media": "video", "url": "https://files.example/a.mp4" }), "content.header"),
        (json!({ "media": "document" }), "content.header.url"),
        (json!({ "media": "document", "url": "http://10.0.0.1/a.pdf" }), "content.header.url"),
        (
            json!({ "media": "document", "media_id": "0197d0a0-0000-7000-8000-000000000000" }),
            "content.header.media_id",
        ),
    ];
    for (header, field) in refused {
        let problem =
            rig.gateway.post(&rig.org, "/api/v1/messages", invoice(header)).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let mut ids = Vec::new();
    let linked = "https://files.example/fatura.pdf";
    for header in [
        json!({ "media": "document", "media_id": file }),
        json!({ "media": "document", "url": linked, "filename": "fatura.pdf" }),
    ] {
        let accepted = rig.gateway.post(&rig.org, "/api/v1/messages", invoice(header)).await;
        ids.push(accepted.expect(202)["id"].as_str().unwrap().to_owned());
    }
    // And as what is sent where the window is closed.
    let mut cold = rig.text("+5511987650000", "Oi");
    cold["fallback_template"] =
        invoice(json!({ "media": "document", "media_id": file }))["content"].clone();
    cold["fallback_template"].as_object_mut().unwrap().remove("kind");
    let accepted = rig.gateway.post(&rig.org, "/api/v1/messages", cold).await.expect(202);
    ids.push(accepted["id"].as_str().unwrap().to_owned());
    rig.gateway.drain().await;
    rig.sandbox.settled().await;
    for id in &ids {
        let status = rig.status(id).await;
        assert!(["sent", "delivered", "read"].contains(&status.as_str()), "{status}");
        let sent = rig.sandbox.messages().into_iter().find(|sent| sent.ours.as_ref() == Some(id));
        let document =
            sent.unwrap().body["template"]["components"][0]["parameters"][0]["document"].clone();
        assert_eq!(document["filename"], "fatura.pdf");
        assert!(document["id"].is_string() || document["link"] == linked, "{document}");
    }
}
