//! The limits of templates, as far as they do not depend on the template.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates>

use std::collections::BTreeMap;

use serde_json::Value;

use super::{filled, media, present};
use crate::{LoadedFile, Template, Unfit};

const NAME_CHARS: usize = 512;

pub(super) fn template(template: &Template, loaded: &[LoadedFile]) -> Result<(), Unfit> {
    filled("content.name", &template.name, NAME_CHARS)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !template.name.bytes().all(is_plain) {
        let reason = "must be lower-case letters, digits and _, as Meta names templates";
        return Err(Unfit::new("content.name", reason));
    }
    let Some(language) = &template.language else {
        return Err(Unfit::new("content.language", "is needed, as in `pt_BR`"));
    };
    if !is_language(language) {
        let reason = "must be a language, or a language and a country, as in `en` or `pt_BR`";
        return Err(Unfit::new("content.language", reason));
    }
    if let Some(header) = &template.header {
        media::above("content.header", header, loaded.first())?;
        let given = template.components.as_ref().and_then(Value::as_array);
        let is_header = |part: &Value| {
            part["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("header"))
        };
        if given.into_iter().flatten().any(is_header) {
            let reason = "cannot be given beside a header in content.components";
            return Err(Unfit::new("content.header", reason));
        }
    }
    match &template.components {
        Some(_) if !template.variables.is_empty() => {
            Err(Unfit::new("content.variables", "cannot be given beside content.components"))
        }
        Some(given) => components(given),
        None => variables(&template.variables),
    }
}

/// Whether the text has the form of a language code: `pt`, `fil`, `pt_BR`.
/// <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates/supported-languages>
fn is_language(text: &str) -> bool {
    let (language, country) = match text.split_once('_') {
        Some((language, country)) => (language, Some(country)),
        None => (text, None),
    };
    matches!(language.len(), 2 | 3)
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && country.is_none_or(|country| {
            country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())
        })
}

fn components(components: &Value) -> Result<(), Unfit> {
    let Some(list) = components.as_array() else {
        return Err(Unfit::new("content.components", "must be a list"));
    };
    for (index, component) in list.iter().enumerate() {
        if !component.get("type").is_some_and(Value::is_string) {
            let field = format!("content.components[{index}].type");
            return Err(Unfit::new(field, "must be a text"));
        }
    }
    Ok(())
}

/// A template has numbered or named variables, never both.
fn variables(variables: &BTreeMap<String, String>) -> Result<(), Unfit> {
    let is_number = |key: &String| key.bytes().all(|byte| byte.is_ascii_digit());
    let numbered = variables.keys().filter(|key| is_number(key)).count();
    for (key, text) in variables {
        let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if key.is_empty() || !key.bytes().all(name) {
            let reason =
                format!("`{key}` is neither a number nor lower-case letters, digits and _");
            return Err(Unfit::new("content.variables", reason));
        }
        present(&format!("content.variables.{key}"), text)?;
    }
    if numbered != 0 && numbered != variables.len() {
        return Err(Unfit::new("content.variables", "must all be numbered or all be named"));
    }
    if numbered != 0 && !(1..=numbered).all(|number| variables.contains_key(&number.to_string())) {
        let reason = format!("must be numbered from 1 to {numbered} without gaps");
        return Err(Unfit::new("content.variables", reason));
    }
    Ok(())
}
