//! Whom not to write to: about what, for how long, and what ends it.

use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, refused, text};
use crate::support::meta::{self, AURORA};
use crate::support::peer::PeerAnswer;
use crate::support::{Answer, TestGateway, on_both_engines};
use providers::twilio;

const PATH: &str = "/api/v1/suppressions";

fn marketing(to: &str) -> Value {
    let mut draft = text(to, "Só hoje!");
    draft["purpose"] = json!("marketing");
    draft
}

fn template(name: &str) -> Value {
    json!({ "name": name, "language": "pt_BR" })
}

fn of_template(name: &str) -> Value {
    let mut content = template(name);
    content["kind"] = json!("template");
    json!({ "channel": "whatsapp", "to": PERSON, "content": content })
}

fn whom(scope: Option<&str>) -> Value {
    let mut body = json!({ "channel": "whatsapp", "address": PERSON });
    if let Some(scope) = scope {
        body["scope"] = json!(scope);
    }
    body
}

/// What a person wants of marketing, as WhatsApp tells it.
fn preference(value: &str, at: i64) -> Value {
    json!({ "field": "user_preferences", "value": {
        "messaging_product": "whatsapp", "metadata": { "display_phone_number": "551140028922", "phone_number_id": AURORA },
        "user_preferences": [{ "wa_id": "5511987654321", "category": "marketing_messages", "value": value,
                               "detail": "User requested it", "timestamp": at }],
    } })
}

impl Graph {
    async fn post(&self, gateway: &TestGateway, draft: Value) -> Answer {
        gateway.post(&self.org, "/api/v1/messages", draft).await
    }

    /// Accepts a message; returns its id.
    async fn accepts(&self, gateway: &TestGateway, draft: Value) -> String {
        let accepted = self.post(gateway, draft).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// A message is refused because its recipient is suppressed; returns why.
    async fn refuses(&self, gateway: &TestGateway, draft: Value) -> String {
        let refusal = self.post(gateway, draft).await.expect(422);
        assert_eq!(refusal["error_code"], "recipient_suppressed", "{refusal}");
        refusal["detail"].as_str().unwrap().to_owned()
    }

    /// `scope reason` of everybody who is suppressed.
    async fn suppressed(&self, gateway: &TestGateway) -> Vec<String> {
        let listed = gateway.get(&self.org, PATH).await.expect(200);
        let word = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        let items = listed["items"].as_array().unwrap().iter();
        let mut found: Vec<String> =
            items.map(|item| format!("{} {}", word(item, "scope"), word(item, "reason"))).collect();
        found.sort();
        found
    }

    /// The account has these templates, by name and category.
    async fn lists(&self, gateway: &TestGateway, templates: &[(&str, &str)]) {
        let listed: Vec<Value> = templates
            .iter()
            .map(|(name, category)| json!({ "id": format!("id-{name}"), "name": name, "language": "pt_BR",
                "status": "APPROVED", "category": category, "components": [{ "type": "BODY", "text": "Olá" }] }))
            .collect();
        let page = json!({ "data": listed, "paging": {} }).to_string();
        self.peer.will(PeerAnswer::new(200).header("content-type", "application/json").body(page));
        let path = format!("/api/v1/accounts/{}/templates/sync", self.account);
        gateway.post(&self.org, &path, json!({})).await.expect(200);
    }
}

on_both_engines! {
    who_wants_no_marketing_gets_everything_else(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        graph.lists(&gateway, &[("sale", "MARKETING"), ("visit", "UTILITY")]).await;
        gateway.post(&graph.org, PATH, whom(Some("marketing"))).await.expect(204);
        let detail = graph.refuses(&gateway, marketing(PERSON)).await;
        assert!(detail.contains("marketing on whatsapp") && detail.contains("DELETE /api/v1/suppressions"), "{detail}");
        graph.refuses(&gateway, of_template("sale")).await;
        for draft in [of_template("visit"), of_template("nobody_knows_it"), text(PERSON, "Oi")] {
            graph.accepts(&gateway, draft).await;
        }
        gateway.drain().await;
        assert_eq!(graph.received().len(), 3);

        gateway.post(&graph.org, PATH, whom(None)).await.expect(204);
        assert_eq!(graph.suppressed(&gateway).await, ["all manual", "marketing manual"], "one address may have both");
        graph.refuses(&gateway, text(PERSON, "Oi")).await;
        gateway.call(&graph.org, Method::DELETE, PATH, Some(whom(Some("all")))).await.expect(204);
        graph.accepts(&gateway, text(PERSON, "Oi")).await;
        graph.refuses(&gateway, marketing(PERSON)).await;
        gateway.post(&graph.org, PATH, whom(Some("all"))).await.expect(204);
        gateway.call(&graph.org, Method::DELETE, PATH, Some(whom(None))).await.expect(204);
        assert!(graph.suppressed(&gateway).await.is_empty(), "without a scope all are lifted");
        gateway.call(&graph.org, Method::DELETE, PATH, Some(whom(None))).await.expect(404);
        let problem = gateway.post(&graph.org, PATH, whom(Some("some"))).await.expect(422);
        assert!(problem.to_string().contains("scope"), "{problem}");
    }

    a_message_says_what_it_is_for(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let id = graph.accepts(&gateway, marketing(PERSON)).await;
        assert_eq!(gateway.message(&graph.org, &id).await["purpose"], "marketing");
        let id = graph.accepts(&gateway, text(PERSON, "Oi")).await;
        assert_eq!(gateway.message(&graph.org, &id).await["purpose"], Value::Null);
        let mut other = text(PERSON, "Oi");
        other["purpose"] = json!("service");
        let problem = graph.post(&gateway, other.clone()).await.expect(422);
        assert!(problem["errors"].to_string().contains("purpose") || problem["detail"].to_string().contains("purpose"), "{problem}");
        gateway.post(&graph.org, PATH, whom(Some("marketing"))).await.expect(204);
        let body = json!({ "messages": [other, marketing(PERSON), text(PERSON, "Oi")] });
        let bulk = gateway.post(&graph.org, "/api/v1/messages/bulk", body).await.expect(202);
        assert_eq!((&bulk["accepted"], &bulk["refused"]), (&json!(1), &json!(2)), "{bulk}");
        assert_eq!(bulk["results"][1]["error_code"], "recipient_suppressed");
    }

    what_is_really_sent_is_judged(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        graph.lists(&gateway, &[("sale", "MARKETING"), ("visit", "UTILITY")]).await;
        let mut later = Vec::new();
        for name in ["sale", "visit"] {
            let mut draft = text(PERSON, name);
            draft["fallback_template"] = template(name);
            draft["send_at"] = json!(gateway.clock.now() + TimeDelta::hours(25));
            later.push(graph.accepts(&gateway, draft).await);
        }
        let waiting = graph.accepts(&gateway, of_template("sale")).await;
        let service = graph.accepts(&gateway, text(PERSON, "Oi")).await;
        gateway.post(&graph.org, PATH, whom(Some("marketing"))).await.expect(204);
        gateway.drain().await;
        gateway.advance(TimeDelta::seconds(1));
        gateway.drain().await;
        let failed = gateway.message(&graph.org, &waiting).await;
        assert_eq!((&failed["status"], &failed["metadata"]["failure"]["code"]), (&json!("failed"), &json!("suppressed")), "{failed}");
        assert_eq!(graph.status(&gateway, &service).await, "sent");
        // The window has closed, so that the templates are what would be sent.
        gateway.advance(TimeDelta::hours(26));
        for _ in 0..4 {
            graph.later(&gateway, TimeDelta::seconds(2)).await;
        }
        assert_eq!(graph.status(&gateway, &later[0]).await, "failed");
        assert_eq!(graph.status(&gateway, &later[1]).await, "sent");
        let names: Vec<Value> = graph.received().iter().map(|sent| sent["template"]["name"].clone()).collect();
        assert_eq!(names, [Value::Null, json!("visit")]);
    }

    whoever_writes_can_be_reached(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_026)]).await;
        graph.send(&gateway, "one").await;
        gateway.drain().await;
        graph.refuses(&gateway, text(PERSON, "Oi")).await;
        assert_eq!(graph.suppressed(&gateway).await, ["all undeliverable"]);
        gateway.advance(TimeDelta::minutes(5));
        // It was written before the failure, and comes late.
        let mut late = meta::text("wamid.LATE", "5511987654321", "Oi");
        late["timestamp"] = json!((gateway.clock.now() - TimeDelta::minutes(10)).timestamp().to_string());
        gateway.meta(&[meta::change(AURORA, &[late], &[])]).await.expect(200);
        graph.writes(&gateway, "wamid.OTHER", "5511911112222").await;
        graph.refuses(&gateway, text(PERSON, "Oi")).await;
        graph.writes(&gateway, "wamid.AGAIN", "5511987654321").await;
        assert!(graph.suppressed(&gateway).await.is_empty());
        let id = graph.send(&gateway, "two").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "sent");
        // A failure that is told later suppresses them anew, and what waits goes as soon as they write.
        gateway.advance(TimeDelta::minutes(5));
        graph.fails(&gateway, "wamid.SENT2", 131_026).await;
        graph.refuses(&gateway, text(PERSON, "Oi")).await;
    }

    what_waits_is_judged_when_it_is_sent(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let first = graph.send(&gateway, "first").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &first).await, "sent");
        let mut waiting = Vec::new();
        for minutes in [10, 20] {
            let mut draft = text(PERSON, "later");
            draft["send_at"] = json!(gateway.clock.now() + TimeDelta::minutes(minutes));
            waiting.push(graph.accepts(&gateway, draft).await);
        }
        gateway.advance(TimeDelta::minutes(5));
        graph.fails(&gateway, "wamid.SENT1", 131_026).await;
        graph.later(&gateway, TimeDelta::minutes(6)).await;
        assert_eq!(graph.status(&gateway, &waiting[0]).await, "failed");
        graph.writes(&gateway, "wamid.AGAIN", "5511987654321").await;
        graph.later(&gateway, TimeDelta::minutes(10)).await;
        assert_eq!(graph.status(&gateway, &waiting[1]).await, "sent");
    }

    what_reaches_somebody_proves_that_they_can_be_reached(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        graph.send(&gateway, "one").await;
        gateway.drain().await;
        graph.peer.will(refused(400, 131_026));
        gateway.advance(TimeDelta::minutes(5));
        graph.send(&gateway, "two").await;
        gateway.drain().await;
        graph.refuses(&gateway, text(PERSON, "Oi")).await;
        gateway.advance(TimeDelta::minutes(5));
        graph.reports(&gateway, "wamid.SENT1", "delivered", None).await;
        graph.accepts(&gateway, text(PERSON, "Oi")).await;
        assert!(graph.suppressed(&gateway).await.is_empty());
    }

    who_stopped_marketing_gets_service_until_they_resume_it(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        graph.lists(&gateway, &[("sale", "MARKETING")]).await;
        for told_later in [false, true] {
            let sent = graph.received().len();
            if !told_later {
                graph.peer.will(refused(400, 131_050));
            }
            graph.accepts(&gateway, of_template("sale")).await;
            gateway.drain().await;
            if told_later {
                graph.fails(&gateway, &format!("wamid.SENT{}", graph.peer.requests().len()), 131_050).await;
            }
            assert_eq!(graph.received().len(), sent + 1);
            assert_eq!(graph.suppressed(&gateway).await, ["marketing opted_out"], "told later: {told_later}");
            graph.accepts(&gateway, text(PERSON, "Sua consulta é amanhã")).await;
            gateway.advance(TimeDelta::hours(30));
            graph.writes(&gateway, &format!("wamid.IN{sent}"), "5511987654321").await;
            let detail = graph.refuses(&gateway, of_template("sale")).await;
            assert!(!detail.contains("until"), "{detail}");
            gateway.meta(&[preference("resume", gateway.clock.now().timestamp())]).await.expect(200);
            assert!(graph.suppressed(&gateway).await.is_empty());
        }
    }

    no_more_marketing_for_now_lasts_a_day(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        for code in [131_049, 130_472] {
            graph.peer.will(refused(400, code));
            graph.accepts(&gateway, marketing(PERSON)).await;
            gateway.drain().await;
            gateway.advance(TimeDelta::hours(1));
            graph.writes(&gateway, &format!("wamid.AGAIN{code}"), "5511987654321").await;
            assert_eq!(graph.suppressed(&gateway).await, ["marketing undeliverable"]);
            graph.refuses(&gateway, marketing(PERSON)).await;
            graph.accepts(&gateway, text(PERSON, "Oi")).await;
            gateway.advance(TimeDelta::hours(24));
            graph.writes(&gateway, &format!("wamid.LATER{code}"), "5511987654321").await;
            graph.accepts(&gateway, marketing(PERSON)).await;
            for _ in 0..3 {
                graph.later(&gateway, TimeDelta::seconds(2)).await;
            }
        }
    }

    what_somebody_tells_whatsapp_of_marketing_counts_in_its_order(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_049)]).await;
        let at = gateway.clock.now().timestamp();
        gateway.meta(&[preference("stop", at)]).await.expect(200);
        assert_eq!(graph.suppressed(&gateway).await, ["marketing opted_out"]);
        graph.refuses(&gateway, marketing(PERSON)).await;
        graph.accepts(&gateway, text(PERSON, "Oi")).await;
        gateway.meta(&[preference("resume", at + 20)]).await.expect(200);
        gateway.meta(&[preference("stop", at)]).await.expect(200);
        gateway.meta(&[preference("stop", at + 10)]).await.expect(200);
        assert!(graph.suppressed(&gateway).await.is_empty(), "an older wish is told late");
        gateway.meta(&[preference("stop", at + 30)]).await.expect(200);
        assert_eq!(graph.suppressed(&gateway).await, ["marketing opted_out"]);
        // What they asked for is not shortened by a limit that ends by itself.
        gateway.drain().await;
        gateway.advance(TimeDelta::hours(25));
        assert_eq!(graph.suppressed(&gateway).await, ["marketing opted_out"]);
        // What the team decided is not lifted by anybody else.
        gateway.post(&graph.org, PATH, whom(Some("marketing"))).await.expect(204);
        gateway.meta(&[preference("resume", gateway.clock.now().timestamp() + 1)]).await.expect(200);
        assert_eq!(graph.suppressed(&gateway).await, ["marketing manual"]);
        let notices = gateway.get(&graph.org, &format!("/api/v1/accounts/{}/notices", graph.account)).await.expect(200);
        assert_eq!(notices["items"].as_array().unwrap().len(), 5, "each is told as before, once");
    }

    keywords_that_nobody_explains_are_heard(gateway) {
        let org = gateway.organization("Borealis").await;
        gateway.connect(&org, &twilio::PROVIDER, "borealis").await;
        let says = async |name: &str| {
            gateway.deliver_recorded(&twilio::PROVIDER, name).await.expect(200);
            gateway.advance(TimeDelta::seconds(5));
            let listed = gateway.get(&org, PATH).await.expect(200);
            listed["items"].as_array().unwrap().iter().map(|item| item["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let them = json!({ "channel": "sms", "address": "+14155550177" });
        // YES is an answer like any other; it opens nothing that the team has closed.
        gateway.post(&org, PATH, them.clone()).await.expect(204);
        assert_eq!(says("sms-keyword-start-untold").await, ["manual"]);
        let items = gateway.communications(&org).await;
        assert_eq!((&items[0]["content"], items[0].to_string().contains("opt_")), (&json!("yes"), false), "{items:?}");
        gateway.call(&org, Method::DELETE, PATH, Some(them)).await.expect(204);
        assert!(says("sms-keyword-in-a-sentence").await.is_empty());
        assert_eq!(says("sms-keyword-stop-untold").await, ["opted_out"]);
        assert!(says("sms-start").await.is_empty());
        assert_eq!(gateway.count("suppressions").await, 1, "it is remembered that they want messages again");
    }
}
