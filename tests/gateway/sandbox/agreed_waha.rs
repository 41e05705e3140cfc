//! The same comparison for WAHA, whose endpoints are many.

use providers::Channel;
use serde_json::{Value, json};

use super::agreed::{ANA, FILE, Side, place, row, stored, text};
use super::answer;

async fn ask_waha(side: &Side, asked: &Value) -> bool {
    let mut asked = asked.clone();
    let endpoint = asked.as_object_mut().unwrap().remove("endpoint").unwrap();
    asked["session"] = json!(side.recorded.settings["session"]);
    let endpoint = endpoint.as_str().unwrap();
    let url = side.rig.url(&format!("/waha/api/{endpoint}"));
    let request = match endpoint {
        "reaction" => side.rig.http.put(url),
        _ => {
            asked["chatId"] = json!(format!("{ANA}@c.us"));
            side.rig.http.post(url)
        }
    };
    answer(request.header("x-api-key", side.secret("api_key")).json(&asked)).await.0 < 300
}

#[tokio::test]
async fn waha_takes_what_the_gateway_judges_it_to_take() {
    let side = Side::start("waha", Channel::Whatsapp).await;
    let target = side.rig.person_writes("waha", side.line(), "+5511987654321").await;
    let bare = target.rsplit('_').next().unwrap();
    let reaction = |emoji: &str| {
        let asked = json!({ "endpoint": "reaction", "messageId": target, "reaction": emoji });
        row(json!({ "kind": "reaction", "target": format!("false_{bare}"), "emoji": emoji }), asked)
    };
    let words = |body: &str| row(text(body), json!({ "endpoint": "sendText", "text": body }));
    let at = |latitude: f64, longitude: f64| {
        let asked = json!({ "endpoint": "sendLocation", "latitude": latitude, "longitude": longitude, "title": "" });
        row(place(latitude, longitude), asked)
    };
    let file = |endpoint: &str, media: &str, mime_type: &str| {
        let asked = json!({ "endpoint": endpoint, "file": { "mimetype": mime_type, "url": FILE } });
        row(stored(media, mime_type, None), asked)
    };
    let rows = vec![
        words("a"),
        words(""),
        at(90.0, 180.0),
        at(90.01, 0.0),
        at(0.0, 180.01),
        reaction("👍"),
        reaction("👍👍"),
        reaction("ok"),
        file("sendImage", "image", "image/jpeg"),
        file("sendImage", "image", "application/pdf"),
        file("sendVideo", "video", "video/quicktime"),
        file("sendVideo", "video", "image/jpeg"),
        file("sendVoice", "voice", "audio/ogg; codecs=opus"),
        file("sendVoice", "voice", "audio/mpeg"),
        file("sendVoice", "voice", "image/png"),
        file("sendFile", "document", "application/zip"),
    ];
    side.compare(rows, ask_waha).await;
}
