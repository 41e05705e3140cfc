//! Credentials that bridges put into webhooks, blanked: a body is kept and shown, and whoever has a key, a token or a pairing
//! code of a bridge can use it.

use bytes::Bytes;
use serde_json::Value;

use crate::outside;

/// A member whose value is a credential.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    /// Its name, in any case.
    pub(crate) name: &'static str,
    /// Whether it is one also where it is a number.
    pub(crate) numbers: bool,
}

impl Member {
    /// A member whose value is a credential whatever it is.
    pub(crate) const fn any(name: &'static str) -> Self {
        Self { name, numbers: true }
    }

    /// A member that is a credential only as a text: as a number it says something else.
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, numbers: false }
    }
}

/// Blanks the values of these members of good JSON, however deep they stand. Texts become stars and digits become ones, so that
/// it stays good JSON of the same length; all else stays as it came.
pub(crate) fn in_json(body: &Bytes, members: &[Member]) -> Bytes {
    let mut blanked: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(start) = quote(body, at) {
        let end = text_end(body, start + 1);
        at = end + 1;
        let value = skip(body, at, u8::is_ascii_whitespace);
        if body.get(value) != Some(&b':') {
            continue;
        }
        let Some(member) = named(body.get(start..=end).unwrap_or_default(), members) else {
            continue;
        };
        let value = skip(body, value + 1, u8::is_ascii_whitespace);
        match body.get(value) {
            Some(b'"') => {
                at = text_end(body, value + 1);
                blanked.get_or_insert_with(|| body.to_vec())[value + 1..at].fill(b'*');
                at += 1;
            }
            Some(b'-' | b'0'..=b'9') if member.numbers => {
                let is_of_number =
                    |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                at = skip(body, value, is_of_number);
                let blanked = blanked.get_or_insert_with(|| body.to_vec());
                blanked[value..at]
                    .iter_mut()
                    .filter(|byte| byte.is_ascii_digit())
                    .for_each(|byte| *byte = b'1');
            }
            _ => {}
        }
    }
    blanked.map_or_else(|| body.clone(), Bytes::from)
}

/// Blanks whatever may be the value of one of these members in bytes that are no good JSON: what follows its name and a colon
/// or `=`, to the next quotation mark, comma, bracket, `&` or end. Nothing is known of where texts begin there.
pub(crate) fn anywhere(body: &Bytes, members: &[Member]) -> Bytes {
    let mut blanked: Option<Vec<u8>> = None;
    for member in members {
        let name = member.name.as_bytes();
        for place in 0..body.len().saturating_sub(name.len()) {
            if !body[place..place + name.len()].eq_ignore_ascii_case(name) {
                continue;
            }
            let is_between = |byte: &u8| byte.is_ascii_whitespace() || b"\\\"':=".contains(byte);
            let start = skip(body, place + name.len(), is_between);
            if !body[place + name.len()..start].iter().any(|byte| b":=".contains(byte)) {
                continue;
            }
            let is_value = |byte: &u8| !b"\"'\\,}]&\r\n".contains(byte);
            let end = skip(body, start, is_value);
            blanked.get_or_insert_with(|| body.to_vec())[start..end].fill(b'*');
        }
    }
    blanked.map_or_else(|| body.clone(), Bytes::from)
}

/// The same in what was read already and is told to people.
pub(crate) fn in_value(value: &mut Value, members: &[Member]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| in_value(item, members)),
        Value::Object(object) => {
            for (name, value) in object {
                let member = members.iter().find(|member| member.name.eq_ignore_ascii_case(name));
                match (member, &value) {
                    (Some(_), Value::String(_)) => *value = "***".into(),
                    (Some(member), Value::Number(_)) if member.numbers => *value = "***".into(),
                    _ => in_value(value, members),
                }
            }
        }
        _ => {}
    }
}

/// The member of that name, which stands there in its quotation marks.
fn named(quoted: &[u8], members: &[Member]) -> Option<Member> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let find = |name: &[u8]| {
        members.iter().find(|member| member.name.as_bytes().eq_ignore_ascii_case(name)).copied()
    };
    match inner.contains(&b'\\') {
        false => find(inner),
        true => find(outside::read::<String>(quoted).ok()?.as_bytes()),
    }
}

/// Where the next quotation mark stands.
fn quote(body: &[u8], at: usize) -> Option<usize> {
    let rest = body.get(at..)?;
    Some(at + rest.iter().position(|byte| *byte == b'"')?)
}

/// Where the text ends that begins there: at its quotation mark, or with the bytes.
fn text_end(body: &[u8], mut at: usize) -> usize {
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

fn skip(body: &[u8], at: usize, which: impl Fn(&u8) -> bool) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| which(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [Member; 2] = [Member::any("apikey"), Member::text("code")];

    fn json(text: &'static str) -> String {
        outside::text(&in_json(&Bytes::from_static(text.as_bytes()), &MEMBERS)).into_owned()
    }

    fn other(text: &'static str) -> String {
        outside::text(&anywhere(&Bytes::from_static(text.as_bytes()), &MEMBERS)).into_owned()
    }

    #[test]
    fn values_are_blanked_and_all_else_stays() {
        assert_eq!(
            json(r#"{"apikey" : "a\"b","x":"apikey"}"#),
            r#"{"apikey" : "****","x":"apikey"}"#
        );
        assert_eq!(
            json(r#"{"a":[{"\u0061pikey":-12.5e3,"code":401}]}"#),
            r#"{"a":[{"\u0061pikey":-11.1e1,"code":401}]}"#
        );
        assert_eq!(
            json(r#"{"x":"\"apikey\":\"no\"","Code":"2@x"}"#),
            r#"{"x":"\"apikey\":\"no\"","Code":"***"}"#
        );
        assert_eq!(json(r#"{"apikey":null}"#), r#"{"apikey":null}"#);
        assert_eq!(json(r#"{"apikey":"never en"#), r#"{"apikey":"********"#);
        assert_eq!(json(r#"{"apikey":"\"#), r#"{"apikey":"*"#);
    }

    #[test]
    fn what_is_no_json_is_blanked_wherever_a_value_may_stand() {
        assert_eq!(
            other(r#"oops" {"apikey":"SECRET","x":1}"#),
            r#"oops" {"apikey":"******","x":1}"#
        );
        assert_eq!(other(r#"{\"apikey\": \"SECRET\"} ,"#), r#"{\"apikey\": \"******\"} ,"#);
        assert_eq!(other("apikey=SECRET&code=17&apikeys"), "apikey=******&code=**&apikeys");
        assert_eq!(other(r#"{"apikey":"cut"#), r#"{"apikey":"***"#);
        assert_eq!(other("apikey"), "apikey");
    }
}
