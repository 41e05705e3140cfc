//! Tables for people.

/// Prints rows under headings, each column as wide as its widest cell, the last one cut to what is left of `width`.
pub(super) fn print(headings: &[&str], rows: &[Vec<String>], width: usize) {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let last = widths.len().saturating_sub(1);
    let before: usize = widths[..last].iter().map(|width| width + 2).sum();
    widths[last] = widths[last].min(width.saturating_sub(before).max(10));
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells = cells.zip(&widths).map(|(cell, width)| fit(&cell, *width));
        say!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&mut headings.iter().map(|heading| (*heading).to_owned()));
    line(&mut widths.iter().map(|width| "─".repeat(*width)));
    for row in rows {
        line(&mut row.iter().cloned());
    }
}

/// The text in exactly `width` characters.
fn fit(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let length = text.chars().count();
    if length > width {
        let cut: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{cut}…");
    }
    format!("{text}{}", " ".repeat(width - length))
}
