//! What the gateway judges a provider to take, and what the provider's emulator takes, are the same: nothing is accepted only to be
//! given up, and nothing is refused that would have been taken.

use chrono::TimeDelta;
use providers::{Account, Channel, LoadedFile, OutboundContent};
use serde_json::{Value, json};
use switchboard::sandbox::RecordedAccount;

use super::ours::{message, open, send};
use super::{Rig, SendForm, answer};

pub(super) const ANA: &str = "5511987654321";
pub(super) const FILE: &str = "https://files.example.com/a";

/// Something to say, as the gateway keeps it, and as the provider is asked for it.
pub(super) struct Row {
    pub(super) content: Value,
    pub(super) asked: Value,
}

pub(super) fn row(content: Value, asked: Value) -> Row {
    Row { content, asked }
}

/// One side of a table: an account at its emulator, and how the provider is asked without asking the gateway.
pub(super) struct Side {
    pub(super) rig: Rig,
    pub(super) recorded: RecordedAccount,
    account: Box<dyn Account>,
    channel: Channel,
}

impl Side {
    pub(super) async fn start(provider: &str, channel: Channel) -> Self {
        let rig = Rig::start().await;
        let (recorded, account) = open(&rig, provider);
        Self { rig, recorded, account, channel }
    }

    pub(super) fn line(&self) -> &str {
        let routes = &self.recorded.routes;
        &routes.iter().find(|route| route.channel == self.channel.word()).unwrap().address
    }

    pub(super) fn secret(&self, name: &str) -> &str {
        &self.recorded.secrets[name]
    }

    /// Goes through a table: `ask` tells whether the provider takes what it is asked for.
    pub(super) async fn compare(&self, rows: Vec<Row>, ask: impl AsyncFn(&Self, &Value) -> bool) {
        let (mut taken, mut refused, mut differing) = (0, 0, Vec::new());
        for (number, row) in (1..).zip(rows) {
            let content: OutboundContent = serde_json::from_value(row.content.clone()).unwrap();
            let mut message = message(&self.rig, &self.recorded, self.channel, number, content);
            let judged = self.account.messages().unwrap().check(&message);
            // Pairs and lines have their pace.
            self.rig.sandbox.advance(TimeDelta::seconds(7));
            let asked = ask(self, &row.asked).await;
            if judged.is_ok() != asked {
                differing.push(format!("{judged:?}, the provider says {asked}: {}", row.content));
                continue;
            }
            if judged.is_err() {
                refused += 1;
                continue;
            }
            if let OutboundContent::Media { files, .. } = &message.content {
                let bytes = self.recorded.settings.contains_key("waba_id").then(|| "abc".into());
                let loaded = LoadedFile { bytes, link: Some(FILE.to_owned()) };
                message.files = vec![loaded; files.len()];
            }
            send(&self.rig, &*self.account, &message).await;
            taken += 1;
        }
        assert!(differing.is_empty(), "{}", differing.join("\n"));
        assert!(taken > 2 && refused > 2, "a table has both");
    }
}

pub(super) fn text(body: &str) -> Value {
    json!({ "kind": "text", "body": body })
}

pub(super) fn x(count: usize) -> String {
    "x".repeat(count)
}

pub(super) fn place(latitude: f64, longitude: f64) -> Value {
    json!({ "kind": "location", "latitude": latitude, "longitude": longitude })
}

pub(super) fn stored(media: &str, mime_type: &str, caption: Option<&str>) -> Value {
    let file =
        json!({ "media": media, "source": { "stored": "f" }, "mime_type": mime_type, "size": 3 });
    json!({ "kind": "media", "files": [file], "caption": caption })
}

fn linked(count: usize, caption: Option<&str>) -> Value {
    let file = json!({ "media": "image", "source": { "link": FILE } });
    json!({ "kind": "media", "files": vec![file; count], "caption": caption })
}

/// Uploads to Meta, if the row is about a file, and sends.
async fn ask_meta(side: &Side, asked: &Value) -> bool {
    let route = &side.recorded.routes[0];
    let base = format!("/meta/v25.0/{}", route.handle.as_deref().unwrap());
    let mut asked = asked.clone();
    let kind = asked["type"].as_str().unwrap().to_owned();
    if let Some(mime_type) = asked[&kind]["mime_type"].as_str() {
        let disposition = "Content-Disposition: form-data; name=";
        let form = format!(
            "--b\r\n{disposition}\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\n{disposition}\"type\"\r\n\r\n{mime_type}\r\n\
             --b\r\n{disposition}\"file\"; filename=\"f\"\r\nContent-Type: {mime_type}\r\n\r\nabc\r\n--b--\r\n"
        );
        let request = side.rig.http.post(side.rig.url(&format!("{base}/media")));
        let request = request.header("content-type", "multipart/form-data; boundary=b").body(form);
        let (status, body) = answer(request.bearer_auth(side.secret("access_token"))).await;
        if status != 200 {
            return false;
        }
        let block = asked[&kind].as_object_mut().unwrap();
        block.remove("mime_type");
        block.insert("id".to_owned(), body["id"].clone());
    }
    asked["messaging_product"] = json!("whatsapp");
    asked["to"] = json!(ANA);
    let request = side.rig.http.post(side.rig.url(&format!("{base}/messages"))).json(&asked);
    answer(request.bearer_auth(side.secret("access_token"))).await.0 == 200
}

fn of_meta(kind: &str, block: impl Into<Value>) -> Value {
    let block = block.into();
    json!({ "type": kind, kind: block })
}

fn buttons(body: &str, buttons: &[(&str, &str)]) -> Row {
    let ours: Vec<Value> =
        buttons.iter().map(|(id, title)| json!({ "id": id, "title": title })).collect();
    let theirs: Vec<Value> =
        ours.iter().map(|reply| json!({ "type": "reply", "reply": reply })).collect();
    let asked =
        json!({ "type": "button", "body": { "text": body }, "action": { "buttons": theirs } });
    row(json!({ "kind": "buttons", "body": body, "buttons": ours }), of_meta("interactive", asked))
}

fn list(button: &str, sections: impl Into<Value>) -> Row {
    let sections = sections.into();
    let action = json!({ "button": button, "sections": sections });
    let asked = json!({ "type": "list", "body": { "text": "?" }, "action": action });
    let content = json!({ "kind": "list", "body": "?", "button": button, "sections": sections });
    row(content, of_meta("interactive", asked))
}

fn rows_of_lists(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({ "id": n.to_string(), "title": "the same" })).collect()
}

fn template(name: &str, language: &str) -> Row {
    let asked = json!({ "name": name, "language": { "code": language } });
    let content = json!({ "kind": "template", "name": name, "language": language });
    row(content, of_meta("template", asked))
}

fn meta_file(media: &str, mime_type: &str, caption: Option<&str>) -> Row {
    let (kind, mut block) = match media {
        "voice" => ("audio", json!({ "voice": true })),
        other => (other, json!({})),
    };
    block["mime_type"] = json!(mime_type);
    if let Some(caption) = caption {
        block["caption"] = json!(caption);
    }
    row(stored(media, mime_type, caption), of_meta(kind, block))
}

fn choices() -> Vec<Row> {
    let one = |row: Value| json!([{ "rows": [row] }]);
    vec![
        buttons("?", &[("1", "Yes"), ("2", "No")]),
        buttons("?", &[("1", "Yes"), ("2", "Yes")]),
        buttons("?", &[("1", "Yes"), ("1", "No")]),
        buttons("?", &[(" 1", "Yes")]),
        buttons("?", &[("1", &x(20))]),
        buttons("?", &[("1", &x(21))]),
        buttons("?", &[(&x(256), "Yes")]),
        buttons("?", &[(&x(257), "Yes")]),
        buttons("?", &[("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")]),
        buttons("?", &[]),
        buttons(&x(1_024), &[("1", "Yes")]),
        buttons(&x(1_025), &[("1", "Yes")]),
        list("Days", json!([{ "rows": rows_of_lists(10) }])),
        list("Days", json!([{ "rows": rows_of_lists(11) }])),
        list("Days", json!([{ "rows": [] }])),
        list(&x(20), json!([{ "rows": rows_of_lists(1) }])),
        list(&x(21), json!([{ "rows": rows_of_lists(1) }])),
        list("Days", one(json!({ "id": "1", "title": x(24), "description": x(72) }))),
        list("Days", one(json!({ "id": "1", "title": x(25) }))),
        list("Days", one(json!({ "id": "1", "title": "a", "description": x(73) }))),
        list("Days", one(json!({ "id": x(200), "title": "a" }))),
        list("Days", one(json!({ "id": x(201), "title": "a" }))),
        list("Days", json!([{ "title": x(24), "rows": rows_of_lists(1) }])),
        list("Days", json!([{ "title": x(25), "rows": rows_of_lists(1) }])),
        list(
            "Days",
            json!([{ "title": "a", "rows": [{ "id": "1", "title": "a" }] }, { "rows": [{ "id": "2", "title": "a" }] }]),
        ),
        list(
            "Days",
            json!([{ "rows": [{ "id": "1", "title": "a" }, { "id": "1", "title": "b" }] }]),
        ),
    ]
}

fn files_of_meta() -> Vec<Row> {
    vec![
        meta_file("image", "image/jpeg", Some(&x(1_024))),
        meta_file("image", "image/png", Some(&x(1_025))),
        meta_file("image", "application/pdf", None),
        meta_file("image", "image/gif", None),
        meta_file("video", "video/mp4", None),
        meta_file("video", "video/quicktime", None),
        meta_file("audio", "audio/mpeg", None),
        meta_file("audio", "audio/mpeg", Some("words")),
        meta_file("voice", "audio/ogg; codecs=opus", None),
        meta_file("voice", "image/jpeg", None),
        meta_file("voice", "audio/mpeg", None),
        meta_file("sticker", "image/webp", None),
        meta_file("sticker", "image/png", None),
        meta_file("document", "application/pdf", Some("Prices")),
        meta_file("document", "image/jpeg", None),
        meta_file("document", "application/zip", None),
    ]
}

#[tokio::test]
async fn meta_takes_what_the_gateway_judges_it_to_take() {
    let side = Side::start("meta", Channel::Whatsapp).await;
    let target = side.rig.person_writes("meta", side.line(), "+5511987654321").await;
    let reaction = |emoji: Value| {
        let block = json!({ "message_id": target, "emoji": emoji.as_str().unwrap_or_default() });
        row(
            json!({ "kind": "reaction", "target": target, "emoji": emoji }),
            of_meta("reaction", block),
        )
    };
    let words = |body: &str| row(text(body), of_meta("text", json!({ "body": body })));
    let at = |latitude: f64, longitude: f64| {
        let block = json!({ "latitude": latitude, "longitude": longitude });
        row(place(latitude, longitude), of_meta("location", block))
    };
    let card = |name: &str| {
        let block = json!([{ "name": { "formatted_name": name, "first_name": name } }]);
        row(json!({ "kind": "contacts", "cards": [{ "name": name }] }), of_meta("contacts", block))
    };
    let mut rows = vec![
        words("a"),
        words(" \n"),
        words(&x(4_096)),
        words(&x(4_097)),
        at(90.0, -180.0),
        at(90.01, 0.0),
        at(0.0, -180.01),
        card("Ana"),
        card(&x(1_024)),
        card(&x(1_025)),
        reaction(json!("👍")),
        reaction(json!("👩🏽‍🚀")),
        reaction(json!("🇧🇷")),
        reaction(json!("1️⃣")),
        reaction(json!(null)),
        reaction(json!("👍👍")),
        reaction(json!("ok")),
        reaction(json!("好")),
        reaction(json!("1")),
        template("hello_world", "en_US"),
        template("hello_world", "english"),
        template("hello_world", "en-US"),
        template("Hello World", "en_US"),
    ];
    rows.extend(choices());
    rows.extend(files_of_meta());
    side.compare(rows, ask_meta).await;
}

async fn ask_twilio(side: &Side, asked: &Value) -> bool {
    let (sid, token) = (&side.recorded.settings["account_sid"], side.secret("auth_token"));
    let prefix = if side.channel == Channel::Whatsapp { "whatsapp:" } else { "" };
    let mut fields = vec![
        ("To".to_owned(), format!("{prefix}+{ANA}")),
        ("From".to_owned(), format!("{prefix}{}", side.line())),
    ];
    for (name, value) in asked.as_object().unwrap() {
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            fields.push((name.clone(), value.as_str().unwrap().to_owned()));
        }
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let url = side.rig.url(&format!("/twilio/2010-04-01/Accounts/{sid}/Messages.json"));
    answer(side.rig.http.post(url).basic_auth(sid, Some(token)).form(&fields)).await.0 == 201
}

#[tokio::test]
async fn twilio_takes_what_the_gateway_judges_it_to_take() {
    for (channel, most) in [(Channel::Sms, 10), (Channel::Whatsapp, 1)] {
        let side = Side::start("twilio", channel).await;
        if channel == Channel::Whatsapp {
            side.rig.person_writes("twilio", side.line(), "+5511987654321").await;
        }
        let words = |body: &str| row(text(body), json!({ "Body": body }));
        let files = |count: usize, caption: &str| {
            let asked = json!({ "MediaUrl": vec![FILE; count], "Body": caption });
            row(linked(count, Some(caption)), asked)
        };
        let rows = vec![
            words("a"),
            words(" "),
            words(&x(1_600)),
            words(&x(1_601)),
            words(&"ã".repeat(1_600)),
            files(most, "Prices"),
            files(most + 1, "Prices"),
            files(1, &x(1_600)),
            files(1, &x(1_601)),
        ];
        side.compare(rows, ask_twilio).await;
    }
}

async fn ask_telnyx(side: &Side, asked: &Value) -> bool {
    let mut asked = asked.clone();
    asked["from"] = json!(side.line());
    asked["to"] = json!(format!("+{ANA}"));
    let request = side.rig.http.post(side.rig.url("/telnyx/v2/messages")).json(&asked);
    answer(request.bearer_auth(side.secret("api_key"))).await.0 == 200
}

#[tokio::test]
async fn telnyx_takes_what_the_gateway_judges_it_to_take() {
    let side = Side::start("telnyx", Channel::Sms).await;
    let words = |body: &str| row(text(body), json!({ "type": "SMS", "text": body }));
    let files = |count: usize, caption: &str| {
        let asked = json!({ "type": "MMS", "media_urls": vec![FILE; count], "text": caption });
        row(linked(count, Some(caption)), asked)
    };
    let rows = vec![
        words("a"),
        words(""),
        words(&x(1_530)),
        words(&x(1_531)),
        words(&"é".repeat(1_530)),
        words(&"€".repeat(765)),
        words(&"€".repeat(766)),
        words(&"ã".repeat(670)),
        words(&"ã".repeat(671)),
        words(&"😊".repeat(335)),
        words(&"😊".repeat(336)),
        files(1, &x(2_000)),
        files(1, &"ã".repeat(5_000)),
        files(1, &x(5_001)),
        files(10, "Prices"),
        files(11, "Prices"),
    ];
    side.compare(rows, ask_telnyx).await;
}
