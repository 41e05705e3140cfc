//! What Meta wants of a template that is made or changed, as far as its documentation says.
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates/components>

use serde_json::Value;

use super::text::{is_number, told, variables};
use crate::{TemplateDraft, Unfit};

const NAME_CHARS: usize = 512;
const HEADER_CHARS: usize = 60;
const BODY_CHARS: usize = 1_024;
const FOOTER_CHARS: usize = 60;
const BUTTONS: usize = 10;
const BUTTON_CHARS: usize = 25;
const URL_CHARS: usize = 2_000;
const PHONE_CHARS: usize = 20;

const CATEGORIES: [&str; 3] = ["marketing", "utility", "authentication"];

/// Refuses the first member that Meta would refuse.
pub(super) fn draft(draft: &TemplateDraft) -> Result<(), Unfit> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if draft.name.is_empty() || draft.name.len() > NAME_CHARS || !draft.name.bytes().all(plain) {
        let reason = format!("must be 1 to {NAME_CHARS} lower-case letters, digits and _");
        return Err(Unfit::new("name", reason));
    }
    if !is_language(&draft.language) {
        return Err(Unfit::new("language", "must have the form `pt_BR`, or `pt`"));
    }
    let category = draft.category.as_deref().unwrap_or_default();
    if !CATEGORIES.contains(&category) {
        return Err(Unfit::new("category", "must be marketing, utility or authentication"));
    }
    let format = draft.parameter_format.as_deref();
    if format.is_some_and(|format| !matches!(format, "named" | "positional")) {
        return Err(Unfit::new("parameter_format", "must be positional or named"));
    }
    let parts = draft.components.as_array().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| Unfit::new("components", "must be a list of parts"))?;
    let named = is_named(&draft.components);
    match (format, named) {
        (Some("positional"), true) => {
            let reason = "is named where variables have names, as in {{name}}";
            return Err(Unfit::new("parameter_format", reason));
        }
        (Some("named"), false) if has_variables(&draft.components) => {
            let reason = "is positional where variables are numbers, as in {{1}}";
            return Err(Unfit::new("parameter_format", reason));
        }
        _ => {}
    }
    let mut seen: Vec<String> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let at = format!("components[{index}]");
        let kind = part["type"].as_str().map(str::to_lowercase);
        let kind = kind.ok_or_else(|| Unfit::new(format!("{at}.type"), "is missing"))?;
        if seen.contains(&kind) {
            return Err(Unfit::new(at, format!("a template has one {kind} at most")));
        }
        match kind.as_str() {
            "header" => header(&at, part)?,
            // Meta words these itself.
            "body" | "footer" if category == "authentication" => {}
            "body" => body(&at, part)?,
            "footer" => {
                let words = words(&format!("{at}.text"), part, "text", FOOTER_CHARS)?;
                if !variables(words).is_empty() {
                    let reason = "a footer has no variables";
                    return Err(Unfit::new(format!("{at}.text"), reason));
                }
            }
            "buttons" => buttons(&at, part)?,
            // What is newer than this, Meta judges.
            _ => {}
        }
        seen.push(kind);
    }
    if !seen.iter().any(|kind| kind == "body") {
        return Err(Unfit::new("components", "a template needs a part of type BODY"));
    }
    Ok(())
}

/// Whether any variable of these parts has a name.
pub(super) fn is_named(components: &Value) -> bool {
    texts(components).any(|text| variables(text).iter().any(|name| !is_number(name)))
}

fn has_variables(components: &Value) -> bool {
    texts(components).any(|text| !variables(text).is_empty())
}

/// The texts of header and body.
fn texts(components: &Value) -> impl Iterator<Item = &str> {
    let parts = components.as_array().into_iter().flatten();
    let worded = parts.filter(|part| {
        let kind = part["type"].as_str().unwrap_or_default();
        kind.eq_ignore_ascii_case("header") || kind.eq_ignore_ascii_case("body")
    });
    worded.filter_map(|part| part["text"].as_str())
}

fn is_language(text: &str) -> bool {
    let (language, region) = match text.split_once('_') {
        Some((language, region)) => (language, Some(region)),
        None => (text, None),
    };
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.is_none_or(|region| {
            (2..=4).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
}

/// A member that is words of at most `most` characters.
fn words<'a>(field: &str, part: &'a Value, member: &str, most: usize) -> Result<&'a str, Unfit> {
    let text = part[member].as_str().filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| Unfit::new(field, "is missing"))?;
    let given = text.chars().count();
    match given > most {
        true => Err(Unfit::new(field, format!("at most {most} characters, {given} were given"))),
        false => Ok(text),
    }
}

fn header(at: &str, part: &Value) -> Result<(), Unfit> {
    let format = part["format"].as_str().map(str::to_lowercase);
    let format = format.ok_or_else(|| Unfit::new(format!("{at}.format"), "is missing"))?;
    match format.as_str() {
        "text" => {
            let field = format!("{at}.text");
            let text = words(&field, part, "text", HEADER_CHARS)?;
            let found = variables(text);
            if found.len() > 1 {
                return Err(Unfit::new(field, "a header has one variable at most"));
            }
            numbered(&field, &found)?;
            let field = format!("{at}.example");
            examples(&field, &found, &part["example"], "header_text", "header_text_named_params")
        }
        "image" | "video" | "document" | "gif" => {
            let handles = part["example"]["header_handle"].as_array();
            let handle = handles.and_then(|all| all.first()).and_then(Value::as_str);
            match handle.filter(|handle| !handle.is_empty()) {
                Some(_) => Ok(()),
                None => {
                    let reason = "Meta wants an example: the handle of a file that was given to its Resumable Upload API";
                    Err(Unfit::new(format!("{at}.example.header_handle"), reason))
                }
            }
        }
        "location" => Ok(()),
        _ => {
            let reason = "must be TEXT, IMAGE, VIDEO, DOCUMENT, GIF or LOCATION";
            Err(Unfit::new(format!("{at}.format"), reason))
        }
    }
}

fn body(at: &str, part: &Value) -> Result<(), Unfit> {
    let field = format!("{at}.text");
    let text = words(&field, part, "text", BODY_CHARS)?;
    let found = variables(text);
    numbered(&field, &found)?;
    let bare = text.trim();
    if bare.starts_with("{{") || bare.ends_with("}}") {
        return Err(Unfit::new(field, "must neither begin nor end with a variable"));
    }
    let field = format!("{at}.example");
    examples(&field, &found, &part["example"], "body_text", "body_text_named_params")
}

/// Variables are numbered from 1 in order without gaps, or all of them have names of lower-case letters, digits and _.
fn numbered(field: &str, found: &[&str]) -> Result<(), Unfit> {
    let numbers = found.iter().filter(|name| is_number(name)).count();
    if numbers == 0 {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let odd = found.iter().find(|name| name.is_empty() || !name.bytes().all(plain));
        return match odd {
            Some(name) => {
                let reason =
                    format!("the variable `{name}` must be lower-case letters, digits and _");
                Err(Unfit::new(field, reason))
            }
            None => Ok(()),
        };
    }
    let all = (1..=found.len()).all(|number| found.contains(&number.to_string().as_str()));
    match all && numbers == found.len() {
        true => Ok(()),
        false => {
            let reason =
                format!("must be numbered from 1 without gaps, and it has {}", told(found));
            Err(Unfit::new(field, reason))
        }
    }
}

/// Each variable needs an example: a list of as many texts, or one by each name.
fn examples(
    field: &str,
    found: &[&str],
    example: &Value,
    listed: &str,
    named: &str,
) -> Result<(), Unfit> {
    if found.is_empty() {
        return Ok(());
    }
    let unfit = |member: &str| {
        let reason = format!("needs an example for {}", told(found));
        Err(Unfit::new(format!("{field}.{member}"), reason))
    };
    if found.iter().any(|name| !is_number(name)) {
        let given = example[named].as_array().map(Vec::as_slice).unwrap_or_default();
        let has = |name: &&str| {
            given.iter().any(|one| {
                one["param_name"] == **name
                    && one["example"].as_str().is_some_and(|text| !text.is_empty())
            })
        };
        return match found.iter().all(has) {
            true => Ok(()),
            false => unfit(named),
        };
    }
    // The body's are a list of one list.
    let given = &example[listed];
    let given = if given[0].is_array() { &given[0] } else { given };
    let filled = given.as_array().into_iter().flatten();
    let filled = filled.filter(|one| one.as_str().is_some_and(|text| !text.is_empty())).count();
    match filled == found.len() {
        true => Ok(()),
        false => unfit(listed),
    }
}

fn buttons(at: &str, part: &Value) -> Result<(), Unfit> {
    let field = format!("{at}.buttons");
    let all = part["buttons"].as_array().filter(|all| (1..=BUTTONS).contains(&all.len()));
    let all = all.ok_or_else(|| Unfit::new(&field, format!("must be 1 to {BUTTONS} buttons")))?;
    for (index, button) in all.iter().enumerate() {
        let at = format!("{field}[{index}]");
        let kind = button["type"].as_str().map(str::to_lowercase);
        let kind = kind.ok_or_else(|| Unfit::new(format!("{at}.type"), "is missing"))?;
        if matches!(kind.as_str(), "quick_reply" | "url" | "phone_number") {
            words(&format!("{at}.text"), button, "text", BUTTON_CHARS)?;
        }
        match kind.as_str() {
            "url" => url(&at, button)?,
            "phone_number" => {
                words(&format!("{at}.phone_number"), button, "phone_number", PHONE_CHARS)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// An address has one variable at most, at its end, and then an example.
fn url(at: &str, button: &Value) -> Result<(), Unfit> {
    let field = format!("{at}.url");
    let url = words(&field, button, "url", URL_CHARS)?;
    let found = variables(url);
    if found.is_empty() {
        return Ok(());
    }
    if found.len() > 1 || !url.trim().ends_with("}}") {
        return Err(Unfit::new(field, "has one variable at most, at its end"));
    }
    let example = &button["example"];
    let example = if example.is_array() { &example[0] } else { example };
    match example.as_str().is_some_and(|text| !text.is_empty()) {
        true => Ok(()),
        false => Err(Unfit::new(format!("{at}.example"), "needs an example for its variable")),
    }
}
