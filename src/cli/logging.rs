//! Where the log goes and how it looks.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. A second start changes nothing.
pub(super) fn start(level: &str, format: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(quieter(level)).context("log.level")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for people; a file has none.
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    let _ = match format {
        "json" => builder.json().flatten_event(true).with_current_span(true).try_init(),
        _ => builder.with_target(false).try_init(),
    };
    Ok(())
}

/// At `info` PostgreSQL's notices would be logged too: at every start, that the table of migrations exists already.
fn quieter(level: &str) -> String {
    let at_info = level.split(',').any(|part| part.trim().eq_ignore_ascii_case("info"));
    match at_info && !level.contains("sqlx") {
        true => format!("{level},sqlx::postgres::notice=warn"),
        false => level.to_owned(),
    }
}
