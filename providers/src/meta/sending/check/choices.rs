//! The limits of buttons and lists.
//! <https://developers.facebook.com/docs/whatsapp/guides/interactive-messages>

use std::collections::HashSet;

use super::{at_most, filled, media, optional};
use crate::{Button, Header, ListSection, LoadedFile, Unfit};

const HEADER_CHARS: usize = 60;
const FOOTER_CHARS: usize = 60;

const BUTTONS: usize = 3;
const BUTTONS_BODY_CHARS: usize = 1_024;
const BUTTON_ID_CHARS: usize = 256;
const BUTTON_TITLE_CHARS: usize = 20;

const LIST_BODY_CHARS: usize = 4_096;
const LIST_BUTTON_CHARS: usize = 20;
const SECTIONS: usize = 10;
const SECTION_TITLE_CHARS: usize = 24;
/// Of all sections together.
const ROWS: usize = 10;
const ROW_ID_CHARS: usize = 200;
const ROW_TITLE_CHARS: usize = 24;
const ROW_DESCRIPTION_CHARS: usize = 72;

/// The lines above and below.
pub(super) fn lines(header: Option<&str>, footer: Option<&str>) -> Result<(), Unfit> {
    optional("content.header", header, HEADER_CHARS)?;
    optional("content.footer", footer, FOOTER_CHARS)
}

/// A line or a file above, and a line below. `loaded` is the file, where it is there already.
pub(super) fn around(
    header: Option<&Header>,
    footer: Option<&str>,
    loaded: Option<&LoadedFile>,
) -> Result<(), Unfit> {
    match header {
        Some(Header::File(file)) => {
            media::above("content.header", file, loaded)?;
            lines(None, footer)
        }
        Some(Header::Text(text)) => lines(Some(text), footer),
        None => lines(None, footer),
    }
}

pub(super) fn buttons(body: &str, buttons: &[Button]) -> Result<(), Unfit> {
    filled("content.body", body, BUTTONS_BODY_CHARS)?;
    if buttons.is_empty() {
        return Err(Unfit::new("content.buttons", "at least 1 button is needed"));
    }
    at_most("content.buttons", buttons.len(), BUTTONS, "buttons")?;
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for (index, button) in buttons.iter().enumerate() {
        let field = |member: &str| format!("content.buttons[{index}].{member}");
        filled(&field("id"), &button.id, BUTTON_ID_CHARS)?;
        filled(&field("title"), &button.title, BUTTON_TITLE_CHARS)?;
        trimmed(field("id"), &button.id)?;
        unlike(&mut ids, field("id"), &button.id)?;
        if !titles.insert(button.title.as_str()) {
            return Err(Unfit::new(field("title"), "another button has the same title"));
        }
    }
    Ok(())
}

pub(super) fn list(body: &str, button: &str, sections: &[ListSection]) -> Result<(), Unfit> {
    filled("content.body", body, LIST_BODY_CHARS)?;
    filled("content.button", button, LIST_BUTTON_CHARS)?;
    if sections.is_empty() {
        return Err(Unfit::new("content.sections", "at least 1 section is needed"));
    }
    at_most("content.sections", sections.len(), SECTIONS, "sections")?;
    let all_rows = sections.iter().map(|section| section.rows.len()).sum();
    at_most("content.sections", all_rows, ROWS, "rows in all sections together")?;
    let mut ids = HashSet::new();
    for (index, section) in sections.iter().enumerate() {
        let field = |member: &str| format!("content.sections[{index}].{member}");
        section_title(field("title"), section.title.as_deref(), sections.len())?;
        if section.rows.is_empty() {
            return Err(Unfit::new(field("rows"), "at least 1 row is needed"));
        }
        for (index, row) in section.rows.iter().enumerate() {
            let field = |member: &str| field(&format!("rows[{index}].{member}"));
            filled(&field("id"), &row.id, ROW_ID_CHARS)?;
            filled(&field("title"), &row.title, ROW_TITLE_CHARS)?;
            let description = row.description.as_deref();
            optional(&field("description"), description, ROW_DESCRIPTION_CHARS)?;
            unlike(&mut ids, field("id"), &row.id)?;
        }
    }
    Ok(())
}

/// The heading of one of so many sections.
pub(super) fn section_title(
    field: String,
    title: Option<&str>,
    sections: usize,
) -> Result<(), Unfit> {
    optional(&field, title, SECTION_TITLE_CHARS)?;
    if title.is_none() && sections > 1 {
        return Err(Unfit::new(field, "is needed where there is more than 1 section"));
    }
    Ok(())
}

/// Refuses an id that begins or ends with spaces.
fn trimmed(field: String, id: &str) -> Result<(), Unfit> {
    if id.trim() == id {
        return Ok(());
    }
    Err(Unfit::new(field, "must not begin or end with spaces"))
}

/// Refuses an id that was there before.
pub(super) fn unlike<'a>(
    ids: &mut HashSet<&'a str>,
    field: String,
    id: &'a str,
) -> Result<(), Unfit> {
    if ids.insert(id) {
        return Ok(());
    }
    Err(Unfit::new(field, "another one has the same id"))
}
