//! Two things measured in turns: what a noisy machine does to one of them, it does to the other.

use std::time::Instant;

use crate::load::{Order, Result, generate};
use crate::prepare::{self, Running};
use crate::{MEASURED, WARM_UP, process};

/// How often each of the two has its turn.
const ROUNDS: u64 = 5;

/// How much of something was done in a turn, and what it cost.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// A second.
    pub rate: f64,
    /// CPU seconds of the gateway, or of whoever is in its place.
    pub own_cpu: f64,
    /// CPU seconds of PostgreSQL.
    pub database_cpu: f64,
    /// Of what was measured, in thousands.
    pub thousands: f64,
}

/// What was measured in all turns.
#[derive(Debug)]
pub struct Turns {
    pub base: Vec<Turn>,
    pub gateway: Vec<Turn>,
    pub results: Vec<Result>,
}

/// CPU seconds of a process and of PostgreSQL so far.
#[derive(Debug, Clone, Copy)]
struct Costs(f64, f64);

impl Costs {
    fn until_now(process: u32) -> Self {
        Self(process::cpu(process), process::postgres_cpu(prepare::cluster_port()))
    }

    /// A turn that began then, with `rate` things a second and `count` in all.
    fn turn(self, process: u32, rate: f64, count: u64) -> Turn {
        let Self(own, database) = Self::until_now(process);
        let (own_cpu, database_cpu) = (own - self.0, database - self.1);
        Turn { rate, own_cpu, database_cpu, thousands: count as f64 / 1_000.0 }
    }
}

/// Measures `base`, where there is one, and the gateway under the load that `order` gives for a round, and again; who comes
/// first changes. One turn of the gateway comes before all of them, and does not count.
pub async fn take(
    base: Option<impl AsyncFn(u64) -> Turn>,
    running: &Running,
    order: impl Fn(u64) -> Order,
) -> Turns {
    let mut turns = Turns { base: Vec::new(), gateway: Vec::new(), results: Vec::new() };
    generate(&order(0), || {});
    for round in 1..=ROUNDS {
        let base_first = round % 2 == 1;
        if let Some(base) = base.as_ref().filter(|_| base_first) {
            turns.base.push(base(round).await);
        }
        let begun = std::cell::Cell::new(None);
        let result = generate(&order(round), || begun.set(Some(Costs::until_now(running.id()))));
        let costs = begun.get().expect("the load has begun");
        turns.gateway.push(costs.turn(running.id(), result.rate(), result.answered));
        turns.results.push(result);
        if let Some(base) = base.as_ref().filter(|_| !base_first) {
            turns.base.push(base(round).await);
        }
    }
    turns
}

/// A turn without the gateway. Each of the workers has its connection already; it is told when to begin to count and when to end,
/// and returns what it counted.
pub async fn without_gateway<F>(
    workers: impl Iterator<Item = impl FnOnce(Instant, Instant) -> F>,
) -> Turn
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now() + WARM_UP;
    let end = start + MEASURED;
    let mut working = tokio::task::JoinSet::new();
    for worker in workers {
        working.spawn(worker(start, end));
    }
    tokio::time::sleep_until(start.into()).await;
    let before = Costs::until_now(std::process::id());
    let counted: u64 = working.join_all().await.into_iter().sum();
    before.turn(std::process::id(), counted as f64 / MEASURED.as_secs_f64(), counted)
}

impl Turns {
    /// What the gateway did of what was done without it: the median of the turns, the least and the most.
    pub fn share(&self) -> Option<(f64, f64, f64)> {
        let pairs = self.gateway.iter().zip(&self.base);
        let mut shares: Vec<f64> = pairs.map(|(own, base)| own.rate / base.rate).collect();
        shares.sort_by(f64::total_cmp);
        Some((median(&shares), *shares.first()?, *shares.last()?))
    }

    /// A percentile: the median of the turns' own.
    pub fn median_of(&self, figure: impl Fn(&Result) -> f64) -> f64 {
        median(&self.results.iter().map(figure).collect::<Vec<f64>>())
    }

    pub fn highest_ms(&self) -> f64 {
        self.results.iter().map(|result| result.max_ms).fold(0.0, f64::max)
    }

    pub fn refused(&self) -> u64 {
        self.results.iter().map(|result| result.refused).sum()
    }
}

/// Things a second: the median of the turns.
pub fn rate(turns: &[Turn]) -> f64 {
    median(&turns.iter().map(|turn| turn.rate).collect::<Vec<f64>>())
}

/// CPU seconds a thousand things: of the process, and of PostgreSQL.
pub fn costs(turns: &[Turn]) -> (f64, f64) {
    let sum = |figure: fn(&Turn) -> f64| turns.iter().map(figure).sum::<f64>();
    let thousands = sum(|turn| turn.thousands);
    (sum(|turn| turn.own_cpu) / thousands, sum(|turn| turn.database_cpu) / thousands)
}

pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
