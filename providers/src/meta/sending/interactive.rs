//! Interactive messages as Meta wants them: buttons, lists, pages, places, forms and products.
//! <https://developers.facebook.com/docs/whatsapp/guides/interactive-messages>

use serde_json::{Value, json};

use super::compose::{FilePlace, object, placed};
use crate::{
    Button, Flow, FlowAction, FlowForm, Header, ListRow, ListSection, OutboundContent,
    ProductSection,
};

/// The only version of messages that open forms.
const FLOW_MESSAGE_VERSION: &str = "3";

/// What every interactive message has.
struct Frame<'a> {
    kind: &'static str,
    header: Option<Value>,
    body: &'a str,
    footer: Option<&'a str>,
}

/// The block of an interactive message; `place` is where Meta finds the file above its words. Other contents have none.
pub(super) fn block(content: &OutboundContent, place: Option<FilePlace<'_>>) -> Value {
    match content {
        OutboundContent::Buttons { header, body, footer, buttons } => {
            let header = header.as_ref().map(|header| above(header, place));
            let buttons: Vec<Value> = buttons.iter().map(button).collect();
            Frame { kind: "button", header, body, footer: footer.as_deref() }
                .around(json!({ "buttons": buttons }))
        }
        OutboundContent::List { header, body, footer, button, sections } => {
            let sections: Vec<Value> = sections.iter().map(section).collect();
            Frame {
                kind: "list",
                header: header.as_deref().map(line),
                body,
                footer: footer.as_deref(),
            }
            .around(json!({ "button": button, "sections": sections }))
        }
        OutboundContent::CtaUrl { header, body, footer, text, url } => {
            let header = header.as_ref().map(|header| above(header, place));
            let parameters = json!({ "display_text": text, "url": url });
            Frame { kind: "cta_url", header, body, footer: footer.as_deref() }
                .around(json!({ "name": "cta_url", "parameters": parameters }))
        }
        OutboundContent::LocationRequest { body } => {
            Frame { kind: "location_request_message", header: None, body, footer: None }
                .around(json!({ "name": "send_location" }))
        }
        OutboundContent::Flow(flow) => {
            let header = flow.header.as_ref().map(|header| above(header, place));
            let Flow { body, footer, .. } = flow.as_ref();
            Frame { kind: "flow", header, body, footer: footer.as_deref() }
                .around(json!({ "name": "flow", "parameters": parameters(flow) }))
        }
        OutboundContent::Products { catalog_id, header, body, footer, sections } => {
            let (kind, action) = products(catalog_id, sections);
            Frame { kind, header: header.as_deref().map(line), body, footer: footer.as_deref() }
                .around(action)
        }
        _ => Value::Null,
    }
}

impl Frame<'_> {
    fn around(self, action: Value) -> Value {
        object([
            ("type", Some(json!(self.kind))),
            ("header", self.header),
            ("body", Some(json!({ "text": self.body }))),
            ("footer", self.footer.map(|text| json!({ "text": text }))),
            ("action", Some(action)),
        ])
    }
}

fn above(header: &Header, place: Option<FilePlace<'_>>) -> Value {
    match header {
        Header::Text(text) => line(text),
        Header::File(file) => {
            let word = file.media.word();
            json!({ "type": word, word: placed(Some(file), place) })
        }
    }
}

fn line(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn button(button: &Button) -> Value {
    json!({ "type": "reply", "reply": { "id": button.id, "title": button.title } })
}

fn section(section: &ListSection) -> Value {
    let rows: Vec<Value> = section.rows.iter().map(row).collect();
    object([
        ("title", section.title.as_ref().map(|title| json!(title))),
        ("rows", Some(Value::Array(rows))),
    ])
}

fn row(row: &ListRow) -> Value {
    object([
        ("id", Some(json!(row.id))),
        ("title", Some(json!(row.title))),
        ("description", row.description.as_ref().map(|description| json!(description))),
    ])
}

/// <https://developers.facebook.com/docs/whatsapp/flows/guides/sendingaflow>
fn parameters(flow: &Flow) -> Value {
    let (id, name) = match &flow.form {
        FlowForm::FlowId(id) => (Some(json!(id)), None),
        FlowForm::FlowName(name) => (None, Some(json!(name))),
    };
    let action = flow.action.map(|action| match action {
        FlowAction::Navigate => json!("navigate"),
        FlowAction::DataExchange => json!("data_exchange"),
    });
    let first = object([
        ("screen", flow.screen.as_ref().map(|screen| json!(screen))),
        ("data", flow.data.clone()),
    ]);
    let is_said = flow.screen.is_some() || flow.data.is_some();
    object([
        ("flow_message_version", Some(json!(FLOW_MESSAGE_VERSION))),
        ("flow_id", id),
        ("flow_name", name),
        ("flow_cta", Some(json!(flow.cta))),
        ("flow_token", flow.token.as_ref().map(|token| json!(token))),
        ("flow_action", action),
        ("flow_action_payload", is_said.then_some(first)),
    ])
}

/// Which message shows the products, and how: one alone, several in a list, or the whole catalogue. Which catalogue that is
/// Meta knows from the account.
/// <https://developers.facebook.com/docs/whatsapp/guides/commerce-guides/share-products-with-customers>
fn products(catalog_id: &str, sections: &[ProductSection]) -> (&'static str, Value) {
    let mut ids = sections.iter().flat_map(|section| &section.ids);
    match (ids.next(), ids.next()) {
        (None, _) => ("catalog_message", json!({ "name": "catalog_message" })),
        (Some(id), None) => {
            ("product", json!({ "catalog_id": catalog_id, "product_retailer_id": id }))
        }
        (Some(_), Some(_)) => {
            let sections: Vec<Value> = sections.iter().map(part).collect();
            ("product_list", json!({ "catalog_id": catalog_id, "sections": sections }))
        }
    }
}

fn part(section: &ProductSection) -> Value {
    let item = |id: &String| json!({ "product_retailer_id": id });
    let items: Vec<Value> = section.ids.iter().map(item).collect();
    object([
        ("title", section.title.as_ref().map(|title| json!(title))),
        ("product_items", Some(Value::Array(items))),
    ])
}
