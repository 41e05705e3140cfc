//! Twilio's webhooks: status callbacks and messages of people.
//! <https://www.twilio.com/docs/messaging/guides/webhook-request>

use std::sync::Arc;

use serde_json::json;

use super::read::{self, segments};
use super::send::is_whatsapp;
use crate::sandbox::accounts::{SandboxAccount, SandboxRoute, digits};
use crate::sandbox::emulator::{Arrival, Inbound, Letter, Status};
use crate::sandbox::exchange::write_form;
use crate::sandbox::files::StoredFile;
use crate::sandbox::heard::Heard;
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::World;

const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

fn letter(world: &World, url: String, fields: &[(String, String)]) -> Letter {
    let body = write_form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let headers = vec![("i-twilio-idempotency-token", world.new_uuid())];
    Letter { url, content_type: FORM, headers, body, key: None }
}

pub(super) fn letters(world: &World, message: &Accepted, status: &Status) -> Vec<Letter> {
    let Some(url) = message.status_url.clone() else { return Vec::new() };
    let seen = message.seen();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fields = vec![
        field("SmsSid", &seen.id),
        field("SmsStatus", status.word),
        field("MessageStatus", status.word),
        field("To", &seen.to),
        field("MessageSid", &seen.id),
        field("AccountSid", &seen.account),
        field("From", &seen.from),
        field("ApiVersion", "2010-04-01"),
    ];
    if let Some(service) = read::service(&seen) {
        fields.push(field("MessagingServiceSid", service));
    }
    if let Some(code) = status.code {
        fields.push(field("ErrorCode", &code.to_string()));
    }
    if is_whatsapp(&seen.to) {
        fields.push(field("ChannelPrefix", "whatsapp"));
        fields.push(field("ChannelToAddress", seen.to.trim_start_matches("whatsapp:")));
        if status.word == "read" {
            fields.push(field("EventType", "READ"));
        }
    }
    vec![letter(world, url, &fields)]
}

pub(super) fn arrive(
    world: &World,
    account: &Arc<SandboxAccount>,
    route: &SandboxRoute,
    inbound: &Inbound,
) -> Arrival {
    let letters = if inbound.media.is_some() { "MM" } else { "SM" };
    let id = format!("{letters}{}", world.new_id());
    let whatsapp = route.channel == "whatsapp";
    let prefix = if whatsapp { "whatsapp:" } else { "" };
    let text = inbound.text.as_deref().unwrap_or_default();
    let media = usize::from(inbound.media.is_some());
    let mut fields = vec![
        ("ToCountry", "US".to_owned()),
        ("SmsMessageSid", id.clone()),
        ("NumMedia", media.to_string()),
        ("SmsSid", id.clone()),
        ("SmsStatus", "received".to_owned()),
        ("Body", text.to_owned()),
        ("To", format!("{prefix}{}", route.address)),
        ("NumSegments", segments(text).to_string()),
        ("MessageSid", id.clone()),
        ("AccountSid", account.name().to_owned()),
        ("From", format!("{prefix}{}", inbound.from)),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    if whatsapp {
        fields.push(("MessageType", kind(inbound).to_owned()));
        if inbound.from.starts_with('+') {
            fields.push(("WaId", digits(&inbound.from)));
        }
        let known = [
            ("ProfileName", inbound.name.clone()),
            ("ExternalUserId", inbound.user_id.clone()),
            ("OriginalRepliedMessageSid", inbound.reply_to.clone()),
            ("ButtonPayload", inbound.button.as_ref().map(|(id, _)| id.clone())),
            ("ButtonText", inbound.button.as_ref().map(|(_, title)| title.clone())),
            ("Latitude", inbound.location.map(|(latitude, _)| latitude.to_string())),
            ("Longitude", inbound.location.map(|(_, longitude)| longitude.to_string())),
            ("Label", inbound.location_name.clone()),
            ("Address", inbound.location_address.clone()),
        ];
        fields.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
    }
    let mut files = Vec::new();
    if let Some(file) = &inbound.media {
        let media = format!("ME{}", world.new_id());
        let stored = StoredFile {
            owner: ("twilio".to_owned(), account.name().to_owned()),
            mime_type: file.mime_type.clone(),
            filename: file.filename.clone(),
            bytes: file.bytes(),
            at: world.later(),
        };
        world.files().put(media.clone(), stored);
        files.push(media.clone());
        let sid = account.name();
        let path = format!("2010-04-01/Accounts/{sid}/Messages/{id}/Media/{media}");
        fields.push(("MediaUrl0", format!("{}/twilio/{path}", world.base())));
        fields.push(("MediaContentType0", file.mime_type.clone()));
    }
    keep(world, account, &fields, files);
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let url = account.webhook_url.clone();
    Arrival { id, letters: url.map(|url| letter(world, url, &fields)).into_iter().collect() }
}

/// Keeps the message for whoever asks the API for it.
fn keep(
    world: &World,
    account: &SandboxAccount,
    fields: &[(&'static str, String)],
    files: Vec<String>,
) {
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (id, at) = (field("MessageSid"), world.now());
    let (uri, date) = (read::uri(account.name(), &id), read::rfc2822(at));
    let view = json!({
        "sid": id,
        "account_sid": account.name(),
        "api_version": "2010-04-01",
        "messaging_service_sid": null,
        "to": field("To"),
        "from": field("From"),
        "body": field("Body"),
        "status": "received",
        "num_segments": field("NumSegments"),
        "num_media": field("NumMedia"),
        "direction": "inbound",
        "price": "-0.00750",
        "price_unit": "USD",
        "error_code": null,
        "error_message": null,
        "date_created": date,
        "date_sent": date,
        "date_updated": date,
        "uri": format!("{uri}.json"),
        "subresource_uris": {
            "media": format!("{uri}/Media.json"),
            "feedback": format!("{uri}/Feedback.json"),
        },
    });
    let (from, to) = (field("From"), field("To"));
    let account = account.name().to_owned();
    world.heard().keep(Heard { provider: "twilio", account, id, from, to, at, files, view });
}

fn kind(inbound: &Inbound) -> &str {
    let file = inbound.media.as_ref().map(|file| file.mime_type.split('/').next());
    match file {
        Some(Some(top @ ("image" | "audio" | "video"))) => top,
        Some(_) => "document",
        None if inbound.location.is_some() => "location",
        None if inbound.button.is_some() => "button",
        None => "text",
    }
}
