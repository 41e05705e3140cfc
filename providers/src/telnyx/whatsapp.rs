//! What a WhatsApp message says that Telnyx passes on. Telnyx documents only what it sends: a body like Meta's. What has that
//! shape is read as Meta's; of everything else the words are kept that stand in it.
//! <https://support.telnyx.com/en/articles/13986487-how-to-configure-whatsapp-webhooks>

use serde_json::Value;

use super::messages;
use super::wire::WireMessage;
use crate::meta::body::{self, Told};
use crate::{Context, unknown};

/// What the message says. `payload` is all of it.
pub(super) fn read(wire: &WireMessage, payload: &Value) -> Told {
    if let Some(body) = wire.body.as_ref().or(wire.whatsapp_message.as_ref()) {
        return body::read(body);
    }
    let content = messages::content(wire).unwrap_or_else(|_| {
        unknown::content(None, unknown::members(payload, &messages::ENVELOPE), (None, None))
    });
    Told { done: None, content, context: Context::default() }
}
