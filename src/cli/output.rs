//! What is printed. A reader that has gone away (`switchboard doctor | head -2`) is no reason to fail: what it did not want
//! to read is dropped, and the exit code says the rest.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// How long the last word waits for a reader of standard error.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Prints a line, as `println!` does.
macro_rules! say {
    () => { $crate::cli::output::line(format_args!("")) };
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}

/// Prints a line.
pub(super) fn line(text: Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints why the program fails. It ends, whether or not anybody reads that.
pub(super) fn failure(text: Arguments<'_>) {
    let text = format!("error: {text}\n");
    let (done, printed) = mpsc::sync_channel(1);
    let print = move || {
        let _ = std::io::stderr().write_all(text.as_bytes());
        let _ = done.send(());
    };
    if std::thread::Builder::new().spawn(print).is_ok() {
        let _ = printed.recv_timeout(LAST_WORD);
    }
}
