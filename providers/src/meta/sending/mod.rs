//! Sending messages: which request comes next, and what its answer says.
//!
//! A message is one request; one with a file of ours is two, the upload and the message. There is no key by which Meta
//! would know a repeated message again, so only uploads may be repeated.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>

mod check;
mod compose;
mod interactive;
mod upload;

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use self::compose::FilePlace;
use super::graph::{Graph, is_id, number_of};
use super::people::Who;
use super::refusal;
use super::wire::{Named, Taken, TakenFor};
use crate::{
    Address, Cause, Channel, DeliveryStatus, Failure, FailureClass, FileSource, LoadedFile,
    MessageRef, Messages, OutboundContent, OutboundFile, OutboundMessage, Pace, PairPace,
    ProviderRequest, ProviderResponse, Reach, Sent, Step, Unfit,
};

/// Hours of the customer-service window.
const WINDOW_HOURS: u32 = 24;

/// Meta's limit of one number to one recipient. What goes beyond it in a burst has to be waited for afterwards.
const PAIR: PairPace = PairPace { every: Duration::from_secs(6), burst: 45.0 };

/// "Media upload error": Meta could not use a file, or not fetch it from its link.
const FILE_UNUSABLE: i64 = 131_053;

/// The object in the request's path is unknown to the token: here that is our own number.
const UNKNOWN_OBJECT: (Option<i64>, Option<i64>) = (Some(100), Some(33));

impl Messages for Graph {
    fn check(&self, message: &OutboundMessage) -> Result<(), Unfit> {
        check::message(message)
    }

    fn step(
        &self,
        message: &OutboundMessage,
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure> {
        let number = number_of(&message.from)?;
        if answers.is_empty() {
            check::message(message).map_err(|reason| unfit(&reason))?;
        }
        let sending = Sending { graph: self, number, message };
        match (&message.content, message.content.files()) {
            // Media without a file is refused where the file is looked for.
            (OutboundContent::Media { .. }, files) => sending.file(files, answers),
            (_, []) => sending.words(None, answers),
            (_, files) => sending.file(files, answers),
        }
    }

    fn pace(&self, _channel: Channel) -> Pace {
        let per_second = f64::from(self.messages_per_second);
        Pace { per_second, burst: per_second, pair: Some(PAIR), human: None }
    }

    fn window_hours(&self, channel: Channel) -> Option<u32> {
        (channel == Channel::Whatsapp).then_some(WINDOW_HOURS)
    }
}

/// One message on its way.
struct Sending<'a> {
    graph: &'a Graph,
    number: &'a str,
    message: &'a OutboundMessage,
}

impl Sending<'_> {
    /// The message itself: its request, then what its answer says.
    fn words(
        &self,
        file: Option<FilePlace<'_>>,
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure> {
        if let Some(answer) = answers.first() {
            return self.sent(answer).map(Step::Done);
        }
        let body = compose::message(self.message, file);
        let request = self.graph.post(&format!("{}/messages", self.number), &body);
        Ok(Step::Next(Box::new(ProviderRequest::once(request))))
    }

    /// A file at a public address is sent by its link, one of ours by upload. Where Meta refuses the link at once and
    /// the file is with us too, it is uploaded after all.
    fn file(
        &self,
        files: &[OutboundFile],
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure> {
        let nothing = || {
            let detail = "the file is neither with us nor at an address";
            Failure::new(FailureClass::Permanent(Cause::Message), detail)
        };
        let file = files.first().ok_or_else(nothing)?;
        let none = LoadedFile::default();
        let loaded = self.message.files.first().unwrap_or(&none);
        let bytes = loaded.bytes.as_ref();
        let named = match &file.source {
            FileSource::Link(link) => Some(link.as_str()),
            FileSource::Stored(_) => None,
        };
        let by_link = named.is_some() || bytes.is_none();
        let link = loaded.link.as_deref().or(named).filter(|_| by_link);
        match (link, bytes, answers) {
            (Some(_), Some(bytes), [first, rest @ ..])
                if refusal::codes(first).0 == Some(FILE_UNUSABLE) =>
            {
                self.upload(file, bytes, rest)
            }
            (Some(link), _, answers) => self.words(Some(FilePlace::Link(link)), answers),
            (None, Some(bytes), answers) => self.upload(file, bytes, answers),
            (None, None, _) => Err(nothing()),
        }
    }

    /// The upload, then the message with the uploaded file's id.
    fn upload(
        &self,
        file: &OutboundFile,
        bytes: &Bytes,
        answers: &[ProviderResponse],
    ) -> Result<Step<Sent>, Failure> {
        let Some((uploaded, rest)) = answers.split_first() else {
            let (content_type, body) = upload::form(&self.message.id, file, bytes);
            let path = format!("{}/media", self.number);
            let request = self.graph.post_as(&path, content_type, body);
            return Ok(Step::Next(Box::new(ProviderRequest::repeatable(request))));
        };
        let named = uploaded.is_success().then(|| uploaded.json::<Named>()).flatten();
        let id = named.as_ref().and_then(|named| named.id.get()).filter(|id| is_id(id));
        match id {
            Some(id) => self.words(Some(FilePlace::Uploaded(id)), rest),
            None => Err(self.blame(uploaded, self.graph.refusal_of_question(uploaded))),
        }
    }

    /// What the answer to the message itself says.
    fn sent(&self, answer: &ProviderResponse) -> Result<Sent, Failure> {
        let taken = answer.is_success().then(|| answer.json::<Taken>()).flatten();
        let messages = taken.as_ref().map_or(&[][..], |taken| &taken.messages);
        let references: Vec<MessageRef> = messages
            .iter()
            .filter_map(|message| message.id.get().map(|id| MessageRef(id.to_owned())))
            .collect();
        if references.is_empty() {
            return Err(self.blame(answer, self.graph.refusal(answer)));
        }
        // Templates may be held back until Meta has seen how the first of them are received.
        let is_accepted = |status: Option<&str>| matches!(status, None | Some("accepted"));
        let all_accepted = messages.iter().all(|message| is_accepted(message.message_status.get()));
        let contacts = taken.as_ref().and_then(|taken| taken.contacts.as_array());
        // The group itself stands where a person would.
        let contacts = contacts.filter(|_| self.message.group.is_none());
        let recipient = contacts.into_iter().flatten().flat_map(|raw| self.further(raw)).collect();
        let status = if all_accepted { DeliveryStatus::Sent } else { DeliveryStatus::Sending };
        Ok(Sent { references, status, recipient })
    }

    /// The addresses of a contact, apart from the one that the message is sent to.
    fn further(&self, raw: &Value) -> Vec<Address> {
        let contact = TakenFor::deserialize(raw).unwrap_or_default();
        let who = Who {
            number: contact.wa_id.get(),
            user_id: contact.user_id.get(),
            parent_user_id: contact.parent_user_id.get(),
        };
        who.addresses().into_iter().filter(|address| *address != self.message.to).collect()
    }

    /// Every path of sending names our number: where Meta does not know it, nothing of ours will get through.
    fn blame(&self, answer: &ProviderResponse, failure: Failure) -> Failure {
        let is_number_unknown = refusal::codes(answer) == UNKNOWN_OBJECT
            && failure.class == FailureClass::Permanent(Cause::Message);
        if !is_number_unknown {
            return failure;
        }
        let class = FailureClass::Permanent(Cause::Account);
        let detail = format!("phone_number_id {}: {}", self.number, failure.detail);
        Failure { class, detail, ..failure }
    }
}

fn unfit(unfit: &Unfit) -> Failure {
    let cause = match unfit.field.as_str() {
        "to" => Cause::Recipient(Reach::NotThisTime),
        _ => Cause::Message,
    };
    Failure::new(FailureClass::Permanent(cause), unfit.to_string())
}
