//! The source files, and what stands in them.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
pub struct Source {
    /// Its path inside the repository, `src/store/events.rs`.
    pub path: String,
    pub text: String,
}

/// All Rust files below these folders of the repository, in the order of their paths.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("a readable source"),
        path: path.strip_prefix(root).expect("inside the repository").display().to_string(),
    };
    paths.into_iter().map(source).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Fails with all complaints at once.
pub fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// A source cut into code and string literals; comments are dropped.
#[derive(Default)]
pub struct Cut {
    pub code: String,
    /// Each literal with the number of the line it begins on.
    pub literals: Vec<(usize, String)>,
}

/// Cuts a source. Knows line and block comments, plain, byte and raw strings, characters and lifetimes.
pub fn cut(text: &str) -> Cut {
    let mut cut = Cut::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let raw = rest.trim_start_matches('r').trim_start_matches('#');
        let hashes = rest.len() - raw.len();
        let after_word = cut.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == 'r' && !after_word && raw.starts_with('"') {
            let closing = format!("\"{}", "#".repeat(hashes.saturating_sub(1)));
            let end = raw[1..].find(&closing).expect("a raw string ends");
            cut.literals.push((line, raw[1..=end].to_owned()));
            hashes + 1 + end + closing.len()
        } else if first == '"' {
            let end = end_of_string(rest);
            cut.literals.push((line, rest[1..end].to_owned()));
            end + 1
        } else if first == '\'' {
            length_of_character(rest)
        } else {
            cut.code.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    cut
}

/// Where the plain string at the beginning of `rest` has its closing quote.
fn end_of_string(rest: &str) -> usize {
    let mut escaped = true;
    for (index, character) in rest.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, or the quote of a lifetime.
fn length_of_character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(1, |end| end + 4),
        Some((_, _)) => match characters.next() {
            Some((index, '\'')) => index + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[test]
fn sources_are_cut_where_they_should_be() {
    let cut = cut(
        "let a = \"one \\\" quote\"; // \"no\"\nlet b: &'static str = r#\"two \"\"#; let c = '\"'; /* \"no\" */ let d = '\\'';",
    );
    let literals: Vec<(usize, &str)> =
        cut.literals.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(literals, [(1, "one \\\" quote"), (2, "two \"")]);
    assert!(cut.code.contains("let d =") && !cut.code.contains("no"));
}
