//! Every kind of content: accepted in the API's words, sent in the provider's, shown on the timeline as it was accepted.

use serde_json::{Value, json};
use switchboard::sandbox::FaultKind;

use crate::support::graph::Graph;
use crate::support::meta::{self, AURORA};
use crate::support::rig::{META, PERSON, Rig, WAHA, each_way};
use crate::support::{Kind, on_both_engines};

each_way! {
    each_kind_goes_out_as_meta_has_it: meta = META;
    what_stands_above_the_words_is_uploaded_or_linked: meta = META;
    a_poll_goes_out_as_waha_has_it: waha = WAHA;
}

/// Sends it, and checks that the timeline shows the kind, the words and all members as they were given.
async fn send(rig: &Rig, content: &Value, words: &str) -> (String, Value) {
    let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content });
    let accepted = rig.gateway.post(&rig.org, "/api/v1/messages", body).await.expect(202);
    let id = accepted["id"].as_str().unwrap().to_owned();
    rig.gateway.drain().await;
    rig.sandbox.settled().await;
    let shown = rig.gateway.message(&rig.org, &id).await;
    assert_eq!((&shown["kind"], &shown["content"]), (&content["kind"], &json!(words)), "{shown}");
    assert_eq!(shown["status"], "read", "{shown}");
    for (name, value) in content.as_object().unwrap() {
        if name != "kind" && !(name == "header" && value.is_object()) {
            assert_eq!(shown["metadata"][name], *value, "{name} of {shown}");
        }
    }
    (id, rig.sandbox.messages().pop().unwrap().body)
}

/// What the API is told, and what Meta is told for it.
fn kinds() -> Vec<(Value, Value)> {
    let page = json!({ "kind": "cta_url", "header": "Your quote", "body": "It is ready.", "footer": "Aurora",
                       "text": "See it", "url": "https://aurora.example/q/1042" });
    let page_sent = json!({ "type": "cta_url", "header": { "type": "text", "text": "Your quote" },
        "body": { "text": "It is ready." }, "footer": { "text": "Aurora" },
        "action": { "name": "cta_url",
                    "parameters": { "display_text": "See it", "url": "https://aurora.example/q/1042" } } });
    let place = json!({ "kind": "location_request", "body": "Where shall we come?" });
    let place_sent = json!({ "type": "location_request_message", "body": { "text": "Where shall we come?" },
                             "action": { "name": "send_location" } });
    let flow = json!({ "kind": "flow", "body": "When?", "flow_id": "1197715005513101", "cta": "Choose a time",
                       "token": "visit-4711", "action": "navigate", "screen": "TIMES", "data": { "days": [1, 2] } });
    let flow_sent = json!({ "type": "flow", "body": { "text": "When?" }, "action": { "name": "flow", "parameters": {
        "flow_message_version": "3", "flow_id": "1197715005513101", "flow_cta": "Choose a time",
        "flow_token": "visit-4711", "flow_action": "navigate",
        "flow_action_payload": { "screen": "TIMES", "data": { "days": [1, 2] } } } } });
    let named = json!({ "kind": "flow", "body": "When?", "flow_name": "visits", "cta": "Choose", "action": "data_exchange" });
    let named_sent = json!({ "type": "flow", "body": { "text": "When?" }, "action": { "name": "flow", "parameters": {
        "flow_message_version": "3", "flow_name": "visits", "flow_cta": "Choose", "flow_action": "data_exchange" } } });
    vec![(page, page_sent), (place, place_sent), (flow, flow_sent), (named, named_sent)]
}

/// The same for products: one, several, all.
fn products() -> Vec<(Value, Value)> {
    let catalog = "146265584024623";
    let one = json!({ "kind": "products", "catalog_id": catalog, "body": "The lamp.", "sections": [{ "ids": ["lamp-7"] }] });
    let one_sent = json!({ "type": "product", "body": { "text": "The lamp." },
                           "action": { "catalog_id": catalog, "product_retailer_id": "lamp-7" } });
    let several = json!({ "kind": "products", "catalog_id": catalog, "header": "For your hall", "body": "These.",
        "sections": [{ "title": "Lamps", "ids": ["lamp-7", "lamp-9"] }, { "title": "Mirrors", "ids": ["mirror-1"] }] });
    let item = |id: &str| json!({ "product_retailer_id": id });
    let several_sent = json!({ "type": "product_list", "header": { "type": "text", "text": "For your hall" },
        "body": { "text": "These." }, "action": { "catalog_id": catalog, "sections": [
            { "title": "Lamps", "product_items": [item("lamp-7"), item("lamp-9")] },
            { "title": "Mirrors", "product_items": [item("mirror-1")] }] } });
    let all = json!({ "kind": "products", "catalog_id": catalog, "body": "All." });
    let all_sent = json!({ "type": "catalog_message", "body": { "text": "All." }, "action": { "name": "catalog_message" } });
    vec![(one, one_sent), (several, several_sent), (all, all_sent)]
}

async fn each_kind_goes_out_as_meta_has_it(rig: &Rig) {
    let all = kinds().into_iter().chain(products());
    for (content, interactive) in all {
        let (id, sent) = send(rig, &content, content["body"].as_str().unwrap()).await;
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "5511987654321",
            "type": "interactive", "interactive": interactive, "biz_opaque_callback_data": id,
        });
        assert_eq!(sent, expected);
    }
    rig.took(7);
}

async fn what_stands_above_the_words_is_uploaded_or_linked(rig: &Rig) {
    let picture =
        rig.gateway.hand_in(&rig.org, "?filename=plan.png", "image/png", b"not png").await;
    let picture = picture.expect(201)["id"].clone();
    let button = json!({ "id": "yes", "title": "Yes" });
    let buttons = |header: Value| json!({ "kind": "buttons", "header": header, "body": "Well?", "buttons": [button] });
    let header = json!({ "media": "image", "media_id": picture });
    let (id, sent) = send(rig, &buttons(header.clone()), "Well?").await;
    let above = &sent["interactive"]["header"];
    assert_eq!(above["type"], "image");
    assert!(above["image"]["id"].is_string(), "it was uploaded: {sent}");
    let shown = rig.gateway.message(&rig.org, &id).await["metadata"]["header"].clone();
    let expected = json!({ "media": "image", "media_id": picture, "mime_type": "image/png",
                           "filename": "plan.png", "size": 7 });
    assert_eq!(shown, expected);

    let (_, sent) = send(rig, &buttons(json!("Only a line")), "Well?").await;
    assert_eq!(sent["interactive"]["header"], json!({ "type": "text", "text": "Only a line" }));

    // The same file above a page.
    let page = json!({ "kind": "cta_url", "header": header, "body": "Well?", "text": "Go", "url": "https://aurora.example" });
    let (_, sent) = send(rig, &page, "Well?").await;
    assert!(sent["interactive"]["header"]["image"]["id"].is_string(), "{sent}");
    let uploads = rig.sandbox.requests();
    assert_eq!(uploads.iter().filter(|asked| asked.path.ends_with("/media")).count(), 2);
    rig.took(3);
}

async fn a_poll_goes_out_as_waha_has_it(rig: &Rig) {
    let content = json!({ "kind": "poll", "question": "Quando?", "options": ["Sexta", "Sábado"], "multiple": true });
    let (_, mut sent) = send(rig, &content, "Quando?").await;
    assert!(sent["id"].as_str().unwrap().starts_with("3EB0"));
    sent.as_object_mut().unwrap().remove("id");
    let poll =
        json!({ "name": "Quando?", "options": ["Sexta", "Sábado"], "multipleAnswers": true });
    assert_eq!(
        sent,
        json!({ "session": "aurora-reception", "chatId": "5511987654321@c.us", "poll": poll })
    );
    let refused = json!({ "channel": "whatsapp", "to": PERSON,
                          "content": { "kind": "poll", "question": "?", "options": ["Sim", "Sim"] } });
    let problem = rig.gateway.post(&rig.org, "/api/v1/messages", refused).await.expect(422);
    assert_eq!(problem["errors"][0]["field"], "content.options[1]");
    rig.took(1);
}

on_both_engines! {
    a_link_above_the_words_is_left_to_meta(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let header = json!({ "media": "document", "url": "https://cdn.example.com/quote.pdf", "filename": "Quote.pdf" });
        let content = json!({ "kind": "buttons", "header": header.clone(), "body": "Well?", "buttons": [{ "id": "yes", "title": "Yes" }] });
        let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content });
        let accepted = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(202);
        gateway.drain().await;
        let received = graph.received();
        let shown = gateway.message(&graph.org, accepted["id"].as_str().unwrap()).await;
        assert_eq!(shown["metadata"]["header"], header);
        let document = json!({ "link": "https://cdn.example.com/quote.pdf", "filename": "Quote.pdf" });
        assert_eq!(received[0]["interactive"]["header"], json!({ "type": "document", "document": document }));
    }

    what_oversteps_a_limit_is_refused_by_its_field(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let buttons = |header: Value| json!({ "kind": "buttons", "header": header, "body": "?", "buttons": [{ "id": "a", "title": "A" }] });
        let page = |url: &str| json!({ "kind": "cta_url", "body": "?", "text": "Go", "url": url });
        let flow = |more: Value| {
            let mut flow = json!({ "kind": "flow", "body": "?", "cta": "Go" });
            flow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            flow
        };
        let cases = [
            (buttons(json!({ "media": "audio", "url": "https://a.example/b.mp3" })), "content.header.media"),
            (buttons(json!({ "media": "image" })), "content.header.url"),
            (buttons(json!({ "media": "image", "url": "https://localhost/a.png" })), "content.header.url"),
            (buttons(json!({ "media": "image", "media_id": graph.account })), "content.header.media_id"),
            (page("http://a.example"), "content.url"),
            (flow(json!({})), "content.flow_id"),
            (flow(json!({ "flow_id": "7", "flow_name": "n" })), "content.flow_id"),
            (flow(json!({ "flow_id": "7", "action": "jump" })), "content.action"),
            (flow(json!({ "flow_id": "7", "screen": "S", "data": {} })), "content.data"),
            (json!({ "kind": "location_request", "body": " " }), "content.body"),
            (json!({ "kind": "products", "catalog_id": "7", "body": "?", "sections": [{ "ids": ["a", "a"] }] }), "content.sections[0].ids[1]"),
            (json!({ "kind": "poll", "question": "?", "options": ["a", "b"] }), "content.options"),
        ];
        for (content, field) in cases {
            let body = json!({ "channel": "whatsapp", "to": PERSON, "content": content });
            let problem = gateway.post(&graph.org, "/api/v1/messages", body).await.expect(422);
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        }
        let neither = json!({ "channel": "whatsapp", "to": PERSON, "content": buttons(json!(7)) });
        let problem = gateway.post(&graph.org, "/api/v1/messages", neither).await.expect(422);
        assert!(problem.to_string().contains("must be a text, or a file"), "{problem}");
        assert_eq!(gateway.count("outbound").await, 0);
    }

    what_is_shown_follows_what_the_message_says_now(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let place = json!({ "kind": "location_request", "body": "Where?" });
        let page = json!({ "kind": "cta_url", "body": "Look", "footer": "Aurora", "text": "Go", "url": "https://aurora.example" });
        let words = json!({ "kind": "text", "body": "Never mind" });
        let at = gateway.clock.now() + chrono::TimeDelta::hours(1);
        let draft = json!({ "channel": "whatsapp", "to": PERSON, "content": place, "send_at": at, "client_reference": "crm-1" });
        let accepted = gateway.post(&graph.org, "/api/v1/messages", draft).await.expect(202);
        let id = accepted["id"].as_str().unwrap();
        let edit = async |content: &Value| {
            let path = format!("/api/v1/messages/{id}/edit");
            gateway.post(&graph.org, &path, json!({ "content": content })).await.expect(200);
            gateway.message(&graph.org, id).await
        };
        let shown = edit(&page).await;
        assert_eq!((&shown["kind"], &shown["content"]), (&json!("cta_url"), &json!("Look")));
        for (name, value) in [("url", "https://aurora.example"), ("footer", "Aurora"), ("client_reference", "crm-1")] {
            assert_eq!(shown["metadata"][name], value, "{shown}");
        }
        let shown = edit(&words).await;
        assert_eq!(shown["kind"], "text");
        assert_eq!(shown["metadata"]["client_reference"], "crm-1");
        assert!(shown["metadata"]["send_at"].is_string() && shown["metadata"].get("url").is_none(), "{shown}");
        graph.later(&gateway, chrono::TimeDelta::hours(1)).await;
        assert_eq!(graph.received()[0]["text"]["body"], "Never mind");
    }

    answers_to_a_form_and_a_request_for_a_place_are_told(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        let at = gateway.clock.now().timestamp().to_string();
        let context = json!({ "from": "551140028922", "id": "wamid.SENT1" });
        let form = json!({ "id": "wamid.FORM", "from": "5511987654321", "timestamp": at, "context": context, "type": "interactive",
            "interactive": { "type": "nfm_reply", "nfm_reply": { "name": "flow", "body": "Sent",
                             "response_json": "{\"flow_token\":\"visit-4711\",\"day\":2}" } } });
        let place = json!({ "id": "wamid.PLACE", "from": "5511987654321", "timestamp": at, "context": context, "type": "location",
            "location": { "latitude": -23.5, "longitude": -46.6, "name": "Home" } });
        gateway.meta(&[meta::change(AURORA, &[form, place], &[])]).await.expect(200);
        let timeline = gateway.communications(&graph.org).await;
        let of = |kind: &str| timeline.iter().find(|entry| entry["kind"] == kind).unwrap()["metadata"].clone();
        let (form, place) = (of("form_reply"), of("location"));
        assert_eq!((&form["response"]["flow_token"], &form["reply_to"]), (&json!("visit-4711"), &json!("wamid.SENT1")));
        assert_eq!((&place["latitude"], &place["reply_to"]), (&json!(-23.5), &json!("wamid.SENT1")));
    }
}
