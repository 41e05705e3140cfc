//! What became of a message whose sending got no answer, found among the messages Twilio lists.
//! <https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources>
//!
//! Twilio hands nothing of ours back in lists, so a message is known by whom it is between, when it was created and
//! what it says. That proves something in two cases only:
//!
//! * Nothing at all went to this person from this line at that time: the message never arrived.
//! * Exactly one text with just these words did, and nothing that resembles it.
//!
//! Everything else is unclear: several copies of one text, files and templates beside any other message (lists do not
//! tell what they were made from), words that differ only in what Twilio may have replaced, a list that does not reach
//! back far enough, and a question asked so early that the message may still be on its way.

use chrono::TimeDelta;
use serde::Deserialize;

use super::address::{recipient, sender};
use super::sending::WireMessage;
use super::{TwilioAccount, answers};
use crate::lenient::{Maybe, rfc2822};
use crate::{
    Failure, MessageRef, OutboundContent, OutboundMessage, ProviderRequest, ProviderResponse, Sent,
    Timestamp, Told, Tracking, api,
};

/// Twilio's clock may be behind ours.
const BEFORE: TimeDelta = TimeDelta::seconds(5);

/// Until when the request may have been taken up.
const AFTER: TimeDelta = TimeDelta::seconds(120);

/// A page of a list; the most that Twilio gives.
const PAGE_SIZE: &str = "1000";

/// A page of messages, the newest first.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePage {
    messages: Option<Vec<WireMessage>>,
    next_page_uri: Maybe,
}

impl Tracking for TwilioAccount {
    /// Asks without a date: `DateSent` looks at a time which messages in Twilio's queue do not have yet, and leaving one
    /// out would have it sent twice.
    fn ask(&self, message: &OutboundMessage, _sent_at: Timestamp) -> ProviderRequest {
        let to = recipient(message.channel, &message.to).unwrap_or_default();
        let from = sender(message.channel, &message.from.address).unwrap_or_default();
        let query = [("To", to.as_str()), ("From", from.as_str()), ("PageSize", PAGE_SIZE)];
        let request = self.client.api.get(&self.client.path("/Messages"), &query);
        ProviderRequest::repeatable(request)
    }

    fn told(
        &self,
        message: &OutboundMessage,
        sent_at: Timestamp,
        response: &ProviderResponse,
    ) -> Result<Told, Failure> {
        if !response.is_success() {
            return Err(answers::refusal(response));
        }
        let page: WirePage = response.json().unwrap_or_default();
        let Some(messages) = page.messages else {
            return Err(api::unreadable_answer(response));
        };
        let created: Vec<Option<Timestamp>> =
            messages.iter().map(|message| message.date_created.get().and_then(rfc2822)).collect();
        let begin = sent_at - BEFORE;
        let reaches_back = page.next_page_uri.get().is_none()
            || created.iter().flatten().any(|created| *created < begin);
        let is_early = response.at < sent_at + AFTER;
        // A message without a readable date may be of that time.
        let is_of_that_time = |created: &Option<Timestamp>| {
            created.is_none_or(|created| (begin..=sent_at + AFTER).contains(&created))
        };
        let candidates = messages.iter().zip(&created).filter(|(message, created)| {
            let direction = message.direction.get().unwrap_or_default();
            is_of_that_time(created) && !direction.starts_with("inbound")
        });
        let candidates: Vec<&WireMessage> = candidates.map(|(message, _)| message).collect();
        Ok(match judge(&message.content, &candidates) {
            _ if !reaches_back => Told::Unclear,
            Told::NeverArrived if is_early => Told::Unclear,
            told => told,
        })
    }
}

/// What the messages between the two at that time say.
fn judge(content: &OutboundContent, candidates: &[&WireMessage]) -> Told {
    let OutboundContent::Text { body, .. } = content else {
        return if candidates.is_empty() { Told::NeverArrived } else { Told::Unclear };
    };
    let alike: Vec<&&WireMessage> = candidates
        .iter()
        .filter(|candidate| {
            skeleton(candidate.body.as_deref().unwrap_or_default()) == skeleton(body)
        })
        .collect();
    match alike.as_slice() {
        [] => Told::NeverArrived,
        [only] if is_same(only.body.as_deref().unwrap_or_default(), body) => sent(only),
        _ => Told::Unclear,
    }
}

fn sent(message: &WireMessage) -> Told {
    let Some(sid) = message.sid.0.clone() else {
        return Told::Unclear;
    };
    let status = message.progress();
    Told::Sent(Sent { references: vec![MessageRef(sid)], status, recipient: Vec::new() })
}

fn is_same(left: &str, right: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    plain(left) == plain(right)
}

/// What is left of words whatever Twilio's smart encoding makes of quotes, dashes, blanks and accents.
/// <https://www.twilio.com/docs/messaging/services#smart-encoding>
fn skeleton(words: &str) -> String {
    let plain = words.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|character| character.to_ascii_lowercase()).collect()
}
