//! Every event type that Telnyx documents is read, whatever it is about: none ends among what we cannot read. The names stand
//! in `fixtures/telnyx/events.json`, by where and when they were read.

use std::collections::BTreeMap;

use providers::{Batch, EventKind, telnyx};
use serde_json::{Value, json};

use crate::fixtures::{self, Fixture, folder};

/// A payload that holds what calls, messages and orders name.
fn payload(event_type: &str) -> Value {
    let call = json!({
        "call_control_id": "v3:events", "call_leg_id": "5d2f6a3e-0000-4000-8000-000000000001",
        "call_session_id": "5d2f6a3e-0000-4000-8000-000000000002", "connection_id": "1684641123236054244",
        "from": "+14155550199", "to": "+13125550130",
    });
    if event_type.starts_with("message.") {
        return json!({
            "id": "5d2f6a3e-0000-4000-8000-000000000003", "type": "SMS", "text": "Olá",
            "from": { "phone_number": "+14155550199" },
            "to": [{ "phone_number": "+13125550130", "status": "delivered" }],
        });
    }
    call
}

fn read(event_type: &str, payload: &Value) -> Batch {
    let mut fixture: Fixture = fixtures::of(&telnyx::PROVIDER)
        .into_iter()
        .find(|fixture| fixture.name == "notice-spend-limit-reached")
        .unwrap();
    let event = json!({
        "event_type": event_type, "id": "5d2f6a3e-0000-4000-8000-000000000004",
        "occurred_at": "2026-10-30T12:00:00Z", "record_type": "event", "payload": payload,
    });
    let body = json!({ "data": event, "meta": { "attempt": 1 } });
    *fixture.unsigned.body_mut() = serde_json::to_vec(&body).unwrap().into();
    fixture.batch()
}

#[test]
fn every_documented_event_is_read() {
    let text = std::fs::read_to_string(folder(&telnyx::PROVIDER).join("events.json")).unwrap();
    let sources: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).unwrap();
    let names: Vec<&String> = sources.values().flatten().collect();
    assert!(names.len() > 100, "too few names: {}", names.len());
    for name in names {
        let batch = read(name, &payload(name));
        assert!(batch.unparsed.is_empty(), "{name}: {:?}", batch.unparsed);
        assert!(!batch.events.is_empty(), "{name} says nothing");
        // Without what calls and messages need, all others are notices still.
        let is_ours = ["message.", "call."].iter().any(|family| name.starts_with(family));
        let bare = read(name, &json!({ "status": "pending" }));
        assert!(is_ours || bare.unparsed.is_empty(), "{name}: {:?}", bare.unparsed);
    }
}

#[test]
fn an_undocumented_event_is_a_notice() {
    for name in
        ["weather.changed", "messaging-profile.renamed", "message.teleported", "call.teleported"]
    {
        let batch = read(name, &json!({ "status": "done", "note": "hello" }));
        assert!(batch.unparsed.is_empty(), "{name}: {:?}", batch.unparsed);
        let [event] = batch.events.as_slice() else { panic!("{name}: {:?}", batch.events) };
        let EventKind::Notice(notice) = &event.kind else { panic!("{name}: {event:?}") };
        assert_eq!(notice.topic, name);
        assert_eq!(notice.data["note"], "hello");
    }
}
