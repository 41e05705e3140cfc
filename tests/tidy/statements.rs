//! Every SQL statement is about one organization, or says in a comment why it is not.

use crate::house::{cut, none, sources};

/// Knows no organizations yet: the schema.
const ACROSS: [&str; 1] = ["src/store/migrations.rs"];

/// Put together from parts: the parts that choose rows are checked where they are written, or by eye.
const ASSEMBLED: [&str; 2] = ["src/store/bulk.rs", "src/store/timeline/sql.rs"];

/// What a statement that is about more than one organization, or about none, begins its reason with.
const REASON: &str = "/* every organization: ";

fn is_statement(literal: &str) -> bool {
    let text = literal.trim_start().to_lowercase();
    let verb = text.split_whitespace().next().unwrap_or_default();
    let needs = match verb {
        "select" => " from ",
        "insert" => "into ",
        "update" => " set ",
        "delete" => "from ",
        "with" => " as ",
        _ => return false,
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").contains(needs)
}

fn complaints_of(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, literal) in cut(text).literals {
        let words = literal.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_insert = words.starts_with("insert") && words.contains("organization_id");
        let chooses = [
            "organization_id = ",
            "organization_id in ",
            "where (organization_id, ",
            "/* organization_id is id here */",
        ];
        let scoped = is_insert || chooses.iter().any(|choice| words.contains(choice));
        if is_statement(&literal) && !scoped && !literal.contains(REASON) {
            let begin: String = literal.chars().take(60).collect();
            complaints
                .push(format!("{path}:{line}: without a condition on organization_id: {begin}"));
        }
    }
    complaints
}

#[test]
fn every_statement_names_its_organization() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        if !ACROSS.contains(&source.path.as_str()) && !ASSEMBLED.contains(&source.path.as_str()) {
            complaints.extend(complaints_of(&source.path, &source.text));
        }
    }
    none(&complaints);
}

#[test]
fn the_check_sees_what_it_should_see() {
    let bad = "let sql = \"select *\n from leads where id = $1\";";
    assert_eq!(complaints_of("x.rs", bad).len(), 1);
    let good =
        "let sql = \"select * from leads where organization_id = $1\"; let text = \"select one\";";
    assert_eq!(complaints_of("x.rs", good), Vec::<String>::new());
}
