//! What is printed. A reader that has gone away (`switchboard doctor | head -2`) is no reason to fail: what it did not want
//! to read is dropped, and the exit code says the rest.

use std::fmt::Arguments;
use std::io::Write;

/// Prints a line, as `println!` does.
macro_rules! say {
    () => { $crate::cli::output::line(format_args!("")) };
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}

/// Prints a line.
pub(super) fn line(text: Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints why the program fails.
pub(super) fn failure(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}
