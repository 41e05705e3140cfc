//! The variables of a template's texts: what stands in double braces, numbers from 1 or names.
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates/components>

/// The variables of a text in the order in which they appear, each once.
pub(super) fn variables(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in text.split("{{").skip(1) {
        let Some((name, _)) = rest.split_once("}}") else { continue };
        let name = name.trim();
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Whether it is a number, and so counts places.
pub(super) fn is_number(variable: &str) -> bool {
    !variable.is_empty() && variable.bytes().all(|byte| byte.is_ascii_digit())
}

/// Variables as people are told of them: `1, 2`, or that there are none.
pub(super) fn told<T: AsRef<str>>(variables: &[T]) -> String {
    let list: Vec<&str> = variables.iter().map(AsRef::as_ref).collect();
    match list.len() {
        0 => "no variables".to_owned(),
        1 => format!("the variable {}", list[0]),
        _ => format!("the variables {}", list.join(", ")),
    }
}
