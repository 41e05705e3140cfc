//! What WhatsApp shows as more than words: templates, buttons, lists, carts, products, events, polls, invitations. The words
//! become the message's content, everything else its [`Parts`], under the names by which such a message is sent.

use serde_json::{Map, Value, json};

use super::values::{find, long, member, text, words};
use crate::Parts;
use crate::outside;

/// Words, if there are any, and the parts beside them.
pub(crate) type Shown = (Option<String>, Parts);

/// Reads the message that a member of this name holds. `None` if it is none of these.
pub(crate) fn read(kind: &str, held: &Value) -> Option<Shown> {
    let kind = kind.to_ascii_lowercase();
    Some(match kind.as_str() {
        "templatemessage" | "highlystructuredmessage" => template(held),
        "buttonsmessage" => buttons(held),
        "listmessage" => list(held),
        "interactivemessage" => interactive("interactive", held),
        "ordermessage" => order(held),
        "productmessage" => product(held),
        "eventmessage" => event(held),
        "groupinvitemessage" => group_invite(held),
        "pollresultsnapshotmessage" | "pollresultsnapshotmessagev3" => poll_result(held),
        name if name.starts_with("pollcreationmessage") => poll(held),
        _ => return None,
    })
}

/// Parts of this kind with the members that say something.
pub(crate) fn parts<const N: usize>(kind: &str, told: [(&str, Value); N]) -> Parts {
    Parts { kind: kind.to_owned(), members: members(told) }
}

fn members<const N: usize>(told: [(&str, Value); N]) -> Map<String, Value> {
    let says_something = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let told = told.into_iter().filter(|(_, value)| says_something(value));
    told.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn named(value: &Value, names: &[&str]) -> Value {
    words(value, names).map_or(Value::Null, Value::String)
}

/// The elements of the nearest list of that name, each as `shown` shows it.
fn each(value: &Value, list: &str, shown: impl Fn(&Value) -> Value) -> Value {
    let items = find(value, &[list]).and_then(Value::as_array);
    items.into_iter().flatten().map(shown).collect()
}

fn template(held: &Value) -> Shown {
    if let Some(inside) = find(held, &["interactiveMessageTemplate"]) {
        return interactive("template", inside);
    }
    let names = ["hydratedTemplate", "hydratedFourRowTemplate", "hydratedHsm", "fourRowTemplate"];
    let inside = find(held, &names).unwrap_or(held);
    let header = named(inside, &["hydratedTitleText"]);
    let footer = named(inside, &["hydratedFooterText"]);
    let body = words(inside, &["hydratedContentText", "contentText", "caption"]);
    let body = body.or_else(|| words(inside, &["hydratedTitleText", "elementName", "content"]));
    let id = [held, inside].map(|within| named(within, &["templateId", "elementName"]));
    let id = id.into_iter().find(|id| !id.is_null()).unwrap_or_default();
    let buttons = each(inside, "hydratedButtons", button);
    let told = [("id", id), ("header", header), ("footer", footer), ("buttons", buttons)];
    (body, parts("template", told))
}

fn buttons(held: &Value) -> Shown {
    let header = text(member(held, "text")).or_else(|| words(member(held, "header"), &["text"]));
    let footer = named(held, &["footerText"]);
    let body = words(held, &["contentText"]).or_else(|| header.clone());
    let told =
        [("header", json!(header)), ("footer", footer), ("buttons", each(held, "buttons", button))];
    (body, parts("buttons", told))
}

/// A button, in any of the forms in which WhatsApp writes one.
fn button(shown: &Value) -> Value {
    let flow = find(shown, &["buttonParamsJson", "paramsJson"]).and_then(inner);
    let flow = flow.unwrap_or_default();
    let told = |names: &[&str]| {
        let found = [shown, &flow].map(|within| named(within, names));
        found.into_iter().find(|found| !found.is_null()).unwrap_or_default()
    };
    let kind = if flow.is_null() { Value::Null } else { named(shown, &["name"]) };
    Value::Object(members([
        ("kind", kind),
        ("id", told(&["buttonId", "id"])),
        ("title", told(&["displayText", "display_text", "title"])),
        ("url", told(&["url"])),
        ("phone", told(&["phoneNumber", "phone_number"])),
        ("code", told(&["copy_code"])),
        ("sections", each(&flow, "sections", section)),
    ]))
}

fn section(shown: &Value) -> Value {
    let row = |row: &Value| {
        Value::Object(members([
            ("id", named(row, &["rowId", "id"])),
            ("title", named(row, &["title"])),
            ("description", named(row, &["description"])),
        ]))
    };
    let title = text(member(shown, "title"));
    Value::Object(members([("title", json!(title)), ("rows", each(shown, "rows", row))]))
}

fn list(held: &Value) -> Shown {
    let header = text(member(held, "title"));
    let body = text(member(held, "description")).or_else(|| header.clone());
    let product = |product: &Value| named(product, &["productId"]);
    let products = |section: &Value| each(section, "products", product);
    let told = [
        ("header", json!(header)),
        ("footer", named(held, &["footerText"])),
        ("button", named(held, &["buttonText"])),
        ("sections", each(held, "sections", section)),
        ("products", each(held, "productSections", products)),
    ];
    (body, parts("list", told))
}

fn interactive(kind: &str, held: &Value) -> Shown {
    let header = words(member(held, "header"), &["title", "subtitle"]);
    let footer = named(member(held, "footer"), &["text"]);
    let body = text(member(held, "body"));
    let card = |card: &Value| {
        let (body, card) = interactive("card", card);
        let mut card = card.members;
        card.extend(body.map(|body| ("body".to_owned(), body.into())));
        Value::Object(card)
    };
    // The buttons of cards are the cards'.
    let flow = find(held, &["nativeFlowMessage"]).unwrap_or(&Value::Null);
    let cards = match kind {
        "card" => Value::Null,
        _ => each(held, "cards", card),
    };
    let first = cards.get(0).and_then(|card| text(member(card, "body")));
    let told = [
        ("header", json!(header)),
        ("footer", footer),
        ("buttons", each(flow, "buttons", button)),
        ("cards", cards),
    ];
    (body.or(header).or(first), parts(kind, told))
}

fn order(held: &Value) -> Shown {
    let title = words(held, &["orderTitle"]);
    let body = words(held, &["message"]).or_else(|| title.clone());
    let told = [
        ("id", named(held, &["orderId"])),
        ("title", json!(title)),
        ("items", number(held, "itemCount")),
        ("total", thousandths(held, "totalAmount1000")),
        ("currency", named(held, &["totalCurrencyCode"])),
    ];
    (body, parts("order", told))
}

fn product(held: &Value) -> Shown {
    let product = member(held, "product");
    let title = words(product, &["title"]);
    let body = text(member(held, "body")).or_else(|| title.clone());
    let told = [
        ("id", named(product, &["productId"])),
        ("retailer_id", named(product, &["retailerId"])),
        ("title", json!(title)),
        ("description", named(product, &["description"])),
        ("price", thousandths(product, "priceAmount1000")),
        ("currency", named(product, &["currencyCode"])),
        ("url", named(product, &["url"])),
        ("footer", named(held, &["footer"])),
    ];
    (body.or_else(|| words(product, &["description"])), parts("product", told))
}

fn event(held: &Value) -> Shown {
    let name = words(held, &["name"]);
    let description = text(member(held, "description"));
    let location = member(held, "location");
    let is_canceled = member(held, "isCanceled") == true;
    let told = [
        ("name", json!(name)),
        ("description", json!(description)),
        ("starts_at", number(held, "startTime")),
        ("ends_at", number(held, "endTime")),
        ("place", named(location, &["name", "address"])),
        ("url", named(held, &["joinLink"])),
        ("canceled", if is_canceled { json!(true) } else { Value::Null }),
    ];
    (name.or(description), parts("event", told))
}

fn poll(held: &Value) -> Shown {
    let question = words(held, &["name"]);
    let option = |option: &Value| named(option, &["optionName", "name"]);
    // As many as one likes are 0.
    let multiple = long(member(held, "selectableOptionsCount")).map(|count| count != 1);
    let told = [
        ("question", json!(question)),
        ("options", each(held, "options", option)),
        ("multiple", json!(multiple)),
    ];
    (question, parts("poll", told))
}

fn poll_result(held: &Value) -> Shown {
    let question = words(held, &["name"]);
    let option = |option: &Value| {
        let votes = number(option, "optionVoteCount");
        Value::Object(members([("option", named(option, &["optionName"])), ("votes", votes)]))
    };
    let told = [("question", json!(question)), ("votes", each(held, "pollVotes", option))];
    (question, parts("poll_result", told))
}

fn group_invite(held: &Value) -> Shown {
    let name = words(held, &["groupName"]);
    let body = words(held, &["caption"]).or_else(|| name.clone());
    let told = [
        ("group_id", named(held, &["groupJid"])),
        ("name", json!(name)),
        ("code", named(held, &["inviteCode"])),
        ("expires_at", number(held, "inviteExpiration")),
    ];
    (body, parts("group_invite", told))
}

fn number(value: &Value, name: &str) -> Value {
    long(member(value, name)).map_or(Value::Null, Value::from)
}

/// A price in thousandths as a decimal number.
fn thousandths(value: &Value, name: &str) -> Value {
    let Some(amount) = long(member(value, name)) else {
        return Value::Null;
    };
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.unsigned_abs();
    let decimal = format!("{sign}{}.{:03}", amount / 1_000, amount % 1_000);
    // Two digits are usual; the third is only shown where it says something.
    Value::String(decimal.strip_suffix('0').map(ToOwned::to_owned).unwrap_or(decimal))
}

/// JSON inside a text.
pub(crate) fn inner(value: &Value) -> Option<Value> {
    let inner: Value = outside::read(value.as_str()?.as_bytes()).ok()?;
    inner.is_object().then_some(inner)
}
