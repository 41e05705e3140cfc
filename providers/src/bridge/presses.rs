//! What people choose rather than write: a button, a row of a list, an option of a poll, an answer to what a form or a request to
//! be called asked.

use serde_json::{Value, json};

use super::parts;
use super::record::Record;
use super::values::{find, long, member, text, words};
use crate::{Content, Parts};

/// Reads the press that a member of this name holds. `None` if it is none.
pub(crate) fn read(kind: &str, held: &Value) -> Option<Content> {
    let shown = || words(held, &["selectedDisplayText", "displayText"]).unwrap_or_default();
    Some(match kind.to_ascii_lowercase().as_str() {
        "buttonsresponsemessage" => {
            let id = words(held, &["selectedButtonId"]).unwrap_or_default();
            Content::ButtonReply { id, title: shown() }
        }
        "templatebuttonreplymessage" => {
            let id = words(held, &["selectedId"]).unwrap_or_default();
            Content::ButtonReply { id, title: shown() }
        }
        "listresponsemessage" => Content::ListReply {
            id: words(held, &["selectedRowId"]).unwrap_or_default(),
            title: text(member(held, "title")).unwrap_or_default(),
            description: text(member(held, "description")),
        },
        "interactiveresponsemessage" => flow(held)?,
        _ => return None,
    })
}

/// The answer to what a native flow showed: a button, a list, a request to be called, a form. `None` if it has no words.
fn flow(held: &Value) -> Option<Content> {
    let inside = find(held, &["nativeFlowResponseMessage"]).unwrap_or(held);
    let name = text(member(inside, "name")).unwrap_or_default();
    let body = text(member(held, "body"));
    let told = find(inside, &["paramsJson"]);
    let Some(params) = told.and_then(parts::inner) else {
        return body.map(|body| Content::Text { body });
    };
    let param = |names: &[&str]| names.iter().find_map(|name| text(member(&params, name)));
    if name == "call_permission_request" {
        return Some(Content::CallPermissionReply {
            granted: member(&params, "response") == "accept",
            permanent: member(&params, "is_permanent") == true,
            expires_at: long(member(&params, "expiration_timestamp")),
            source: param(&["response_source"]),
        });
    }
    let Some(id) = param(&["id", "selectedRowId", "selected_row_id"]) else {
        let name = Some(name).filter(|name| !name.is_empty());
        return Some(Content::FormReply { name, body, response: params });
    };
    let title = body.or_else(|| param(&["display_text", "title"])).unwrap_or_default();
    let is_row = ["select", "menu", "list"].iter().any(|word| name.contains(word));
    Some(match is_row {
        true => Content::ListReply { id, title, description: param(&["description"]) },
        false => Content::ButtonReply { id, title },
    })
}

/// What a vote in a poll says: the options that it leaves chosen, all of them. `None` where they cannot be read.
pub(crate) fn vote(chosen: Option<Vec<String>>, what: &str) -> (Content, Option<Parts>) {
    let Some(chosen) = chosen else {
        let what = Some(what.to_owned());
        return (Content::Unsupported { what, code: None, detail: None }, None);
    };
    let told = parts::parts("poll_vote", [("options", json!(chosen))]);
    let content = match chosen.is_empty() {
        true => Content::System { event: "poll_vote_withdrawn".to_owned(), body: None },
        false => Content::Text { body: chosen.join(", ") },
    };
    (content, Some(told))
}

/// The options that a list of them names, each by itself or by its name. `None` if there is no such list.
pub(crate) fn options(list: &Value) -> Option<Vec<String>> {
    let items = list.as_array()?.iter();
    Some(
        items
            .filter_map(|item| text(item).or_else(|| words(item, &["name", "optionName"])))
            .collect(),
    )
}

/// The options that a vote's record shows in clear.
pub(crate) fn chosen(record: &Record<'_>) -> Option<Vec<String>> {
    options(member(member(record.held, "vote"), "selectedOptions"))
}
