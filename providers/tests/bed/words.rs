//! No message of a person loses its words on a bridge: whatever a message is, and whatever is around it, what was written stands
//! in what it is read as.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use providers::{EventKind, Provider};
use serde_json::{Value, json};

use crate::fixtures::{self, Fixture};

fn fixture(provider: &'static Provider, name: &str) -> Fixture {
    fixtures::of(provider).into_iter().find(|fixture| fixture.name == name).unwrap()
}

/// A message in which `words` stand, of a kind that exists or of none that we know.
fn message(kind: usize, unknown: &str, words: &str) -> Value {
    let shown = json!({ "body": { "text": words }, "InteractiveMessage": { "NativeFlowMessage": { "buttons": [] } } });
    let template =
        json!({ "Format": { "HydratedFourRowTemplate": { "hydratedContentText": words } } });
    let poll = json!({ "name": words, "options": [{ "optionName": "x" }] });
    let vote = json!({ "pollCreationMessageKey": { "id": "3EB0", "fromMe": true }, "vote": { "selectedOptions": [words] } });
    let payment = json!({ "noteMessage": { "extendedTextMessage": { "text": words } } });
    let flow = json!({ "name": "quick_reply", "paramsJson": json!({ "id": words }).to_string() });
    let kinds = [
        ("conversation", json!(words)),
        ("extendedTextMessage", json!({ "text": words })),
        ("imageMessage", json!({ "caption": words })),
        ("documentMessage", json!({ "caption": words, "fileName": "a.pdf" })),
        ("buttonsMessage", json!({ "contentText": words })),
        (
            "buttonsResponseMessage",
            json!({ "selectedButtonID": "1", "Response": { "SelectedDisplayText": words } }),
        ),
        ("templateButtonReplyMessage", json!({ "selectedID": words })),
        ("listMessage", json!({ "title": "x", "description": words })),
        (
            "listResponseMessage",
            json!({ "title": words, "singleSelectReply": { "selectedRowID": "1" } }),
        ),
        ("interactiveMessage", shown),
        ("interactiveResponseMessage", json!({ "body": { "text": words } })),
        ("interactiveResponseMessage", json!({ "nativeFlowResponseMessage": flow })),
        ("templateMessage", template),
        ("orderMessage", json!({ "message": words })),
        ("productMessage", json!({ "body": words, "product": { "title": "x" } })),
        ("eventMessage", json!({ "name": "x", "description": words })),
        ("groupInviteMessage", json!({ "caption": words })),
        ("pollCreationMessageV6", poll),
        ("requestPaymentMessage", payment),
        ("contactMessage", json!({ "displayName": words, "vcard": "BEGIN:VCARD\nEND:VCARD" })),
        (
            "locationMessage",
            json!({ "degreesLatitude": 900, "degreesLongitude": 0, "name": words }),
        ),
        ("pollUpdateMessage", vote),
        (unknown, json!({ "inner": { "title": words } })),
        (unknown, json!(words)),
    ];
    let (name, held) = kinds[kind % kinds.len()].clone();
    json!({ name: held, "messageContextInfo": {} })
}

fn says(fixture: &Fixture, body: &Value, words: &str) -> Result<(), TestCaseError> {
    let request = fixture.unsigned.clone().map(|_| Bytes::from(body.to_string()));
    let batch = fixture.receive(fixture.sign(request)).unwrap();
    let shown = serde_json::to_string(&batch.events).unwrap();
    let is_one =
        matches!(batch.events.as_slice(), [one] if matches!(one.kind, EventKind::Message(_)));
    prop_assert!(is_one && batch.unparsed.is_empty(), "{body}: {shown} {:?}", batch.unparsed);
    let EventKind::Message(message) = &batch.events[0].kind else { unreachable!() };
    let told = json!([message.content, message.context.parts]).to_string();
    prop_assert!(told.contains(words), "{body}: {told}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn words_are_kept_whatever_is_around_them(
        kind in 0..24usize,
        unknown in "[a-z]{4,9}Message",
        words in "[A-Z][a-z]{5,12} [a-z]{3,9}",
        envelopes in vec("[a-z]{3,9}Message(V2)?", 0..6),
        is_named in any::<bool>(),
    ) {
        let mut told = message(kind, &unknown, &words);
        let mut name = told.as_object().unwrap().keys().find(|key| *key != "messageContextInfo").unwrap().clone();
        // WAHA tells of votes by events of their own.
        let is_vote = name == "pollUpdateMessage";
        for envelope in &envelopes {
            told = json!({ envelope: { "message": told } });
            name.clone_from(envelope);
        }
        let evolution = fixture(&providers::evolution::PROVIDER, "message-text");
        let mut body: Value = serde_json::from_slice(evolution.unsigned.body()).unwrap();
        body["data"]["message"] = told.clone();
        body["data"]["messageType"] = if is_named { json!(name) } else { Value::Null };
        says(&evolution, &body, &words)?;
        let waha = fixture(&providers::waha::PROVIDER, "message-poll");
        for member in ["message", "Message"].into_iter().filter(|_| !is_vote) {
            let mut body: Value = serde_json::from_slice(waha.unsigned.body()).unwrap();
            body["payload"]["_data"] = json!({ member: told });
            says(&waha, &body, &words)?;
        }
    }
}
