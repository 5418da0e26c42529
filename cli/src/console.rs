//! What a person sees. Logs go to files and to standard error; this is the conversation.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Whether something could not be written, to a disk that is full for instance.
static LOST: AtomicBool = AtomicBool::new(false);

/// A line on standard output.
pub(crate) fn say(line: impl fmt::Display) {
    write(format_args!("{line}"));
}

/// A step that is done, with the time that it took.
pub(crate) fn done(what: impl fmt::Display, took: Duration) {
    let what = what.to_string();
    write(format_args!("  {what:<60} {:>6.2} s", took.as_secs_f64()));
}

/// A step that is under way.
pub(crate) fn doing(what: impl fmt::Display) {
    write(format_args!("  {what}"));
}

/// A line on standard error, for a command whose standard output is for programs.
pub(crate) fn aside(line: impl fmt::Display) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether everything that was said could be written.
pub(crate) fn complete() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Nothing ends for want of a reader: one who has read enough goes away, as `head` does, and an engine
/// that nobody reads any more goes on.
fn write(line: fmt::Arguments<'_>) {
    let Err(error) = writeln!(io::stdout(), "{line}") else {
        return;
    };
    if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        fail(&anyhow::Error::new(error).context("standard output cannot be written"));
    }
}

/// A line on standard error, beside output that a program may read.
pub(crate) fn note(line: &str) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// An error, with its causes, on standard error.
pub(crate) fn fail(error: &anyhow::Error) {
    let mut stderr = io::stderr();
    // There is nobody left to tell.
    let _ = writeln!(stderr, "zerocart: {error}");
    for cause in error.chain().skip(1) {
        let _ = writeln!(stderr, "  because: {cause}");
    }
}
