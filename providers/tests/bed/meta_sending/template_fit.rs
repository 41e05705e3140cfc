//! Messages held against the templates that are listed.

use std::collections::BTreeMap;

use providers::{ListedTemplate, MediaKind, OutboundFile, Template};
use serde_json::{Value, json};

use super::account;
use super::templates::known;

fn message(variables: &[&str], components: Value) -> Template {
    let filled = |name: &&str| ((*name).to_owned(), "x".to_owned());
    Template {
        name: "visit_reminder".to_owned(),
        language: Some("pt_BR".to_owned()),
        variables: variables.iter().map(filled).collect::<BTreeMap<_, _>>(),
        header: None,
        components: (!components.is_null()).then_some(components),
    }
}

fn listed(components: Value) -> ListedTemplate {
    ListedTemplate { components, ..known() }
}

/// The member that does not fit, or nothing.
fn unfit(message: &Template, listed: &[&ListedTemplate]) -> Option<String> {
    account().templates().unwrap().fits(message, listed).err().map(|unfit| unfit.field)
}

#[test]
fn a_message_has_the_language_and_the_variables_of_its_template() {
    let greeting = |text: &str| listed(json!([{ "type": "BODY", "text": text }]));
    let two = greeting("Olá {{1}}, até {{2}}.");
    let english = ListedTemplate { language: "en_US".to_owned(), ..two.clone() };
    let fits = |variables: &[&str], template: &ListedTemplate| {
        unfit(&message(variables, Value::Null), &[template])
    };
    let wrong = |field: &str| Some(field.to_owned());
    assert_eq!(unfit(&message(&["1", "2"], Value::Null), &[]), None, "it was never listed");
    assert_eq!(fits(&["1", "2"], &two), None);
    assert_eq!(fits(&["1", "2"], &english), wrong("content.language"));
    assert_eq!(unfit(&message(&["1", "2"], Value::Null), &[&english, &two]), None);
    let said = account().templates().unwrap().fits(&message(&[], Value::Null), &[&english]);
    let said = said.unwrap_err().reason;
    assert!(said.contains("`pt_BR`") && said.contains("en_US"), "{said}");

    assert_eq!(fits(&["1"], &two), wrong("content.variables"));
    assert_eq!(fits(&[], &two), wrong("content.variables"));
    assert_eq!(fits(&["1", "2", "3"], &two), wrong("content.variables"));
    assert_eq!(fits(&["day", "name"], &two), wrong("content.variables"), "they are counted there");
    let named = greeting("Olá {{name}}, até {{day}}, {{name}}.");
    assert_eq!(fits(&["day", "name"], &named), None, "a name that stands twice is one");
    assert_eq!(fits(&["1", "2"], &named), wrong("content.variables"));
    assert_eq!(fits(&["day", "nome"], &named), wrong("content.variables"));
    assert_eq!(fits(&[], &greeting("Olá.")), None);
    assert_eq!(fits(&["1"], &greeting("Olá.")), wrong("content.variables"));

    let body =
        |parameters: Value| message(&[], json!([{ "type": "BODY", "parameters": parameters }]));
    let text = |name: Value| json!({ "type": "text", "text": "x", "parameter_name": name });
    assert_eq!(unfit(&body(json!([text(Value::Null), text(Value::Null)])), &[&two]), None);
    assert_eq!(unfit(&body(json!([text(Value::Null)])), &[&two]), wrong("content.components"));
    assert_eq!(unfit(&body(json!([text(json!("name")), text(json!("day"))])), &[&named]), None);
    let nameless = body(json!([text(Value::Null), text(json!("day"))]));
    assert_eq!(unfit(&nameless, &[&named]), wrong("content.components"));
    assert_eq!(unfit(&message(&[], json!([])), &[&two]), wrong("content.components"));
    // What is not understood of the list is left to Meta.
    assert_eq!(fits(&["1"], &listed(Value::Null)), None);
    assert_eq!(fits(&["1"], &listed(json!([{ "type": "BODY" }, 7]))), None);
}

#[test]
fn a_message_has_a_header_where_its_template_has_one() {
    let body = json!({ "type": "BODY", "text": "Olá." });
    let plain = listed(json!([body]));
    let headed = |header: Value| listed(json!([header, body]));
    let picture = headed(json!({ "type": "HEADER", "format": "IMAGE" }));
    let words = headed(json!({ "type": "HEADER", "format": "TEXT", "text": "Visita" }));
    let gap = headed(json!({ "type": "HEADER", "format": "TEXT", "text": "Visita {{1}}" }));
    let file = |media: MediaKind| {
        let source = providers::FileSource::Stored("7".to_owned());
        let at_head = OutboundFile { media, source, mime_type: None, filename: None, size: None };
        Template { header: Some(Box::new(at_head)), ..message(&[], Value::Null) }
    };
    let given =
        |parameters: Value| message(&[], json!([{ "type": "header", "parameters": parameters }]));
    let image = given(json!([{ "type": "image", "image": { "id": "7" } }]));
    let text = given(json!([{ "type": "text", "text": "12" }]));
    let none = message(&[], Value::Null);
    let cases = [
        (&none, &plain, None),
        (&image, &plain, Some("content.components")),
        (&file(MediaKind::Image), &plain, Some("content.header")),
        (&none, &picture, Some("content.header")),
        (&image, &picture, None),
        (&file(MediaKind::Image), &picture, None),
        (&file(MediaKind::Video), &picture, Some("content.header")),
        (&text, &picture, Some("content.components")),
        (&none, &words, None),
        (&text, &words, Some("content.components")),
        (&file(MediaKind::Image), &words, Some("content.header")),
        (&none, &gap, Some("content.components")),
        (&text, &gap, None),
        (
            &none,
            &headed(json!({ "type": "HEADER", "format": "LOCATION" })),
            Some("content.components"),
        ),
        (&none, &headed(json!({ "type": "HEADER", "format": "HOLOGRAM" })), None),
    ];
    for (message, template, wanted) in cases {
        let found = unfit(message, &[template]);
        assert_eq!(found.as_deref(), wanted, "{message:?} for {}", template.components);
    }
}

#[test]
fn buttons_are_filled_where_they_have_something_to_fill() {
    let with = |buttons: Value| {
        listed(
            json!([{ "type": "BODY", "text": "Olá." }, { "type": "BUTTONS", "buttons": buttons }]),
        )
    };
    let gap = with(json!([
        { "type": "QUICK_REPLY", "text": "Ok" },
        { "type": "URL", "text": "Mapa", "url": "https://example.com/{{1}}" },
    ]));
    let plain = with(json!([{ "type": "URL", "text": "Mapa", "url": "https://example.com/" }]));
    let coupon = with(json!([{ "type": "COPY_CODE", "text": "Copy" }]));
    let press = |kind: &str, index: Value, parameters: Value| {
        message(
            &[],
            json!([{ "type": "button", "sub_type": kind, "index": index, "parameters": parameters }]),
        )
    };
    let text = json!([{ "type": "text", "text": "a" }]);
    let wrong = Some("content.components".to_owned());
    let none = message(&[], Value::Null);
    assert_eq!(unfit(&none, &[&gap]), wrong);
    assert_eq!(unfit(&press("url", json!("1"), text.clone()), &[&gap]), None);
    assert_eq!(unfit(&press("url", json!(1), text.clone()), &[&gap]), None);
    assert_eq!(unfit(&press("url", json!("1"), json!([])), &[&gap]), wrong);
    assert_eq!(unfit(&press("url", json!("2"), text.clone()), &[&gap]), wrong);
    assert_eq!(unfit(&none, &[&plain]), None);
    assert_eq!(unfit(&press("url", json!("0"), text), &[&plain]), wrong);
    assert_eq!(unfit(&none, &[&coupon]), wrong);
    let code = json!([{ "type": "coupon_code", "coupon_code": "25OFF" }]);
    assert_eq!(unfit(&press("copy_code", json!("0"), code), &[&coupon]), None);
}
