//! News about the account itself, its numbers, templates and preferences: kept as notices for the administrator.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference>

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::envelope::{Scope, Unreadable, time};
use super::people::{People, Who};
use super::wire::{self, Preferences, StateSync, Status, SyncItem};
use super::{errors, severity};
use crate::lenient::unix_time;
use crate::outside;
use crate::{
    Address, Cause, Channel, EventKind, FailureClass, LimitScope, Line, Notice, PhoneNumber,
    Preference, Severity, TemplateNews,
};

/// The fields, and what a person calls their subject.
const FIELDS: [(&str, &str); 27] = [
    ("account_alerts", "Account alert"),
    ("account_offboarded", "Account offboarded"),
    ("account_reconnected", "Account reconnected"),
    ("account_review_update", "Account review"),
    ("account_settings_update", "Account settings"),
    ("account_update", "Account update"),
    ("business_capability_update", "Limits of the business"),
    ("business_status_update", "Business status"),
    ("business_username_update", "User name of the business"),
    ("flows", "Form"),
    ("group_lifecycle_update", "Group"),
    ("group_participants_update", "Participants of a group"),
    ("group_settings_update", "Settings of a group"),
    ("group_status_update", "Status of a group"),
    ("message_template_components_update", "Template text"),
    ("message_template_quality_update", "Template quality"),
    ("message_template_status_update", "Template status"),
    ("messaging_handovers", "Conversation handed over"),
    ("partner_solutions", "Partner solution"),
    ("payment_configuration_update", "Payment configuration"),
    ("phone_number_name_update", "Display name"),
    ("phone_number_quality_update", "Number quality"),
    ("security", "Security"),
    ("smb_app_state_sync", "Contacts on the telephone"),
    ("template_category_update", "Template category"),
    ("template_correct_category_detection", "Template in the wrong category"),
    ("user_preferences", "Marketing messages"),
];

/// Members whose values say what happened, in the order in which a title reads well.
const TELLING: [&str; 33] = [
    "message_template_name",
    "message_template_language",
    "display_phone_number",
    "type",
    "subject",
    "username",
    "status",
    "event",
    "decision",
    "alert_type",
    "alert_severity",
    "alert_description",
    "alert_state",
    "previous_quality_score",
    "new_quality_score",
    "previous_category",
    "new_category",
    "category",
    "correct_category",
    "old_limit",
    "current_limit",
    "max_daily_conversations_per_business",
    "max_phone_numbers_per_business",
    "requested_verified_name",
    "rejection_reason",
    "violation_type",
    "restriction_type",
    "waba_ban_state",
    "waba_ban_date",
    "reason",
    "initiated_by",
    "message",
    "group_id",
];

/// Members of every value, which say nothing about one.
const UNTELLING: [&str; 3] = ["contacts", "messaging_product", "metadata"];

/// At most so many values, and so many characters of each, make a title.
const TITLE_WORDS: usize = 8;
const WORD_CHARS: usize = 120;

pub(super) fn is_known(field: &str) -> bool {
    FIELDS.iter().any(|(name, _)| *name == field)
}

/// What a person calls the field's subject: of a field that nobody has told us of, its name.
fn label(field: &str) -> Cow<'_, str> {
    let found = FIELDS.iter().find(|(name, _)| *name == field);
    found.map_or_else(|| spelled(field).into(), |(_, label)| (*label).into())
}

/// `business_username_update` as people write it.
fn spelled(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first
        .into_iter()
        .chain(letters)
        .map(|letter| if letter == '_' { ' ' } else { letter })
        .collect()
}

/// Reads the value of one of the fields.
pub(super) fn read(scope: &mut Scope<'_>, field: &str, raw: &RawValue) -> Result<(), Unreadable> {
    match field {
        "user_preferences" => read_preferences(scope, raw),
        "smb_app_state_sync" => read_contacts(scope, raw),
        "messaging_handovers" => read_handover(scope, raw),
        _ => {
            let data: Value = outside::part(raw)?;
            let mut words = Vec::new();
            collect(&data, 0, &mut words);
            if !is_known(field) && words.is_empty() {
                let is_telling = |name: &&String| !UNTELLING.contains(&name.as_str());
                words.extend(
                    data.as_object().into_iter().flat_map(Map::keys).filter(is_telling).cloned(),
                );
            }
            let title = match words.as_slice() {
                [] => label(field).into_owned(),
                words => format!("{}: {}", label(field), words.join(", ")),
            };
            let severity = severity::of(field, &data);
            push(scope, field, raw, title, severity, data);
            Ok(())
        }
    }
}

/// Reads `errors[]` that belong to no message or call. `raw` is all that was said.
pub(super) fn read_errors(
    scope: &mut Scope<'_>,
    field: &str,
    errors: &[&RawValue],
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let data = outside::part(raw)?;
    let error = errors::first(errors).unwrap_or_default();
    let detail = errors::explain(&error).unwrap_or_else(|| "no explanation".to_owned());
    let code = error.code.owned().unwrap_or_else(|| "unknown".to_owned());
    let severity = match errors::class_of(&code) {
        // Nothing gets through until somebody mends it, or for hours.
        FailureClass::Permanent(Cause::Account)
        | FailureClass::RateLimited(LimitScope::Reputation | LimitScope::Template) => {
            Severity::Critical
        }
        _ => Severity::Warning,
    };
    let title = format!("WhatsApp reports error {code}: {detail}");
    push(scope, field, raw, title, severity, data);
    Ok(())
}

/// A conversation goes from the provider's agent to people, or back.
fn read_handover(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let field = "messaging_handovers";
    let data: Value = outside::part(raw)?;
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
    let roles = ["/control_passed/previous_owner_role", "/control_passed/new_owner_role"];
    let [before, after] = roles.map(|role| text(role).unwrap_or("somebody"));
    let person = text("/sender/phone_number").or(text("/sender/user_id"));
    let what = text("/type").unwrap_or("control_passed");
    let title = match person {
        Some(person) => format!("{}: {person}, {what}, from {before} to {after}", label(field)),
        None => format!("{}: {what}, from {before} to {after}", label(field)),
    };
    let told = data["timestamp"].as_i64().map(|time| time.to_string());
    let told = told.as_deref().or(text("/timestamp")).and_then(unix_time);
    let sent_at = scope.at;
    scope.at = told.unwrap_or(sent_at);
    let severity = severity::of(field, &data);
    push(scope, field, raw, title, severity, data);
    scope.at = sent_at;
    Ok(())
}

/// A status of `type` `payment`: somebody paid, or did not. It is never news of a delivery.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/payments-api>
pub(super) fn read_payment(
    scope: &mut Scope<'_>,
    wire: &Status<'_>,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let data: Value = outside::part(raw)?;
    let payment = &data["payment"];
    let reference = payment["reference_id"].as_str();
    let person = wire.from.get().or(wire.recipient_id.get());
    let words = [reference.map(ToOwned::to_owned), price(payment)];
    let words = words.into_iter().flatten().chain(person.map(|person| format!("by {person}")));
    let words: Vec<String> = words.collect();
    let status = match wire.status.trim() {
        "" => "news",
        status => status,
    };
    let title = format!("Payment {status}: {}", words.join(", "));
    let severity = match status {
        "failed" => Severity::Warning,
        _ => Severity::Info,
    };
    let transaction = payment["transaction"]["id"].as_str().or(reference).unwrap_or_default();
    let key = format!("{}:payment:{status}:{transaction}", wire.id);
    let at = wire.timestamp.get().and_then(unix_time).unwrap_or(scope.at);
    scope.push(key, at, EventKind::Notice(notice("payment", title, severity, data)));
    Ok(())
}

/// The price: whole numbers of the `offset`th part of a currency, which is named beside or inside the amount.
fn price(payment: &Value) -> Option<String> {
    let amount = &payment["amount"];
    let (value, offset) = (amount["value"].as_i64()?, amount["offset"].as_i64().unwrap_or(1));
    let places = usize::try_from(offset.checked_ilog10()?).ok()?;
    let number = match (value.checked_div(offset)?, value.checked_rem(offset)?.abs()) {
        (whole, _) if places == 0 => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:0places$}"),
    };
    let currency = amount["currency"].as_str().or(payment["currency"].as_str());
    Some(currency.map_or_else(|| number.clone(), |currency| format!("{number} {currency}")))
}

/// A person wants marketing messages no longer, or again. One notice each, since each is about somebody else.
fn read_preferences(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let field = "user_preferences";
    let value: Preferences<'_> = outside::part(raw)?;
    if value.user_preferences.is_empty() {
        return Err(Unreadable("the value lists no preferences".to_owned()));
    }
    let sent_at = scope.at;
    let people = People::read(&value.contacts, value.user_preferences.len());
    scope.each(field, &value.user_preferences, |scope, raw| {
        let preference: wire::Preference<'_> = outside::part(raw)?;
        let person = preference.wa_id.get().or(preference.user_id.get());
        let person = person.ok_or_else(|| Unreadable("it names nobody".to_owned()))?;
        scope.at = match preference.timestamp.get() {
            None => sent_at,
            timestamp => time(timestamp)?,
        };
        let wish = preference.value.as_ref();
        let about = preference.category.get().unwrap_or("messages");
        let title = format!("{}: {person} says {wish} to {about}", label(field));
        let severity = match wish {
            "stop" => Severity::Warning,
            _ => Severity::Info,
        };
        let data = outside::part(raw)?;
        let mut notice = notice(field, title, severity, data);
        notice.preference = marketing(&preference, &people);
        add(scope, raw, notice);
        scope.name(people.party(told_by(&preference)));
        Ok(())
    });
    scope.at = sent_at;
    Ok(())
}

/// What somebody wants of marketing; `None` if it is about something else, or cannot be understood.
fn marketing(preference: &wire::Preference<'_>, people: &People<'_>) -> Option<Preference> {
    if preference.category.get().is_some_and(|category| category != "marketing_messages") {
        return None;
    }
    let marketing = match preference.value.as_ref() {
        "stop" => false,
        "resume" => true,
        _ => return None,
    };
    let person = people.party(told_by(preference)).addresses;
    (!person.is_empty()).then_some(Preference { channel: Channel::Whatsapp, person, marketing })
}

fn told_by<'w>(preference: &'w wire::Preference<'_>) -> Who<'w> {
    Who {
        number: preference.wa_id.get(),
        user_id: preference.user_id.get(),
        parent_user_id: preference.parent_user_id.get(),
    }
}

/// The telephone's address book changed. One notice for all of it: at the beginning it comes as a whole.
fn read_contacts(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let field = "smb_app_state_sync";
    let value: StateSync<'_> = outside::part(raw)?;
    if value.state_sync.is_empty() {
        return Err(Unreadable("the value lists no contacts".to_owned()));
    }
    let mut sound: Vec<Value> = Vec::new();
    let (mut added, mut removed) = (0, 0);
    scope.each("state_sync", &value.state_sync, |_, raw| {
        let item: SyncItem<'_> = outside::part(raw)?;
        match item.action.as_ref() {
            "remove" => removed += 1,
            _ => added += 1,
        }
        sound.push(outside::part(raw)?);
        Ok(())
    });
    if !sound.is_empty() {
        let title = format!("{}: {added} added or changed, {removed} removed", label(field));
        let data = serde_json::json!({ "state_sync": sound });
        push(scope, field, raw, title, Severity::Info, data);
    }
    Ok(())
}

fn push(
    scope: &mut Scope<'_>,
    field: &str,
    raw: &RawValue,
    title: String,
    severity: Severity,
    data: Value,
) {
    add(scope, raw, notice(field, title, severity, data));
}

/// Adds a notice. Meta gives these no id: what it says, of whom, at the time it names, is the news.
fn add(scope: &mut Scope<'_>, raw: &RawValue, notice: Notice) {
    let field = &notice.topic;
    let mut digest = Sha256::new();
    if let Line::Account(id) | Line::Handle(id) = &scope.line {
        digest.update(id);
    }
    digest.update([0]);
    digest.update(raw.get());
    let digest = hex::encode(&digest.finalize()[..16]);
    let key = match scope.entry_time {
        Some(time) => format!("{field}:{}:{digest}", time.timestamp()),
        None => format!("{field}:{digest}"),
    };
    scope.push(key, scope.at, EventKind::Notice(notice));
}

fn notice(field: &str, title: String, severity: Severity, data: Value) -> Notice {
    let number = data.get("display_phone_number").and_then(Value::as_str);
    let digits: Option<String> =
        number.map(|number| number.chars().filter(char::is_ascii_digit).collect());
    let number = digits.and_then(|digits| PhoneNumber::international(&digits).ok());
    let number = number.map(Address::Phone);
    let template = template(field, &data);
    Notice { topic: field.to_owned(), title, severity, number, template, preference: None, data }
}

/// How a template stands now, if that is what the news is about.
fn template(field: &str, data: &Value) -> Option<TemplateNews> {
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    if field != "message_template_status_update" {
        return None;
    }
    Some(TemplateNews {
        name: text("message_template_name")?,
        language: text("message_template_language"),
        status: text("event")?.to_ascii_lowercase(),
    })
}

/// The telling values, not deeper than three levels.
fn collect(data: &Value, depth: usize, words: &mut Vec<String>) {
    match data {
        Value::Object(members) => {
            for name in TELLING {
                let text = match members.get(name) {
                    Some(Value::String(text)) => text.chars().take(WORD_CHARS).collect(),
                    // A number says nothing without its name.
                    Some(Value::Number(number)) => format!("{name} {number}"),
                    _ => continue,
                };
                let is_empty = text.is_empty() || text == "NONE" || words.contains(&text);
                if !is_empty && words.len() < TITLE_WORDS {
                    words.push(text);
                }
            }
            if depth < 3 {
                let told = members.iter().filter(|(name, _)| !UNTELLING.contains(&name.as_str()));
                told.for_each(|(_, value)| collect(value, depth + 1, words));
            }
        }
        Value::Array(items) if depth < 3 => {
            let items = items.iter().take(4);
            items.for_each(|item| collect(item, depth + 1, words));
        }
        _ => {}
    }
}
