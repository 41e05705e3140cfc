//! What bridges to WhatsApp Web tell of messages after they were written, and what messages show beside their words.

use providers::{Provider, evolution, waha};
use serde_json::{Value, json};

use crate::support::{Org, TestGateway, on_both_engines};

async fn deliver(gateway: &TestGateway, provider: &'static Provider, names: &[&str]) {
    for name in names {
        gateway.deliver_recorded(provider, name).await.expect(200);
    }
}

/// The message of that name at the provider, with its history.
async fn only(gateway: &TestGateway, org: &Org) -> Value {
    let items = gateway.communications(org).await;
    assert_eq!(items.len(), 1, "{items:?}");
    let id = items[0]["id"].as_str().unwrap();
    let found = gateway.message(org, id).await;
    assert_eq!(found["metadata"], items[0]["metadata"], "the timeline shows what the message does");
    found
}

/// The events of that kind.
async fn of_kind(gateway: &TestGateway, org: &Org, kind: &str) -> Vec<Value> {
    let page = gateway.get(org, "/api/v1/events?limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap().clone();
    items.into_iter().filter(|event| event["type"] == kind).collect()
}

/// A message, an edit of it that nobody can read, and one that can be read; the words before and after.
async fn unreadable(
    gateway: &TestGateway,
    provider: &'static Provider,
    names: [&str; 3],
    words: [&str; 2],
) {
    let [first, unreadable, readable] = names;
    let aurora = gateway.organization_in("Aurora", Some("BR")).await;
    gateway.connect(&aurora, provider, "aurora").await;
    // It may come before its message, and more than once.
    deliver(gateway, provider, &[unreadable, first, unreadable]).await;
    let found = only(gateway, &aurora).await;
    assert_eq!((&found["content"], &found["kind"]), (&json!(words[0]), &json!("text")));
    assert_eq!(found["metadata"]["edit_unreadable"], true, "{found}");
    assert!(found["metadata"]["edited_at"].is_string(), "{found}");
    assert_eq!(found["edits"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["edits"][0]["what"], "edited_unreadable");
    let told = of_kind(gateway, &aurora, "message.edited").await;
    assert_eq!((told.len(), &told[0]["data"]["edit_unreadable"]), (1, &json!(true)), "{told:?}");
    // Words that can be read are shown, whatever came before; they are what it says now only if they are the newest.
    deliver(gateway, provider, &[readable]).await;
    let found = only(gateway, &aurora).await;
    assert_eq!(found["content"], words[1]);
    let is_older = found["edits"][0]["what"] == "edited";
    assert_eq!(found["metadata"]["edit_unreadable"] == true, is_older, "{found}");
    assert_eq!(of_kind(gateway, &aurora, "message.edited").await.len(), 2);
}

on_both_engines! {
    an_edit_that_nobody_can_read_leaves_the_words_and_says_so(gateway) {
        let words = ["Pode ser às 15h", "Pode ser às 16h"];
        unreadable(&gateway, &waha::PROVIDER, ["message-lid-with-number", "edited-encrypted-noweb", "edited"], words).await;
    }

    an_edit_that_comes_as_a_message_is_one(gateway) {
        let words = ["Pode ser às 15h", "Pode ser às 16h"];
        let names = ["message-lid-with-number", "edited-encrypted-as-a-message-noweb", "edited"];
        unreadable(&gateway, &waha::PROVIDER, names, words).await;
    }

    an_edit_that_an_upsert_brings_is_one(gateway) {
        let words = ["Bom dia! Vocês têm horário amanhã? 🦷", "Bom dia! Vocês têm horário hoje?"];
        unreadable(&gateway, &evolution::PROVIDER, ["message-text", "edited-encrypted", "edited"], words).await;
    }

    every_edit_counts_once_though_the_message_keeps_its_time(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        gateway.connect(&aurora, &waha::PROVIDER, "aurora").await;
        let edits = ["edited-webjs", "edited-webjs-once-more"];
        deliver(&gateway, &waha::PROVIDER, &["message-lid-with-number", edits[0], edits[0], edits[1], edits[1], edits[0]]).await;
        let found = only(&gateway, &aurora).await;
        assert_eq!(found["content"], "Pode ser às 18h");
        let before: Vec<&Value> = found["edits"].as_array().unwrap().iter().map(|edit| &edit["content_before"]).collect();
        assert_eq!(before, ["Pode ser às 15h", "Pode ser às 17h"]);
        assert_eq!(of_kind(&gateway, &aurora, "message.edited").await.len(), 2);
    }

    an_update_without_a_status_takes_no_message_back(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        gateway.connect(&aurora, &evolution::PROVIDER, "aurora").await;
        deliver(&gateway, &evolution::PROVIDER, &["message-text", "ack-deleted-alone", "ack-deleted-alone-ours"]).await;
        let found = only(&gateway, &aurora).await;
        assert_eq!((&found["metadata"]["revoked_at"], &found["edits"]), (&Value::Null, &json!([])));
        assert!(of_kind(&gateway, &aurora, "message.revoked").await.is_empty());
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
        assert_eq!(gateway.count("waiting_changes").await, 0);
    }

    parts_and_what_is_answered_stand_in_the_metadata(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        gateway.connect(&aurora, &waha::PROVIDER, "aurora").await;
        deliver(&gateway, &waha::PROVIDER, &["message-template-gows"]).await;
        let found = only(&gateway, &aurora).await;
        assert_eq!((&found["kind"], &found["content"]), (&json!("text"), &json!("Sua consulta é amanhã.")));
        let parts = &found["metadata"]["parts"];
        assert_eq!((&parts["kind"], &parts["buttons"][0]), (&json!("template"), &json!({ "id": "yes", "title": "Confirmar" })));
        deliver(&gateway, &waha::PROVIDER, &["poll-vote", "press-of-a-row-gows", "message-from-an-advertisement-without-words-noweb"]).await;
        let items = gateway.communications(&aurora).await;
        let of = |kind: &str, content: &Value| items.iter().find(|item| item["kind"] == kind && item["content"] == *content).unwrap();
        assert_eq!(of("text", &json!("Seg, Ter"))["metadata"]["reply_to"], "true_3EB00102030405060708AA");
        assert_eq!(of("list_reply", &json!("Terça, 15h"))["metadata"]["id"], "slot-15");
        assert_eq!(of("welcome", &Value::Null)["metadata"]["referral"]["click_id"], "ARAkLkA8rmlFeiCk");
    }
}
