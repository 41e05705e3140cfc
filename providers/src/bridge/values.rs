//! Members of what bridges pass on from WhatsApp, however an engine spelled and wrote them: `selectedRowId` of one engine is
//! `selectedRowID` of the next, and one of several members that exclude each other may lie one level deeper.

use serde_json::Value;

/// How deep [`find`] looks.
const DEPTH: usize = 4;

/// What surrounds a message and says nothing of its own: [`find`] does not look into it.
const SURROUNDINGS: [&str; 3] = ["contextInfo", "messageContextInfo", "quotedMessage"];

static NOTHING: Value = Value::Null;

/// The member of that name, in whatever case it is written; null if there is none.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    let Some(members) = value.as_object() else {
        return &NOTHING;
    };
    let spelled = || members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    members.get(name).or_else(|| spelled().map(|(_, value)| value)).unwrap_or(&NOTHING)
}

/// The nearest member of one of these names that is not null, by itself or within others.
pub(crate) fn find<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    let mut level = vec![value];
    for _ in 0..DEPTH {
        let here = |within: &&'v Value| {
            let found = names.iter().map(|name| member(within, name));
            found.into_iter().find(|found| !found.is_null())
        };
        if let Some(found) = level.iter().find_map(here) {
            return Some(found);
        }
        let is_told = |name: &str| !SURROUNDINGS.contains(&name);
        let members = level.iter().filter_map(|within| within.as_object()).flatten();
        level = members
            .filter(|(name, value)| value.is_object() && is_told(name))
            .map(|(_, value)| value)
            .collect();
    }
    None
}

/// The text of a value: its own, or what stands in its `text`. `None` for blank ones.
pub(crate) fn text(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| member(value, "text").as_str())?;
    Some(text).filter(|text| !text.trim().is_empty()).map(ToOwned::to_owned)
}

/// The first of these members, in this order, that has a text.
pub(crate) fn words(value: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| text(find(value, &[name])?))
}

/// A whole number however it was written: as a number, a text, or a pair of 32-bit halves.
pub(crate) fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(halves) => {
            let low = halves.get("low")?.as_i64()? & 0xffff_ffff;
            let high = halves.get("high")?.as_i64()?;
            high.checked_mul(1 << 32)?.checked_add(low)
        }
        _ => None,
    }
}

/// Bytes that came as base64, as an object of numbered bytes, or as a list of them. As base64 in every case.
pub(crate) fn bytes(value: &Value) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let byte = |value: Option<&Value>| u8::try_from(value?.as_u64()?).ok();
    let bytes: Option<Vec<u8>> = match value {
        Value::String(text) => return Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Object(members) => {
            (0..members.len()).map(|index| byte(members.get(&index.to_string()))).collect()
        }
        Value::Array(members) => members.iter().map(|value| byte(Some(value))).collect(),
        _ => None,
    };
    bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_bytes_are_read_however_they_came() {
        for written in [json!(1_761_759_212), json!("1761759212")] {
            assert_eq!(long(&written), Some(1_761_759_212));
        }
        assert_eq!(long(&json!({ "low": -1, "high": 0, "unsigned": true })), Some(0xffff_ffff));
        assert_eq!(long(&json!({ "low": 1, "high": 2 })), Some((2 << 32) + 1));
        for odd in [json!(null), json!({}), json!({ "low": 1, "high": i64::MAX }), json!([1])] {
            assert_eq!(long(&odd), None, "{odd}");
        }
        let written = [json!({ "0": 97, "1": 98, "2": 99 }), json!([97, 98, 99]), json!("YWJj")];
        for written in written {
            assert_eq!(bytes(&written).as_deref(), Some("YWJj"), "{written}");
        }
        for odd in [json!({ "0": 97, "7": 98 }), json!({ "0": 256 }), json!([]), json!(1)] {
            assert_eq!(bytes(&odd), None, "{odd}");
        }
    }

    #[test]
    fn members_are_found_in_every_spelling_and_never_in_what_is_answered() {
        let gows = json!({ "Response": { "SelectedDisplayText": "Sim" },
                           "contextInfo": { "quotedMessage": { "displayText": "old" } } });
        assert_eq!(words(&gows, &["selectedDisplayText"]).as_deref(), Some("Sim"));
        assert_eq!(words(&gows, &["displayText"]), None);
        assert_eq!(text(&json!({ "text": "a" })).as_deref(), Some("a"));
        assert_eq!(text(&json!(" ")), None);
    }
}
