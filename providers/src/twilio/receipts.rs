//! Telling people on WhatsApp that we are typing, which marks their message as read.
//! <https://www.twilio.com/docs/whatsapp/api/typing-indicators-resource>

use serde::Deserialize;
use serde_json::json;

use super::{TwilioAccount, answers, is_sid};
use crate::{
    Address, Cause, Failure, FailureClass, MessageRef, ProviderRequest, ProviderResponse, Receipts,
    Sender,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireDone {
    success: Option<bool>,
}

impl Receipts for TwilioAccount {
    /// Twilio marks a message as read only together with the sign that we are typing. Without `typing` there is nothing
    /// to send: the sign would announce an answer that nobody writes.
    fn read(
        &self,
        _from: &Sender,
        person: &Address,
        message: &MessageRef,
        typing: bool,
    ) -> Option<ProviderRequest> {
        let is_person = matches!(person, Address::Phone(_) | Address::WaUser(_));
        let is_message = is_sid("SM", &message.0) || is_sid("MM", &message.0);
        if !typing || !is_person || !is_message {
            return None;
        }
        let body = json!({ "channel": "WHATSAPP", "messageId": message.0 });
        let request = self.client.messaging.post_json("/v3/Indicators/Typing.json", &body);
        Some(ProviderRequest::repeatable(request))
    }

    fn done(&self, response: &ProviderResponse) -> Result<(), Failure> {
        if !response.is_success() {
            return Err(answers::refusal(response));
        }
        let done: WireDone = response.json().unwrap_or_default();
        if done.success == Some(false) {
            let class = FailureClass::Permanent(Cause::Message);
            return Err(Failure::new(class, "Twilio could not show that we are typing"));
        }
        Ok(())
    }
}
