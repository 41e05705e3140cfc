//! Business cards as WhatsApp exchanges them: vCard 3.0, of which the members a CRM can use.
//! <https://www.rfc-editor.org/rfc/rfc2426>

use crate::ContactCard;

/// How many lines of a card are read.
const LINES: usize = 500;

/// Reads a card. What it does not have stays empty; nothing in it is refused.
pub(crate) fn read(text: &str) -> ContactCard {
    let mut card = ContactCard::default();
    let mut parts = String::new();
    for line in unfolded(text).iter().take(LINES) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        // `item1.TEL;type=CELL;waid=5511…`: a group, the name, its parameters.
        let name = name.split(';').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
        let fields: Vec<String> = fields(value);
        let joined = |separator: &str| {
            let told: Vec<&str> =
                fields.iter().map(|field| field.trim()).filter(|field| !field.is_empty()).collect();
            told.join(separator)
        };
        let whole = unescaped(value).trim().to_owned();
        if whole.is_empty() {
            continue;
        }
        match name.as_str() {
            "FN" => card.name = whole,
            "N" => {
                let told = [3, 1, 2, 0, 4].iter().filter_map(|at| fields.get(*at));
                let told: Vec<&str> =
                    told.map(|part| part.trim()).filter(|p| !p.is_empty()).collect();
                parts = told.join(" ");
            }
            "TEL" => card.phones.push(whole),
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

/// Writes a card.
pub(crate) fn write(card: &ContactCard) -> String {
    let mut lines = vec!["BEGIN:VCARD".to_owned(), "VERSION:3.0".to_owned()];
    lines.push(format!("N:;{};;;", escaped(&card.name)));
    lines.push(format!("FN:{}", escaped(&card.name)));
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

/// The lines; one that begins with a blank goes on where the one before it ended.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
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
}
