//! What became of a message whose sending got no answer: it is looked for in the server's store of messages.
//!
//! Evolution takes no id of ours, so what we wrote in the minutes after the sending is compared with it: one that says the same
//! is the message, several cannot be told apart. That none is there proves nothing: a server may store no messages, or keep
//! the chat under the LID where we ask for the number. So it is never said that a message did not arrive.
//! <https://doc.evolution-api.com/v2/api-reference/chat-controller/find-messages>

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::content;
use super::keys::Place;
use super::wire::{WireMessage, time};
use super::{EvolutionAccount, errors, statuses};
use crate::bridge::{jids, vcard};
use crate::{
    Cause, Content, DeliveryStatus, Failure, FailureClass, OutboundContent, OutboundMessage,
    ProviderRequest, ProviderResponse, Sent, Timestamp, Told, Tracking,
};

/// How many messages are asked for.
const LIMIT: usize = 100;

/// How far WhatsApp's time of a message may lie before and after our time of its sending.
const BEFORE: TimeDelta = TimeDelta::seconds(30);
const AFTER: TimeDelta = TimeDelta::minutes(10);

impl Tracking for EvolutionAccount {
    fn ask(&self, message: &OutboundMessage, _sent_at: Timestamp) -> ProviderRequest {
        // What cannot be written to was never sent; the question then finds nothing.
        let chat = jids::chat_of_message(message, jids::NUMBERS).unwrap_or_default();
        let body = json!({
            "where": { "key": { "remoteJid": chat, "fromMe": true } }, "page": 1, "offset": LIMIT,
        });
        ProviderRequest::repeatable(self.api.post(["chat", "findMessages"], &body))
    }

    fn told(
        &self,
        message: &OutboundMessage,
        sent_at: Timestamp,
        response: &ProviderResponse,
    ) -> Result<Told, Failure> {
        if !response.is_success() {
            let failure = errors::of_asking(response);
            return match failure.class {
                // A server without a store refuses the question: that is no answer to it, and no failure to mend.
                FailureClass::Permanent(Cause::Message) => Ok(Told::Unclear),
                _ => Err(failure),
            };
        }
        let body: Value = response.json().unwrap_or_default();
        let lists = [&body["messages"]["records"], &body["messages"], &body];
        let listed = lists.into_iter().find_map(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Listed::read);
        let mut alike = listed.filter(|listed| listed.is_like(message, sent_at));
        Ok(match (alike.next(), alike.next()) {
            (Some(found), None) => found.told(),
            _ => Told::Unclear,
        })
    }
}

/// One message of the store that is ours.
struct Listed {
    place: Place,
    content: Content,
    at: Timestamp,
    status: Option<DeliveryStatus>,
}

impl Listed {
    fn read(value: &Value) -> Option<Self> {
        let wire: WireMessage = serde_json::from_value(value.clone()).ok()?;
        let place = Place::read(&wire.key).ok()??;
        let record = content::record(&wire);
        if !place.ours || record.is_noise() {
            return None;
        }
        // The store keeps each status as a row of its own; the newest stands last.
        let updates = value["MessageUpdate"].as_array().and_then(|updates| updates.last());
        let newest = updates.and_then(|update| update["status"].as_str());
        Some(Self {
            content: content::read(&record, &place.reference).content,
            at: time(&wire.message_timestamp)?,
            status: statuses::status_of(newest.or(wire.status.get())).ok(),
            place,
        })
    }

    /// Whether it says the same, at about that time.
    fn is_like(&self, message: &OutboundMessage, sent_at: Timestamp) -> bool {
        if self.at < sent_at - BEFORE || self.at > sent_at + AFTER {
            return false;
        }
        match (&message.content, &self.content) {
            (OutboundContent::Text { body: ours, .. }, Content::Text { body }) => {
                ours.trim() == body.trim()
            }
            (
                OutboundContent::Media { files, caption },
                Content::Media { attachments, caption: told },
            ) => {
                let kinds = (files.first().map(|f| f.media), attachments.first().map(|a| a.kind));
                let words =
                    |text: &Option<String>| text.as_deref().map(str::trim).map(ToOwned::to_owned);
                kinds.0 == kinds.1 && words(caption) == words(told)
            }
            (
                OutboundContent::Location { latitude, longitude, .. },
                Content::Location { latitude: north, longitude: east, .. },
            ) => (latitude - north).abs() < 1e-4 && (longitude - east).abs() < 1e-4,
            (OutboundContent::Contacts { cards }, Content::Contacts { cards: told }) => {
                let names = |cards: &[crate::ContactCard]| {
                    cards
                        .iter()
                        .map(|card| vcard::shown(card).trim().to_owned())
                        .collect::<Vec<_>>()
                };
                names(cards) == names(told)
            }
            (OutboundContent::Poll { question, .. }, told) => {
                told.text().map(str::trim) == Some(question.trim())
            }
            // A reaction may simply be sent again.
            _ => false,
        }
    }

    fn told(self) -> Told {
        let status = match self.status {
            // What WhatsApp refused is told by its status; that it arrived here is what was asked.
            Some(status) if status >= DeliveryStatus::Delivered => DeliveryStatus::Sent,
            Some(DeliveryStatus::Sent) => DeliveryStatus::Sent,
            _ => DeliveryStatus::Sending,
        };
        let recipient = self.place.people;
        Told::Sent(Sent { references: vec![self.place.reference], status, recipient })
    }
}
