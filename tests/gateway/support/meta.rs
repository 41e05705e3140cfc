//! Webhooks of Meta's, made to measure.

use bytes::Bytes;
use http::Request;
use providers::Secret;
use serde_json::{Value, json};

use super::{PUBLIC_URL, TestGateway, recorded_account};

/// aurora's and borealis' numbers, and one that nobody has.
pub const AURORA: &str = "106540352242922";
pub const BOREALIS: &str = "217461884773910";
pub const NOBODYS: &str = "999000111222333";

/// One change of the field `messages` for a number.
pub fn change(number: &str, messages: &[Value], statuses: &[Value]) -> Value {
    let contact = |message: &Value| json!({ "wa_id": message["from"], "profile": { "name": format!("Person {}", message["from"]) } });
    let contacts: Vec<Value> =
        messages.iter().filter(|m| m["from"].is_string()).map(contact).collect();
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "5511", "phone_number_id": number },
    });
    if !messages.is_empty() {
        value["contacts"] = contacts.into();
        value["messages"] = messages.into();
    }
    if !statuses.is_empty() {
        value["statuses"] = statuses.into();
    }
    json!({ "field": "messages", "value": value })
}

pub fn text(id: &str, from: &str, body: &str) -> Value {
    json!({ "id": id, "from": from, "timestamp": "1793534400", "type": "text", "text": { "body": body } })
}

pub fn status(id: &str, status: &str, timestamp: i64) -> Value {
    json!({ "id": id, "status": status, "timestamp": timestamp.to_string(), "recipient_id": "5511987654321" })
}

/// A message that the business wrote on its telephone.
pub fn echo(id: &str, to: &str, body: &str) -> Value {
    json!({
        "field": "smb_message_echoes",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "551140028922", "phone_number_id": AURORA },
            "message_echoes": [{
                "from": "551140028922", "to": to, "id": id, "timestamp": "1793534000", "type": "text",
                "text": { "body": body },
            }],
        },
    })
}

/// A POST with these changes, one entry each.
pub fn notification(changes: &[Value]) -> Value {
    let entry = |change: &Value| json!({ "id": "102290129340398", "changes": [change] });
    let entries: Vec<Value> = changes.iter().map(entry).collect();
    json!({ "object": "whatsapp_business_account", "entry": entries })
}

/// Signs a body with the app's secret.
pub fn signed(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let secret = recorded_account(&providers::meta::PROVIDER, "aurora").signing_secret;
    signed_with(&secret, path, body)
}

pub fn signed_with(secret: &str, path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::builder()
        .method("POST")
        .uri(format!("{PUBLIC_URL}{path}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    (providers::meta::PROVIDER.sign)(&Secret::from(secret), super::beginning(), request)
}

impl TestGateway {
    /// Delivers changes to the shared URL; they must be accepted.
    #[track_caller]
    pub fn meta(&self, changes: &[Value]) -> impl Future<Output = super::Answer> {
        let body = serde_json::to_vec(&notification(changes)).unwrap();
        self.deliver(signed("/hooks/meta", body))
    }
}
