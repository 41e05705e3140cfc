//! What a provider would refuse is refused before it is accepted; and where an answer to a group's message goes.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, refused};
use crate::support::meta::{self, AURORA};
use crate::support::{TestGateway, on_both_engines};

const GROUP: &str = "Y2FwaV9ncm91cDo1NTExNDAwMjg5MjI6MTIwMzYzMA";

/// Somebody who writes in the group only.
const MEMBER: &str = "5511955554444";

/// What is refused, and by which member.
async fn refusal(gateway: &TestGateway, graph: &Graph, content: Value) -> (String, String) {
    let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content });
    let problem = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(422);
    let error = &problem["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&error["field"]), text(&error["detail"]))
}

/// Somebody writes in the group, now; returns the message as the timeline has it.
async fn writes_in_group(gateway: &TestGateway, graph: &Graph, id: &str, from: &str) -> Value {
    let mut text = meta::text(id, from, "A que horas?");
    text["timestamp"] = json!(gateway.clock.now().timestamp().to_string());
    text["group_id"] = json!(GROUP);
    gateway.meta(&[meta::change(AURORA, &[text], &[])]).await.expect(200);
    let heard = gateway.communications(&graph.org).await;
    let is_it =
        |item: &&Value| item["metadata"]["group_id"] == GROUP && item["direction"] == "inbound";
    heard.iter().find(is_it).unwrap().clone()
}

fn answer_to(heard: &Value, body: &str) -> Value {
    json!({ "channel": "whatsapp", "contact_id": heard["contact_id"], "reply_to": heard["id"],
            "content": { "kind": "text", "body": body } })
}

on_both_engines! {
    what_a_provider_would_refuse_is_refused_before_it_is_accepted(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let heard = gateway.communications(&graph.org).await[0]["id"].clone();
        let picture = gateway.hand_in(&graph.org, "", "image/jpg", b"picture").await.expect(201);
        assert_eq!(picture["mime_type"], "image/jpeg", "by its registered name");
        let button = |title: &str, id: &str| json!({ "id": id, "title": title });
        let voice = json!([{ "media": "voice", "media_id": picture["id"] }]);
        let cases = [
            (json!({ "kind": "reaction", "message_id": heard, "emoji": "ok" }), "content.emoji", "exactly one emoji"),
            (json!({ "kind": "reaction", "message_id": heard, "emoji": "👍👍" }), "content.emoji", "exactly one emoji"),
            (
                json!({ "kind": "buttons", "body": "?", "buttons": [button("Yes", "1"), button("Yes", "2")] }),
                "content.buttons[1].title",
                "the same title",
            ),
            (json!({ "kind": "template", "name": "reopen", "language": "pt-br" }), "content.language", "pt_BR"),
            (json!({ "kind": "template", "name": "Re open", "language": "pt_BR" }), "content.name", "lower-case"),
            (json!({ "kind": "media", "files": voice }), "content.files[0].mime_type", "audio/ogg"),
        ];
        for (content, field, reason) in cases {
            let (named, told) = refusal(&gateway, &graph, content.clone()).await;
            assert_eq!(named, field, "{content}: {told}");
            assert!(told.contains(reason), "{content}: {told}");
        }
        gateway.drain().await;
        assert!(graph.received().is_empty());
        let body = json!({ "channel": "whatsapp", "to": PERSON,
                           "content": { "kind": "media", "files": [{ "media": "image", "media_id": picture["id"] }] } });
        gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
    }

    a_document_by_link_keeps_the_name_of_the_link(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let file = |filename: Value| json!({
            "media": "document", "url": "https://files.example.com/a/Pre%C3%A7os%202026.pdf?v=2", "filename": filename,
        });
        for filename in [json!(null), json!(" "), json!("Tabela.pdf")] {
            let content = json!({ "kind": "media", "files": [file(filename)] });
            let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content });
            gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        }
        gateway.drain().await;
        let names: Vec<Value> =
            graph.received().iter().map(|body| body["document"]["filename"].clone()).collect();
        assert_eq!(names, ["Preços 2026.pdf", "Preços 2026.pdf", "Tabela.pdf"]);
    }

    a_voice_message_by_another_name_of_its_type_is_sent_as_what_it_is(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        for kind in ["audio/opus", "application/ogg"] {
            let sound = gateway.hand_in(&graph.org, "", kind, b"OggS").await.expect(201);
            let content = json!({ "kind": "media", "files": [{ "media": "voice", "media_id": sound["id"] }] });
            let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content });
            gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        }
    }

    an_answer_to_a_group_goes_to_the_group(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let heard = writes_in_group(&gateway, &graph, "wamid.GROUP1", MEMBER).await;
        let accepted = gateway.post(&graph.org, "/api/v1/messages", answer_to(&heard, "Às dez")).await.expect(202);
        let id = accepted["id"].as_str().unwrap();
        gateway.drain().await;
        let sent = graph.received().remove(0);
        assert_eq!((&sent["recipient_type"], &sent["to"]), (&json!("group"), &json!(GROUP)));
        assert_eq!(sent["context"]["message_id"], "wamid.GROUP1");
        let shown = gateway.message(&graph.org, id).await;
        assert_eq!(shown["metadata"]["group_id"], GROUP, "{shown}");
        assert_eq!(shown["contact_id"], heard["contact_id"], "it stands where what it answers stands");

        // One person in the group has read it.
        let mut read = meta::status("wamid.SENT1", "read", gateway.clock.now().timestamp());
        read["recipient_type"] = json!("group");
        read["recipient_id"] = json!(GROUP);
        read["recipient_participant_id"] = json!(MEMBER);
        gateway.meta(&[meta::change(AURORA, &[], &[read])]).await.expect(200);
        let shown = gateway.message(&graph.org, id).await;
        assert_eq!(shown["status"], "read");
        // An answer to our own message goes there too.
        let again = json!({ "channel": "whatsapp", "contact_id": heard["contact_id"], "reply_to": id,
                            "content": { "kind": "text", "body": "Em ponto" } });
        gateway.post(&graph.org, "/api/v1/messages", again).await.expect(202);
        gateway.drain().await;
        assert_eq!(graph.received().remove(1)["to"], GROUP);
    }

    an_answer_goes_to_the_author_alone_only_if_to_says_so(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let heard = writes_in_group(&gateway, &graph, "wamid.GROUP1", "5511987654321").await;
        let mut alone = answer_to(&heard, "Às dez");
        alone.as_object_mut().unwrap().remove("contact_id");
        alone["to"] = json!(PERSON);
        gateway.post(&graph.org, "/api/v1/messages", alone).await.expect(202);
        gateway.drain().await;
        let sent = graph.received().remove(0);
        assert_eq!((&sent["recipient_type"], &sent["to"]), (&json!("individual"), &json!("5511987654321")));

        // Somebody else is not meant by it.
        graph.writes(&gateway, "wamid.OTHER", "5511911112222").await;
        let all = gateway.communications(&graph.org).await;
        let other = all.iter().find(|item| item["contact_id"] != heard["contact_id"]).unwrap();
        let mut wrong = answer_to(&heard, "Às dez");
        wrong["contact_id"] = other["contact_id"].clone();
        let problem = gateway.post(&graph.org, "/api/v1/messages", wrong).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], "reply_to", "{problem}");
    }

    what_a_group_cannot_get_is_refused_with_the_reason(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let heard = writes_in_group(&gateway, &graph, "wamid.GROUP1", MEMBER).await;
        let mut place = answer_to(&heard, "");
        place["content"] = json!({ "kind": "location", "latitude": 1.0, "longitude": 1.0 });
        let problem = gateway.post(&graph.org, "/api/v1/messages", place).await.expect(422);
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("groups"), "{problem}");
        let reaction = json!({ "channel": "whatsapp", "contact_id": heard["contact_id"],
                               "content": { "kind": "reaction", "message_id": heard["id"], "emoji": "👍" } });
        gateway.post(&graph.org, "/api/v1/messages", reaction).await.expect(422);
    }

    a_group_has_a_window_of_its_own(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        gateway.advance(TimeDelta::hours(25));
        let heard = writes_in_group(&gateway, &graph, "wamid.GROUP1", MEMBER).await;
        let alone = json!({ "channel": "whatsapp", "contact_id": heard["contact_id"],
                            "content": { "kind": "text", "body": "Olá" } });
        let problem = gateway.post(&graph.org, "/api/v1/messages", alone).await.expect(422);
        assert_eq!(problem["error_code"], "window_closed", "what was written in a group opens nothing elsewhere");
        gateway.post(&graph.org, "/api/v1/messages", answer_to(&heard, "Oi")).await.expect(202);
        gateway.drain().await;
        assert_eq!(graph.received().len(), 1);
        gateway.advance(TimeDelta::hours(25));
        graph.writes(&gateway, "wamid.ALONE", MEMBER).await;
        let problem = gateway.post(&graph.org, "/api/v1/messages", answer_to(&heard, "Oi")).await.expect(422);
        assert_eq!(problem["error_code"], "window_closed", "nobody has written in the group since");
    }

    nobody_is_left_alone_for_what_fails_in_a_group(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_026)]).await;
        let heard = writes_in_group(&gateway, &graph, "wamid.GROUP1", MEMBER).await;
        let accepted = gateway.post(&graph.org, "/api/v1/messages", answer_to(&heard, "Oi")).await.expect(202);
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, accepted["id"].as_str().unwrap()).await, "failed");
        assert_eq!(gateway.count("suppressions").await, 0);
    }

    a_time_that_is_none_says_what_it_lacks(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let mut late = json!({ "channel": "whatsapp", "to": PERSON, "content": { "kind": "text", "body": "Olá" } });
        late["send_at"] = json!("2026-11-28T10:00:00");
        let problem = gateway.post(&graph.org, "/api/v1/messages", late).await.expect(422);
        let error = &problem["errors"][0];
        assert_eq!(error["field"], "send_at", "{problem}");
        assert!(error["detail"].as_str().unwrap().contains("has no offset: write 2026-11-28T10:00:00Z"), "{problem}");
        for (query, reason) in [
            ("from=2026-11-28T10:00:00", "has no offset"),
            ("to=2026-11-28T10:00:00+02:00", "%2B"),
            ("from=2026-11-28", "without a time"),
        ] {
            let path = format!("/api/v1/crm/communications?{query}");
            let problem = gateway.get(&graph.org, &path).await.expect(422);
            assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(reason), "{problem}");
        }
    }
}
