//! Where the log goes and how it looks.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. A second start changes nothing.
pub(super) fn start(level: &str, format: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("log.level: {level}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        "json" => builder.json().flatten_event(true).with_current_span(true).try_init(),
        _ => builder.with_target(false).try_init(),
    };
    Ok(())
}
