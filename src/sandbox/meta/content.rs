//! What Meta requires of each type of message.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>

use serde_json::{Map, Value};

use super::errors::fail;
use super::interactive;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::emoji;
use crate::sandbox::exchange::Answer;
use crate::sandbox::world::World;

pub(super) type Object = Map<String, Value>;

/// Checks the block of `kind`, except for templates. Returns the links it names.
pub(super) fn check(
    world: &World,
    account: &SandboxAccount,
    kind: &str,
    block: &Value,
) -> Result<Vec<String>, Answer> {
    if kind == "contacts" {
        contacts(block)?;
        return Ok(Vec::new());
    }
    let object = block.as_object().ok_or_else(|| missing(kind))?;
    match kind {
        "text" => {
            only(object, kind, &["body", "preview_url"])?;
            words(object, "body", kind, 4_096)?;
        }
        "image" | "video" | "document" | "audio" | "sticker" => {
            return file(world, account, kind, object);
        }
        "location" => {
            only(object, kind, &["latitude", "longitude", "name", "address"])?;
            degrees(object, "latitude", 90.0)?;
            degrees(object, "longitude", 180.0)?;
        }
        "reaction" => {
            only(object, kind, &["message_id", "emoji"])?;
            words(object, "message_id", kind, 512)?;
            let given = object.get("emoji").and_then(Value::as_str);
            let given = given.ok_or_else(|| missing("reaction['emoji']"))?;
            if !given.is_empty() && !emoji::is_one(given) {
                return Err(fail(131_009, "reaction['emoji'] must be one emoji"));
            }
        }
        "interactive" => return interactive::check(world, account, object),
        _ => {
            return Err(fail(
                100,
                &format!("Param type must be one of the message types; got {kind}"),
            ));
        }
    }
    Ok(Vec::new())
}

/// A file by id or link.
pub(super) fn file(
    world: &World,
    account: &SandboxAccount,
    kind: &str,
    object: &Object,
) -> Result<Vec<String>, Answer> {
    let allowed: &[&str] = match kind {
        "document" => &["id", "link", "caption", "filename"],
        "audio" => &["id", "link", "voice"],
        "sticker" => &["id", "link"],
        _ => &["id", "link", "caption"],
    };
    only(object, kind, allowed)?;
    if object.contains_key("caption") {
        words(object, "caption", kind, 1_024)?;
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    match (text("id"), text("link")) {
        (Some(id), None) => {
            let owner = ("meta".to_owned(), account.name().to_owned());
            let files = world.files();
            let known = files.get(id).filter(|file| file.owner == owner);
            let known = known.ok_or_else(|| {
                fail(
                    131_009,
                    &format!(
                        "{kind}['id'] is not a valid whatsapp business account media attachment ID"
                    ),
                )
            })?;
            if super::media::kind_of(&known.mime_type) != Some(kind) && kind != "document" {
                return Err(fail(
                    131_053,
                    &format!("The uploaded file of type {} is no {kind}", known.mime_type),
                ));
            }
            let is_voice = object.get("voice").is_some_and(|voice| voice == true);
            if is_voice && !known.mime_type.starts_with("audio/ogg") {
                return Err(fail(131_053, "A voice message must be audio/ogg with the opus codec"));
            }
            Ok(Vec::new())
        }
        (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => {
            Ok(vec![link.to_owned()])
        }
        (None, Some(_)) => Err(fail(100, &format!("Param {kind}['link'] is not a valid URL."))),
        (Some(_), Some(_)) => {
            Err(fail(131_009, &format!("{kind} must have either 'id' or 'link', not both")))
        }
        (None, None) => Err(fail(131_008, &format!("{kind} must have either 'id' or 'link'"))),
    }
}

fn contacts(block: &Value) -> Result<(), Answer> {
    let cards = block.as_array().filter(|cards| !cards.is_empty());
    for (index, card) in cards.ok_or_else(|| missing("contacts"))?.iter().enumerate() {
        let at = format!("contacts[{index}]");
        let name = card["name"].as_object().ok_or_else(|| missing(&format!("{at}['name']")))?;
        words(name, "formatted_name", &format!("{at}['name']"), 1_024)?;
        let parts = ["first_name", "last_name", "middle_name", "suffix", "prefix"];
        if !parts.iter().any(|part| name.get(*part).is_some_and(Value::is_string)) {
            let details = format!("{at}['name'] needs one more part besides formatted_name");
            return Err(fail(131_008, &details));
        }
        for phone in card["phones"].as_array().into_iter().flatten() {
            if !phone["phone"].is_string() {
                return Err(missing(&format!("{at}['phones'][]['phone']")));
            }
        }
    }
    Ok(())
}

fn degrees(object: &Object, name: &str, most: f64) -> Result<(), Answer> {
    let value = object.get(name).ok_or_else(|| missing(&format!("location['{name}']")))?;
    let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match number {
        Some(number) if number.abs() <= most => Ok(()),
        _ => Err(fail(131_009, &format!("location['{name}'] must be between -{most} and {most}"))),
    }
}

/// A required text of 1 to `most` characters.
pub(super) fn words<'a>(
    object: &'a Object,
    name: &str,
    param: &str,
    most: usize,
) -> Result<&'a str, Answer> {
    let text = object.get(name).and_then(Value::as_str);
    let text = text.ok_or_else(|| missing(&format!("{param}['{name}']")))?;
    let length = text.chars().count();
    if text.trim().is_empty() || length > most {
        let details =
            format!("Param {param}['{name}'] must be between 1 and {most} characters long.");
        let code = if param.starts_with("interactive") { 131_009 } else { 100 };
        return Err(fail(code, &details));
    }
    Ok(text)
}

/// The same, if it is there.
pub(super) fn maybe_words(
    object: &Object,
    name: &str,
    param: &str,
    most: usize,
) -> Result<(), Answer> {
    match object.contains_key(name) {
        true => words(object, name, param, most).map(|_| ()),
        false => Ok(()),
    }
}

/// Members that do not belong there are refused, as Meta does.
pub(super) fn only(object: &Object, param: &str, names: &[&str]) -> Result<(), Answer> {
    match object.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(fail(100, &format!("Unexpected key \"{key}\" on param \"{param}\"."))),
        None => Ok(()),
    }
}

pub(super) fn missing(param: &str) -> Answer {
    if param.contains('[') {
        return fail(131_008, &format!("The parameter {param} is required."));
    }
    fail(100, &format!("The parameter {param} is required."))
}
