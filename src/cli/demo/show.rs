//! What the demonstration prints.

use std::collections::BTreeMap;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::client::Api;
use super::story::Delivered;
use crate::cli::table;
use crate::gateway::Gateway;
use crate::model::OrganizationId;
use crate::store::inbox::{self, QuarantineFilter};

const WIDTH: usize = 130;

/// How many rows of a timeline are printed.
const ROWS: usize = 14;

/// How many quarantined items of each organization are printed.
const EACH: usize = 10;

fn text(value: &Value) -> String {
    value.as_str().map_or_else(
        || if value.is_null() { String::new() } else { value.to_string() },
        ToOwned::to_owned,
    )
}

pub(super) async fn accounts(organizations: &[(&str, &Api)]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (name, api) in organizations {
        let accounts = api.get("/api/v1/accounts").await?;
        let routes = api.get("/api/v1/routes").await?;
        for route in routes["items"].as_array().into_iter().flatten() {
            let all = accounts["items"].as_array().into_iter().flatten();
            let account = all.into_iter().find(|account| account["id"] == route["account_id"]);
            let provider = account.map_or(String::new(), |account| text(&account["provider"]));
            rows.push(vec![
                (*name).to_owned(),
                text(&route["channel"]),
                provider,
                text(&route["address"]),
                text(&route["state"]),
            ]);
        }
    }
    say!();
    table::print(&["organization", "channel", "carried by", "our number", "route"], &rows, WIDTH);
    Ok(())
}

/// What was answered, and what became of the items, by the gateway's own metrics.
pub(super) async fn deliveries(
    http: &reqwest::Client,
    base: &str,
    token: &SecretString,
    delivered: &BTreeMap<&str, Delivered>,
) -> anyhow::Result<()> {
    let metrics = http.get(format!("{base}/metrics")).bearer_auth(token.expose_secret());
    let metrics = metrics.send().await?.error_for_status()?.text().await?;
    let count = |provider: &str, result: &str| {
        let wanted = [format!("provider=\"{provider}\""), format!("result=\"{result}\"")];
        let line = metrics.lines().find(|line| {
            line.starts_with("switchboard_webhook_items_total{")
                && wanted.iter().all(|w| line.contains(w.as_str()))
        });
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or("0").to_owned()
    };
    let rows: Vec<Vec<String>> = delivered
        .iter()
        .map(|(provider, d)| {
            vec![
                (*provider).to_owned(),
                format!("{} of {}", d.accepted, d.genuine),
                format!("{} of {}", d.refused, d.forged),
                d.repeated.to_string(),
                count(provider, "stored"),
                count(provider, "duplicate"),
                count(provider, "waiting"),
                count(provider, "quarantined"),
            ]
        })
        .collect();
    let headings = [
        "provider",
        "genuine: 200",
        "forged: 401",
        "repeated",
        "items stored",
        "known already",
        "waiting",
        "quarantined",
    ];
    table::print(&headings, &rows, WIDTH);
    say!(
        "\n  waiting: statuses and edits of messages that the gateway has not seen yet; they join them when they come."
    );
    Ok(())
}

/// What waits for a person, a route or a fix; the platform's own is the operator's to see.
pub(super) async fn quarantine(
    gateway: &Gateway,
    organizations: &[(&str, &Api)],
) -> anyhow::Result<()> {
    let mut lists = Vec::new();
    for (name, api) in organizations {
        let mut rows = Vec::new();
        let items = api.get("/api/v1/webhook-inbox?limit=200").await?;
        for item in items["items"].as_array().into_iter().flatten() {
            rows.push(vec![
                (*name).to_owned(),
                text(&item["provider"]),
                text(&item["reason"]),
                text(&item["detail"]),
            ]);
        }
        lists.push(rows);
    }
    let mut session = gateway.store.read_all().await?;
    let filter = QuarantineFilter { state: Some("open".to_owned()), ..QuarantineFilter::default() };
    let items = inbox::items(&mut session, OrganizationId::PLATFORM, &filter, 200).await?;
    let row = |item: inbox::QuarantineEntry| {
        vec!["(nobody's)".to_owned(), item.provider, item.reason, item.detail]
    };
    lists.push(items.into_iter().map(row).collect());
    let total: usize = lists.iter().map(Vec::len).sum();
    say!("\nGenuine, kept whole, answered 200, and waiting to be replayed: {total} items");
    // Some of everybody's, one of those that are alike.
    let mut rows = Vec::new();
    for mut list in lists {
        list.dedup();
        list.truncate(EACH);
        rows.append(&mut list);
    }
    table::print(&["kept by", "provider", "reason", "why"], &rows, WIDTH);
    if total > rows.len() {
        say!("  … and {} more", total - rows.len());
    }
    Ok(())
}

pub(super) async fn timeline(api: &Api, lead: &Value) -> anyhow::Result<()> {
    let path = format!("/api/v1/crm/communications?lead_id={}&limit=200", text(&lead["id"]));
    let page = api.get(&path).await?;
    let items = page["items"].as_array().context("the timeline has no items")?;
    say!("\n{} ({}): {} in all", text(&lead["name"]), text(&lead["phone"]), page["total"]);
    let newest = &items[..items.len().min(ROWS)];
    let rows: Vec<Vec<String>> = newest.iter().rev().map(row).collect();
    if items.len() > newest.len() {
        say!("  … the newest {}:", newest.len());
    }
    table::print(&["when (UTC)", "channel", "by", "", "status", "what"], &rows, WIDTH);
    Ok(())
}

fn row(item: &Value) -> Vec<String> {
    let when = text(&item["occurred_at"]).replace('T', " ");
    let arrow = if item["direction"] == "inbound" { "←" } else { "→" };
    let kind = text(&item["kind"]);
    let words = text(&item["content"]);
    let what = match kind.as_str() {
        "text" => words,
        "call" => {
            let seconds = item["metadata"]["duration_seconds"].as_i64();
            let length = seconds.map_or(String::new(), |seconds| format!(", {seconds} s"));
            let outcome = text(&item["metadata"]["outcome"]);
            let recordings = item["metadata"]["recordings"].as_array().map_or(0, Vec::len);
            let recorded = if recordings > 0 { ", recorded" } else { "" };
            let said = if words.is_empty() { String::new() } else { format!(": “{words}”") };
            let state = match outcome.is_empty() {
                true => text(&item["status"]).replace('_', " "),
                false => outcome,
            };
            format!("call {state}{length}{recorded}{said}")
        }
        _ => format!("[{kind}] {words}"),
    };
    vec![
        when.chars().take(16).collect(),
        text(&item["channel"]),
        text(&item["provider"]),
        arrow.to_owned(),
        text(&item["status"]),
        what,
    ]
}

/// What waits to be sent, by channel.
pub(super) async fn queue(api: &Api) -> anyhow::Result<()> {
    let queues = api.get("/api/v1/queue").await?;
    let row = |queue: &Value| {
        let held = text(&queue["pause_reason"]);
        let mut cells = vec![text(&queue["channel"])];
        cells.extend(["due", "claimed", "unknown", "dead"].map(|s| text(&queue[s]["count"])));
        let pace = queue["pace_share"].as_f64().unwrap_or(1.0);
        cells.push(format!("{:.0} %", pace * 100.0));
        cells.push(if held.is_empty() { "nothing".to_owned() } else { held });
        cells
    };
    let rows: Vec<Vec<String>> =
        queues["items"].as_array().into_iter().flatten().map(row).collect();
    say!("\nThe queue (`switchboard queue` prints it too):");
    let headings = ["channel", "due", "being sent", "unknown", "given up", "pace", "held back by"];
    table::print(&headings, &rows, WIDTH);
    Ok(())
}

pub(super) fn invitation(base: &str, sandbox: &str, api: &Api, lead: &Value) {
    let id = text(&lead["id"]);
    say!("\nThe API, with its documentation at {base}/docs. Read a timeline:\n");
    say!("  curl -s '{base}/api/v1/crm/communications?lead_id={id}' \\");
    say!("    -H 'Authorization: Bearer {}' \\", api.key);
    say!("    -H 'X-Org-Id: {}'", api.organization);
    say!("\nSend a message (the answer has the URL at which its status can be read):\n");
    say!("  curl -s '{base}/api/v1/messages' \\");
    say!("    -H 'Authorization: Bearer {}' \\", api.key);
    say!("    -H 'X-Org-Id: {}' \\", api.organization);
    say!("    -H 'Content-Type: application/json' \\");
    say!(
        "    -d '{{\"channel\":\"whatsapp\",\"lead_id\":\"{id}\",\"content\":{{\"kind\":\"text\",\"body\":\"Obrigada!\"}}}}'"
    );
    say!("\nLet a person write to Aurora, through the sandbox:\n");
    say!("  curl -s '{sandbox}/control/inbound' \\");
    say!(
        "    -d '{{\"provider\":\"meta\",\"to\":\"+551140028922\",\"from\":\"+5511987654321\",\"text\":\"Até amanhã!\"}}'"
    );
}
