//! What every fixture is read as: snapshots in `fixtures/<provider>/expected`.

use providers::Batch;
use serde_json::{Value, json};

use crate::fixtures;

#[test]
fn every_fixture_is_read_as_its_snapshot_says() {
    for fixture in fixtures::all() {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(fixtures::folder(fixture.provider).join("expected"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let batch = show(&fixture.batch());
        settings.bind(|| insta::assert_json_snapshot!(fixture.name.clone(), batch));
    }
}

#[test]
fn every_snapshot_has_its_fixture() {
    for provider in providers::PROVIDERS {
        let names: Vec<String> =
            fixtures::of(provider).into_iter().map(|fixture| fixture.name).collect();
        for file in std::fs::read_dir(fixtures::folder(provider).join("expected")).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let name = file.split('.').next().unwrap().to_owned();
            assert!(names.contains(&name), "{}: {file} has no fixture", provider.name);
        }
    }
}

fn show(batch: &Batch) -> Value {
    let unparsed = |item: &providers::Unparsed| json!({ "position": item.position, "line": item.line, "reason": item.reason });
    json!({
        "reply": {
            "status": batch.reply.status,
            "content_type": batch.reply.content_type,
            "body": String::from_utf8_lossy(&batch.reply.body),
        },
        "events": batch.events,
        "unparsed": batch.unparsed.iter().map(unparsed).collect::<Vec<_>>(),
    })
}
