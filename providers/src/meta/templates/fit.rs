//! Whether what a message says of a template fits the template as Meta lists it.
//!
//! What cannot be understood of either side is left for Meta to judge: carousels, offers, parts and formats that are new.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates>

use serde_json::Value;

use super::text::{is_number, told, variables};
use crate::{ListedTemplate, Template, Unfit};

const VARIABLES: &str = "content.variables";
const COMPONENTS: &str = "content.components";
const HEADER: &str = "content.header";

/// The first thing that Meta would refuse.
pub(super) fn fit(message: &Template, listed: &[&ListedTemplate]) -> Result<(), Unfit> {
    let named: Vec<_> = listed.iter().filter(|one| one.name == message.name).collect();
    let (Some(language), false) = (message.language.as_deref(), named.is_empty()) else {
        return Ok(());
    };
    let Some(template) = named.iter().find(|one| one.language == language) else {
        let languages: Vec<&str> = named.iter().map(|one| one.language.as_str()).collect();
        let reason = format!(
            "the template `{}` is not there in `{language}` but in {}; if that is new, list the account's templates anew",
            message.name,
            languages.join(", "),
        );
        return Err(Unfit::new("content.language", reason));
    };
    let Some(parts) = template.components.as_array() else { return Ok(()) };
    let fit = Fit { message, template, parts };
    fit.body()?;
    fit.header()?;
    fit.buttons()
}

/// A message beside its template.
struct Fit<'a> {
    message: &'a Template,
    template: &'a ListedTemplate,
    parts: &'a [Value],
}

impl<'a> Fit<'a> {
    fn unfit(&self, field: &str, reason: impl std::fmt::Display) -> Unfit {
        let ListedTemplate { name, language, .. } = self.template;
        Unfit::new(field, format!("the template `{name}` ({language}) {reason}"))
    }

    /// The template's part of this type.
    fn part(&self, kind: &str) -> Option<&'a Value> {
        self.parts.iter().find(|part| is_kind(part, kind))
    }

    /// The components that the message gives of this type.
    fn given(&self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let given = self.message.components.as_ref().and_then(Value::as_array);
        given.into_iter().flatten().filter(move |part| is_kind(part, kind))
    }

    /// Where the message says what fills gaps.
    fn field(&self) -> &'static str {
        match self.message.components {
            Some(_) => COMPONENTS,
            None => VARIABLES,
        }
    }

    fn body(&self) -> Result<(), Unfit> {
        let Some(text) = self.part("body").and_then(|part| part["text"].as_str()) else {
            return Ok(());
        };
        let wanted = variables(text);
        let given = match &self.message.components {
            None => self.message.variables.keys().map(|name| Some(name.as_str())).collect(),
            Some(_) => names(self.given("body").flat_map(parameters)),
        };
        if given.len() != wanted.len() {
            let known: Vec<&str> = given.iter().flatten().copied().collect();
            let given = match known.len() == given.len() {
                true => told(&known),
                false => format!("{} parameters", given.len()),
            };
            let reason =
                format!("has {} in its body, and the message gives {given}", told(&wanted));
            return Err(self.unfit(self.field(), reason));
        }
        self.names(&wanted, &given, "body")
    }

    /// Whether the names are the template's. Numbers are places: of a template that counts, only those are compared that the
    /// message names.
    fn names(&self, wanted: &[&str], given: &[Option<&str>], place: &str) -> Result<(), Unfit> {
        let is_named = self.template.parameter_format.as_deref() == Some("named")
            || wanted.iter().any(|name| !is_number(name));
        let stranger = given.iter().find(|name| match name {
            Some(name) => !wanted.contains(name),
            None => is_named,
        });
        let Some(stranger) = stranger else { return Ok(()) };
        let reason = match stranger {
            Some(name) => format!("has {} in its {place}, and not {name}", told(wanted)),
            None => format!(
                "names its variables: each parameter of its {place} needs a `parameter_name`"
            ),
        };
        Err(self.unfit(self.field(), reason))
    }

    fn header(&self) -> Result<(), Unfit> {
        let given: Vec<&Value> = self.given("header").flat_map(parameters).collect();
        let file = self.message.header.as_ref().map(|file| file.media.word());
        let field = if file.is_some() { HEADER } else { COMPONENTS };
        let Some(part) = self.part("header") else {
            return match (file, given.is_empty()) {
                (None, true) => Ok(()),
                _ => Err(self.unfit(field, "has no header")),
            };
        };
        let format = part["format"].as_str().unwrap_or("TEXT").to_lowercase();
        if format == "text" {
            if file.is_some() {
                return Err(self.unfit(HEADER, "has words for a header, and no file"));
            }
            let wanted = variables(part["text"].as_str().unwrap_or_default());
            let given = names(given.into_iter());
            if given.len() != wanted.len() {
                let reason = format!(
                    "has {} in its header, and the message gives {}: they are given in `components`",
                    told(&wanted),
                    given.len(),
                );
                return Err(self.unfit(COMPONENTS, reason));
            }
            return self.names(&wanted, &given, "header");
        }
        if !["image", "video", "document", "location"].contains(&format.as_str()) {
            return Ok(());
        }
        let kinds: Vec<&str> =
            given.iter().filter_map(|one| one["type"].as_str()).chain(file).collect();
        match &kinds[..] {
            [kind] if kind.eq_ignore_ascii_case(&format) => Ok(()),
            [kind] => {
                Err(self.unfit(field, format!("has a header of type {format}, and not {kind}")))
            }
            [] if format == "location" => {
                Err(self.unfit(COMPONENTS, "has a place for a header: give it in `components`"))
            }
            [] => {
                let reason = format!("has a header of type {format}: name the file in `header`");
                Err(self.unfit(HEADER, reason))
            }
            _ => Err(self.unfit(field, format!("has one {format} for a header"))),
        }
    }

    /// The buttons that need something of each message, and those that are filled although they do not.
    fn buttons(&self) -> Result<(), Unfit> {
        let none = Vec::new();
        let listed = self.part("buttons").and_then(|part| part["buttons"].as_array());
        let listed = listed.unwrap_or(&none);
        for given in self.given("button") {
            let Some(place) = place(given) else { continue };
            match listed.get(place) {
                None => {
                    let reason = format!("has no button with the index {place}");
                    return Err(self.unfit(COMPONENTS, reason));
                }
                Some(button) if is_kind(button, "url") && !needs(button) => {
                    if parameters(given).next().is_some() {
                        let reason =
                            format!("has no variable in the button with the index {place}");
                        return Err(self.unfit(COMPONENTS, reason));
                    }
                }
                Some(_) => {}
            }
        }
        for (index, _) in listed.iter().enumerate().filter(|(_, button)| needs(button)) {
            let mut given = self.given("button").filter(|given| place(given) == Some(index));
            if given.all(|given| parameters(given).next().is_none()) {
                let reason = format!(
                    "has a variable in the button with the index {index}: give it in `components`"
                );
                return Err(self.unfit(COMPONENTS, reason));
            }
        }
        Ok(())
    }
}

/// Whether a button needs something of each message: a part of its address, or a code to copy.
fn needs(button: &Value) -> bool {
    let url = button["url"].as_str().unwrap_or_default();
    is_kind(button, "copy_code") || (is_kind(button, "url") && !variables(url).is_empty())
}

fn is_kind(part: &Value, kind: &str) -> bool {
    part["type"].as_str().is_some_and(|given| given.eq_ignore_ascii_case(kind))
}

fn parameters(part: &Value) -> impl Iterator<Item = &Value> {
    part["parameters"].as_array().into_iter().flatten()
}

fn names<'a>(parameters: impl Iterator<Item = &'a Value>) -> Vec<Option<&'a str>> {
    parameters.map(|one| one["parameter_name"].as_str()).collect()
}

/// The index of a button, which Meta takes as a text and as a number.
fn place(component: &Value) -> Option<usize> {
    let index = &component["index"];
    match index.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => index.as_u64().and_then(|index| usize::try_from(index).ok()),
    }
}
