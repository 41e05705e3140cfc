//! One person is one contact: number and user id learn of each other from everything that names both, so that nothing is lost
//! when the number is shown no more.

use providers::{evolution, twilio, waha};
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON};
use crate::support::meta::{self, AURORA};
use crate::support::peer::PeerAnswer;
use crate::support::{Kind, Org, TestGateway, on_both_engines};

const NUMBER: &str = "5511987654321";
const USER: &str = "BR.13491208655302741918";

/// Somebody writes whose number is shown no more.
async fn writes_by_user_id(gateway: &TestGateway, user: &str, id: &str) {
    let message = json!({ "id": id, "from_user_id": user, "timestamp": "1793534400", "type": "text",
                          "text": { "body": "Sou eu de novo" } });
    deliver(gateway, json!({ "messages": [message] }), "messages").await;
}

async fn deliver(gateway: &TestGateway, members: Value, field: &str) {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "551140028922", "phone_number_id": AURORA },
    });
    for (name, member) in members.as_object().unwrap() {
        value[name] = member.clone();
    }
    gateway.meta(&[json!({ "field": field, "value": value })]).await.expect(200);
}

async fn contacts(gateway: &TestGateway, org: &Org) -> Vec<Value> {
    gateway.get(org, "/api/v1/contacts").await.expect(200)["items"].as_array().unwrap().clone()
}

/// The values of the identities of the only contact there is.
async fn only_contact(gateway: &TestGateway, org: &Org) -> Vec<String> {
    let found = contacts(gateway, org).await;
    assert_eq!(found.len(), 1, "one person: {found:?}");
    let identities = found[0]["identities"].as_array().unwrap();
    let mut values: Vec<String> =
        identities.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect();
    values.sort();
    values
}

fn contact() -> Value {
    json!({ "profile": { "name": "Ana Souza", "username": "@ana.souza" }, "wa_id": NUMBER, "user_id": USER })
}

on_both_engines! {
    a_status_tells_number_and_user_id(gateway) {
        let graph = Graph::connect(&gateway, vec![]).await;
        graph.send(&gateway, "Olá").await;
        gateway.drain().await;
        let status = meta::status("wamid.SENT1", "delivered", gateway.clock.now().timestamp());
        deliver(&gateway, json!({ "contacts": [contact()], "statuses": [status] }), "messages").await;
        writes_by_user_id(&gateway, USER, "wamid.later").await;
        assert_eq!(only_contact(&gateway, &graph.org).await, [PERSON, USER]);
        // Nothing is learned twice.
        let mut read = meta::status("wamid.SENT1", "read", gateway.clock.now().timestamp());
        read["recipient_user_id"] = json!(USER);
        deliver(&gateway, json!({ "statuses": [read] }), "messages").await;
        assert_eq!(only_contact(&gateway, &graph.org).await, [PERSON, USER]);
        let identities = contacts(&gateway, &graph.org).await[0]["identities"].clone();
        let names: Vec<&Value> = identities.as_array().unwrap().iter().map(|one| &one["username"]).collect();
        assert!(names.contains(&&json!("ana.souza")), "without its sign: {identities}");
    }

    an_answer_tells_number_and_user_id(gateway) {
        let body = json!({
            "messaging_product": "whatsapp",
            "contacts": [{ "input": NUMBER, "wa_id": "551187654321", "user_id": USER }],
            "messages": [{ "id": "wamid.SENT1" }],
        });
        let answer = PeerAnswer::new(200).header("content-type", "application/json").body(body.to_string());
        let graph = Graph::connect(&gateway, vec![answer]).await;
        let id = graph.send(&gateway, "Olá").await;
        gateway.drain().await;
        assert_eq!(graph.status(&gateway, &id).await, "sent");
        writes_by_user_id(&gateway, USER, "wamid.later").await;
        assert_eq!(only_contact(&gateway, &graph.org).await, ["+551187654321", PERSON, USER]);
    }

    a_status_that_comes_before_its_message_is_heeded_when_that_comes(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let mut status = meta::status("wamid.early", "delivered", 1_793_534_001);
        status["recipient_user_id"] = json!(USER);
        deliver(&gateway, json!({ "statuses": [status] }), "messages").await;
        assert_eq!(contacts(&gateway, &aurora).await.len(), 0, "what others send makes nobody known");
        gateway.meta(&[meta::echo("wamid.early", NUMBER, "Olá")]).await.expect(200);
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, USER]);
        writes_by_user_id(&gateway, USER, "wamid.later").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, USER]);
    }

    a_user_id_that_contradicts_joins_the_contact_of_the_number(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = json!({ "id": "wamid.1", "from": NUMBER, "from_user_id": USER, "timestamp": "1793534400",
                              "type": "text", "text": { "body": "Oi" } });
        deliver(&gateway, json!({ "messages": [message] }), "messages").await;
        // As after `user_changed_user_id`: whoever has the number has the contact, and a user id that is known goes before it.
        writes_by_user_id(&gateway, "BR.2", "wamid.2").await;
        gateway.meta(&[meta::echo("wamid.3", NUMBER, "Olá")]).await.expect(200);
        assert_eq!(contacts(&gateway, &aurora).await.len(), 2);
        let mut status = meta::status("wamid.3", "delivered", 1_793_534_500);
        status["recipient_user_id"] = json!("BR.2");
        deliver(&gateway, json!({ "statuses": [status] }), "messages").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, USER, "BR.2"]);
        let found = contacts(&gateway, &aurora).await;
        let path = format!("/api/v1/contacts/{}", found[0]["id"].as_str().unwrap());
        let merges = gateway.get(&aurora, &path).await.expect(200)["merges"].clone();
        assert_eq!(merges.as_array().unwrap().len(), 1, "and it can be taken back");
    }

    an_author_may_stand_in_the_contacts_alone(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = json!({ "id": "wamid.1", "timestamp": "1793534400", "type": "text", "text": { "body": "Oi" } });
        deliver(&gateway, json!({ "contacts": [contact()], "messages": [message] }), "messages").await;
        writes_by_user_id(&gateway, USER, "wamid.2").await;
        meta_text(&gateway, "wamid.3").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, USER]);
        assert_eq!(gateway.communications(&aurora).await.len(), 3);
    }

    half_of_an_author_may_stand_in_the_contacts_alone(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = json!({ "id": "wamid.1", "from": NUMBER, "timestamp": "1793534400", "type": "text", "text": { "body": "Oi" } });
        let only_id = json!({ "profile": { "name": "Ana Souza" }, "user_id": USER });
        deliver(&gateway, json!({ "contacts": [only_id], "messages": [message] }), "messages").await;
        writes_by_user_id(&gateway, USER, "wamid.2").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, USER]);
    }

    a_card_that_was_shared_on_request_is_its_authors(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        meta_text(&gateway, "wamid.1").await;
        let card = |origin: &str| json!({ "origin": origin, "name": { "formatted_name": "Ana" },
                                          "phones": [{ "phone": "+55 11 98765-4321", "wa_id": NUMBER }] });
        let message = |id: &str, user: &str, origin: &str| json!({
            "id": id, "from_user_id": user, "timestamp": "1793534400", "type": "contacts", "contacts": [card(origin)],
        });
        deliver(&gateway, json!({ "messages": [message("wamid.2", "BR.77", "other")] }), "messages").await;
        assert_eq!(contacts(&gateway, &aurora).await.len(), 2, "whose number another card shows is not told");
        deliver(&gateway, json!({ "messages": [message("wamid.3", USER, "contact_request")] }), "messages").await;
        let found = contacts(&gateway, &aurora).await;
        assert_eq!(found.len(), 2);
        let with_number = found.iter().find(|one| one.to_string().contains(PERSON)).unwrap();
        assert!(with_number.to_string().contains(USER), "{with_number}");
    }

    calls_changes_and_wishes_tell_number_and_user_id(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        meta_text(&gateway, "wamid.1").await;
        let call = json!({ "id": "wacid.1", "from": NUMBER, "from_user_id": "BR.1", "to": "551140028922", "event": "connect",
                           "timestamp": "1793534410", "direction": "USER_INITIATED" });
        deliver(&gateway, json!({ "calls": [call] }), "calls").await;
        writes_by_user_id(&gateway, "BR.1", "wamid.2").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, "BR.1"]);
        let revoke = json!({ "id": "wamid.3", "from": NUMBER, "from_user_id": "BR.2", "timestamp": "1793534420",
                             "type": "revoke", "revoke": { "original_message_id": "wamid.1" } });
        deliver(&gateway, json!({ "messages": [revoke] }), "messages").await;
        writes_by_user_id(&gateway, "BR.2", "wamid.4").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, "BR.1", "BR.2"]);
        let wish = json!({ "wa_id": NUMBER, "user_id": "BR.3", "category": "marketing_messages", "value": "stop",
                           "timestamp": "1793534430" });
        deliver(&gateway, json!({ "user_preferences": [wish] }), "user_preferences").await;
        writes_by_user_id(&gateway, "BR.3", "wamid.5").await;
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, "BR.1", "BR.2", "BR.3"]);
        let change = json!({ "id": "wamid.6", "from": NUMBER, "timestamp": "1793534440", "type": "system", "system": {
            "type": "user_changed_number", "wa_id": "5511976543210", "user_id": "BR.5", "previous_user_id": "BR.3",
            "previous_parent_user_id": "BR.ENT.4" } });
        deliver(&gateway, json!({ "messages": [change] }), "messages").await;
        writes_by_user_id(&gateway, "BR.ENT.4", "wamid.7").await;
        writes_by_user_id(&gateway, "BR.5", "wamid.8").await;
        let all = only_contact(&gateway, &aurora).await;
        assert_eq!(all, ["+5511976543210", PERSON, "BR.1", "BR.2", "BR.3", "BR.5", "BR.ENT.4"]);
    }

    receipts_of_bridges_tell_number_and_lid(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        for name in ["message-ours-by-number-alone", "ack-by-lid-with-number", "message-lid-alone-of-a-known-person"] {
            gateway.deliver_recorded(&waha::PROVIDER, name).await.expect(200);
        }
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, "198273645500112"]);
        // Another server, the same people.
        for name in ["message-ours-by-number-alone", "ack-by-lid-with-number", "message-lid-alone-of-a-known-person"] {
            gateway.deliver_recorded(&evolution::PROVIDER, name).await.expect(200);
        }
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, "198273645500112"]);
    }

    receipts_of_evolution_tell_number_and_lid(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        for name in ["message-ours-by-number-alone", "ack-by-lid-with-number", "message-lid-alone-of-a-known-person"] {
            gateway.deliver_recorded(&evolution::PROVIDER, name).await.expect(200);
        }
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON, "198273645500112"]);
    }

    two_contacts_of_one_line_become_one_as_soon_as_either_is_heard_of(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        deliver_text(&gateway, "2290197123456", "wamid.1").await;
        // As an older version left somebody who wrote before the number became longer.
        let literal = |id: uuid::Uuid| match gateway.database.kind {
            Kind::Sqlite => format!("x'{}'", id.simple()),
            Kind::Postgres => format!("'{id}'"),
        };
        let (organization, id) = (literal(aurora.id.0), literal(uuid::Uuid::from_u128(7)));
        let at = "'2026-10-01T00:00:00+00:00'";
        for sql in [
            format!("insert into contacts (organization_id, id, created_at, updated_at) values ({organization}, {id}, {at}, {at})"),
            format!(
                "insert into contact_identities (organization_id, id, contact_id, kind, value, match_key, created_at)
                 values ({organization}, {id}, {id}, 'phone', '+22997123456', '22997123456', {at})"
            ),
        ] {
            gateway.database.execute(&sql).await;
        }
        assert_eq!(contacts(&gateway, &aurora).await.len(), 2);
        deliver_text(&gateway, "22997123456", "wamid.2").await;
        assert_eq!(only_contact(&gateway, &aurora).await, ["+2290197123456", "+22997123456"]);
    }

    withheld_callers_are_nobody_and_numbers_in_uris_are_numbers(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        for name in ["call-inbound-withheld-in-words", "call-inbound-withheld-sip-in-capitals", "call-inbound-withheld-keypad"] {
            gateway.deliver_recorded(&twilio::PROVIDER, name).await.expect(200);
        }
        assert_eq!(contacts(&gateway, &aurora).await.len(), 0);
        meta_text(&gateway, "wamid.1").await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-inbound-number-in-sip").await.expect(200);
        gateway.deliver_recorded(&twilio::PROVIDER, "whatsapp-call-permission-accepted").await.expect(200);
        assert_eq!(only_contact(&gateway, &aurora).await, [PERSON]);
        let told = gateway.communications(&aurora).await;
        let answer = told.iter().find(|one| one["kind"] == "call_permission_reply").unwrap();
        assert_eq!(answer["metadata"]["granted"], true);
    }
}

async fn meta_text(gateway: &TestGateway, id: &str) {
    deliver_text(gateway, NUMBER, id).await;
}

async fn deliver_text(gateway: &TestGateway, from: &str, id: &str) {
    gateway.meta(&[meta::change(AURORA, &[meta::text(id, from, "Oi")], &[])]).await.expect(200);
}
