//! Sending SMS and MMS: one JSON body a message, and what the answer to it says.
//! <https://developers.telnyx.com/api-reference/messages/send-a-message>

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::errors::{DELIVERY_FAILED, EXPIRED, SENDING_FAILED};
use super::wire::WireMessage;
use super::{answers, limits, statuses};
use crate::sms::SmsSender;
use crate::{
    Cause, Channel, DeliveryStatus, Failure, FailureClass, MessageRef, Messages, OutboundContent,
    OutboundMessage, Pace, ProviderRequest, ProviderResponse, Sent, Step, Unfit, api, by_link,
    status_url,
};

/// Messages a second of a number, where the account says nothing else. What is allowed depends on the number's type and
/// campaign.
/// <https://developers.telnyx.com/docs/messaging/messages/rate-limiting>
const PER_SECOND: f64 = 1.0;

/// The answer to a message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireAnswer {
    data: Option<WireMessage>,
}

impl Messages for Client {
    fn check(&self, message: &OutboundMessage) -> Result<(), Unfit> {
        limits::check(message, self.messaging_profile_id.is_some())
    }

    fn step(
        &self,
        message: &OutboundMessage,
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure> {
        match answers.last() {
            None => self.request(message).map(|request| Step::Next(Box::new(request))),
            Some(answer) => sent(answer).map(Step::Done),
        }
    }

    fn pace(&self, _channel: Channel) -> Pace {
        let per_second = self.messages_per_second.unwrap_or(PER_SECOND);
        Pace { per_second, burst: per_second.max(1.0), pair: None, human: None }
    }
}

impl Client {
    /// Telnyx has no idempotency key for messages, and no tags that a message could carry along (those in its events
    /// are the number's). But every event repeats, in the signed body, the URL it was to be reported to.
    fn request(&self, message: &OutboundMessage) -> Result<ProviderRequest, Failure> {
        let refuse = |detail: String| Failure::new(FailureClass::Permanent(Cause::Message), detail);
        self.check(message).map_err(|unfit| refuse(unfit.to_string()))?;
        let Some(from) = SmsSender::parse(&message.from.address) else {
            return Err(refuse("there is no sender".to_owned()));
        };
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        put("from", from.as_str().into());
        put("to", message.to.value().into());
        if let SmsSender::Name(_) = from
            && let Some(profile) = &self.messaging_profile_id
        {
            put("messaging_profile_id", profile.as_str().into());
        }
        match &message.content {
            OutboundContent::Text { body, .. } => {
                put("type", "SMS".into());
                put("text", body.as_str().into());
            }
            OutboundContent::Media { files, caption } => {
                put("type", "MMS".into());
                put("media_urls", json!(by_link::links(message, files.len())?));
                if let Some(words) = caption {
                    put("text", words.as_str().into());
                }
            }
            // `limits` refuses these.
            other => return Err(refuse(format!("Telnyx cannot send {}", other.kind()))),
        }
        if let Some(url) = &message.status_url {
            put("webhook_url", status_url::with_message(url, &message.id).into());
        }
        let request = self.api.post_json("/v2/messages", &Value::Object(body));
        Ok(ProviderRequest::once(request))
    }
}

fn sent(response: &ProviderResponse) -> Result<Sent, Failure> {
    if !response.is_success() {
        return Err(answers::refusal(response));
    }
    let answer: WireAnswer = response.json().unwrap_or_default();
    let message = answer.data.unwrap_or_default();
    let word = message.to.0.first().and_then(|end| end.status.get()).unwrap_or_default();
    let status = match word {
        EXPIRED | SENDING_FAILED | DELIVERY_FAILED => return Err(failed(&message, word)),
        "sent" | "delivered" | "delivery_unconfirmed" => DeliveryStatus::Sent,
        _ => DeliveryStatus::Sending,
    };
    let id = message.id.0.ok_or_else(|| api::unreadable_success(response))?;
    Ok(Sent { references: vec![MessageRef(id)], status, recipient: Vec::new() })
}

/// Telnyx took the message and gave it up at once.
fn failed(message: &WireMessage, word: &str) -> Failure {
    let (code, class) = statuses::verdict(0, message, word);
    let told = statuses::error_of(0, &message.errors);
    let detail = told.and_then(answers::explanation);
    let detail = detail.unwrap_or_else(|| format!("Telnyx gave the message up at once: {word}"));
    Failure::new(class, detail).with_code(code)
}
