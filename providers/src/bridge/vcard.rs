//! Business cards as WhatsApp exchanges them: vCard 3.0, of which the members a CRM can use. Telephones also hand on cards of
//! version 2.1, whose texts may be quoted-printable, and of 4.0, whose numbers are URIs.
//! <https://www.rfc-editor.org/rfc/rfc2426>

use crate::{ContactCard, PhoneNumber, outside};

/// How many lines of a card are read.
const LINES: usize = 500;

/// Reads a card that is shown under this name, which it takes where it has none of its own.
pub(crate) fn named(text: &str, shown: Option<String>) -> ContactCard {
    let mut card = read(text);
    if card.name.is_empty() {
        card.name = shown.or_else(|| card.organization.clone()).unwrap_or_default();
    }
    card
}

/// Reads a card. What it does not have stays empty; nothing in it is refused.
pub(crate) fn read(text: &str) -> ContactCard {
    let mut card = ContactCard::default();
    let mut parts = String::new();
    for line in unfolded(text).iter().take(LINES) {
        let Some(line) = Line::read(line) else {
            continue;
        };
        let fields: Vec<String> = fields(&line.value);
        let joined = |separator: &str| {
            let told: Vec<&str> =
                fields.iter().map(|field| field.trim()).filter(|field| !field.is_empty()).collect();
            told.join(separator)
        };
        let whole = unescaped(&line.value).trim().to_owned();
        if line.name == "TEL" {
            card.phones.extend(line.phone(&whole));
            continue;
        }
        if whole.is_empty() {
            continue;
        }
        match line.name.as_str() {
            "FN" => card.name = whole,
            "N" => {
                let told = [3, 1, 2, 0, 4].iter().filter_map(|at| fields.get(*at));
                let told: Vec<&str> =
                    told.map(|part| part.trim()).filter(|p| !p.is_empty()).collect();
                parts = told.join(" ");
            }
            "EMAIL" => card.emails.push(whole),
            "ORG" => card.organization = Some(joined(", ")).filter(|name| !name.is_empty()),
            "ADR" => card.addresses.extend(Some(joined(", ")).filter(|place| !place.is_empty())),
            "URL" => card.urls.push(whole),
            "BDAY" => card.birthday = Some(whole),
            _ => {}
        }
    }
    if card.name.is_empty() {
        card.name = parts;
    }
    card
}

/// One line: `item1.TEL;type=CELL;waid=5511…:+55 11 …` is a group, the name, its parameters and the value.
struct Line<'l> {
    /// In capitals.
    name: String,
    parameters: Vec<&'l str>,
    value: String,
}

impl<'l> Line<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let mut is_quoted = false;
        let colon = line.find(|c: char| {
            is_quoted ^= c == '"';
            c == ':' && !is_quoted
        });
        let (before, value) = line.split_at(colon?);
        let value = value.strip_prefix(':').unwrap_or(value);
        let mut parameters = before.split(';');
        let name = parameters.next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default().trim().to_ascii_uppercase();
        let parameters: Vec<&str> = parameters.map(str::trim).collect();
        let value = match is_quoted_printable(&parameters) {
            true => {
                let bytes = printable(value);
                let is_latin = parameters.iter().any(|one| {
                    let one = one.to_ascii_uppercase();
                    one.contains("8859-1") || one.contains("WINDOWS-1252")
                });
                match is_latin {
                    true => bytes.into_iter().map(char::from).collect(),
                    false => outside::text(&bytes).into_owned(),
                }
            }
            false => value.to_owned(),
        };
        Some(Self { name, parameters, value })
    }

    /// The number, by itself or as a URI; where there is none, the one under which the person is on WhatsApp.
    fn phone(&self, whole: &str) -> Option<String> {
        let mut number = whole;
        for scheme in ["uri:", "tel:"] {
            if number.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)) {
                number = number[scheme.len()..].trim();
            }
        }
        if number.len() < whole.len() {
            // Of a URI's parameters, only the extension is part of how the person is reached.
            let mut parameters = number.split(';');
            let line = parameters.next().unwrap_or_default().to_owned();
            let extension = parameters.find(|one| one.to_ascii_lowercase().starts_with("ext="));
            let whole = extension.map_or(line.clone(), |extension| format!("{line};{extension}"));
            return Some(whole).filter(|_| !line.is_empty());
        }
        if !number.is_empty() {
            return Some(number.to_owned());
        }
        let waid = self.parameters.iter().find_map(|one| {
            let (name, value) = one.split_once('=')?;
            name.eq_ignore_ascii_case("waid").then_some(value.trim_matches('"'))
        });
        PhoneNumber::international(waid?).ok().map(|number| number.as_str().to_owned())
    }
}

/// Whether a line's value is quoted-printable, which version 2.1 may say without naming the parameter.
fn is_quoted_printable(parameters: &[&str]) -> bool {
    let value = |one: &&str| one.rsplit('=').next().unwrap_or_default().trim().to_ascii_uppercase();
    parameters.iter().any(|one| value(one) == "QUOTED-PRINTABLE")
}

/// The bytes of a quoted-printable text. What is no code of two digits stands for itself.
fn printable(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).filter(|_| *byte == b'=');
        let mut value = [0];
        match code.map(|code| hex::decode_to_slice(code, &mut value)) {
            Some(Ok(())) => {
                plain.push(value[0]);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    plain
}

/// The name under which a card is shown, without which it would be shown as none at all.
pub(crate) fn shown(card: &ContactCard) -> &str {
    let others = [card.organization.as_ref(), card.phones.first(), card.emails.first()];
    let names = [Some(&card.name)].into_iter().chain(others).flatten();
    names.map(String::as_str).find(|name| !name.trim().is_empty()).unwrap_or_default()
}

/// Writes a card.
pub(crate) fn write(card: &ContactCard) -> String {
    let mut lines = vec!["BEGIN:VCARD".to_owned(), "VERSION:3.0".to_owned()];
    lines.push(format!("N:;{};;;", escaped(&card.name)));
    lines.push(format!("FN:{}", escaped(shown(card))));
    if let Some(organization) = &card.organization {
        lines.push(format!("ORG:{};", escaped(organization)));
    }
    for phone in &card.phones {
        // By `waid` the recipient can write to the number at once.
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        lines.push(match phone.trim().starts_with('+') {
            true => format!("TEL;type=CELL;type=VOICE;waid={digits}:{}", escaped(phone)),
            false => format!("TEL;type=CELL;type=VOICE:{}", escaped(phone)),
        });
    }
    let others = [("EMAIL", &card.emails), ("ADR", &card.addresses), ("URL", &card.urls)];
    for (name, values) in others {
        let before = if name == "ADR" { ";;" } else { "" };
        let after = if name == "ADR" { ";;;;" } else { "" };
        lines
            .extend(values.iter().map(|value| format!("{name}:{before}{}{after}", escaped(value))));
    }
    if let Some(birthday) = &card.birthday {
        lines.push(format!("BDAY:{}", escaped(birthday)));
    }
    lines.push("END:VCARD".to_owned());
    lines.join("\n")
}

/// The lines; one that begins with a blank goes on where the one before it ended, and a quoted-printable one after each `=` at
/// its end.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let is_open = lines.last_mut().filter(|last| {
            let name = last.split(':').next().unwrap_or_default();
            last.ends_with('=') && is_quoted_printable(&name.split(';').collect::<Vec<_>>())
        });
        if let Some(last) = is_open {
            last.truncate(last.len() - 1);
            last.push_str(line);
            continue;
        }
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The fields between semicolons that are not escaped.
fn fields(value: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_escaped = false;
    for c in value.chars() {
        if c == ';' && !is_escaped {
            fields.push(String::new());
        } else if let Some(last) = fields.last_mut() {
            last.push(c);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    fields.iter().map(|field| unescaped(field)).collect()
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, c == '\\') {
            (_, true) => match characters.next() {
                Some('n' | 'N') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            (c, false) => plain.push(c),
        }
    }
    plain
}

/// A value that can neither end its line nor its field, whoever wrote it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\\' | ';' | ',' => safe.extend(['\\', c]),
            '\n' => safe.push_str("\\n"),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_written_is_read_as_it_was() {
        let card = ContactCard {
            name: "Dra. Beatriz; Lima, \\ \u{1F9B7}".to_owned(),
            phones: vec!["+55 11 98765-4321".to_owned(), "3003".to_owned()],
            emails: vec!["bia@example.com".to_owned()],
            organization: Some("Aurora; Dental, Ltda.".to_owned()),
            addresses: vec!["Rua A, 10\nSão Paulo".to_owned()],
            urls: vec!["https://aurora.example/a;b".to_owned()],
            birthday: Some("1990-02-28".to_owned()),
        };
        assert_eq!(read(&write(&card)), card);
    }

    #[test]
    fn a_name_cannot_add_lines_to_its_card() {
        let name = "Eve\r\nTEL:+15550100\nEND:VCARD".to_owned();
        let card = ContactCard { name, ..ContactCard::default() };
        assert!(read(&write(&card)).phones.is_empty());
    }

    #[test]
    fn groups_parameters_and_folded_lines_are_read() {
        let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Souza;Ana;Maria;;\r\nitem1.TEL;waid=5511987654321:+55 11 \r\n 98765-4321\r\nitem1.X-ABLabel:Cell\r\nEND:VCARD";
        let card = read(text);
        assert_eq!(card.name, "Ana Maria Souza");
        assert_eq!(card.phones, ["+55 11 98765-4321"]);
    }

    #[test]
    fn cards_of_other_versions_are_read() {
        let text = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Lima;Jo=C3=A3o;;;\r\n\
                    FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Jo=C3=A3o=20da=20=\r\nSilva=20Lima\r\n\
                    ORG;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Cl=EDnica=zz\r\n\
                    TEL;CELL:+55 21 97654-3210\r\nEND:VCARD";
        let card = read(text);
        assert_eq!(card.name, "João da Silva Lima");
        assert_eq!(card.organization.as_deref(), Some("Clínica=zz"));
        assert_eq!(card.phones, ["+55 21 97654-3210"]);
        let text = "BEGIN:VCARD\nVERSION:4.0\nFN:Ana\nTEL;VALUE=uri;PREF=1;TYPE=\"voice:home\":tel:+55-11-98765-4321;ext=12\n\
                    TEL:uri:tel:+5511987654322\nTEL;waid=5511987654323:\nTEL;waid=x:\nEND:VCARD";
        let phones = ["+55-11-98765-4321;ext=12", "+5511987654322", "+5511987654323"];
        assert_eq!(read(text).phones, phones);
    }

    #[test]
    fn a_card_without_a_name_is_shown_under_what_it_has() {
        let text = "BEGIN:VCARD\nFN:\nORG:Aurora\nEND:VCARD";
        assert_eq!(named(text, Some("Ana".to_owned())).name, "Ana");
        assert_eq!(named(text, None).name, "Aurora");
        let phones = vec!["+5511987654321".to_owned()];
        let card = ContactCard { phones, ..ContactCard::default() };
        assert!(write(&card).contains("\nFN:+5511987654321\n"));
    }
}
