//! What Evolution is asked beside sending: what became of a message without an answer, and receipts.

use chrono::TimeDelta;
use providers::{
    Address, FailureClass, MediaKind, MessageRef, OutboundContent, OutboundMessage,
    ProviderResponse, Told,
};
use serde_json::{Value, json};

use crate::bridges::{media, message, text};
use crate::evolution::{BASE, account};
use crate::evolution_sending::reaction;
use crate::fixtures::now;
use crate::waha::{answer, shown};

fn told(message: &OutboundMessage, listed: &Value) -> Told {
    let account = account();
    let at = now() + TimeDelta::minutes(5);
    let response = ProviderResponse { at, ..answer(200, listed) };
    account.tracking().unwrap().told(message, now(), &response).unwrap()
}

fn listed(id: &str, after: i64, kind: &str, held: &Value) -> Value {
    json!({
        "key": { "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true, "id": id },
        "messageType": kind, "message": { kind: held }, "messageTimestamp": now().timestamp() + after,
        "MessageUpdate": [{ "status": "SERVER_ACK" }, { "status": "DELIVERY_ACK" }],
    })
}

fn said(id: &str, body: &str, after: i64) -> Value {
    listed(id, after, "conversation", &json!(body))
}

fn reference(told: &Told) -> Option<&str> {
    match told {
        Told::Sent(sent) => Some(sent.references[0].0.as_str()),
        _ => None,
    }
}

#[test]
fn a_message_is_found_again_only_when_there_is_no_doubt() {
    let message = message(text("Olá"));
    let one = said("3EB0AA", "Olá", 2);
    let page = |records: Value| json!({ "messages": { "total": 1, "records": records } });
    for answer in [page(json!([one])), json!({ "messages": [one] }), json!([one])] {
        assert_eq!(reference(&told(&message, &answer)), Some("true_3EB0AA"), "{answer}");
    }
    let two = page(json!([one, said("3EB0AB", "Olá", 9)]));
    assert_eq!(told(&message, &two), Told::Unclear);
    let mut theirs = said("3EB0AF", "Olá", 1);
    theirs["key"]["fromMe"] = json!(false);
    let others = page(json!([
        said("3EB0AC", "Oi", 1),
        said("3EB0AD", "Olá", -31),
        said("3EB0AE", "Olá", 601),
        theirs,
        17,
    ]));
    assert_eq!(told(&message, &others), Told::Unclear, "absence proves nothing");
    assert_eq!(told(&message, &page(json!([]))), Told::Unclear);
    assert_eq!(told(&message, &json!({ "no": "list" })), Told::Unclear);
    let picture = listed("3EB0B0", 1, "imageMessage", &json!({ "mimetype": "image/jpeg" }));
    let all = page(json!([picture, one]));
    assert_eq!(reference(&told(&media(MediaKind::Image, None, None), &all)), Some("true_3EB0B0"));
    assert_eq!(told(&media(MediaKind::Video, None, None), &all), Told::Unclear);
    let place = json!({ "degreesLatitude": -23.500_01, "degreesLongitude": -46.6 });
    let place = page(json!([listed("3EB0B1", 1, "locationMessage", &place)]));
    let (name, address) = (None, None);
    let asked = OutboundContent::Location { latitude: -23.5, longitude: -46.6, name, address };
    assert_eq!(reference(&told(&crate::bridges::message(asked), &place)), Some("true_3EB0B1"));
    assert_eq!(told(&crate::bridges::message(reaction()), &page(json!([]))), Told::Unclear);
}

#[test]
fn the_store_is_asked_for_what_we_wrote_to_the_chat() {
    let account = account();
    let tracking = account.tracking().unwrap();
    let message = message(text("x"));
    let request = tracking.ask(&message, now());
    assert!(request.repeatable);
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("POST {BASE}/chat/findMessages/aurora-frontdesk"));
    let key = json!({ "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": true });
    assert_eq!(body["where"], json!({ "key": key }));
    let refused = answer(400, &json!({ "response": { "message": "no store" } }));
    assert_eq!(tracking.told(&message, now(), &refused), Ok(Told::Unclear));
    let away = tracking.told(&message, now(), &answer(500, &json!({}))).unwrap_err();
    assert_eq!(away.class, FailureClass::Transient, "a question may be asked again");
}

#[test]
fn receipts_mark_what_was_read_or_show_typing() {
    let account = account();
    let receipts = account.receipts().unwrap();
    let from = message(text("x")).from;
    let person = Address::Phone("+5511987654321".parse().unwrap());
    let read = MessageRef("false_3A5E".to_owned());
    let (line, body) = shown(&receipts.read(&from, &person, &read, false).unwrap().http);
    assert_eq!(line, format!("POST {BASE}/chat/markMessageAsRead/aurora-frontdesk"));
    let key = json!({ "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": false, "id": "3A5E" });
    assert_eq!(body, json!({ "readMessages": [key] }));
    let (line, body) = shown(&receipts.read(&from, &person, &read, true).unwrap().http);
    assert_eq!(line, format!("POST {BASE}/chat/sendPresence/aurora-frontdesk"));
    assert_eq!(
        (&body["number"], &body["presence"]),
        (&json!("5511987654321"), &json!("composing"))
    );
    let nobody = Address::Handle("x".to_owned());
    assert!(receipts.read(&from, &nobody, &read, true).is_none());
    let foreign = MessageRef("wamid.HBgN".to_owned());
    assert!(receipts.read(&from, &person, &foreign, false).is_none());
    assert!(receipts.done(&answer(201, &json!({}))).is_ok());
    assert!(receipts.done(&answer(401, &json!({}))).is_err());
}
