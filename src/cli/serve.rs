//! `switchboard serve`: the gateway at work, until it is told to stop.

use anyhow::Context;

use super::logging;
use crate::clock::Clock;
use crate::config::Config;
use crate::flow::organizations;
use crate::gateway::Gateway;
use crate::jobs::Jobs;
use crate::metrics;
use crate::web::{App, Figures, Server, descriptors};

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log.level, &config.log.format)?;
    descriptors::raise();
    let recorder = metrics::install().context("metrics cannot be recorded")?;
    super::bring_up_to_date(&config).await?;
    let gateway = Gateway::start(config, Clock::System).await?;
    if let Some((organization, key)) = organizations::first_start(&gateway).await? {
        say!(
            "This is the first start. An organization has been made, and an owner's key for it, which is shown"
        );
        say!("this once:\n");
        say!("  X-Org-Id:       {}", organization.id);
        say!("  Authorization:  Bearer {}\n", key.secret);
        say!("More organizations, users and keys: switchboard org|user|key create");
    }
    let app = App::new(gateway.clone(), Some(recorder));
    let jobs = Jobs::start(&gateway, &app.keys);
    let figures = Figures::bind(&app).await.context("metrics.listen: cannot listen there")?;
    if let Some(address) = figures.as_ref().and_then(Figures::address) {
        tracing::info!(%address, "metrics");
    }
    let figures = figures.map(|figures| tokio::spawn(figures.run()));
    let server = Server::bind(app).await?;
    if let Some(address) = server.address() {
        tracing::info!(%address, "listening");
        say!("Listening on http://{address} (API documentation: http://{address}/docs)");
    }
    server.run(told_to_stop()).await;
    tracing::info!("stopping: finishing what was accepted");
    jobs.stop().await;
    gateway.stop().await;
    if let Some(figures) = figures {
        figures.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

/// Returns at an interrupt or a termination signal.
pub(super) async fn told_to_stop() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
