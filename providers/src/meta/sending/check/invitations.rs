//! The limits of what invites people elsewhere: to a page, to tell where they are, into a form, into a catalogue.
//! <https://developers.facebook.com/docs/whatsapp/guides/interactive-messages>

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::choices::{section_title, unlike};
use super::{at_most, filled, optional, present};
use crate::{Flow, FlowAction, FlowForm, ProductSection, Unfit};

const BODY_CHARS: usize = 1_024;
const BUTTON_CHARS: usize = 20;
const URL_CHARS: usize = 2_000;

const SECTIONS: usize = 10;
/// Of all sections together.
const PRODUCTS: usize = 30;
/// No catalogue has longer ids.
const PRODUCT_ID_CHARS: usize = 100;

/// The words of such a message.
pub(super) fn words(body: &str) -> Result<(), Unfit> {
    filled("content.body", body, BODY_CHARS)
}

/// A button that opens a page.
pub(super) fn page(body: &str, text: &str, url: &str) -> Result<(), Unfit> {
    words(body)?;
    filled("content.text", text, BUTTON_CHARS)?;
    filled("content.url", url, URL_CHARS)?;
    let is_page = Url::parse(url).is_ok_and(|url| url.scheme() == "https");
    // What a browser would mend on the way, WhatsApp does not.
    if !is_page || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Unfit::new("content.url", "must be an https URL"));
    }
    Ok(())
}

/// <https://developers.facebook.com/docs/whatsapp/flows/guides/sendingaflow>
pub(super) fn flow(flow: &Flow) -> Result<(), Unfit> {
    words(&flow.body)?;
    match &flow.form {
        FlowForm::FlowId(id) => number("content.flow_id", id)?,
        FlowForm::FlowName(name) => present("content.flow_name", name)?,
    }
    filled("content.cta", &flow.cta, BUTTON_CHARS)?;
    if flow.cta.chars().any(is_pictograph) {
        return Err(Unfit::new("content.cta", "must be without emoji"));
    }
    optional("content.token", flow.token.as_deref(), usize::MAX)?;
    optional("content.screen", flow.screen.as_deref(), usize::MAX)?;
    let given = [("content.screen", flow.screen.is_some()), ("content.data", flow.data.is_some())];
    if flow.action == Some(FlowAction::DataExchange)
        && let Some((field, _)) = given.into_iter().find(|(_, is_given)| *is_given)
    {
        let reason =
            "goes with the action navigate only: with data_exchange the form's own server says it";
        return Err(Unfit::new(field, reason));
    }
    match &flow.data {
        Some(Value::Object(members)) if !members.is_empty() => {}
        Some(_) => {
            return Err(Unfit::new("content.data", "must be an object with at least 1 member"));
        }
        None => return Ok(()),
    }
    if flow.screen.is_none() {
        return Err(Unfit::new("content.screen", "is needed beside content.data"));
    }
    Ok(())
}

/// One product, a list of several, or the whole catalogue. Only the list has a line above its words, and needs one.
pub(super) fn products(
    catalog_id: &str,
    header: Option<&str>,
    sections: &[ProductSection],
) -> Result<(), Unfit> {
    number("content.catalog_id", catalog_id)?;
    at_most("content.sections", sections.len(), SECTIONS, "sections")?;
    let all = sections.iter().map(|section| section.ids.len()).sum();
    at_most("content.sections", all, PRODUCTS, "products in all sections together")?;
    let mut ids = HashSet::new();
    for (index, section) in sections.iter().enumerate() {
        let field = |member: &str| format!("content.sections[{index}].{member}");
        section_title(field("title"), section.title.as_deref(), sections.len())?;
        if section.ids.is_empty() {
            let reason =
                "at least 1 product is needed; without any section the whole catalogue is shown";
            return Err(Unfit::new(field("ids"), reason));
        }
        for (index, id) in section.ids.iter().enumerate() {
            let field = field(&format!("ids[{index}]"));
            filled(&field, id, PRODUCT_ID_CHARS)?;
            unlike(&mut ids, field, id)?;
        }
    }
    match (header, all) {
        (None, 2..) => {
            Err(Unfit::new("content.header", "is needed where there is more than 1 product"))
        }
        (Some(_), ..2) => {
            let reason = "stands only above a list of several products: leave it out";
            Err(Unfit::new("content.header", reason))
        }
        _ => Ok(()),
    }
}

/// Meta's ids of flows and catalogues are digits.
fn number(field: &str, id: &str) -> Result<(), Unfit> {
    present(field, id)?;
    match id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(()),
        false => Err(Unfit::new(field, "must be the id that Meta shows for it: digits")),
    }
}

/// Whether a character is shown as a picture, or belongs to one.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{20e3}' | '\u{fe0f}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{1f000}'..='\u{1faff}')
}
