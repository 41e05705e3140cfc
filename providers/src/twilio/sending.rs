//! Sending: one form a message, and what the answer to it says.
//! <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>

use serde::Deserialize;

use super::address::{recipient, sender};
use super::{TwilioAccount, answers, errors, limits};
use crate::lenient::Maybe;
use crate::{
    Cause, Channel, DeliveryStatus, Failure, FailureClass, MessageRef, Messages, OutboundContent,
    OutboundMessage, Pace, ProviderRequest, ProviderResponse, Sent, Step, Template, Unfit, api,
    by_link, status_url,
};

/// Messages a second of a number, where the account says nothing else. Twilio keeps what comes faster in a queue of
/// its own and sends it later, so that a burst costs nothing but time.
/// <https://help.twilio.com/articles/115002943027>
const SMS_PER_SECOND: f64 = 1.0;

/// <https://www.twilio.com/docs/whatsapp/api#whatsapp-rate-limiting>
const WHATSAPP_PER_SECOND: f64 = 10.0;

/// For how long after a person's last message WhatsApp takes anything but templates.
const WINDOW_HOURS: u32 = 24;

/// What Twilio tells of a message, in the answer to its creation and in lists.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireMessage {
    pub(super) sid: Maybe,
    pub(super) status: Maybe,
    pub(super) direction: Maybe,
    pub(super) body: Option<String>,
    pub(super) date_created: Maybe,
    error_code: Maybe,
    error_message: Maybe,
}

impl Messages for TwilioAccount {
    fn check(&self, message: &OutboundMessage) -> Result<(), Unfit> {
        limits::check(message)
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

    fn pace(&self, channel: Channel) -> Pace {
        let usual = if channel == Channel::Whatsapp { WHATSAPP_PER_SECOND } else { SMS_PER_SECOND };
        let per_second = self.client.messages_per_second.unwrap_or(usual);
        Pace { per_second, burst: per_second.max(1.0), pair: None, human: None }
    }

    fn window_hours(&self, channel: Channel) -> Option<u32> {
        (channel == Channel::Whatsapp).then_some(WINDOW_HOURS)
    }
}

impl TwilioAccount {
    fn request(&self, message: &OutboundMessage) -> Result<ProviderRequest, Failure> {
        limits::check(message).map_err(|unfit| limits::refuse(&unfit))?;
        let mut fields = Vec::new();
        fields.extend(recipient(message.channel, &message.to).map(|to| ("To", to)));
        // Beside a messaging service the sender is named too: people see the line they know, whatever else is in the
        // service's pool.
        fields.extend(sender(message.channel, &message.from.address).map(|from| ("From", from)));
        let service = self.client.messaging_service_sid.clone();
        fields.extend(service.map(|sid| ("MessagingServiceSid", sid)));
        fields.extend(content(message)?);
        let status_url = message.status_url.as_deref();
        let callback = status_url.map(|url| status_url::with_message(url, &message.id));
        fields.extend(callback.map(|url| ("StatusCallback", url)));
        let request = self.client.api.post_form(&self.client.path("/Messages"), &fields);
        Ok(ProviderRequest::once(request))
    }
}

fn content(message: &OutboundMessage) -> Result<Vec<(&'static str, String)>, Failure> {
    Ok(match &message.content {
        OutboundContent::Text { body, .. } => vec![("Body", body.clone())],
        OutboundContent::Media { files, caption } => {
            let links = by_link::links(message, files.len())?;
            let links = links.into_iter().map(|link| ("MediaUrl", link));
            caption.clone().map(|words| ("Body", words)).into_iter().chain(links).collect()
        }
        OutboundContent::Location { latitude, longitude, name, address } => {
            location(*latitude, *longitude, name.as_deref(), address.as_deref())
        }
        OutboundContent::Template(template) => filled(template),
        // `limits` refuses these.
        other => {
            let detail = format!("Twilio cannot send {}", other.kind());
            return Err(Failure::new(FailureClass::Permanent(Cause::Message), detail));
        }
    })
}

/// A place is an action beside a body, which must not be missing.
/// <https://www.twilio.com/docs/whatsapp/message-features#location-messages-with-whatsapp>
fn location(
    latitude: f64,
    longitude: f64,
    name: Option<&str>,
    address: Option<&str>,
) -> Vec<(&'static str, String)> {
    let place = format!("{latitude},{longitude}");
    let label = address.or(name).map(|label| format!("|{label}")).unwrap_or_default();
    let body = name.or(address).unwrap_or(&place).to_owned();
    vec![("Body", body), ("PersistentAction", format!("geo:{place}{label}"))]
}

/// <https://www.twilio.com/docs/content/send-templates-created-with-the-content-template-builder>
fn filled(template: &Template) -> Vec<(&'static str, String)> {
    let mut fields = vec![("ContentSid", template.name.clone())];
    if !template.variables.is_empty() {
        let variables = serde_json::json!(template.variables).to_string();
        fields.push(("ContentVariables", variables));
    }
    fields
}

fn sent(response: &ProviderResponse) -> Result<Sent, Failure> {
    if !response.is_success() {
        return Err(answers::refusal(response));
    }
    let message: WireMessage = response.json().unwrap_or_default();
    let status = match message.status.get().unwrap_or_default() {
        word @ ("failed" | "undelivered" | "canceled") => return Err(failed(&message, word)),
        _ => message.progress(),
    };
    let sid = message.sid.0.ok_or_else(|| api::unreadable_success(response))?;
    Ok(Sent { references: vec![MessageRef(sid)], status, recipient: Vec::new() })
}

/// Twilio took the message and gave it up at once. Where it names no error, the status stands for one.
fn failed(message: &WireMessage, word: &str) -> Failure {
    let code = message.error_code.get().filter(|code| *code != "0").unwrap_or(word);
    let detail = message.error_message.get().unwrap_or("Twilio gave the message up at once");
    Failure::new(errors::class_of(code), detail).with_code(code)
}

impl WireMessage {
    /// How far it has come. A word we do not know means that Twilio has it, and no more.
    pub(super) fn progress(&self) -> DeliveryStatus {
        match self.status.get() {
            Some("sent" | "delivered" | "partially_delivered" | "read") => DeliveryStatus::Sent,
            _ => DeliveryStatus::Sending,
        }
    }
}
