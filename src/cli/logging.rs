//! Where the log goes and how it looks. Nothing waits for it and nothing fails for it: see [`Lines`].

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::lines::Lines;

/// How long the end of the program waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

static LOG: OnceLock<Lines> = OnceLock::new();

/// Starts logging to standard error. A second start changes nothing.
pub(super) fn start(level: &str, format: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(quieter(level)).context("log.level")?;
    if LOG.get().is_some() {
        return Ok(());
    }
    let lines = Lines::start(format == "json", outlet()).context("the log's thread")?;
    let _ = LOG.set(lines.clone());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || lines.clone());
    // Colours are for people; a file has none. What cannot be logged is never printed instead: printing panics where that fails.
    let builder = builder.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
    let _ = match format {
        "json" => builder.json().flatten_event(true).with_current_span(true).try_init(),
        _ => builder.with_target(false).try_init(),
    };
    Ok(())
}

/// Panics are told in the log. The usual way holds standard error's lock while it writes, so that one reader that does not read
/// would stop every thread that panics.
pub(super) fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = describe(panic);
        match LOG.get() {
            // Not as an event: the panic may have come from the middle of one.
            Some(log) => log.tell("ERROR", &text),
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }));
}

/// Waits until the last lines are written, if they can be.
pub(super) fn finish() {
    if let Some(log) = LOG.get() {
        log.flush(LAST_LINES);
    }
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let said = panic.payload_as_str().unwrap_or("something that is no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => {
            format!("thread {name} panicked at {place}: {said}\n{backtrace}")
        }
        _ => format!("thread {name} panicked at {place}: {said}"),
    }
}

/// Standard error, without the lock that all who print share.
#[cfg(unix)]
fn outlet() -> Box<dyn Write + Send> {
    use std::os::fd::AsFd;
    match std::io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        Err(_) => Box::new(std::io::stderr()),
    }
}

#[cfg(not(unix))]
fn outlet() -> Box<dyn Write + Send> {
    Box::new(std::io::stderr())
}

/// At `info` PostgreSQL's notices would be logged too: at every start, that the table of migrations exists already.
fn quieter(level: &str) -> String {
    let at_info = level.split(',').any(|part| part.trim().eq_ignore_ascii_case("info"));
    match at_info && !level.contains("sqlx") {
        true => format!("{level},sqlx::postgres::notice=warn"),
        false => level.to_owned(),
    }
}
