//! A message of the demonstration on its way: it is sent through the API, and watched until it has come far enough.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::client::{Answer, Api};

/// How often a message is looked at, and for how long at most.
const LOOK: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_secs(15);

/// A message that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Journey {
    pub(super) id: String,
}

/// Sends a message, and says what it says.
pub(super) async fn send(api: &Api, body: &Value) -> anyhow::Result<Journey> {
    let answer = api.attempt("/api/v1/messages", body, None).await?;
    accepted(&answer)
}

/// The message that was accepted.
pub(super) fn accepted(answer: &Answer) -> anyhow::Result<Journey> {
    ensure!(answer.status == 202, "the message was not accepted: {}", answer.body);
    let id = answer.body["id"].as_str().context("the answer names no message")?;
    Ok(Journey { id: id.to_owned() })
}

impl Journey {
    /// The message as it stands.
    pub(super) async fn look(&self, api: &Api) -> anyhow::Result<Value> {
        api.get(&format!("/api/v1/messages/{}", self.id)).await
    }

    /// Waits until its status is one of these.
    pub(super) async fn reaches(&self, api: &Api, wanted: &[&str]) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            let message = self.look(api).await?;
            let status = message["status"].as_str().unwrap_or_default();
            if wanted.contains(&status) {
                return Ok(message);
            }
            if started.elapsed() > PATIENCE {
                bail!("message {} is still {status}, not {}", self.id, wanted.join(" or "));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it has come as far as this, and prints its whole way, with the time since it was accepted.
    pub(super) async fn tell(&self, api: &Api, wanted: &[&str]) -> anyhow::Result<()> {
        let message = self.reaches(api, wanted).await?;
        say!("    {}", way(&message));
        Ok(())
    }
}

/// `queued → sent 21 ms → delivered 240 ms`.
pub(super) fn way(message: &Value) -> String {
    let accepted = time(&message["created_at"]);
    let mut steps = vec![("queued".to_owned(), String::new())];
    // Some providers' times are whole seconds: the order is that in which we heard.
    let mut entries: Vec<&Value> = message["statuses"].as_array().into_iter().flatten().collect();
    entries.sort_by_key(|entry| time(&entry["received_at"]));
    for entry in entries {
        let status = entry["status"].as_str().unwrap_or_default();
        // Providers say `queued` too, of queues of their own.
        if steps.iter().any(|(known, _)| known == status) {
            continue;
        }
        let took = time(&entry["received_at"]).zip(accepted).map(|(at, from)| at - from);
        let took = took.map_or(String::new(), |took| format!(" {}", span(took)));
        steps.push((status.to_owned(), took));
    }
    let steps: Vec<String> = steps.iter().map(|(status, took)| format!("{status}{took}")).collect();
    steps.join(" → ")
}

/// A time of the API.
pub(super) fn time(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str()?.parse().ok()
}

/// `21 ms`, `1.4 s`.
pub(super) fn span(span: chrono::TimeDelta) -> String {
    let ms = span.num_milliseconds();
    if ms < 1_000 { format!("{ms} ms") } else { format!("{:.1} s", span.as_seconds_f64()) }
}
