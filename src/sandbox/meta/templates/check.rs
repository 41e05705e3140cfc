//! What Meta requires of a message that is made from a template.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates>

use std::collections::BTreeSet;

use serde_json::Value;

use super::variables;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::Answer;
use crate::sandbox::meta::content::{self, missing};
use crate::sandbox::meta::errors::fail;
use crate::sandbox::world::World;

/// Checks the block of a template message. Returns the links it names.
pub(in crate::sandbox::meta) fn check(
    world: &World,
    account: &SandboxAccount,
    block: &Value,
) -> Result<Vec<String>, Answer> {
    let name = block["name"].as_str().ok_or_else(|| missing("template['name']"))?;
    let language = block["language"]["code"].as_str();
    let language = language.ok_or_else(|| missing("template['language']['code']"))?;
    let all = world.templates().of(account.name());
    let found = all.iter().find(|one| one["name"] == name && one["language"] == language);
    let found = found.filter(|one| one["status"] != "REJECTED" && one["status"] != "PENDING");
    let found = found.ok_or_else(|| {
        fail(132_001, &format!("template name ({name}) does not exist in {language}"))
    })?;
    match found["status"].as_str() {
        Some("PAUSED") => return Err(fail(132_015, "The template is paused.")),
        Some("DISABLED") => return Err(fail(132_016, "The template is disabled.")),
        _ => {}
    }
    let given = block["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_named = found["parameter_format"] == "NAMED";
    if let Some(part) = part_of(found, "BODY") {
        let wanted = variables(part["text"].as_str().unwrap_or_default());
        words("body", &wanted, &parameters(given, "BODY"), is_named)?;
    }
    let links = header(world, account, found, given, is_named)?;
    buttons(found, given)?;
    Ok(links)
}

fn is_kind(part: &Value, kind: &str) -> bool {
    part["type"].as_str().is_some_and(|given| given.eq_ignore_ascii_case(kind))
}

fn part_of<'a>(template: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut parts = template["components"].as_array().into_iter().flatten();
    parts.find(|part| is_kind(part, kind))
}

fn parameters<'a>(given: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let parts = given.iter().filter(|part| is_kind(part, kind));
    parts.filter_map(|part| part["parameters"].as_array()).flatten().collect()
}

fn words(
    place: &str,
    wanted: &BTreeSet<String>,
    given: &[&Value],
    is_named: bool,
) -> Result<(), Answer> {
    if wanted.len() != given.len() {
        let details = format!(
            "{place}: number of localizable_params ({}) does not match the expected number of params ({})",
            given.len(),
            wanted.len()
        );
        return Err(fail(132_000, &details));
    }
    for parameter in given {
        let text = parameter["text"].as_str();
        if is_kind(parameter, "text") && text.is_none_or(str::is_empty) {
            return Err(fail(132_012, &format!("{place}: a text parameter must not be empty")));
        }
        let name = parameter["parameter_name"].as_str();
        if is_named && !name.is_some_and(|name| wanted.contains(name)) {
            let details = format!("{place}: parameter_name is missing or not in the template");
            return Err(fail(132_012, &details));
        }
    }
    Ok(())
}

/// The header's file, place or words: what the template has there, and nothing where it has none.
fn header(
    world: &World,
    account: &SandboxAccount,
    template: &Value,
    given: &[Value],
    is_named: bool,
) -> Result<Vec<String>, Answer> {
    let given = parameters(given, "HEADER");
    let part = part_of(template, "HEADER");
    let format = part.and_then(|part| part["format"].as_str()).map(str::to_uppercase);
    let kind = |parameter: &Value| parameter["type"].as_str().unwrap_or("text").to_uppercase();
    let mismatch = |wanted: &str, received: &str| {
        let details = format!("header: Format mismatch, expected {wanted}, received {received}");
        Err(fail(132_012, &details))
    };
    match format.as_deref() {
        None | Some("TEXT") => {
            if let Some(file) = given.iter().find(|one| !is_kind(one, "text")) {
                return mismatch(format.as_deref().unwrap_or("UNKNOWN"), &kind(file));
            }
            let text = part.and_then(|part| part["text"].as_str()).unwrap_or_default();
            words("header", &variables(text), &given, is_named)?;
            Ok(Vec::new())
        }
        Some(wanted) => match &given[..] {
            [one] if kind(one) == wanted => {
                let form = wanted.to_lowercase();
                let Some(block) = one[form.as_str()].as_object() else {
                    return Err(missing(&format!("components[]['parameters'][]['{form}']")));
                };
                match form.as_str() {
                    "image" | "video" | "document" => content::file(world, account, &form, block),
                    _ => Ok(Vec::new()),
                }
            }
            [one] => mismatch(wanted, &kind(one)),
            [] => mismatch(wanted, "UNKNOWN"),
            many => {
                let details = format!("header: number of parameters ({}) must be 1", many.len());
                Err(fail(132_000, &details))
            }
        },
    }
}

fn buttons(template: &Value, given: &[Value]) -> Result<(), Answer> {
    let none = Vec::new();
    let buttons = part_of(template, "BUTTONS").and_then(|part| part["buttons"].as_array());
    let buttons = buttons.unwrap_or(&none);
    let mut filled = BTreeSet::new();
    for part in given.iter().filter(|part| is_kind(part, "button")) {
        let index = match &part["index"] {
            Value::String(text) => text.parse::<usize>().ok(),
            Value::Number(number) => number.as_u64().and_then(|index| usize::try_from(index).ok()),
            _ => None,
        };
        let index = index
            .ok_or_else(|| fail(132_012, "components[]['index'] of a button must be a number"))?;
        let count = part["parameters"].as_array().map_or(0, Vec::len);
        let Some(button) = buttons.get(index) else {
            return Err(fail(132_012, &format!("buttons: there is no button at index {index}")));
        };
        if is_kind(button, "url") && !needs(button) && count > 0 {
            let details = format!(
                "buttons: number of localizable_params ({count}) of index {index} does not match the expected number of params (0)"
            );
            return Err(fail(132_000, &details));
        }
        if count > 0 {
            filled.insert(index);
        }
    }
    let empty = (0..buttons.len()).find(|index| needs(&buttons[*index]) && !filled.contains(index));
    match empty {
        Some(index) => {
            let kind = buttons[index]["type"].as_str().unwrap_or_default();
            let details =
                format!("buttons: Button at index {index} of type {kind} requires a parameter");
            Err(fail(131_008, &details))
        }
        None => Ok(()),
    }
}

fn needs(button: &Value) -> bool {
    let url = button["url"].as_str().unwrap_or_default();
    is_kind(button, "copy_code") || (is_kind(button, "url") && !variables(url).is_empty())
}
