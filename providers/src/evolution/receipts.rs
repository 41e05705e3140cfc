//! Telling people that their message was read, and that we are typing.
//! <https://doc.evolution-api.com/v2/api-reference/chat-controller/mark-as-read>

use serde_json::json;

use super::{EvolutionAccount, errors, send};
use crate::bridge::jids;
use crate::{Address, Failure, MessageRef, ProviderRequest, ProviderResponse, Receipts, Sender};

/// For how long typing is shown, in milliseconds. Evolution answers only when it is over.
const TYPING_MS: u32 = 3_000;

impl Receipts for EvolutionAccount {
    /// Evolution takes the two in two requests: with `typing` only the typing is shown, without it the message is marked.
    fn read(
        &self,
        _from: &Sender,
        person: &Address,
        message: &MessageRef,
        typing: bool,
    ) -> Option<ProviderRequest> {
        let chat = jids::chat_of(person, "s.whatsapp.net")?;
        let request = if typing {
            let number = chat.strip_suffix("@s.whatsapp.net").unwrap_or(&chat);
            // Versions differ in where they look for the two.
            let options = json!({ "delay": TYPING_MS, "presence": "composing", "number": number });
            let mut body = options.clone();
            body["options"] = options;
            self.api.post(["chat", "sendPresence"], &body)
        } else {
            let key = send::message_key(message, &chat)?;
            self.api.post(["chat", "markMessageAsRead"], &json!({ "readMessages": [key] }))
        };
        Some(ProviderRequest::repeatable(request))
    }

    fn done(&self, response: &ProviderResponse) -> Result<(), Failure> {
        if response.is_success() { Ok(()) } else { Err(errors::of_asking(response)) }
    }
}
