//! The statements that are put together here read one organization's rows, whatever was asked for.

use super::*;

/// The tables of organizations that a timeline is put together from.
const READ: [&str; 5] =
    ["messages", "call_logs", "leads", "contact_identities", "message_attachments"];

/// What is read besides: the parts of the statement itself.
const PARTS: [&str; 5] = ["page", "who", "places", "k", "setting"];

/// What a row's organization may be compared with: the parameter, the keys that were given, or a row that was itself chosen
/// by one of them.
const CHOSEN: [&str; 4] = ["$1", "k.o", "page.organization_id", "l.organization_id"];

/// Every statement there is, and what it is for.
fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for engine in [Engine::Postgres, Engine::Sqlite] {
        all.push((format!("{engine:?}, by ids"), by_ids(engine)));
        for scope in [Scope::Organization, Scope::Lead, Scope::Contact] {
            for flags in 0..8 {
                let [with_total, narrow, sets_organization] =
                    [1, 2, 4].map(|flag| flags & flag != 0);
                let plan = Plan { engine, scope, with_total, narrow, sets_organization };
                all.push((format!("{plan:?}"), plan.compose()));
            }
        }
    }
    all
}

/// What stands in the same parentheses as the beginning of `text`, without what stands in others inside them, and up to
/// the next part of a union.
fn same_select(text: &str) -> String {
    let (mut depth, mut same) = (0, String::new());
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            _ if depth == 0 => same.push(character),
            _ => {}
        }
    }
    same.split(" union all ").next().unwrap_or_default().to_owned()
}

/// The tables that are read without a condition on their organization, and how many are read in all.
fn complaints_of(sql: &str) -> (Vec<String>, usize) {
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = sql.split(' ').collect();
    let (mut complaints, mut count, mut at) = (Vec::new(), 0, 0);
    for (index, word) in words.iter().enumerate() {
        at += word.len() + 1;
        let Some(table) = words.get(index + 1) else { break };
        let name = table.trim_end_matches(')');
        let is_part = PARTS.contains(&name) || name.starts_with('(') || name == "lateral";
        if !["from", "join"].contains(word) || is_part {
            continue;
        }
        if !READ.contains(table) {
            complaints.push(format!("{table} is not known here"));
            continue;
        }
        count += 1;
        let alias = words.get(index + 2).copied().unwrap_or_default();
        let rest = same_select(&sql[at..]);
        let has = |choice: &str| {
            let condition = format!("{alias}.organization_id = {choice}");
            rest.match_indices(&condition).any(|(begin, _)| {
                let after = rest[begin + condition.len()..].chars().next();
                after.is_none_or(|next| next == ' ')
            })
        };
        if !CHOSEN.iter().any(|choice| has(choice) && !choice.starts_with(&format!("{alias}."))) {
            complaints.push(format!("{table} {alias}: {rest}"));
        }
    }
    (complaints, count)
}

#[test]
fn whatever_is_asked_for_every_table_is_read_for_one_organization() {
    let all = all();
    assert_eq!(all.len(), 2 * (1 + 3 * 8));
    for (plan, sql) in all {
        let (complaints, count) = complaints_of(&sql);
        assert_eq!(complaints, Vec::<String>::new(), "{plan}");
        assert!(count >= 4, "{plan}: two tables, and what completes their rows: {sql}");
        let named = READ.iter().map(|table| sql.matches(&format!(" {table} ")).count());
        assert_eq!(
            named.sum::<usize>(),
            count,
            "{plan}: a table is read where none was seen: {sql}"
        );
    }
}

#[test]
fn every_plan_has_a_statement_of_its_own() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        for scope in [Scope::Organization, Scope::Lead, Scope::Contact] {
            for flags in 0..8 {
                let [with_total, narrow, sets_organization] =
                    [1, 2, 4].map(|flag| flags & flag != 0);
                let plan = Plan { engine, scope, with_total, narrow, sets_organization };
                assert_eq!(plan.sql(), plan.compose(), "{plan:?}");
            }
        }
    }
}

#[test]
fn the_check_sees_what_it_should_see() {
    for bad in [
        "from messages t where t.id = $2",
        "from messages t where t.organization_id = $11",
        "from messages t where t.id in (select i.id from leads i where i.organization_id = $1)",
        "(* from messages t where t.id = $2) union all (select * from call_logs t where t.organization_id = $1)",
        "from messages t where t.id = $2 union all select * from call_logs t where t.organization_id = $1",
        "from leads l where l.organization_id = l.organization_id",
        "from api_keys a where a.organization_id = $1",
    ] {
        assert_eq!(complaints_of(bad).0.len(), 1, "{bad}");
    }
}

/// SQLite has no better plan to fall back on: whatever is asked for, every table is searched by an index, and the places of
/// calls are read from an index alone.
#[tokio::test]
async fn sqlite_reads_every_page_by_its_indexes() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    crate::store::migrations::migrate_sqlite(&pool).await.unwrap();
    let engine = Engine::Sqlite;
    for (scope, index) in [
        (Scope::Organization, "USING COVERING INDEX call_logs_place ("),
        (Scope::Lead, "USING COVERING INDEX call_logs_person ("),
        (Scope::Contact, "USING COVERING INDEX call_logs_person ("),
    ] {
        let plan =
            Plan { engine, scope, with_total: true, narrow: false, sets_organization: false };
        let sql = sqlx::AssertSqlSafe(format!("explain query plan {}", plan.sql()));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
        let steps: Vec<String> = steps.into_iter().map(|(.., step)| step).collect();
        assert!(steps.iter().any(|step| step.contains(index)), "{scope:?}: {steps:#?}");
        let by_place = "SEARCH t USING INDEX call_logs_place (organization_id=? AND place=?)";
        assert!(steps.iter().any(|step| step.contains(by_place)), "{scope:?}: {steps:#?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN t")), "{scope:?}: {steps:#?}");
    }
}
