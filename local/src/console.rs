//! What a person sees. Logs go to files and to standard error; this is the conversation.

#![expect(
    clippy::print_stdout,
    reason = "a command line speaks on standard output"
)]

use std::time::Duration;

/// A line on standard output.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// A step that is done, with the time that it took.
pub(crate) fn done(what: impl std::fmt::Display, took: Duration) {
    println!("  {:<60} {:>6.2} s", what.to_string(), took.as_secs_f64());
}

/// A step that is under way.
pub(crate) fn doing(what: impl std::fmt::Display) {
    println!("  {what}");
}

/// An error, with its causes, on standard error.
pub(crate) fn fail(error: &anyhow::Error) {
    eprintln!("zerocart: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
