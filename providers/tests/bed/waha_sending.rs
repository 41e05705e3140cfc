//! Sending through WAHA: the requests, what is refused, what answers mean, and how a message is found again.

use chrono::TimeDelta;
use providers::{
    Address, Cause, ContactCard, DeliveryStatus, Failure, FailureClass, LimitScope, MediaKind,
    MessageRef, OutboundContent, OutboundMessage, ProviderRequest, ProviderResponse, Reach, Sent,
    Step, Told,
};
use serde_json::{Value, json};

use crate::bridges::{self, media, message, text};
use crate::fixtures::now;
use crate::waha::{account, answer, shown};

const BASE: &str = "http://waha.aurora.example:3000/api";
const CHOSEN: &str = "3EB0429F108A6B5C4D3E2F";

fn reaction() -> OutboundContent {
    let target = MessageRef("false_3A1F0C2D4E6B8A901122".to_owned());
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
fn a_text_is_sent_once_under_an_id_of_ours() {
    let request = first(&message(text("Olá")));
    assert!(!request.repeatable);
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("POST {BASE}/sendText"));
    assert_eq!(
        body,
        json!({ "session": "aurora-reception", "chatId": "5511987654321@c.us", "text": "Olá",
                "linkPreview": false, "id": CHOSEN })
    );
    let key = &request.http.headers()["x-api-key"];
    assert!(key.is_sensitive() && key == "7c1e5b9a0d2f4836a1b5c9d3e7f10246");
}

#[test]
fn a_reply_and_a_lid_are_named_as_waha_names_them() {
    let mut reply = message(text("Sim"));
    reply.to = Address::WaLid("198273645500112".to_owned());
    reply.reply_to = Some(MessageRef("false_3A1F".to_owned()));
    let (_, body) = shown(&first(&reply).http);
    assert_eq!(body["chatId"], "198273645500112@lid");
    assert_eq!(body["reply_to"], "false_198273645500112@lid_3A1F");
}

#[test]
fn files_go_along_as_their_bytes_or_as_a_link() {
    let cases = [
        (MediaKind::Image, None, "sendImage", "image/jpeg", Value::Null),
        (MediaKind::Document, Some("application/pdf"), "sendFile", "application/pdf", Value::Null),
        (MediaKind::Audio, None, "sendFile", "audio/mpeg", Value::Null),
        (MediaKind::Voice, Some("audio/mpeg"), "sendVoice", "audio/mpeg", json!(true)),
        (MediaKind::Voice, None, "sendVoice", "audio/ogg; codecs=opus", json!(false)),
        (MediaKind::Video, None, "sendVideo", "video/mp4", json!(false)),
        (MediaKind::Video, Some("video/webm"), "sendVideo", "video/webm", json!(true)),
    ];
    for (kind, given, endpoint, mime_type, convert) in cases {
        let (line, body) = shown(&first(&media(kind, given, None)).http);
        assert_eq!(line, format!("POST {BASE}/{endpoint}"));
        let file = json!({ "mimetype": mime_type, "filename": "a.bin", "data": "YWJj" });
        assert_eq!((&body["file"], &body["convert"]), (&file, &convert), "{kind:?}");
        assert!(body.get("id").is_none() && body.get("caption").is_none());
    }
    let mut linked = media(MediaKind::Image, None, Some("Veja"));
    linked.files[0].bytes = None;
    let (_, body) = shown(&first(&linked).http);
    assert_eq!((&body["file"]["url"], &body["caption"]), (&json!("https://l"), &json!("Veja")));
}

#[test]
fn places_cards_and_reactions_have_endpoints_of_their_own() {
    let place = OutboundContent::Location {
        latitude: -23.5,
        longitude: -46.6,
        name: Some("Aurora".to_owned()),
        address: Some("Rua A, 1".to_owned()),
    };
    let (line, body) = shown(&first(&message(place)).http);
    assert_eq!(line, format!("POST {BASE}/sendLocation"));
    assert_eq!((&body["latitude"], &body["title"]), (&json!(-23.5), &json!("Aurora\nRua A, 1")));
    let card = ContactCard {
        name: "Bia".to_owned(),
        phones: vec!["+5511955510009".to_owned()],
        ..ContactCard::default()
    };
    let (line, body) =
        shown(&first(&message(OutboundContent::Contacts { cards: vec![card] })).http);
    assert_eq!(line, format!("POST {BASE}/sendContactVcard"));
    let vcard = body["contacts"][0]["vcard"].as_str().unwrap();
    assert!(vcard.contains("FN:Bia\n") && vcard.contains("waid=5511955510009:+5511955510009\n"));
    let request = first(&message(reaction()));
    assert!(request.repeatable, "the same reaction again changes nothing");
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("PUT {BASE}/reaction"));
    assert_eq!(body["messageId"], "false_5511987654321@c.us_3A1F0C2D4E6B8A901122");
}

#[test]
fn a_poll_is_sent_once_under_an_id_of_ours() {
    let mut asked = bridges::poll("Quando?", &["Sexta", "Sábado"]);
    asked.reply_to = Some(MessageRef("false_3A1F".to_owned()));
    let request = first(&asked);
    assert!(!request.repeatable);
    let (line, body) = shown(&request.http);
    assert_eq!(line, format!("POST {BASE}/sendPoll"));
    let poll =
        json!({ "name": "Quando?", "options": ["Sexta", "Sábado"], "multipleAnswers": false });
    assert_eq!(
        body,
        json!({ "session": "aurora-reception", "chatId": "5511987654321@c.us", "poll": poll,
                "reply_to": "false_5511987654321@c.us_3A1F", "id": CHOSEN })
    );
    if let OutboundContent::Poll { multiple, .. } = &mut asked.content {
        *multiple = true;
    }
    let (_, body) = shown(&first(&asked).http);
    assert_eq!(body["poll"]["multipleAnswers"], true);
    let sent = settled(&asked, answer(201, &Value::Null)).unwrap();
    assert_eq!(sent.references[0].0, format!("true_{CHOSEN}"), "it is known by our id");
}

#[test]
fn a_poll_without_an_answer_is_found_by_its_id_or_question_and_never_sent_twice() {
    let late = TimeDelta::minutes(5);
    let asked = bridges::poll("Quando?", &["Sexta", "Sábado"]);
    let ours = json!([listed(CHOSEN, "", 2)]);
    assert_eq!(reference(&told(&asked, late, &ours)), Some(format!("true_{CHOSEN}").as_str()));
    let alike = json!([listed("3EB0AA", "Quando?", 2), listed("3EB0AB", "Sexta", 2)]);
    assert_eq!(reference(&told(&asked, late, &alike)), Some("true_3EB0AA"));
    // An engine that shows a poll without its words may have it all the same.
    assert_eq!(told(&asked, late, &json!([listed("3EB0AC", "", 2)])), Told::Unclear);
    assert_eq!(told(&asked, late, &json!([])), Told::Unclear);
}

#[test]
fn what_whatsapp_web_cannot_do_is_refused_by_its_member() {
    let cases = vec![(media(MediaKind::Sticker, None, None), "content.files")];
    bridges::refuse(&*account(), cases);
}

#[test]
fn what_is_about_a_groups_message_goes_to_the_group() {
    let group = Some("120363041234567890@g.us".to_owned());
    let of_group = |content| OutboundMessage { group: group.clone(), ..message(content) };
    let mut reply = of_group(text("Eu posso"));
    reply.reply_to = Some(MessageRef("false_3A1F".to_owned()));
    let (_, body) = shown(&first(&reply).http);
    assert_eq!(body["chatId"], "120363041234567890@g.us");
    assert_eq!(body["reply_to"], "false_120363041234567890@g.us_3A1F_5511987654321@c.us");
    reply.reply_to = Some(MessageRef("true_3EB0AA".to_owned()));
    let (_, body) = shown(&first(&reply).http);
    let ours = "true_120363041234567890@g.us_3EB0AA_5511955510001@c.us";
    assert_eq!(body["reply_to"], ours, "we are the author of what we wrote");
    let (_, body) = shown(&first(&of_group(reaction())).http);
    let target = "false_120363041234567890@g.us_3A1F0C2D4E6B8A901122_5511987654321@c.us";
    assert_eq!(body["messageId"], target);
    let account = account();
    let asked = account.tracking().unwrap().ask(&reply, now()).http.uri().to_string();
    assert!(asked.contains("120363041234567890@g.us"), "it is looked for there: {asked}");
}

#[test]
fn every_engines_answer_names_the_message() {
    let whole = "true_5511987654321@c.us_3EB0AA";
    let cases = [
        (json!({ "id": whole, "ack": 0 }), DeliveryStatus::Sending),
        (json!({ "id": whole, "ack": 1 }), DeliveryStatus::Sent),
        (json!({ "id": { "_serialized": whole, "id": "3EB0AA" }, "ack": 2 }), DeliveryStatus::Sent),
        (
            json!({ "key": { "remoteJid": "5511987654321@s.whatsapp.net", "id": "3EB0AA" } }),
            DeliveryStatus::Sending,
        ),
        (json!({ "id": "true_198273645500112@lid_3EB0AA" }), DeliveryStatus::Sending),
    ];
    for (body, status) in cases {
        let sent = settled(&message(text("x")), answer(201, &body)).unwrap();
        assert_eq!(sent.references, [MessageRef("true_3EB0AA".to_owned())], "{body}");
        assert_eq!(sent.status, status, "{body}");
        let lid = Address::WaLid("198273645500112".to_owned());
        let expected =
            if body["id"] == "true_198273645500112@lid_3EB0AA" { vec![lid] } else { vec![] };
        assert_eq!(sent.recipient, expected, "{body}");
    }
    // Engines tell the other name of the recipient in different places; our own number is none.
    let lid = "198273645500112@lid";
    for told in [
        json!({ "_data": { "key": { "remoteJid": "5511987654321@s.whatsapp.net", "remoteJidAlt": lid } } }),
        json!({ "_data": { "Info": { "RecipientAlt": lid } } }),
        json!({ "to": lid, "from": "5511955510001@c.us" }),
        json!({ "to": "5511955510001@c.us", "_data": { "key": { "remoteJid": lid } } }),
    ] {
        let mut body = told;
        body["id"] = json!("true_5511987654321@c.us_3EB0AA");
        let sent = settled(&message(text("x")), answer(201, &body)).unwrap();
        assert_eq!(sent.recipient, [Address::WaLid("198273645500112".to_owned())], "{body}");
    }
    let nameless = || answer(201, &Value::Null);
    let sent = settled(&message(text("x")), nameless()).unwrap();
    assert_eq!(sent.references[0].0, format!("true_{CHOSEN}"));
    let failure = settled(&media(MediaKind::Image, None, None), nameless()).unwrap_err();
    assert_eq!(failure.class, FailureClass::Indeterminate);
}

#[test]
fn answers_say_what_to_do_and_whose_fault_it_is() {
    use FailureClass::{Indeterminate, Permanent, RateLimited, Transient};
    let thrown = |words: &str| json!({ "statusCode": 500, "exception": { "message": words } });
    let state =
        |word: &str| json!({ "error": "Session status is not as expected", "status": word });
    let cases = [
        (401, json!({ "message": "Unauthorized" }), Permanent(Cause::Account)),
        (403, json!({}), Permanent(Cause::Account)),
        (404, json!({ "message": "Session not found" }), Permanent(Cause::Account)),
        (400, json!({ "message": ["chatId must be a string"] }), Permanent(Cause::Message)),
        (
            400,
            json!({ "message": "the number is not on WhatsApp" }),
            Permanent(Cause::Recipient(Reach::Nobody)),
        ),
        (422, state("STARTING"), Transient),
        (422, state("FAILED"), Transient),
        (422, state("SCAN_QR_CODE"), Permanent(Cause::Account)),
        (422, json!({}), Transient),
        (429, json!({}), RateLimited(LimitScope::Account)),
        (500, json!({}), Indeterminate),
        (500, thrown("Timed Out"), Indeterminate),
        (500, thrown("2 UNKNOWN: server returned error 463"), Permanent(Cause::Account)),
        (500, thrown("No LID for user"), Permanent(Cause::Recipient(Reach::NotThisTime))),
        (501, json!({}), Permanent(Cause::Message)),
        (502, json!({}), Indeterminate),
        (503, json!({}), Transient),
        (504, json!({}), Indeterminate),
    ];
    for (status, body, class) in cases {
        let failure = settled(&message(text("x")), answer(status, &body)).unwrap_err();
        assert_eq!(failure.class, class, "{status} {body}: {failure:?}");
    }
    let mut waiting = answer(429, &json!({}));
    waiting.http.headers_mut().insert("retry-after", http::HeaderValue::from_static("7"));
    let failure = settled(&message(text("x")), waiting).unwrap_err();
    assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(7)));
}

/// Whoever has no LID, or is not found under one, may well be there under their number.
#[test]
fn a_lid_that_leads_nowhere_says_nothing_of_the_person() {
    let mut by_lid = message(text("x"));
    by_lid.to = Address::WaLid("198273645500112".to_owned());
    let by_number = message(text("x"));
    let gone = || answer(400, &json!({ "message": "the number is not on WhatsApp" }));
    let no_lid = || answer(500, &json!({ "exception": { "message": "No LID for user" } }));
    for (message, answer, code, reach) in [
        (&by_number, gone(), "NOT_ON_WHATSAPP", Reach::Nobody),
        (&by_lid, gone(), "NOT_ON_WHATSAPP", Reach::NotThisTime),
        (&by_number, no_lid(), "NO_LID", Reach::NotThisTime),
        (&by_lid, no_lid(), "NO_LID", Reach::NotThisTime),
    ] {
        let failure = settled(message, answer).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Recipient(reach)), "{code}");
        assert_eq!(failure.code.as_deref(), Some(code));
    }
}

fn told(message: &OutboundMessage, after: TimeDelta, listed: &Value) -> Told {
    let account = account();
    let response = ProviderResponse { at: now() + after, ..answer(200, listed) };
    account.tracking().unwrap().told(message, now(), &response).unwrap()
}

fn listed(id: &str, body: &str, after: i64) -> Value {
    let id = format!("true_5511987654321@c.us_{id}");
    let at = now().timestamp() + after;
    json!({ "id": id, "timestamp": at, "fromMe": true, "body": body, "hasMedia": false, "ack": 2 })
}

fn reference(told: &Told) -> Option<&str> {
    match told {
        Told::Sent(sent) => Some(sent.references[0].0.as_str()),
        _ => None,
    }
}

#[test]
fn a_message_is_found_again_only_when_there_is_no_doubt() {
    let late = TimeDelta::minutes(5);
    let message = message(text("Olá"));
    let one = listed("3EB0AA", "Olá", 2);
    assert_eq!(reference(&told(&message, late, &json!([one]))), Some("true_3EB0AA"));
    let two = json!([one, listed("3EB0AB", "Olá", 9)]);
    assert_eq!(told(&message, late, &two), Told::Unclear);
    let with_ours = json!([one, listed(CHOSEN, "Olá", 9)]);
    let expected = format!("true_{CHOSEN}");
    assert_eq!(reference(&told(&message, late, &with_ours)), Some(expected.as_str()));
    let others = json!([
        listed("3EB0AC", "Oi", 1),
        listed("3EB0AD", "Olá", -31),
        listed("3EB0AE", "Olá", 601)
    ]);
    assert_eq!(told(&message, late, &others), Told::NeverArrived);
    assert_eq!(
        told(&message, TimeDelta::seconds(119), &others),
        Told::Unclear,
        "it may be on its way"
    );
    let full: Vec<Value> = (0..100).map(|n| listed(&format!("3EB{n}"), "Oi", 1)).collect();
    assert_eq!(told(&message, late, &json!(full)), Told::Unclear, "there may be more");
    assert_eq!(told(&message, late, &json!({ "no": "list" })), Told::Unclear);
    assert_eq!(told(&self::message(reaction()), late, &json!([])), Told::Unclear);
    let mut picture = listed("3EB0AF", "", 1);
    picture["hasMedia"] = json!(true);
    let file = media(MediaKind::Image, None, None);
    assert_eq!(reference(&told(&file, late, &json!([picture, one]))), Some("true_3EB0AF"));
}

#[test]
fn the_chat_is_asked_without_its_files() {
    let account = account();
    let tracking = account.tracking().unwrap();
    let message = message(text("x"));
    let request = tracking.ask(&message, now());
    assert!(request.repeatable);
    let since = now().timestamp() - 30;
    let expected = format!(
        "GET {BASE}/aurora-reception/chats/5511987654321@c.us/messages?limit=100&downloadMedia=false\
         &sortBy=timestamp&sortOrder=desc&filter.fromMe=true&filter.timestamp.gte={since}"
    );
    assert_eq!(shown(&request.http).0, expected);
    let without_store = answer(400, &json!({ "message": "Enable the store" }));
    assert_eq!(tracking.told(&message, now(), &without_store), Ok(Told::Unclear));
    let away = tracking.told(&message, now(), &answer(502, &json!({}))).unwrap_err();
    assert_eq!(away.class, FailureClass::Transient, "a question may be asked again");
}

#[test]
fn receipts_mark_what_was_read_or_show_typing() {
    let account = account();
    let receipts = account.receipts().unwrap();
    let from = message(text("x")).from;
    let person = Address::Phone("+5511987654321".parse().unwrap());
    let read = MessageRef("false_3A1F".to_owned());
    let (line, body) = shown(&receipts.read(&from, &person, &read, false).unwrap().http);
    assert_eq!(line, format!("POST {BASE}/sendSeen"));
    assert_eq!(body["messageIds"], json!(["false_5511987654321@c.us_3A1F"]));
    let (line, _) = shown(&receipts.read(&from, &person, &read, true).unwrap().http);
    assert_eq!(line, format!("POST {BASE}/startTyping"));
    let nobody = Address::Handle("x".to_owned());
    assert!(receipts.read(&from, &nobody, &read, true).is_none());
    assert!(receipts.done(&answer(201, &json!({}))).is_ok());
    assert!(receipts.done(&answer(401, &json!({}))).is_err());
}
