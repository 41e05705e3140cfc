//! People without assuming a telephone number: one contact, whatever the spelling.

use serde_json::{Value, json};

use crate::support::meta::{self, AURORA};
use crate::support::{Org, TestGateway, on_both_engines};

async fn hears_from(gateway: &TestGateway, from: &str, id: &str) {
    gateway.meta(&[meta::change(AURORA, &[meta::text(id, from, id)], &[])]).await.expect(200);
}

async fn contacts(gateway: &TestGateway, org: &Org) -> Vec<Value> {
    gateway.get(org, "/api/v1/contacts").await.expect(200)["items"].as_array().unwrap().clone()
}

on_both_engines! {
    spellings_of_one_line_are_one_contact_and_stay_as_received(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let lines = [
            ["5511987654321", "551187654321"],   // Brazil: with and without the ninth digit
            ["5215512345678", "525512345678"],   // Mexico: the old mobile prefix
            ["5491123456789", "541123456789"],   // Argentina: the international mobile prefix
            ["22997123456", "2290197123456"],    // Benin: `01` before every old number
            ["22507123456", "2250707123456"],    // Ivory Coast: the network's prefix before an old mobile number
        ];
        for (index, [one, other]) in lines.iter().enumerate() {
            hears_from(&gateway, one, &format!("wamid.{index}.1")).await;
            hears_from(&gateway, other, &format!("wamid.{index}.2")).await;
        }
        let found = contacts(&gateway, &aurora).await;
        assert_eq!(found.len(), lines.len());
        for contact in &found {
            let values: Vec<&str> = contact["identities"].as_array().unwrap().iter().map(|i| i["value"].as_str().unwrap()).collect();
            assert_eq!(values.len(), 2, "both spellings are kept");
            assert!(lines.iter().any(|[one, other]| values == [format!("+{one}"), format!("+{other}")]));
        }
    }

    land_lines_gain_no_ninth_digit(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        hears_from(&gateway, "551133334444", "wamid.land").await;
        hears_from(&gateway, "5511933334444", "wamid.mobile").await;
        assert_eq!(contacts(&gateway, &aurora).await.len(), 2, "a land-line and a mobile line are two lines");
    }

    a_lead_finds_what_its_number_wrote_before(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        hears_from(&gateway, "551187654321", "wamid.early").await;
        let lead = gateway.lead(&aurora, "Ana Souza", "(11) 98765-4321").await;
        let timeline = gateway.timeline(&aurora, &lead).await;
        assert_eq!(timeline.len(), 1);
        assert_eq!(timeline[0]["lead_id"], lead);
        hears_from(&gateway, "5511987654321", "wamid.later").await;
        assert_eq!(gateway.timeline(&aurora, &lead).await.len(), 2);
    }

    a_person_known_only_by_user_id_is_a_contact(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = |id: &str, from: Option<&str>| {
            let mut message = json!({
                "id": id, "from_user_id": "BR.13491208655302741918", "timestamp": "1793534400", "type": "text",
                "text": { "body": id },
            });
            if let Some(from) = from {
                message["from"] = from.into();
            }
            message
        };
        gateway.meta(&[meta::change(AURORA, &[message("wamid.1", None)], &[])]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[message("wamid.2", Some("5511987654321"))], &[])]).await.expect(200);
        hears_from(&gateway, "551187654321", "wamid.3").await;
        let found = contacts(&gateway, &aurora).await;
        assert_eq!(found.len(), 1, "user id, number and the number's other spelling are one person");
        assert_eq!(found[0]["identities"].as_array().unwrap().len(), 3);
        let all = gateway.get(&aurora, &format!("/api/v1/crm/communications?contact_id={}", found[0]["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(all["total"], 3);
    }

    two_contacts_that_the_provider_names_as_one_are_merged(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        hears_from(&gateway, "5511987654321", "wamid.number").await;
        let by_id = json!({ "id": "wamid.id", "from_user_id": "BR.1", "timestamp": "1793534400", "type": "text", "text": { "body": "x" } });
        gateway.meta(&[meta::change(AURORA, &[by_id], &[])]).await.expect(200);
        assert_eq!(contacts(&gateway, &aurora).await.len(), 2);
        let both = json!({ "id": "wamid.both", "from": "5511987654321", "from_user_id": "BR.1", "timestamp": "1793534400", "type": "text", "text": { "body": "x" } });
        gateway.meta(&[meta::change(AURORA, &[both], &[])]).await.expect(200);
        let found = contacts(&gateway, &aurora).await;
        assert_eq!(found.len(), 1);
        let detail = gateway.get(&aurora, &format!("/api/v1/contacts/{}", found[0]["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(detail["merges"].as_array().unwrap().len(), 1, "and the merge can be taken back");
    }

    a_number_change_moves_on_with_the_contact(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let lead = gateway.lead(&aurora, "João", "+5521976543210").await;
        hears_from(&gateway, "5521976543210", "wamid.before").await;
        let change = json!({
            "id": "wamid.change", "from": "5521976543210", "timestamp": "1793534400", "type": "system",
            "system": { "type": "user_changed_number", "wa_id": "5521965432109", "body": "João changed his number" },
        });
        gateway.meta(&[meta::change(AURORA, &[change], &[])]).await.expect(200);
        hears_from(&gateway, "5521965432109", "wamid.after").await;
        assert_eq!(contacts(&gateway, &aurora).await.len(), 1);
        let kinds: Vec<Value> = gateway.timeline(&aurora, &lead).await.iter().map(|i| i["kind"].clone()).collect();
        assert_eq!(kinds.len(), 3);
        assert!(kinds.contains(&json!("system")));
    }

    merging_is_instant_and_taken_back_at_once(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        hears_from(&gateway, "5511987654321", "wamid.one").await;
        hears_from(&gateway, "5521976543210", "wamid.two").await;
        let found = contacts(&gateway, &aurora).await;
        // Newest first: the second one to write goes.
        let (gone, kept) = (found[0]["id"].as_str().unwrap(), found[1]["id"].as_str().unwrap());
        let lead = gateway.post(&aurora, "/api/v1/leads", json!({ "name": "Gone", "contact_id": gone })).await.expect(201);
        let lead = lead["id"].as_str().unwrap();
        let merge = |id: &str| format!("/api/v1/contacts/{id}/merge");
        gateway.post(&borealis, &merge(kept), json!({ "merge_contact_id": gone })).await.expect(404);
        gateway.post(&aurora, &merge(kept), json!({ "merge_contact_id": kept })).await.expect(422);
        let merged = gateway.post(&aurora, &merge(kept), json!({ "merge_contact_id": gone, "reason": "same person" })).await.expect(201);
        assert_eq!(gateway.timeline(&aurora, lead).await.len(), 2, "the lead sees both");
        gateway.post(&aurora, &merge(kept), json!({ "merge_contact_id": gone })).await.expect(409);
        assert_eq!(gateway.get(&aurora, &format!("/api/v1/contacts/{gone}")).await.expect(200)["merged_into"], kept);
        hears_from(&gateway, "5521976543210", "wamid.during").await;
        assert_eq!(gateway.timeline(&aurora, lead).await.len(), 3, "what comes later follows the merge");
        let undo = format!("/api/v1/contact-merges/{}/undo", merged["id"].as_str().unwrap());
        gateway.post(&borealis, &undo, json!({})).await.expect(404);
        gateway.post(&aurora, &undo, json!({})).await.expect(200);
        gateway.post(&aurora, &undo, json!({})).await.expect(409);
        assert_eq!(gateway.timeline(&aurora, lead).await.len(), 2, "its own two are its own again");
        assert_eq!(contacts(&gateway, &aurora).await.len(), 2);
    }

    an_address_given_twice_is_one_and_no_conflict(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let body = json!({ "emails": ["ana@example.com", "Ana@Example.com", "ana@example.com"], "phones": ["+5511987654321", "+551187654321"] });
        let contact = gateway.post(&aurora, "/api/v1/contacts", body.clone()).await.expect(201);
        assert_eq!(contact["identities"].as_array().unwrap().len(), 4, "every spelling once: {contact}");
        let problem = gateway.post(&aurora, "/api/v1/contacts", body).await.expect(409);
        assert!(problem["detail"].as_str().unwrap().contains(contact["id"].as_str().unwrap()), "it names who has it");
        assert_eq!(gateway.count("contacts").await, 1);
    }

    the_history_of_a_merged_contact_is_where_it_was_merged_to(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        for (number, line) in ["5511987654321", "5521976543210", "5531965432109"].iter().enumerate() {
            hears_from(&gateway, line, &format!("wamid.{number}")).await;
        }
        let found = contacts(&gateway, &aurora).await;
        let id = |place: usize| found[place]["id"].as_str().unwrap();
        let (first, second, last) = (id(0), id(1), id(2));
        let lead = gateway.post(&aurora, "/api/v1/leads", json!({ "name": "First", "contact_id": first })).await.expect(201);
        let lead = lead["id"].as_str().unwrap();
        for (kept, merged) in [(second, first), (last, second)] {
            let path = format!("/api/v1/contacts/{kept}/merge");
            gateway.post(&aurora, &path, json!({ "merge_contact_id": merged })).await.expect(201);
        }
        let path = "/api/v1/crm/communications";
        let total = |query: String| {
            let (gateway, aurora) = (&gateway, &aurora);
            async move { gateway.get(aurora, &format!("{path}?{query}")).await.expect(200)["total"].clone() }
        };
        for contact in [first, second, last] {
            assert_eq!(total(format!("contact_id={contact}")).await, 3);
            for query in [format!("contact_id={contact}"), format!("lead_id={lead}")] {
                let page = gateway.get(&aurora, &format!("{path}?{query}&limit=2")).await.expect(200);
                assert!(page["next_cursor"].is_string() && page["total"] == 3, "{page}");
                for item in page["items"].as_array().unwrap() {
                    assert_eq!((&item["contact_id"], &item["lead_id"]), (&json!(last), &json!(lead)), "{query}");
                }
            }
            assert_eq!(total(format!("contact_id={contact}&lead_id={lead}")).await, 3);
            let leads = gateway.get(&aurora, &format!("/api/v1/leads?contact_id={contact}")).await.expect(200);
            assert_eq!(leads["items"].as_array().unwrap().len(), 1);
        }
        let body = json!({ "contact_id": first, "lead_id": lead, "channel": "email", "direction": "outbound", "content": "x" });
        assert_eq!(gateway.post(&aurora, path, body).await.expect(201)["contact_id"], last);
        let again = gateway.post(&aurora, "/api/v1/leads", json!({ "name": "Again", "contact_id": first })).await.expect(201);
        assert_eq!(again["contact_id"], last);
    }

    a_lead_and_a_contact_must_both_hold(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        hears_from(&gateway, "5511987654321", "wamid.ana").await;
        hears_from(&gateway, "5521976543210", "wamid.joao").await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let found = contacts(&gateway, &aurora).await;
        let (joao, ana) = (found[0]["id"].as_str().unwrap(), found[1]["id"].as_str().unwrap());
        let path = "/api/v1/crm/communications";
        for (contact, total) in [(ana, 1), (joao, 0)] {
            let page = gateway.get(&aurora, &format!("{path}?lead_id={lead}&contact_id={contact}")).await.expect(200);
            assert_eq!((&page["total"], page["items"].as_array().unwrap().len()), (&json!(total), total));
        }
        gateway.get(&borealis, &format!("{path}?lead_id={lead}&contact_id={ana}")).await.expect(404);
        gateway.get(&aurora, &format!("{path}?lead_id={lead}&contact_id=0197d0a0-0000-7000-8000-000000000000")).await.expect(404);
        let body = |contact: &str| json!({ "lead_id": lead, "contact_id": contact, "channel": "email", "direction": "outbound", "content": "x" });
        assert_eq!(gateway.post(&aurora, path, body(joao)).await.expect(422)["errors"][0]["field"], "contact_id");
        gateway.post(&aurora, path, body("0197d0a0-0000-7000-8000-000000000000")).await.expect(404);
        gateway.post(&aurora, path, body(ana)).await.expect(201);
    }

    a_name_that_changes_is_followed_and_never_used_to_tell_people_apart(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let with_name = |id: &str, name: &str| json!({ "field": "messages", "value": {
            "metadata": { "phone_number_id": AURORA },
            "contacts": [{ "wa_id": "5511987654321", "profile": { "name": name } }],
            "messages": [meta::text(id, "5511987654321", "x")],
        }});
        gateway.meta(&[with_name("wamid.1", "Ana")]).await.expect(200);
        gateway.meta(&[with_name("wamid.2", "Ana S.")]).await.expect(200);
        gateway.meta(&[with_name("wamid.3", "Ana S.")]).await.expect(200);
        let found = contacts(&gateway, &aurora).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["identities"][0]["name"], "Ana S.");
    }
}
