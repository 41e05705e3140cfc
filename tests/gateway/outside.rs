//! What comes from outside: texts that no database keeps are stored all the same, and a time in the future is none.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::dirty::{self, Dirty};
use crate::support::meta::{self, AURORA};
use crate::support::{Kind, Org, TestGateway, on_both_engines};

/// What stands for a character that cannot be kept.
const REPLACED: char = '\u{fffd}';

/// Tables that webhooks write into, and those of their columns of text that hold words, times and ids of ours, or what can
/// hold nothing that must be replaced. Every other column of text must be reached.
const OURS: [(&str, &[&str]); 12] = [
    ("account_notices", &["severity", "at", "received_at"]),
    ("call_events", &["stage", "at", "received_at"]),
    (
        "call_logs",
        &[
            "provider",
            "channel",
            "direction",
            "our_address",
            "state",
            "cost_currency",
            "answered_at",
            "watched_since",
            "ended_at",
            "occurred_at",
            "created_at",
            "processed_at",
            // One of four words, or a number.
            "answered_by",
            "sip_code",
        ],
    ),
    ("contact_identities", &["kind", "created_at"]),
    ("contacts", &["created_at", "updated_at"]),
    ("events", &["kind", "at"]),
    (
        "message_attachments",
        &[
            "kind",
            "state",
            "blob_key",
            "stored_mime_type",
            "stored_sha256",
            "warning",
            "due_at",
            "wanted_at",
            "last_error",
        ],
    ),
    ("message_edits", &["what", "at"]),
    ("message_statuses", &["status", "at", "received_at"]),
    (
        "messages",
        &[
            "provider",
            "channel",
            "direction",
            "our_address",
            "kind",
            "status",
            "occurred_at",
            "created_at",
            "processed_at",
        ],
    ),
    ("waiting_changes", &["at", "received_at"]),
    (
        "webhook_quarantine",
        &[
            "provider",
            "position",
            "reason",
            "state",
            "last_result",
            "created_at",
            "last_attempt_at",
            "noticed_at",
        ],
    ),
];

/// The columns of a table that hold text or JSON.
async fn columns(gateway: &TestGateway, table: &str) -> Vec<String> {
    let sql = match gateway.database.kind {
        Kind::Sqlite => format!(
            "select coalesce(group_concat(name), '') from pragma_table_info('{table}') where type = 'TEXT'"
        ),
        Kind::Postgres => format!(
            "select coalesce(string_agg(column_name, ','), '') from information_schema.columns
             where table_schema = 'public' and table_name = '{table}' and data_type in ('text', 'jsonb')"
        ),
    };
    let names = gateway.database.text(&sql).await;
    names.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

/// In how many rows a column holds this character.
async fn holding(gateway: &TestGateway, table: &str, column: &str, character: char) -> i64 {
    let find = match gateway.database.kind {
        Kind::Sqlite => format!("instr({column}, char({}))", u32::from(character)),
        Kind::Postgres => format!("position(chr({}) in {column}::text)", u32::from(character)),
    };
    let sql = format!("select count(*) from {table} where {find} > 0");
    gateway.database.scalar(&sql).await
}

/// How many rows the tables have that webhooks write into.
async fn rows(gateway: &TestGateway) -> BTreeMap<&'static str, i64> {
    let mut rows = BTreeMap::new();
    for (table, _) in OURS {
        rows.insert(table, gateway.count(table).await);
    }
    rows
}

async fn deliver_all(gateway: &TestGateway, all: &[Dirty], is_dirty: bool) {
    for each in all {
        let request = if is_dirty { &each.dirty } else { &each.clean };
        let answer = gateway.deliver(request.clone()).await;
        assert_eq!(answer.status, 200, "{}/{}: {}", each.provider.name, each.name, answer.text());
    }
}

on_both_engines! {
    what_no_database_keeps_is_replaced_in_every_field(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let all = dirty::all(gateway.clock.now());
        deliver_all(&gateway, &all, true).await;
        // No recording tells what became of a message in a group that is recorded, too.
        gateway.meta(&[meta::echo("wamid.group", "5511987654321", "ours")]).await.expect(200);
        let mut read = meta::status("wamid.group", "read", gateway.clock.now().timestamp());
        read["recipient_type"] = json!("group");
        read["recipient_participant_id"] = json!("5511987654322\0");
        gateway.meta(&[meta::change(AURORA, &[], &[read])]).await.expect(200);
        let refused = "select count(*) from webhook_quarantine where reason = 'refused'";
        assert_eq!(gateway.database.scalar(refused).await, 0);
        let dirty = rows(&gateway).await;
        let mut missed = BTreeSet::new();
        for (table, ours) in OURS {
            for column in columns(&gateway, table).await {
                if gateway.database.kind == Kind::Sqlite {
                    assert_eq!(holding(&gateway, table, &column, '\0').await, 0, "{table}.{column}");
                }
                let is_reached = holding(&gateway, table, &column, REPLACED).await > 0;
                if !is_reached && !ours.contains(&column.as_str()) {
                    missed.insert(format!("{table}.{column}"));
                }
            }
        }
        assert!(missed.is_empty(), "columns that no dirt has reached: {missed:?}");
        assert!(gateway.communications(&aurora).await.len() > 100);
        // As much is stored as of the same webhooks without the dirt.
        let other = TestGateway::start(gateway.database.kind, &[]).await;
        other.two_organizations().await;
        deliver_all(&other, &all, false).await;
        let clean = rows(&other).await;
        for table in ["messages", "call_logs", "message_attachments", "account_notices", "webhook_quarantine"] {
            assert!(dirty[table] >= clean[table], "{table}: {} rows with dirt, {} without", dirty[table], clean[table]);
        }
        other.end().await;
    }

    half_an_emoji_and_the_name_beside_it_are_stored(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let webhooks = [
            (&providers::meta::PROVIDER, "text-half-an-emoji"),
            (&providers::twilio::PROVIDER, "whatsapp-half-an-emoji"),
            (&providers::telnyx::PROVIDER, "sms-received-half-an-emoji"),
            (&providers::waha::PROVIDER, "message-half-an-emoji"),
            (&providers::evolution::PROVIDER, "message-half-an-emoji"),
        ];
        for (provider, name) in webhooks {
            gateway.deliver_recorded(provider, name).await.expect(200);
        }
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
        let stored = gateway.communications(&aurora).await;
        let combined = stored.iter().filter(|item| item["content"].as_str().unwrap().starts_with("Combinado"));
        assert_eq!(combined.count(), 5, "{stored:?}");
        let named = format!("select count(*) from contact_identities where name like '%Souza%{REPLACED}%'");
        assert!(gateway.database.scalar(&named).await >= 1);
        let unnamed = "select count(*) from contact_identities where name is null and value like '%987654321'";
        assert_eq!(gateway.database.scalar(unnamed).await, 0);
    }

    half_an_emoji_from_a_caller_is_replaced(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let body = r#"{"name":"Ana \ud83e","phone":"+5511987654321"}"#;
        let lead = raw(&gateway, &aurora, "/api/v1/leads", body).await.expect(201);
        assert_eq!(lead["name"], format!("Ana {REPLACED}"));
        let body = format!(
            r#"{{"lead_id":{},"channel":"email","direction":"inbound","content":"oi \ud83d","metadata":{{"\ude00":"\ud83d\ude00"}}}}"#,
            lead["id"],
        );
        let kept = raw(&gateway, &aurora, "/api/v1/crm/communications", &body).await.expect(201);
        assert_eq!(kept["content"], format!("oi {REPLACED}"));
        assert_eq!(kept["metadata"][REPLACED.to_string()], "\u{1f600}");
    }

    a_time_in_the_future_counts_as_the_time_of_receipt(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let far = (gateway.clock.now() + chrono::TimeDelta::days(400)).timestamp();
        let mut ahead = meta::text("wamid.ahead", "5511987654321", "ahead");
        ahead["timestamp"] = json!(far.to_string());
        let mut call = call("wacid.ahead", far);
        call["value"]["metadata"]["phone_number_id"] = json!(AURORA);
        gateway.meta(&[meta::change(AURORA, &[ahead], &[]), call]).await.expect(200);
        gateway.meta(&[meta::echo("wamid.ours", "5511987654321", "ours")]).await.expect(200);
        let mut edit = meta::text("wamid.edit", "5511987654321", "");
        edit["timestamp"] = json!(far.to_string());
        edit["type"] = json!("edit");
        edit["edit"] = json!({ "original_message_id": "wamid.ahead",
            "message": { "type": "text", "text": { "body": "edited" } } });
        let read = meta::status("wamid.ours", "read", far);
        gateway.meta(&[meta::change(AURORA, &[edit], &[]), meta::change(AURORA, &[], &[read])]).await.expect(200);
        gateway.advance(chrono::TimeDelta::minutes(5));
        let mut next = meta::text("wamid.next", "5511987654322", "next");
        next["timestamp"] = json!(gateway.clock.now().timestamp().to_string());
        gateway.meta(&[meta::change(AURORA, &[next], &[])]).await.expect(200);
        let stored = gateway.communications(&aurora).await;
        assert_eq!(stored[0]["content"], "next", "{stored:?}");
        let all: Vec<Value> = stored.iter().map(|item| item["occurred_at"].clone()).collect();
        assert!(all.iter().all(|at| at.as_str().unwrap().starts_with("2026-11-01T1")), "{all:?}");
        assert_eq!(stored.len(), 4, "{stored:?}");
        for (table, column) in [
            ("messages", "occurred_at"), ("call_logs", "occurred_at"), ("call_events", "at"),
            ("message_statuses", "at"), ("message_edits", "at"),
        ] {
            assert!(gateway.count(table).await > 0, "{table}");
            let late = format!("select count(*) from {table} where {column} > '2026-11-02T00:00:00Z'");
            assert_eq!(gateway.database.scalar(&late).await, 0, "{table}.{column}");
        }
        // A clock that is a little ahead of ours is believed.
        let mut soon = meta::text("wamid.soon", "5511987654323", "soon");
        soon["timestamp"] = json!((gateway.clock.now().timestamp() + 30).to_string());
        gateway.meta(&[meta::change(AURORA, &[soon], &[])]).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await[0]["occurred_at"], "2026-11-01T12:05:30.000000Z");
    }

    what_is_recorded_ahead_of_now_is_recorded_for_now(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
        let record = |at: &str| json!({ "lead_id": lead, "channel": "email", "direction": "inbound", "content": "x", "occurred_at": at });
        let path = "/api/v1/crm/communications";
        let kept = gateway.post(&aurora, path, record("2026-11-02T11:00:00Z")).await.expect(201);
        assert_eq!(kept["occurred_at"], "2026-11-01T12:00:00.000000Z");
        gateway.post(&aurora, path, record("2026-11-03T12:00:00Z")).await.expect(422);
    }
}

/// A call that a person began, told by Meta.
fn call(id: &str, timestamp: i64) -> Value {
    json!({ "field": "calls", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "551140028922", "phone_number_id": AURORA },
        "contacts": [{ "wa_id": "5511987654321", "profile": { "name": "Ana" } }],
        "calls": [{ "id": id, "from": "5511987654321", "to": "551140028922", "event": "connect",
            "direction": "USER_INITIATED", "timestamp": timestamp.to_string() }],
    } })
}

async fn raw(gateway: &TestGateway, org: &Org, path: &str, body: &str) -> crate::support::Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {}", org.key))
        .header("x-org-id", org.id.to_string())
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_owned()));
    gateway.send(request.unwrap()).await
}
