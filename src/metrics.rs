//! What is counted and measured, and under which names. Recording costs about a tenth of a microsecond.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

const WEBHOOKS: &str = "switchboard_webhooks_total";
const ITEMS: &str = "switchboard_webhook_items_total";
const WEBHOOK_SECONDS: &str = "switchboard_webhook_seconds";
const REQUESTS: &str = "switchboard_http_requests_total";
const REQUEST_SECONDS: &str = "switchboard_http_request_seconds";
const CONNECTIONS_CLOSED: &str = "switchboard_connections_closed_total";
const BATCHES: &str = "switchboard_commit_batches_total";
const BATCH_SIZE: &str = "switchboard_commit_batch_webhooks";
const BATCH_SECONDS: &str = "switchboard_commit_seconds";
const QUEUE: &str = "switchboard_intake_queue_webhooks";
const QUARANTINE: &str = "switchboard_quarantine_open_items";
const WAITING: &str = "switchboard_waiting_changes";
const ATTEMPTS: &str = "switchboard_send_attempts_total";
const RESENDS: &str = "switchboard_send_resends_total";
const SEND_LAG: &str = "switchboard_send_lag_seconds";
const OUTBOUND: &str = "switchboard_outbound_messages";
const OUTBOUND_OLDEST: &str = "switchboard_outbound_oldest_seconds";
const LANES: &str = "switchboard_lanes";
const LOST_LINES: &str = "switchboard_log_lines_lost_total";
const PANICS: &str = "switchboard_panics_total";

const SECONDS: [f64; 14] =
    [0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// A message may wait for milliseconds or for hours.
const LAGS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0, 3_600.0, 21_600.0];
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Starts recording. Once a process; later calls fail.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(BATCH_SIZE.to_owned()), &SIZES)?
        .set_buckets_for_metric(Matcher::Full(SEND_LAG.to_owned()), &LAGS)?
        .install_recorder()?;
    describe_counter!(WEBHOOKS, "Webhooks received, by provider and outcome");
    describe_counter!(ITEMS, "Items of genuine webhooks, by provider and what became of them");
    describe_histogram!(WEBHOOK_SECONDS, Unit::Seconds, "From a webhook's body to our answer");
    describe_counter!(REQUESTS, "API requests, by status");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "From an API request to our answer");
    describe_counter!(CONNECTIONS_CLOSED, "Clients' connections that we closed, by reason");
    describe_counter!(BATCHES, "Transactions of the commit batcher, by outcome");
    describe_histogram!(BATCH_SIZE, "Webhooks in one transaction");
    describe_histogram!(
        BATCH_SECONDS,
        Unit::Seconds,
        "From taking up a batch to the end of its commit"
    );
    describe_gauge!(QUEUE, "Webhooks that wait to be committed or are being committed");
    describe_gauge!(QUARANTINE, "Items that wait for a person, a route or a fix");
    describe_gauge!(WAITING, "Statuses and edits that wait for their message");
    describe_counter!(ATTEMPTS, "Attempts to send a message, by provider and outcome");
    describe_counter!(
        RESENDS,
        "Messages that the provider had taken, that failed later and are sent again, by provider"
    );
    describe_histogram!(
        SEND_LAG,
        Unit::Seconds,
        "From the time a message was due to its request, by provider"
    );
    describe_gauge!(OUTBOUND, "Messages of ours by state, each counted up to 100,000");
    describe_gauge!(
        OUTBOUND_OLDEST,
        Unit::Seconds,
        "For how long the first message that is not sent has been due"
    );
    describe_gauge!(
        LANES,
        "Lanes that rest (paused), and whose account refuses everything (unwell)"
    );
    describe_counter!(LOST_LINES, "Lines that could not be written to the log");
    describe_counter!(PANICS, "Parts of the program that panicked and were started again, by part");
    counter!(LOST_LINES).absolute(0);
    Ok(handle)
}

/// A webhook was answered.
pub fn webhook(provider: &'static str, outcome: &'static str, took: Duration) {
    counter!(WEBHOOKS, "provider" => provider, "outcome" => outcome).increment(1);
    histogram!(WEBHOOK_SECONDS, "provider" => provider).record(took.as_secs_f64());
}

/// What became of a webhook's items.
pub fn items(provider: &'static str, receipt: crate::model::Receipt) {
    let counts = [
        ("stored", receipt.stored),
        ("duplicate", receipt.duplicate),
        ("waiting", receipt.waiting),
        ("quarantined", receipt.quarantined),
    ];
    for (what, count) in counts {
        if count > 0 {
            counter!(ITEMS, "provider" => provider, "result" => what).increment(u64::from(count));
        }
    }
}

/// An API request was answered.
pub fn request(status: u16, took: Duration) {
    counter!(REQUESTS, "status" => status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS).record(took.as_secs_f64());
}

/// A client's connection was closed, because of this.
pub fn connection_closed(reason: &'static str) {
    counter!(CONNECTIONS_CLOSED, "reason" => reason).increment(1);
}

/// A batch was committed, or not.
pub fn batch(submissions: usize, took: Duration, ok: bool) {
    let outcome = if ok { "committed" } else { "failed" };
    counter!(BATCHES, "outcome" => outcome).increment(1);
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    histogram!(BATCH_SIZE).record(submissions as f64);
    histogram!(BATCH_SECONDS).record(took.as_secs_f64());
}

/// How much waits.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn waiting(queue: usize, quarantine: Option<i64>, changes: Option<i64>) {
    gauge!(QUEUE).set(queue as f64);
    if let Some(open) = quarantine {
        gauge!(QUARANTINE).set(open as f64);
    }
    if let Some(changes) = changes {
        gauge!(WAITING).set(changes as f64);
    }
}

/// An attempt to send a message has ended.
pub fn attempt(provider: &'static str, outcome: &'static str) {
    counter!(ATTEMPTS, "provider" => provider, "outcome" => outcome).increment(1);
}

/// A message that the provider had taken has failed, and is sent again.
pub fn resend(provider: &str) {
    counter!(RESENDS, "provider" => provider.to_owned()).increment(1);
}

/// A message's first request leaves, so long after it was due.
pub fn send_lag(provider: &'static str, waited: Duration) {
    histogram!(SEND_LAG, "provider" => provider).record(waited.as_secs_f64());
}

/// How many messages are in each state, and for how long the first of them has been due.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn backlog(depth: impl Iterator<Item = (&'static str, i64)>, oldest: Duration) {
    for (state, count) in depth {
        gauge!(OUTBOUND, "state" => state).set(count as f64);
    }
    gauge!(OUTBOUND_OLDEST).set(oldest.as_secs_f64());
}

/// How many lanes are held back.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn lanes(paused: i64, unwell: i64) {
    gauge!(LANES, "state" => "paused").set(paused as f64);
    gauge!(LANES, "state" => "unwell").set(unwell as f64);
}

/// A line could not be written to the log.
pub fn lost_line() {
    counter!(LOST_LINES).increment(1);
}

/// A part of the program panicked and is started again.
pub fn panicked(part: &'static str) {
    counter!(PANICS, "part" => part).increment(1);
}
