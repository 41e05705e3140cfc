//! The limits of templates, as far as they do not depend on the template.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates>

use std::collections::BTreeMap;
use std::slice;

use serde_json::Value;

use super::{filled, media, present};
use crate::{LoadedFile, MediaKind, OutboundFile, Template, Unfit};

const NAME_CHARS: usize = 512;

pub(super) fn template(template: &Template, loaded: &[LoadedFile]) -> Result<(), Unfit> {
    filled("content.name", &template.name, NAME_CHARS)?;
    let Some(language) = &template.language else {
        return Err(Unfit::new("content.language", "is needed, as in `pt_BR`"));
    };
    present("content.language", language)?;
    if let Some(header) = &template.header {
        file(header, loaded)?;
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

/// A header's file keeps the limits that it would have as a message of its own.
fn file(file: &OutboundFile, loaded: &[LoadedFile]) -> Result<(), Unfit> {
    let at = "content.header";
    if !matches!(file.media, MediaKind::Image | MediaKind::Video | MediaKind::Document) {
        let reason = "a template's header is an image, a video or a document";
        return Err(Unfit::new(format!("{at}.media"), reason));
    }
    media::files(slice::from_ref(file), None, loaded).map_err(|unfit| {
        let field = unfit.field.replace("content.files[0]", at);
        Unfit { field, ..unfit }
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
