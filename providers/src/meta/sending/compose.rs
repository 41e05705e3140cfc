//! A message as Meta wants it. What is composed here has passed the check, so nothing is refused.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::interactive;
use crate::{
    Address, ContactCard, MediaKind, OutboundContent, OutboundFile, OutboundMessage, Template,
};

/// Where Meta finds the file of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum FilePlace<'a> {
    /// At a public address.
    Link(&'a str),
    /// With itself, under this id.
    Uploaded(&'a str),
}

/// The body of the request. Our id goes with it and comes back with every status.
pub(super) fn message(message: &OutboundMessage, file: Option<FilePlace<'_>>) -> Value {
    let (kind, block) = content(&message.content, file);
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("messaging_product", json!("whatsapp"));
    let is_group = message.group.is_some();
    put("recipient_type", json!(if is_group { "group" } else { "individual" }));
    match (&message.group, &message.to) {
        (Some(group), _) => put("to", json!(group)),
        (None, Address::Phone(number)) => put("to", json!(number.digits())),
        (None, other) => put("recipient", json!(other.value())),
    };
    put("type", json!(kind));
    put(kind, block);
    if let Some(reference) = &message.reply_to {
        put("context", json!({ "message_id": reference.0 }));
    }
    put("biz_opaque_callback_data", json!(message.id));
    Value::Object(body)
}

/// The name a document is shown with; other files are shown without one.
pub(super) fn filename(file: &OutboundFile) -> Option<&str> {
    file.filename.as_deref().map(str::trim).filter(|name| !name.is_empty())
}

/// The message's type, which is also the name of its block, and the block.
fn content(content: &OutboundContent, place: Option<FilePlace<'_>>) -> (&'static str, Value) {
    match content {
        OutboundContent::Text { body, preview_url } => {
            ("text", json!({ "body": body, "preview_url": preview_url }))
        }
        OutboundContent::Media { files, caption } => {
            media(files.first(), caption.as_deref(), place)
        }
        OutboundContent::Location { latitude, longitude, name, address } => (
            "location",
            object([
                ("latitude", Some(json!(latitude))),
                ("longitude", Some(json!(longitude))),
                ("name", name.as_ref().map(|name| json!(name))),
                ("address", address.as_ref().map(|address| json!(address))),
            ]),
        ),
        OutboundContent::Contacts { cards } => ("contacts", cards.iter().map(card).collect()),
        // An empty emoji takes the reaction back.
        OutboundContent::Reaction { target, emoji } => (
            "reaction",
            json!({ "message_id": target.0, "emoji": emoji.as_deref().unwrap_or_default() }),
        ),
        OutboundContent::Template(wanted) => ("template", template(wanted, place)),
        choices => ("interactive", interactive::block(choices, place)),
    }
}

/// An object of those members that are there.
pub(super) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let present = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect())
}

fn media(
    file: Option<&OutboundFile>,
    caption: Option<&str>,
    place: Option<FilePlace<'_>>,
) -> (&'static str, Value) {
    let kind = file.map_or(MediaKind::Document, |file| file.media);
    let mut block = placed(file, place);
    if let Some(caption) = caption {
        block["caption"] = json!(caption);
    }
    if kind == MediaKind::Voice {
        // A voice message is audio that says so.
        block["voice"] = json!(true);
        return ("audio", block);
    }
    (kind.word(), block)
}

/// Where Meta finds a file, and the name it is shown with.
pub(super) fn placed(file: Option<&OutboundFile>, place: Option<FilePlace<'_>>) -> Value {
    let is_document = |file: &&OutboundFile| file.media == MediaKind::Document;
    let name = file.filter(is_document).and_then(filename);
    let (link, id) = match place {
        Some(FilePlace::Link(link)) => (Some(json!(link)), None),
        Some(FilePlace::Uploaded(id)) => (None, Some(json!(id))),
        None => (None, None),
    };
    object([("id", id), ("link", link), ("filename", name.map(|name| json!(name)))])
}

/// Meta wants one part of the name beside the whole of it.
fn card(card: &ContactCard) -> Value {
    let list = |name: &str, values: &[String]| {
        let items: Vec<Value> = values.iter().map(|value| json!({ name: value })).collect();
        (!items.is_empty()).then_some(Value::Array(items))
    };
    object([
        ("name", Some(json!({ "formatted_name": card.name, "first_name": card.name }))),
        ("phones", list("phone", &card.phones)),
        ("emails", list("email", &card.emails)),
        ("org", card.organization.as_ref().map(|company| json!({ "company": company }))),
        ("addresses", list("street", &card.addresses)),
        ("urls", list("url", &card.urls)),
        ("birthday", card.birthday.as_ref().map(|birthday| json!(birthday))),
    ])
}

/// <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates>
fn template(template: &Template, place: Option<FilePlace<'_>>) -> Value {
    let mut components = match &template.components {
        Some(components) => Some(components.clone()),
        None => body_component(&template.variables),
    };
    if let Some(header) = &template.header {
        let mut all = vec![header_component(header, place)];
        all.extend(components.iter().filter_map(Value::as_array).flatten().cloned());
        components = Some(Value::Array(all));
    }
    object([
        ("name", Some(json!(template.name))),
        ("language", template.language.as_ref().map(|code| json!({ "code": code }))),
        ("components", components),
    ])
}

/// The file as the one parameter of the header.
fn header_component(file: &OutboundFile, place: Option<FilePlace<'_>>) -> Value {
    let kind = file.media.word();
    json!({ "type": "header", "parameters": [{ "type": kind, kind: placed(Some(file), place) }] })
}

/// The variables as parameters of the body: numbered ones in their order, named ones by their names.
fn body_component(variables: &BTreeMap<String, String>) -> Option<Value> {
    let mut numbered: Vec<(usize, &String)> =
        variables.iter().filter_map(|(key, text)| Some((key.parse().ok()?, text))).collect();
    numbered.sort_unstable_by_key(|(number, _)| *number);
    let parameters: Vec<Value> = match numbered.len() == variables.len() {
        true => numbered.iter().map(|(_, text)| json!({ "type": "text", "text": text })).collect(),
        false => variables
            .iter()
            .map(|(name, text)| json!({ "type": "text", "parameter_name": name, "text": text }))
            .collect(),
    };
    let component = || json!([{ "type": "body", "parameters": parameters }]);
    (!parameters.is_empty()).then(component)
}
