//! Sending through Evolution: the requests, what is refused, and what answers mean.

use proptest::prelude::*;
use providers::{
    Address, Cause, ContactCard, DeliveryStatus, Failure, FailureClass, LimitScope, MediaKind,
    MessageRef, OutboundContent, OutboundMessage, ProviderRequest, ProviderResponse, Reach, Sent,
    Step,
};
use serde_json::{Value, json};

use crate::bridges::{self, media, message, text};
use crate::evolution::{BASE, account};
use crate::waha::{answer, shown};

fn card() -> ContactCard {
    ContactCard {
        name: "Bia".to_owned(),
        phones: vec!["+55 11 95551-0009".to_owned()],
        ..ContactCard::default()
    }
}

fn cards(cards: &[ContactCard]) -> OutboundMessage {
    message(OutboundContent::Contacts { cards: cards.to_vec() })
}

pub fn reaction() -> OutboundContent {
    let target = MessageRef("false_3A5E7C19D20B4F681001".to_owned());
    OutboundContent::Reaction { target, emoji: Some("👍".to_owned()) }
}

fn first(message: &OutboundMessage) -> ProviderRequest {
    let account = account();
    match account.messages().unwrap().step(message, &[]).unwrap() {
        Step::Next(request) => *request,
        Step::Done(sent) => panic!("nothing was sent: {sent:?}"),
    }
}

fn settled(message: &OutboundMessage, answer: ProviderResponse) -> Result<Sent, Failure> {
    let account = account();
    match account.messages().unwrap().step(message, &[answer])? {
        Step::Done(sent) => Ok(sent),
        Step::Next(request) => panic!("more is asked: {request:?}"),
    }
}

#[test]
fn a_text_is_sent_once_with_the_key_in_its_header() {
    let request = first(&message(text("Olá")));
    assert!(!request.repeatable);
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("POST {BASE}/message/sendText/aurora-frontdesk"));
    assert_eq!(body, json!({ "number": "5511987654321", "text": "Olá", "linkPreview": false }));
    let key = &request.http.headers()["apikey"];
    assert!(key.is_sensitive() && key == "A1F3C6E0-5B2D-4D8A-9C47-0E6F1B7D2A93");
}

#[test]
fn what_is_about_a_groups_message_goes_to_the_group() {
    let group = Some("120363041234567890@g.us".to_owned());
    let of_group = |content| OutboundMessage { group: group.clone(), ..message(content) };
    let mut reply = of_group(text("Eu posso"));
    reply.reply_to = Some(MessageRef("false_3A5E".to_owned()));
    let (_, body) = shown(&first(&reply).http);
    assert_eq!(body["number"], "120363041234567890@g.us");
    let author = "5511987654321@s.whatsapp.net";
    let key = |id: &str| json!({ "remoteJid": "120363041234567890@g.us", "fromMe": false, "id": id, "participant": author });
    assert_eq!(body["quoted"]["key"], key("3A5E"));
    let (_, body) = shown(&first(&of_group(reaction())).http);
    assert_eq!(body["key"], key("3A5E7C19D20B4F681001"));
}

#[test]
fn a_reply_and_a_lid_are_named_as_evolution_names_them() {
    let mut reply = message(text("Sim"));
    reply.to = Address::WaLid("198273645500112".to_owned());
    reply.reply_to = Some(MessageRef("false_3A5E".to_owned()));
    let (_, body) = shown(&first(&reply).http);
    assert_eq!(body["number"], "198273645500112@lid");
    let key = json!({ "remoteJid": "198273645500112@lid", "fromMe": false, "id": "3A5E" });
    assert_eq!(body["quoted"], json!({ "key": key }));
}

#[test]
fn files_go_along_as_their_bytes_or_as_a_link() {
    let cases = [
        (MediaKind::Image, None, "image", "image/jpeg"),
        (MediaKind::Document, Some("application/pdf"), "document", "application/pdf"),
        (MediaKind::Video, None, "video", "video/mp4"),
    ];
    for (kind, given, word, mime_type) in cases {
        let (line, body) = shown(&first(&media(kind, given, Some("Veja"))).http);
        assert_eq!(line, format!("POST {BASE}/message/sendMedia/aurora-frontdesk"));
        let expected = json!({ "number": "5511987654321", "mediatype": word, "mimetype": mime_type,
                               "fileName": "a.bin", "media": "YWJj", "caption": "Veja" });
        assert_eq!(body, expected, "{kind:?}");
    }
    let (_, body) = shown(&first(&media(MediaKind::Audio, None, None)).http);
    assert_eq!((&body["mediatype"], &body["media"]), (&json!("audio"), &json!("YWJj")));
    for (kind, endpoint, member) in [
        (MediaKind::Voice, "sendWhatsAppAudio", "audio"),
        (MediaKind::Sticker, "sendSticker", "sticker"),
    ] {
        let (line, body) = shown(&first(&media(kind, None, None)).http);
        assert_eq!(line, format!("POST {BASE}/message/{endpoint}/aurora-frontdesk"));
        assert_eq!(body, json!({ "number": "5511987654321", member: "YWJj" }));
    }
    let mut linked = media(MediaKind::Image, None, None);
    linked.files[0].bytes = None;
    let (_, body) = shown(&first(&linked).http);
    assert_eq!((&body["media"], &body["caption"]), (&json!("https://l"), &Value::Null));
}

#[test]
fn places_cards_and_reactions_have_endpoints_of_their_own() {
    let place = |name: Option<&str>, address: Option<&str>| {
        message(OutboundContent::Location {
            latitude: -23.5,
            longitude: -46.6,
            name: name.map(ToOwned::to_owned),
            address: address.map(ToOwned::to_owned),
        })
    };
    let (line, body) = shown(&first(&place(Some("Aurora"), Some("Rua A, 1"))).http);
    assert_eq!(line, format!("POST {BASE}/message/sendLocation/aurora-frontdesk"));
    let expected = json!({ "number": "5511987654321", "name": "Aurora", "address": "Rua A, 1",
                           "latitude": -23.5, "longitude": -46.6 });
    assert_eq!(body, expected);
    let (_, body) = shown(&first(&place(None, None)).http);
    assert_eq!((&body["name"], &body["address"]), (&json!("-23.5, -46.6"), &json!("-23.5, -46.6")));

    let whole = ContactCard {
        emails: vec!["bia@aurora.example".to_owned()],
        organization: Some("Aurora".to_owned()),
        ..card()
    };
    let (line, body) = shown(&first(&cards(&[card(), whole])).http);
    assert_eq!(line, format!("POST {BASE}/message/sendContact/aurora-frontdesk"));
    let plain =
        json!({ "fullName": "Bia", "wuid": "5511955510009", "phoneNumber": "+55 11 95551-0009" });
    assert_eq!(body["contact"][0], plain);
    assert_eq!(body["contact"][1]["email"], "bia@aurora.example");

    let request = first(&message(reaction()));
    assert!(request.repeatable, "the same reaction again changes nothing");
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("POST {BASE}/message/sendReaction/aurora-frontdesk"));
    let key = json!({ "remoteJid": "5511987654321@s.whatsapp.net", "fromMe": false, "id": "3A5E7C19D20B4F681001" });
    assert_eq!(body, json!({ "key": key, "reaction": "👍" }));
}

#[test]
fn a_poll_has_an_endpoint_of_its_own() {
    let mut asked = bridges::poll("Quando?", &["Sexta", "Sábado", "Domingo"]);
    let request = first(&asked);
    assert!(!request.repeatable);
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("POST {BASE}/message/sendPoll/aurora-frontdesk"));
    let expected = json!({ "number": "5511987654321", "name": "Quando?", "selectableCount": 1,
                           "values": ["Sexta", "Sábado", "Domingo"] });
    assert_eq!(body, expected);
    asked.reply_to = Some(MessageRef("false_3A5E".to_owned()));
    if let OutboundContent::Poll { multiple, .. } = &mut asked.content {
        *multiple = true;
    }
    let (_, body) = shown(&first(&asked).http);
    assert_eq!(
        (&body["selectableCount"], &body["quoted"]["key"]["id"]),
        (&json!(3), &json!("3A5E"))
    );
}

#[test]
fn what_the_bridge_cannot_do_is_refused_by_its_member() {
    let mut odd = message(text("x"));
    odd.reply_to = Some(MessageRef("true_3A_5511987654321@c.us".to_owned()));
    let mut replying = cards(&[card()]);
    replying.reply_to = Some(MessageRef("false_3A5E".to_owned()));
    let many = ContactCard { phones: vec!["+551".to_owned(), "+552".to_owned()], ..card() };
    let born = ContactCard { birthday: Some("1990-02-28".to_owned()), ..card() };
    let cases = vec![
        (media(MediaKind::Audio, None, Some("x")), "content.caption"),
        (media(MediaKind::Sticker, None, Some("x")), "content.caption"),
        (odd, "reply_to"),
        (
            bridges::poll("?", &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]),
            "content.options",
        ),
        (cards(&[ContactCard { phones: Vec::new(), ..card() }]), "content.cards"),
        (cards(&[many]), "content.cards"),
        (cards(&[born]), "content.cards"),
        (replying, "reply_to"),
    ];
    bridges::refuse(&*account(), cases);
}

#[test]
fn the_answer_names_the_message_and_the_recipient() {
    let key = |jid: &str| json!({ "remoteJid": jid, "fromMe": true, "id": "3EB0AA" });
    let number = "5511987654321@s.whatsapp.net";
    let cases = [
        (json!({ "key": key(number), "status": "PENDING" }), DeliveryStatus::Sending),
        (json!({ "key": key(number), "status": 2 }), DeliveryStatus::Sending),
        (json!({ "key": key(number), "status": "SERVER_ACK" }), DeliveryStatus::Sent),
        (json!({ "key": key(number) }), DeliveryStatus::Sending),
    ];
    for (body, status) in cases {
        let sent = settled(&message(text("x")), answer(201, &body)).unwrap();
        assert_eq!(sent.references, [MessageRef("true_3EB0AA".to_owned())], "{body}");
        assert_eq!((sent.status, sent.recipient), (status, vec![]), "{body}");
    }
    // A number that WhatsApp knows by another spelling, and its LID.
    let mut told = json!({ "key": key("551187654321@s.whatsapp.net"), "status": "PENDING" });
    told["key"]["remoteJidAlt"] = json!("198273645500112@lid");
    let sent = settled(&message(text("x")), answer(201, &told)).unwrap();
    let spelled = Address::Phone("+551187654321".parse().unwrap());
    assert_eq!(sent.recipient, [spelled, Address::WaLid("198273645500112".to_owned())]);
    let nameless = settled(&message(text("x")), answer(201, &Value::Null)).unwrap_err();
    assert_eq!(nameless.class, FailureClass::Indeterminate);
    let refused = json!({ "key": key(number), "status": "ERROR" });
    let failure = settled(&message(text("x")), answer(201, &refused)).unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent(Cause::Message));
}

#[test]
fn answers_say_what_to_do_and_whose_fault_it_is() {
    use FailureClass::{Indeterminate, Permanent, RateLimited, Transient};
    let said = |message: Value| json!({ "error": "x", "response": { "message": message } });
    let nobody = json!([{ "jid": "5511987654321@s.whatsapp.net", "exists": false, "number": "5511987654321" }]);
    let cases = [
        (401, said(json!("Unauthorized")), Permanent(Cause::Account)),
        (403, json!({}), Permanent(Cause::Account)),
        (404, said(json!(["The \"x\" instance does not exist"])), Permanent(Cause::Account)),
        (400, said(json!(["instance requires property \"text\""])), Permanent(Cause::Message)),
        (400, said(nobody), Permanent(Cause::Recipient(Reach::Nobody))),
        (400, said(json!("Error: Connection Closed")), Transient),
        (413, json!({}), Permanent(Cause::Message)),
        (429, json!({}), RateLimited(LimitScope::Account)),
        (500, json!({}), Indeterminate),
        (500, said(json!("Connection Closed")), Transient),
        (500, said(json!("Timed Out")), Indeterminate),
        (500, said(json!(["server returned error 463"])), Permanent(Cause::Account)),
        (500, said(json!("device_removed")), Permanent(Cause::Account)),
        (502, json!({}), Indeterminate),
        (503, json!({}), Transient),
        (504, json!("no json of ours"), Indeterminate),
    ];
    for (status, body, class) in cases {
        let failure = settled(&message(text("x")), answer(status, &body)).unwrap_err();
        assert_eq!(failure.class, class, "{status} {body}: {failure:?}");
        assert!(!failure.detail.contains("5511987654321"), "{failure:?}");
    }
    let mut waiting = answer(429, &json!({}));
    waiting.http.headers_mut().insert("retry-after", http::HeaderValue::from_static("7"));
    let failure = settled(&message(text("x")), waiting).unwrap_err();
    assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(7)));
}

/// Whoever is not found under a LID may well be there under their number.
#[test]
fn a_lid_that_leads_nowhere_says_nothing_of_the_person() {
    let missing = |jid: &str| {
        let all = json!([{ "jid": jid, "exists": false, "number": jid }]);
        answer(400, &json!({ "response": { "message": all } }))
    };
    let mut by_lid = message(text("x"));
    by_lid.to = Address::WaLid("198273645500112".to_owned());
    let failure = settled(&by_lid, missing("198273645500112@lid")).unwrap_err();
    let not_this_time = FailureClass::Permanent(Cause::Recipient(Reach::NotThisTime));
    assert_eq!(failure.class, not_this_time);
    assert_eq!(failure.code.as_deref(), Some("NOT_ON_WHATSAPP"));
    let number = missing("5511987654321@s.whatsapp.net");
    let failure = settled(&message(text("x")), number).unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent(Cause::Recipient(Reach::Nobody)));
}

proptest! {
    #[test]
    fn what_is_checked_becomes_a_request_and_nothing_else_does(message in crate::cases::any_message()) {
        let account = account();
        let messages = account.messages().unwrap();
        let checked = messages.check(&message);
        match messages.step(&crate::cases::loaded(&message), &[]) {
            Ok(Step::Next(request)) => {
                prop_assert!(checked.is_ok());
                prop_assert!(request.http.uri().path().starts_with("/message/"));
            }
            Ok(Step::Done(sent)) => prop_assert!(false, "nothing was asked: {sent:?}"),
            Err(failure) => {
                prop_assert!(checked.is_err(), "{failure:?}");
                prop_assert_eq!(failure.class, FailureClass::Permanent(Cause::Message));
            }
        }
    }
}
