//! What must go on whatever happens: a part that panics is started again after a pause, and says so.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use crate::metrics;

/// How long a part rests that panicked.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs a part until it ends by itself, or panics and all parts are told to stop.
pub(super) async fn keep<F>(
    part: &'static str,
    mut stopped: watch::Receiver<bool>,
    mut start: impl FnMut() -> F,
) where
    F: Future<Output = ()>,
{
    while unbroken(part, start()).await.is_none() {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// What the work comes to; `None` if it panics, of which the log and the metrics tell.
pub(super) async fn unbroken<T>(part: &'static str, work: impl Future<Output = T>) -> Option<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await.ok();
    if done.is_none() {
        metrics::panicked(part);
        tracing::error!(part, "a part of the gateway panicked; it is started again");
    }
    done
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_started_again() {
        let (stop, stopped) = watch::channel(false);
        let starts = AtomicUsize::new(0);
        let part = || async {
            assert!(starts.fetch_add(1, Ordering::Relaxed) >= 1, "a defect");
        };
        keep("a part", stopped.clone(), part).await;
        assert_eq!(starts.load(Ordering::Relaxed), 2);
        stop.send_replace(true);
        let broken = || async { panic!("a defect") };
        tokio::time::timeout(Duration::from_mins(1), keep("a part", stopped, broken))
            .await
            .expect("it stops when it is told to");
    }
}
