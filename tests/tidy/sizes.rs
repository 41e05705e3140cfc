//! Files and functions stay small enough to be read, and every file says what it is.

use crate::house::{none, sources};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const EVERYTHING: [&str; 7] = [
    "src",
    "providers/src",
    "providers/tests",
    "tests",
    "benches",
    "fuzz/src",
    "fuzz/fuzz_targets",
];

#[test]
fn every_file_says_what_it_is() {
    let complaint =
        |path: &str| format!("{path}: begins without a `//!` line that says what it is");
    let complaints: Vec<String> = sources(&EVERYTHING)
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| complaint(&source.path))
        .collect();
    none(&complaints);
}

#[test]
fn files_are_small() {
    let mut complaints = Vec::new();
    for source in sources(&EVERYTHING) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            complaints.push(format!("{}: {lines} lines, more than {FILE_LINES}", source.path));
        }
    }
    none(&complaints);
}

/// Relies on formatted code: a function ends with the first brace that stands as far in as its first line.
#[test]
fn functions_are_small() {
    let mut complaints = Vec::new();
    for source in sources(&EVERYTHING) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let Some(name) = function_name(code).filter(|_| !code.ends_with('}')) else { continue };
            if is_declaration(&lines[start..]) {
                continue;
            }
            let closing = format!("{}}}", &line[..line.len() - code.len()]);
            let length =
                lines[start..].iter().position(|line| *line == closing).map_or(0, |end| end + 1);
            if length > FUNCTION_LINES {
                complaints.push(format!(
                    "{}:{}: `{name}` has {length} lines, more than {FUNCTION_LINES}",
                    source.path,
                    start + 1
                ));
            }
        }
    }
    none(&complaints);
}

/// A trait's function without a body: a semicolon comes before any brace.
fn is_declaration(lines: &[&str]) -> bool {
    let ends = lines.iter().find(|line| line.ends_with([';', '{', '}']));
    ends.is_some_and(|line| line.ends_with(';'))
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers =
        ["pub", "async", "const", "unsafe", "extern", "pub(super)", "pub(crate)", "pub(in"];
    let is_function = before.split_whitespace().all(|word| modifiers.contains(&word));
    is_function.then(|| after.split(['(', '<']).next().unwrap_or(after))
}
