//! Telling people that their message was read, and that we are typing.
//! <https://waha.devlike.pro/docs/how-to/send-messages/#send-seen>

use http::Method;
use serde_json::json;

use super::{WahaAccount, errors, ids};
use crate::{Address, Failure, MessageRef, ProviderRequest, ProviderResponse, Receipts, Sender};

impl Receipts for WahaAccount {
    /// WAHA takes the two in two requests: with `typing` only the typing is shown, without it the message is marked.
    fn read(
        &self,
        _from: &Sender,
        person: &Address,
        message: &MessageRef,
        typing: bool,
    ) -> Option<ProviderRequest> {
        let chat = ids::chat_of(person)?;
        let session = self.api.session();
        let request = if typing {
            let body = json!({ "session": session, "chatId": chat });
            self.api.send(&Method::POST, &["api", "startTyping"], &body)
        } else {
            let id = ids::serialized(message, &chat)?;
            let body = json!({ "session": session, "chatId": chat, "messageIds": [id] });
            self.api.send(&Method::POST, &["api", "sendSeen"], &body)
        };
        Some(ProviderRequest::repeatable(request))
    }

    fn done(&self, response: &ProviderResponse) -> Result<(), Failure> {
        if response.is_success() { Ok(()) } else { Err(errors::of_asking(response)) }
    }
}
