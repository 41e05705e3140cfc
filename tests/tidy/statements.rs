//! Every SQL statement is about one organization, or says in a comment why it is not.

use crate::house::{cut, none, sources};

/// Knows no organizations yet: the schema.
const ACROSS: [&str; 1] = ["src/store/migrations.rs"];

/// Put together from parts: the parts that choose rows are checked where they are written, or in tests of the whole.
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

/// What an organization's rows are chosen by: a parameter, or keys that were given with the statement, which are called `k`.
/// A join with another table chooses nothing.
const CHOOSES: [&str; 6] = [
    "organization_id = $",
    "organization_id = any($",
    "organization_id = k.",
    "organization_id in (select k.",
    "where (organization_id, provider_ref) in (select k.",
    "/* organization_id is id here */",
];

fn complaints_of(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, literal) in cut(text).literals {
        let words = literal.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_insert = words.starts_with("insert") && words.contains("organization_id");
        let of_given_rows = is_insert && (!words.contains("select ") || words.contains(" from k"));
        let scoped = of_given_rows || CHOOSES.iter().any(|choice| words.contains(choice));
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
    let count = |sql: &str| complaints_of("x.rs", &format!("let sql = \"{sql}\";")).len();
    for bad in [
        "select *\n from leads where id = $1",
        "select * from leads l join messages m on m.organization_id = l.organization_id where l.id = $1",
        "select l.id from leads l where exists (select 1 from messages m where m.organization_id\n = l.organization_id)",
        "update lanes set due_at = $1 where organization_id = organization_id",
        "delete from leads where organization_id in (select id from organizations)",
        "insert into leads (organization_id, id) select organization_id, id from contacts where id = $1",
    ] {
        assert_eq!(count(bad), 1, "{bad}");
    }
    for good in [
        "select one",
        "select * from leads where organization_id = $1",
        "select * from leads where organization_id\n = any($1::uuid[])",
        "select l.id from k join leads l on l.organization_id = k.o and l.id = k.i",
        "insert into leads (organization_id, id) values ($1, $2)",
        "insert into leads (organization_id, id) select k.o, k.i from k",
        "select count(*) from leads /* every organization: a metric */",
    ] {
        assert_eq!(count(good), 0, "{good}");
    }
}
