//! The envelope of Meta's webhooks: entries of WABAs, changes of fields, lists of items.
//!
//! One POST may hold news of many WABAs and numbers, so every item finds its own line, and an item that cannot be
//! read is kept whole without harm to its neighbours.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::people::People;
use super::wire::{Change, Entry, Metadata, Notification, Value, Whose};
use super::{calls, history, messages, notices, statuses};
use crate::lenient::unix_time;
use crate::outside::{self, Json};
use crate::{Batch, EventKind, KeyId, Line, Party, Reply, Timestamp};

const OBJECT: &str = "whatsapp_business_account";

/// How many numbers, and how many WABAs, an unverified request may name before the rest is ignored.
const CLAIMS_LIMIT: usize = 16;

/// Fields whose news say nothing to a CRM. They are kept in the inbox and not read.
const IGNORED_FIELDS: [&str; 2] = ["automatic_events", "tracking_events"];

/// The numbers and WABAs that an unverified request names.
pub(super) fn claims(request: &http::Request<Bytes>) -> Vec<Line> {
    let (mut numbers, mut accounts) = (Vec::new(), Vec::new());
    let body = Json::of(request.body());
    let Ok(notification) = body.read::<Notification<'_>>() else {
        return Vec::new();
    };
    for raw in notification.entry.iter().take(CLAIMS_LIMIT) {
        let Ok(entry) = outside::part::<Entry<'_>>(raw) else {
            continue;
        };
        add(&mut accounts, entry.id.owned().map(Line::Account));
        for raw in entry.changes.iter().take(CLAIMS_LIMIT) {
            let change = outside::part::<Change<'_>>(raw).ok();
            let value = change.and_then(|change| outside::part(change.value).ok());
            let mut whose: Whose<'_> = value.unwrap_or_default();
            add(&mut numbers, whose.number().phone_number_id.owned().map(Line::Handle));
            let waba_info = whose.waba_info;
            let waba = waba_info.and_then(|info| info.waba_id.owned());
            add(&mut accounts, waba.map(Line::Account));
        }
    }
    numbers.append(&mut accounts);
    numbers
}

fn add(lines: &mut Vec<Line>, line: Option<Line>) {
    if let Some(line) = line
        && lines.len() < CLAIMS_LIMIT
        && !lines.contains(&line)
    {
        lines.push(line);
    }
}

/// Reads a body that is known to be Meta's. `at` is when it reached us.
pub(super) fn read(body: &Bytes, at: Timestamp, signed_with: Option<KeyId>) -> Batch {
    let json = Json::of(body);
    let notification = match json.read::<Notification<'_>>() {
        Ok(notification) => notification,
        Err(error) => return Batch::unreadable(Reply::OK, signed_with, at, error, body),
    };
    if notification.object.is_empty() {
        let reason = "the body names no `object`";
        return Batch::unreadable(Reply::OK, signed_with, at, reason, body);
    }
    let mut batch = Batch::empty(Reply::OK, signed_with, at);
    if notification.object != OBJECT {
        // The app is subscribed to something else as well (a page, Instagram): kept, and of no concern here.
        return batch;
    }
    let mut scope = Scope {
        batch: &mut batch,
        position: String::new(),
        line: Line::Unnamed,
        at,
        entry_time: None,
        number: None,
    };
    scope.each("entry", &notification.entry, |scope, raw| {
        scope.line = Line::Unnamed;
        read_entry(scope, at, raw)
    });
    batch
}

fn read_entry(scope: &mut Scope<'_>, at: Timestamp, raw: &RawValue) -> Result<(), Unreadable> {
    let entry: Entry<'_> = outside::part(raw)?;
    scope.entry_time = entry.time.get().and_then(unix_time);
    scope.at = scope.entry_time.unwrap_or(at);
    let line = entry.id.owned().map_or(Line::Unnamed, Line::Account);
    scope.each("changes", &entry.changes, |scope, raw| {
        scope.line.clone_from(&line);
        scope.number = None;
        read_change(scope, raw)
    });
    Ok(())
}

fn read_change(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let change: Change<'_> = outside::part(raw)?;
    match change.field.as_ref() {
        "messages" | "message_echoes" | "smb_message_echoes" | "history" | "calls" => {
            let value = outside::part(change.value)?;
            read_value(scope, &change.field, value, change.value)
        }
        field if IGNORED_FIELDS.contains(&field) => Ok(()),
        field if notices::is_known(field) => read_notice(scope, field, change.value),
        field => read_other(scope, field, change.value),
    }
}

/// News of the account. Some of these name a number, some the WABA that a partner's portfolio is told about.
fn read_notice(scope: &mut Scope<'_>, field: &str, raw: &RawValue) -> Result<(), Unreadable> {
    let mut whose: Whose<'_> = outside::part(raw)?;
    let waba = whose.waba_info.take().and_then(|info| info.waba_id.owned());
    if let Some(waba) = waba {
        scope.line = Line::Account(waba);
    }
    scope.name_number(Some(whose.number()));
    notices::read(scope, field, raw)
}

/// A field that only wraps lists that we know, one level deeper under its own name (`standby`) or as they are, or one that
/// nobody has told us of: then it is news for the administrator.
fn read_other(scope: &mut Scope<'_>, field: &str, raw: &RawValue) -> Result<(), Unreadable> {
    let outer: Value<'_> = outside::part(raw).unwrap_or_default();
    if outer.items() > 0 {
        return read_value(scope, field, outer, raw);
    }
    let members: BTreeMap<Cow<'_, str>, &RawValue> = outside::part(raw)?;
    let inner = members.get(field).and_then(|raw| outside::part::<Value<'_>>(raw).ok());
    if let Some(inner) = inner.filter(|inner| inner.items() > 0) {
        let metadata = inner.metadata.or(outer.metadata);
        let contacts = if inner.contacts.is_empty() { outer.contacts } else { inner.contacts };
        return read_value(scope, field, Value { metadata, contacts, ..inner }, raw);
    }
    read_notice(scope, field, raw)?;
    match scope.line {
        Line::Unnamed => Err(Unreadable(format!("unknown field `{field}` of nobody"))),
        _ => Ok(()),
    }
}

fn read_value(
    scope: &mut Scope<'_>,
    field: &str,
    value: Value<'_>,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let items = value.items();
    scope.name_number(value.metadata);
    let people = People::read(&value.contacts, items);
    let errors = value.errors.as_slice();
    scope.each("messages", &value.messages, |scope, raw| match field {
        "history" => history::read_file(scope, &people, raw),
        _ => messages::read(scope, &people, errors, raw),
    });
    // While a conversation is the agent's, what the business writes is the agent's.
    let by = (field == "standby").then_some("agent");
    scope.each("message_echoes", &value.message_echoes, |scope, raw| {
        messages::read_echo(scope, &people, by, raw)
    });
    scope.each("statuses", &value.statuses, |scope, raw| statuses::read(scope, &people, raw));
    // Errors beside one call are that call's; beside several, nobody can tell whose they are.
    let is_alone = value.calls.len() == 1;
    let call_errors = if is_alone { errors } else { &[] };
    scope.each("calls", &value.calls, |scope, raw| calls::read(scope, &people, call_errors, raw));
    scope.each("history", &value.history, history::read);
    let nobodys = value.messages.is_empty() && !is_alone;
    if !errors.is_empty() && nobodys {
        return notices::read_errors(scope, field, errors, raw);
    }
    if items == 0 {
        // Lists that we do not know are news of the field, so that somebody looks at them.
        return notices::read(scope, field, raw);
    }
    Ok(())
}

/// Where the reader stands: which item, which line, which time if the item names none.
pub(super) struct Scope<'b> {
    pub(super) batch: &'b mut Batch,
    /// As in [`crate::Unparsed::position`].
    position: String,
    pub(super) line: Line,
    pub(super) at: Timestamp,
    /// The time the entry names, which stays the same when it is delivered again.
    pub(super) entry_time: Option<Timestamp>,
    /// Our number as people write it, if the change names one.
    pub(super) number: Option<String>,
}

impl Scope<'_> {
    fn name_number(&mut self, metadata: Option<Metadata<'_>>) {
        let metadata = metadata.unwrap_or_default();
        if let Some(id) = metadata.phone_number_id.owned() {
            self.line = Line::Handle(id);
        }
        self.number = metadata.display_phone_number.owned();
    }

    /// Reads every item of a list; an item that fails is kept whole, and its neighbours are read.
    pub(super) fn each<'a>(
        &mut self,
        name: &str,
        items: &[&'a RawValue],
        mut read: impl FnMut(&mut Self, &'a RawValue) -> Result<(), Unreadable>,
    ) {
        let length = self.position.len();
        for (index, raw) in items.iter().enumerate() {
            let slash = if length == 0 { "" } else { "/" };
            let _ = write!(self.position, "{slash}{name}/{index}"); // writing to a String cannot fail
            if let Err(Unreadable(reason)) = read(self, raw) {
                let (position, line) = (self.position.clone(), self.line.clone());
                self.batch.keep(position, line, reason, raw.get());
            }
            self.position.truncate(length);
        }
    }

    /// Adds what happened on this line.
    pub(super) fn push(&mut self, key: String, at: Timestamp, kind: EventKind) {
        self.batch.push(key, at, self.line.clone(), kind);
    }

    /// Says who is at the other end of what was added last.
    pub(super) fn name(&mut self, person: Party) {
        self.batch.name(person);
    }
}

/// Why an item cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Unreadable(error.to_string())
    }
}

/// The block of that name, which the item's type promises.
pub(super) fn block<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    name: &str,
) -> Result<T, Unreadable> {
    let raw = raw.ok_or_else(|| Unreadable(format!("the block `{name}` is missing")))?;
    outside::part(raw).map_err(|error| Unreadable(format!("the block `{name}`: {error}")))
}

/// The time of an item: Unix seconds.
pub(super) fn time(text: Option<&str>) -> Result<Timestamp, Unreadable> {
    let text = text.ok_or_else(|| Unreadable("`timestamp` is missing".to_owned()))?;
    unix_time(text).ok_or_else(|| Unreadable(format!("`timestamp` is no Unix time: {text}")))
}

/// An id that must be there.
pub(super) fn id<'i>(id: &'i str, name: &str) -> Result<&'i str, Unreadable> {
    if id.trim().is_empty() {
        return Err(Unreadable(format!("`{name}` is missing")));
    }
    Ok(id)
}
