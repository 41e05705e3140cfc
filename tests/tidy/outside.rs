//! Bytes that came from outside become text in one place, which replaces what no database keeps.

use crate::house::{cut, none, sources};

/// The one place.
const PLACE: &str = "providers/src/outside.rs";

/// What makes text, or values with text in them, of bytes or of JSON.
const MAKES_TEXT: [&str; 5] = [
    "serde_json::from_str",
    "serde_json::from_slice",
    "serde_json::from_reader",
    "serde_json::Deserializer",
    "::from_utf8",
];

/// Decodes a form and hands each of its fields to the one place.
const FORMS: &str = "providers/src/form.rs";

fn complaints_of(path: &str, text: &str) -> Vec<String> {
    let code = cut(text).code;
    let code: String = code.split_whitespace().collect::<Vec<_>>().join("");
    let found = MAKES_TEXT.iter().filter(|name| code.contains(**name));
    let complaint = |name: &&str| format!("{path}: `{name}` is for {PLACE}; use what it offers");
    found.map(complaint).collect()
}

#[test]
fn text_from_outside_is_made_in_one_place() {
    let all = sources(&["providers/src"]);
    assert!(all.iter().any(|source| source.path == PLACE));
    let others = all.iter().filter(|source| ![PLACE, FORMS].contains(&source.path.as_str()));
    let complaints: Vec<String> =
        others.flat_map(|source| complaints_of(&source.path, &source.text)).collect();
    none(&complaints);
}

#[test]
fn text_that_is_made_elsewhere_is_noticed() {
    let complain = |text: &str| complaints_of("providers/src/x.rs", text).len();
    assert_eq!(complain("let x: X = serde_json::from_str(text)?;"), 1);
    assert_eq!(complain("let x = String::from_utf8_lossy(body);"), 1);
    assert_eq!(complain("let x = serde_json\n    ::from_slice(b);"), 1);
    assert_eq!(complain("let x: X = outside::part(raw)?; // serde_json::from_str"), 0);
}
