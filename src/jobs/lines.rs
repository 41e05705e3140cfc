//! Who watches over linked devices and keeps templates fresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::flow::lines::{supervise, templates};
use crate::gateway::Gateway;

/// How often it is looked whether a device is due to be asked. Each says itself when it is.
const DEVICES: Duration = Duration::from_secs(2);

/// How often it is looked whether templates are due to be listed, spread by half, so that processes take turns.
const TEMPLATES: Duration = Duration::from_mins(1);

/// Watches over linked devices until told to stop, and finishes what is being asked.
pub(super) async fn supervise(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut failing = false;
    while !is_over(DEVICES, &mut stopped).await {
        let done = supervise::look(&gateway).await;
        tell("supervision", done.as_ref().err(), &mut failing);
    }
}

/// Lists templates until told to stop. What is being listed then is given up; nothing of it was written.
pub(super) async fn templates(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut failing = false;
    while !is_over(TEMPLATES.mul_f64(0.75 + gateway.chance() / 2.0), &mut stopped).await {
        tokio::select! {
            done = templates::look(&gateway) => tell("templates", done.as_ref().err(), &mut failing),
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
}

/// Rests. `true` if it is over.
async fn is_over(rest: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(rest) => false,
        _ = stopped.wait_for(|stop| *stop) => true,
    }
}

/// One line when it begins to fail, and one when it works again.
fn tell(job: &str, error: Option<&crate::store::StoreError>, failing: &mut bool) {
    match error {
        Some(error) if !*failing => {
            tracing::warn!(job, %error, "a job failed; it will be tried again");
        }
        None if *failing => tracing::info!(job, "the job works again"),
        _ => {}
    }
    *failing = error.is_some();
}
