//! Telling people that their message was read, and that we are typing.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/typing-indicators>

use serde_json::json;

use super::graph::{Graph, number_of};
use super::wire::Success;
use crate::{Address, Failure, MessageRef, ProviderRequest, ProviderResponse, Receipts, Sender};

impl Receipts for Graph {
    /// Earlier messages of the person become read with it. We are seen typing for at most 25 seconds.
    fn read(
        &self,
        from: &Sender,
        _person: &Address,
        message: &MessageRef,
        typing: bool,
    ) -> Option<ProviderRequest> {
        let number = number_of(from).ok()?;
        let mut body = json!({
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": message.0,
        });
        if typing {
            body["typing_indicator"] = json!({ "type": "text" });
        }
        let request = self.post(&format!("{number}/messages"), &body);
        Some(ProviderRequest::repeatable(request))
    }

    fn done(&self, response: &ProviderResponse) -> Result<(), Failure> {
        let success = response.is_success().then(|| response.json::<Success>()).flatten();
        match success.and_then(|answer| answer.success.0).as_deref() {
            Some("true") => Ok(()),
            _ => Err(self.refusal_of_question(response)),
        }
    }
}
