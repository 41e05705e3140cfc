//! What became of a message whose sending got no answer: it is looked for in its chat.
//!
//! An engine that takes the id we chose shows the message under it. Otherwise what we wrote in the minutes after the sending
//! is compared with it: one that says the same is the message, several cannot be told apart, and none means that it
//! never arrived, once it had time to.
//! <https://waha.devlike.pro/docs/how-to/chats/#get-messages-from-the-chat>

use chrono::TimeDelta;
use serde::Deserialize;

use super::ids::{self, Id};
use super::wire::{WireMessage, time};
use super::{WahaAccount, errors, send};
use crate::{
    Cause, DeliveryStatus, Failure, FailureClass, OutboundContent, OutboundMessage,
    ProviderRequest, ProviderResponse, Sent, Timestamp, Told, Tracking,
};

/// How many messages are asked for; if the chat has more, absence proves nothing.
const LIMIT: usize = 100;

/// How far WhatsApp's time of a message may lie before and after our time of its sending.
const BEFORE: TimeDelta = TimeDelta::seconds(30);
const AFTER: TimeDelta = TimeDelta::minutes(10);

/// How long a message may be on its way before its absence says that it never arrived.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(2);

impl Tracking for WahaAccount {
    fn ask(&self, message: &OutboundMessage, sent_at: Timestamp) -> ProviderRequest {
        // What cannot be written to was never sent; the question then finds nothing.
        let chat = ids::chat_of_message(message).unwrap_or_default();
        let since = (sent_at - BEFORE).timestamp().to_string();
        let path = ["api", self.api.session(), "chats", &chat, "messages"];
        let limit = LIMIT.to_string();
        let query = [
            ("limit", limit.as_str()),
            ("downloadMedia", "false"),
            ("sortBy", "timestamp"),
            ("sortOrder", "desc"),
            ("filter.fromMe", "true"),
            ("filter.timestamp.gte", &since),
        ];
        ProviderRequest::repeatable(self.api.get(&path, &query))
    }

    fn told(
        &self,
        message: &OutboundMessage,
        sent_at: Timestamp,
        response: &ProviderResponse,
    ) -> Result<Told, Failure> {
        if !response.is_success() {
            return refused(response);
        }
        // A reaction is not listed. It may simply be sent again.
        let is_listed = !matches!(message.content, OutboundContent::Reaction { .. });
        let body = response.document();
        let listed = body.read::<Vec<Listed<'_>>>().ok().filter(|_| is_listed);
        let Some(listed) = listed else {
            return Ok(Told::Unclear);
        };
        let chosen = ids::chosen(&message.id).map(|id| ids::reference(true, &id));
        let named = |listed: &&Listed<'_>| listed.reference().is_some_and(|r| Some(r) == chosen);
        if let Some(found) = listed.iter().find(named) {
            return Ok(found.told());
        }
        let mut alike = listed.iter().filter(|listed| listed.is_like(message, sent_at));
        match (alike.next(), alike.next()) {
            (Some(found), None) => Ok(found.told()),
            (Some(_), Some(_)) => Ok(Told::Unclear),
            // Engines list a poll with its question, or without any words: that none is like it proves nothing.
            (None, _) if matches!(message.content, OutboundContent::Poll { .. }) => {
                Ok(Told::Unclear)
            }
            (None, _) => {
                let had_time = response.at - sent_at >= ON_ITS_WAY;
                let is_whole = listed.len() < LIMIT;
                Ok(if had_time && is_whole { Told::NeverArrived } else { Told::Unclear })
            }
        }
    }
}

/// Engines without a store of messages refuse the question: that is no answer to it, and no failure to mend.
fn refused(response: &ProviderResponse) -> Result<Told, Failure> {
    let failure = errors::of_asking(response);
    match failure.class {
        FailureClass::Permanent(Cause::Message) => Ok(Told::Unclear),
        _ => Err(failure),
    }
}

/// One message of a chat.
#[derive(Deserialize)]
#[serde(transparent)]
struct Listed<'a>(#[serde(borrow)] WireMessage<'a>);

impl Listed<'_> {
    fn id(&self) -> Option<Id<'_>> {
        self.0.id.get().and_then(Id::read)
    }

    /// The message's reference, if it is ours.
    fn reference(&self) -> Option<crate::MessageRef> {
        let id = self.id()?;
        let is_ours = id.from_me.or(self.0.from_me).unwrap_or_default();
        is_ours.then(|| id.reference(true))
    }

    /// Whether it says the same, at about that time.
    fn is_like(&self, message: &OutboundMessage, sent_at: Timestamp) -> bool {
        let when = time(&self.0.timestamp);
        let in_time = when.is_some_and(|at| at >= sent_at - BEFORE && at <= sent_at + AFTER);
        let body = self.0.body.get().map(str::trim);
        let has_media = self.0.has_media.unwrap_or_default();
        let says_the_same = match &message.content {
            OutboundContent::Text { body: ours, .. } => !has_media && body == Some(ours.trim()),
            OutboundContent::Poll { question, .. } => !has_media && body == Some(question.trim()),
            OutboundContent::Media { caption, .. } => {
                let caption = caption.as_deref().map(str::trim);
                has_media && body.filter(|_| caption.is_some()) == caption
            }
            OutboundContent::Location { latitude, longitude, .. } => {
                let near =
                    |told: Option<f64>, ours: f64| told.is_some_and(|d| (d - ours).abs() < 1e-4);
                let place = self.0.location.as_ref();
                place.is_some_and(|p| near(p.latitude, *latitude) && near(p.longitude, *longitude))
            }
            OutboundContent::Contacts { cards } => {
                self.0.v_cards.as_ref().is_some_and(|told| told.len() == cards.len())
            }
            _ => false,
        };
        in_time && says_the_same && self.reference().is_some()
    }

    fn told(&self) -> Told {
        let Some(reference) = self.reference() else {
            return Told::Unclear;
        };
        let status = send::status(self.0.ack.number());
        // What WhatsApp refused is told by its status; that it arrived here is what was asked.
        let status = match status {
            DeliveryStatus::Sending | DeliveryStatus::Failed => DeliveryStatus::Sending,
            _ => DeliveryStatus::Sent,
        };
        Told::Sent(Sent { references: vec![reference], status, recipient: Vec::new() })
    }
}
