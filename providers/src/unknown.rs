//! Messages of a kind that we do not know, or whose known kind is broken. Somebody wrote, and whoever reads the conversation
//! must see that, with every word that stands in it plainly. One rule for all providers:
//!
//! A text is somebody's words if its member is named as words are (`body`, `caption`, `title` …), or if it is prose: two
//! words or more. A text that is JSON itself holds what somebody filled in: there each text counts. Ids, links, types of
//! files and tokens are no words.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Content, outside};

/// How members are called that hold somebody's words: in lower case, letters only.
const NAMED: [&str; 42] = [
    "address",
    "answer",
    "body",
    "bodytext",
    "buttontext",
    "caption",
    "comment",
    "content",
    "contenttext",
    "conversation",
    "description",
    "displayname",
    "displaytext",
    "email",
    "emoji",
    "eventname",
    "firstname",
    "footer",
    "footertext",
    "formattedname",
    "groupname",
    "header",
    "headertext",
    "hydratedcontenttext",
    "label",
    "lastname",
    "message",
    "name",
    "note",
    "optionname",
    "phone",
    "pollname",
    "prompt",
    "question",
    "selecteddisplaytext",
    "subject",
    "subtitle",
    "summary",
    "text",
    "title",
    "transcript",
    "words",
];

/// The same where a list of texts stands.
const LISTED: [&str; 5] = ["answers", "choices", "lines", "options", "texts"];

/// Members whose texts are never words, however they look.
const NEVER: [&str; 8] =
    ["type", "kind", "id", "token", "flowtoken", "mimetype", "contenttype", "jpegthumbnail"];

/// Members that repeat what somebody else said.
const QUOTING: [&str; 5] =
    ["context", "contextinfo", "messagecontextinfo", "quoted", "quotedmessage"];

/// How deep, and how many bytes of words, are looked for.
const DEPTH: usize = 12;
const BYTES: usize = 65_536;

/// A message of which only this can be told: `what` is the provider's word for its kind, `said` are the members that say
/// something, and `explained` is what the provider says of it, which gives way to somebody's words.
pub(crate) fn content<'v>(
    what: Option<&str>,
    said: impl IntoIterator<Item = (&'v str, &'v Value)>,
    (code, explained): (Option<String>, Option<String>),
) -> Content {
    Content::Unsupported {
        what: what.map(str::trim).filter(|word| !word.is_empty()).map(ToOwned::to_owned),
        code,
        detail: words(said).or(explained),
    }
}

/// What was read of a message as it came, or all that can be told of it: where its words could not be read, those that stand
/// in the members that are not named in `envelope`.
pub(crate) fn or_words<E>(
    read: Result<Content, E>,
    what: Option<&str>,
    (raw, envelope): (&RawValue, &[&str]),
) -> Content {
    let told = match read {
        Ok(Content::Unsupported { what, code, detail: None }) => (what, code),
        Ok(content) => return content,
        Err(_) => (what.map(ToOwned::to_owned), None),
    };
    let (what, code) = told;
    let all: Value = outside::part(raw).unwrap_or_default();
    content(what.as_deref(), members(&all, envelope), (code, None))
}

/// What a message says after an edit: words that are there are what it says now, whatever kind they are of.
pub(crate) fn edited(content: Content) -> Content {
    match content {
        Content::Unsupported { code: None, detail: Some(body), .. } => Content::Text { body },
        content => content,
    }
}

/// The members of an object that are not named in `envelope`; none of what is no object.
pub(crate) fn members<'v>(
    object: &'v Value,
    envelope: &'v [&'v str],
) -> impl Iterator<Item = (&'v str, &'v Value)> {
    let members = object.as_object().into_iter().flatten();
    let said = members.filter(|(name, _)| !envelope.contains(&name.as_str()));
    said.map(|(name, value)| (name.as_str(), value))
}

/// All words that stand in these members, a line each, none twice.
pub(crate) fn words<'v>(said: impl IntoIterator<Item = (&'v str, &'v Value)>) -> Option<String> {
    let mut found = Found::default();
    for (name, value) in said {
        found.look(name, value, DEPTH, false);
    }
    let lines: Vec<&str> = found.lines.iter().map(Cow::as_ref).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[derive(Default)]
struct Found<'v> {
    lines: Vec<Cow<'v, str>>,
    known: HashSet<Cow<'v, str>>,
    bytes: usize,
}

impl<'v> Found<'v> {
    /// `filled` is whether somebody filled this in, so that each text counts.
    fn look(&mut self, name: &str, value: &'v Value, depth: usize, filled: bool) {
        if depth == 0 || self.bytes >= BYTES || QUOTING.contains(&plain(name).as_str()) {
            return;
        }
        match value {
            Value::Object(members) => {
                // What stands in it itself comes before what stands deeper: a question before its answers.
                let (texts, deeper): (Vec<_>, Vec<_>) =
                    members.iter().partition(|(_, value)| value.is_string());
                for (name, value) in texts.into_iter().chain(deeper) {
                    self.look(name, value, depth - 1, filled);
                }
            }
            Value::Array(items) => {
                let is_list = LISTED.contains(&plain(name).as_str());
                for item in items {
                    self.look(name, item, depth - 1, filled || (is_list && item.is_string()));
                }
            }
            Value::String(text) => match nested(text) {
                Some(inside) => {
                    let inside = Value::Object(inside);
                    let mut found = Found { bytes: self.bytes, ..Found::default() };
                    found.look(name, &inside, depth - 1, true);
                    found.lines.into_iter().for_each(|line| self.add(line.into_owned().into()));
                }
                None if is_words(&plain(name), text, filled) => self.add(text.as_str().into()),
                None => {}
            },
            _ => {}
        }
    }

    fn add(&mut self, line: Cow<'v, str>) {
        let length = line.len();
        if self.bytes + length <= BYTES && self.known.insert(line.clone()) {
            self.bytes += length;
            self.lines.push(line);
        }
    }
}

fn is_words(name: &str, text: &str, filled: bool) -> bool {
    let is_empty = text.trim().is_empty();
    if is_empty || NEVER.contains(&name) || name.ends_with("url") || name.ends_with("link") {
        return false;
    }
    filled || NAMED.contains(&name) || is_prose(text)
}

/// Whether these are two words or more: what has no blank between letters may be an id, and what has no letters a date.
fn is_prose(text: &str) -> bool {
    let is_word = |part: &&str| part.chars().filter(|one| one.is_alphabetic()).count() > 1;
    text.split_whitespace().filter(is_word).nth(1).is_some()
}

/// The object that a text is, if it is one.
fn nested(text: &str) -> Option<Map<String, Value>> {
    let trimmed = text.trim();
    (trimmed.starts_with('{') && trimmed.ends_with('}'))
        .then(|| outside::read(trimmed.as_bytes()).ok())
        .flatten()
}

/// `displayText` and `display_text` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|one| one.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> String {
        words(members(value, &["id", "from"])).unwrap_or_default()
    }

    #[test]
    fn words_are_found_wherever_they_stand_and_nothing_else_is() {
        assert_eq!(of(&json!({ "id": "my own id", "x": { "y": [{ "caption": "Oi" }] } })), "Oi");
        assert_eq!(of(&json!({ "a": "Bom dia", "b": "Ym9tIGRpYQ==", "c": 7 })), "Bom dia");
        assert_eq!(of(&json!({ "displayText": "Sim", "display_text": "Sim" })), "Sim");
        assert_eq!(
            of(&json!({ "mime_type": "audio/ogg; codecs=opus", "at": "2026-11-01 12:00" })),
            ""
        );
        assert_eq!(
            of(&json!({ "poll": { "question": "Quando?", "options": ["Hoje", "12/11"] } })),
            "Quando?\nHoje\n12/11"
        );
        let form = json!({ "response_json": "{\"flow_token\":\"u 1 x y\",\"nome\":\"Bia\",\"dia\":\"12\"}" });
        assert_eq!(of(&form), "12\nBia");
        assert_eq!(
            of(&json!({ "text": "Veja {isto}", "link": "https://example.com/a b c" })),
            "Veja {isto}"
        );
    }

    #[test]
    fn words_have_a_bound_and_depth_has_one() {
        let long = "palavra ".repeat(9_000);
        assert_eq!(of(&json!({ "body": long, "text": "Oi" })), "Oi");
        let mut deep = json!({ "text": "Oi" });
        for _ in 0..40 {
            deep = json!({ "in": deep });
        }
        assert_eq!(of(&deep), "");
    }
}
