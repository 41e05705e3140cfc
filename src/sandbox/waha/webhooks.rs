//! WAHA's webhooks: acknowledgements, sessions, messages of people.
//! <https://waha.devlike.pro/docs/how-to/events/>

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use serde_json::{Value, json};
use sha2::Sha512;

use super::environment;
use super::read::ack;
use super::sessions::{Session, me};
use crate::clock::Timestamp;
use crate::sandbox::accounts::{SandboxAccount, SandboxRoute, digits, is_e164};
use crate::sandbox::emulator::{Arrival, Inbound, Letter, Status};
use crate::sandbox::files::StoredFile;
use crate::sandbox::heard::Heard;
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::World;

/// An event to every URL that wants it: those of the session, or else the account's own, which wants all.
pub(super) fn event(
    world: &World,
    name: &str,
    session: &Session,
    event: &str,
    payload: &Value,
) -> Vec<Letter> {
    let at = world.now().timestamp_millis();
    let body = json!({
        "id": format!("evt_{}", world.new_id().get(..26).unwrap_or_default()),
        "timestamp": at,
        "event": event,
        "session": name,
        "metadata": session.config.get("metadata").cloned().unwrap_or_else(|| json!({})),
        "me": me(session),
        "payload": payload,
        "engine": "NOWEB",
        "environment": environment(),
    });
    let body = Bytes::from(body.to_string());
    let letter = |url: String, key: Option<String>| Letter {
        url,
        content_type: "application/json",
        headers: vec![
            ("x-webhook-request-id", world.new_uuid()),
            ("x-webhook-timestamp", at.to_string()),
        ],
        body: body.clone(),
        key,
    };
    let configured = session.config["webhooks"].as_array().cloned().unwrap_or_default();
    if configured.is_empty() {
        let url = session.account.webhook_url.clone();
        return url.map(|url| letter(url, None)).into_iter().collect();
    }
    let wants = |webhook: &&Value| {
        let events = webhook["events"].as_array();
        events.is_some_and(|events| events.iter().any(|one| one == event || one == "*"))
    };
    let to = |webhook: &Value| {
        let key = webhook["hmac"]["key"].as_str().unwrap_or_default();
        Some(letter(webhook["url"].as_str()?.to_owned(), Some(key.to_owned())))
    };
    configured.iter().filter(wants).filter_map(to).collect()
}

/// HMAC-SHA512 of the body. Without a key, WAHA does not sign.
pub(super) fn sign(
    account: &SandboxAccount,
    _at: Timestamp,
    mut request: http::Request<Bytes>,
) -> http::Request<Bytes> {
    let key = account.signing_secret.as_bytes();
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(key) else { return request };
    mac.update(request.body());
    let value = hex::encode(mac.finalize().into_bytes());
    if let (false, Ok(value)) = (key.is_empty(), HeaderValue::try_from(value)) {
        request.headers_mut().insert("x-webhook-hmac", value);
        let algorithm = HeaderValue::from_static("sha512");
        request.headers_mut().insert("x-webhook-hmac-algorithm", algorithm);
    }
    request
}

pub(super) fn letters(world: &World, message: &Accepted, status: &Status) -> Vec<Letter> {
    let seen = message.seen();
    let payload = json!({
        "id": seen.id,
        "from": format!("{}@c.us", digits(&seen.from)),
        "to": seen.to,
        "participant": null,
        "fromMe": true,
        "ack": ack(status.word),
        "ackName": status.word,
    });
    let session = world.sessions().of(&seen.account).cloned();
    let session = session.filter(|session| session.status == "WORKING");
    session.map_or_else(Vec::new, |session| {
        event(world, &seen.account, &session, "message.ack", &payload)
    })
}

pub(super) fn arrive(
    world: &World,
    account: &Arc<SandboxAccount>,
    route: &SandboxRoute,
    inbound: &Inbound,
) -> Arrival {
    let number = format!("{}@c.us", digits(&inbound.from));
    let mut data = json!({ "pushName": inbound.name });
    // Whoever hides their number is known by a device-independent id, with the number beside it or not at all.
    let lid = match is_e164(&inbound.from) {
        true => inbound.user_id.clone(),
        false => Some(inbound.from.clone()),
    };
    let from = match &lid {
        Some(lid) => format!("{}@lid", lid.trim_end_matches("@lid")),
        None => number.clone(),
    };
    if let (Some(lid), true) = (&lid, is_e164(&inbound.from)) {
        world.sessions().know(lid.trim_end_matches("@lid"), &inbound.from);
        let alternative = number.replace("@c.us", "@s.whatsapp.net");
        data["key"] = json!({ "remoteJid": from, "remoteJidAlt": alternative });
    }
    let key = world.new_id().to_uppercase();
    let id = format!("false_{from}_{key}");
    let name = account.name();
    let media = inbound.media.as_ref().map(|file| {
        let stored = StoredFile {
            owner: ("waha".to_owned(), name.to_owned()),
            mime_type: file.mime_type.clone(),
            filename: file.filename.clone(),
            bytes: file.bytes(),
            at: world.later(),
        };
        world.files().put(key.clone(), stored);
        let ending = file.mime_type.split(['/', ';']).nth(1).unwrap_or("bin");
        json!({
            "url": format!("{}/waha/api/files/{name}/{key}.{ending}", world.base()),
            "mimetype": file.mime_type,
            "filename": file.filename,
        })
    });
    let words = inbound.button.as_ref().map(|(_, title)| title.clone());
    let payload = json!({
        "id": id,
        "timestamp": world.now().timestamp(),
        "from": from,
        "fromMe": false,
        "source": "app",
        "to": format!("{}@c.us", digits(&route.address)),
        "participant": null,
        "body": inbound.text.clone().or(words),
        "hasMedia": media.is_some(),
        "media": media,
        "ack": 1,
        "ackName": "SERVER",
        "replyTo": inbound.reply_to.as_ref().map(|id| json!({ "id": id })),
        "location": location(inbound),
        "vCards": [],
        "_data": data,
    });
    keep(world, name, &payload);
    let session = world.sessions().of(name).cloned();
    let letters =
        session.map_or_else(Vec::new, |session| event(world, name, &session, "message", &payload));
    Arrival { id, letters }
}

/// A place, as texts.
fn location(inbound: &Inbound) -> Option<Value> {
    let (latitude, longitude) = inbound.location?;
    Some(json!({
        "latitude": latitude.to_string(),
        "longitude": longitude.to_string(),
        "live": false,
        "name": inbound.location_name,
        "address": inbound.location_address,
    }))
}

/// Keeps the message for whoever asks the API for it.
fn keep(world: &World, session: &str, payload: &Value) {
    let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
    world.heard().keep(Heard {
        provider: "waha",
        account: session.to_owned(),
        id: text("id"),
        from: text("from"),
        to: text("to"),
        at: world.now(),
        files: Vec::new(),
        view: payload.clone(),
    });
}
