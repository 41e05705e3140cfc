//! Measures the gateway: durable intake against the floor of the same database, and timelines against the same SQL run
//! bare. Started by `benches/run`; the method is in `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops where it stands"
)]
#![allow(unreachable_pub, reason = "a benchmark has no reach")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "figures for people"
)]

mod bulks;
mod floor;
mod intake;
mod load;
mod prepare;
mod process;
mod sending;
mod timeline;
mod turns;
mod versus;

use std::time::Duration;

/// How long each turn is measured, after a warm-up.
pub const MEASURED: Duration = Duration::from_secs(2);
/// How long a load runs before it is measured.
pub const WARM_UP: Duration = Duration::from_millis(500);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        // The load generator, in a process and on a thread of its own: it must take little of the machine.
        Some("load") => {
            let alone = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            alone.block_on(load::run());
        }
        // One measurement, for looking into: `one CONNECTIONS PEOPLE [SETTING…]`.
        Some("one") => runtime.block_on(intake::one(&arguments[1..])),
        // Two programs: BENCH_BEFORE against the one that was built.
        Some("versus") => runtime.block_on(versus::measure()),
        Some("sending-on-sqlite") => runtime.block_on(sending::on_sqlite()),
        _ => runtime.block_on(measure(&arguments)),
    }
}

async fn measure(parts: &[String]) {
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    println!("machine: {}", process::machine());
    if wanted("intake") {
        intake::on_postgres().await;
        intake::on_sqlite().await;
    }
    if wanted("sending") {
        sending::measure().await;
    }
    if wanted("bulks") {
        bulks::measure().await;
    }
    if wanted("timeline") {
        timeline::on_postgres().await;
        timeline::on_sqlite().await;
    }
}
