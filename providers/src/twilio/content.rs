//! What a message says: parameters that may or may not be there, since Twilio writes all channels alike.
//! <https://www.twilio.com/docs/messaging/guides/webhook-request>

use serde_json::Value;

use crate::form::Form;
use crate::{Attachment, Content, MediaKind, outside, unknown};

/// Reads the most telling part that is there; `Body` repeats or explains it.
pub(super) fn read(form: &Form<'_>) -> Content {
    let attachments = attachments(form);
    if !attachments.is_empty() {
        let caption = form.owned("Body");
        return Content::Media { attachments, caption };
    }
    let parts = [
        location(form),
        call_permission(form),
        list_reply(form),
        button_reply(form),
        form_reply(form),
    ];
    parts.into_iter().flatten().next().unwrap_or_else(|| text(form))
}

/// Words. An SMS may be empty; a message of another kind that left nothing we know was one all the same, and is not only the
/// words of its `Body`.
fn text(form: &Form<'_>) -> Content {
    let body = form.exact("Body").unwrap_or_default().to_owned();
    let has_media = form.number("NumMedia").is_some_and(|count| count > 0);
    let kind = form.get("MessageType").filter(|kind| *kind != "text");
    if kind.is_none() && (!body.is_empty() || !has_media) {
        return Content::Text { body };
    }
    let all = form.to_json();
    let said = || unknown::members(&all, &[]).filter(|(name, _)| !is_of_envelope(name));
    match unknown::words(said()) {
        Some(words) if words == body => Content::Text { body },
        _ => unknown::content(kind, said(), (None, None)),
    }
}

/// Whether a parameter surrounds what a message says: ids, numbers, where people are, how they are called.
fn is_of_envelope(name: &str) -> bool {
    const FAMILIES: [&str; 5] = ["From", "To", "Referral", "Num", "Media"];
    const SINGLE: [&str; 7] = [
        "AccountSid",
        "ApiVersion",
        "ChannelMetadata",
        "MessageType",
        "ProfileName",
        "Username",
        "WaId",
    ];
    SINGLE.contains(&name)
        || name.ends_with("Sid")
        || name.ends_with("Status")
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// `MediaUrl0`, `MediaUrl1` and so on, each with its `MediaContentType`.
fn attachments(form: &Form<'_>) -> Vec<Attachment> {
    let named = form.fields().iter().filter_map(|(name, url)| {
        let index: u16 = name.strip_prefix("MediaUrl")?.parse().ok()?;
        let url = url.trim();
        (!url.is_empty()).then_some((index, url))
    });
    let mut urls: Vec<(u16, &str)> = named.collect();
    urls.sort_unstable();
    urls.dedup_by_key(|(index, _)| *index);
    let attachment = |(index, url): (u16, &str)| {
        let mime_type = form.owned(&format!("MediaContentType{index}"));
        Attachment {
            kind: kind(form, mime_type.as_deref().unwrap_or_default()),
            media_id: media_id(url),
            url: Some(url.to_owned()),
            mime_type,
            filename: None,
            size: None,
            sha256: None,
        }
    };
    urls.into_iter().map(attachment).collect()
}

/// Two kinds share their media types with others and are told apart by the message's type only.
fn kind(form: &Form<'_>, mime_type: &str) -> MediaKind {
    match form.get("MessageType") {
        Some("sticker") => MediaKind::Sticker,
        Some("voice") => MediaKind::Voice,
        _ => MediaKind::of_mime_type(mime_type),
    }
}

/// The `ME…` SID that a media URL ends in.
fn media_id(url: &str) -> Option<String> {
    let last = url.rsplit('/').next()?;
    let is_sid = last.len() == 34 && last.starts_with("ME") && last.is_ascii();
    is_sid.then(|| last.to_owned())
}

fn location(form: &Form<'_>) -> Option<Content> {
    let degrees = |name, limit: f64| {
        let degrees: f64 = form.get(name)?.trim().parse().ok()?;
        (degrees.abs() <= limit).then_some(degrees)
    };
    Some(Content::Location {
        latitude: degrees("Latitude", 90.0)?,
        longitude: degrees("Longitude", 180.0)?,
        name: form.any(&["Label", "Body"]).map(ToOwned::to_owned),
        address: form.owned("Address"),
        url: None,
    })
}

/// A WhatsApp Flow hands its answers over as JSON.
fn form_reply(form: &Form<'_>) -> Option<Content> {
    let answers = form.any(&["FlowData", "InteractiveData"])?;
    let response = outside::read(answers.as_bytes()).unwrap_or_else(|_| Value::from(answers));
    Some(Content::FormReply { name: None, body: form.owned("Body"), response })
}

fn list_reply(form: &Form<'_>) -> Option<Content> {
    Some(Content::ListReply {
        id: form.owned("ListId")?,
        title: form.any(&["ListTitle", "Body"]).unwrap_or_default().to_owned(),
        description: form.owned("ListDescription"),
    })
}

/// What WhatsApp asks a person for whom a business wants to call, and under which name Twilio passes on the answer: as a
/// button's payload.
const CALL_REQUEST: &str = "VOICE_CALL_REQUEST";

/// Where the name may stand, since all kinds of answers share their parameters.
const CALL_REQUEST_PLACES: [&str; 6] =
    ["MessageType", "ButtonType", "ButtonText", "Body", "InteractiveType", "InteractiveData"];

/// Whether we may call. How long that lasts is not told.
/// <https://www.twilio.com/docs/voice/whatsapp-business-calling>
fn call_permission(form: &Form<'_>) -> Option<Content> {
    let granted = match form.get("ButtonPayload")?.trim().to_ascii_uppercase().as_str() {
        "ACCEPTED" => true,
        "REJECTED" => false,
        _ => return None,
    };
    let is_named = |name: &&str| form.get(name).is_some_and(|text| text.contains(CALL_REQUEST));
    let is_answer = CALL_REQUEST_PLACES.iter().any(is_named);
    is_answer.then_some(Content::CallPermissionReply {
        granted,
        permanent: false,
        expires_at: None,
        source: None,
    })
}

/// A button of a template may have no payload; its text is all there is to know it by.
fn button_reply(form: &Form<'_>) -> Option<Content> {
    let id = form.any(&["ButtonPayload", "ButtonText"])?;
    let title = form.any(&["ButtonText", "Body"]).unwrap_or(id);
    Some(Content::ButtonReply { id: id.to_owned(), title: title.to_owned() })
}
