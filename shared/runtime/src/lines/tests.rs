//! Lines as JSON, compared with those of `tracing_subscriber`, and as text.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::field;
use tracing_subscriber::prelude::*;

use super::*;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Memory {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Memory {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Memory {
    /// The lines as JSON, without their times.
    fn lines(&self) -> Vec<Value> {
        let text = self.0.lock().unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
        let lines = lines.map(|line| {
            let mut line: Value = serde_json::from_slice(line).unwrap();
            let time = line["timestamp"].take();
            assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
            line
        });
        lines.collect()
    }
}

/// It logs while it is formatted.
struct Talking;

impl fmt::Debug for Talking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!("from within");
        f.write_str("talking")
    }
}

#[test]
fn the_lines_are_those_of_tracing_subscriber() {
    let (ours, theirs) = (Memory::default(), Memory::default());
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(theirs.clone());
    let subscriber = tracing_subscriber::registry()
        .with(Lines::json(ours.clone()))
        .with(json);
    tracing::subscriber::with_default(subscriber, || {
        let error = std::io::Error::other("it broke: \"here\"");
        tracing::info!("outside");
        let call = tracing::error_span!(
            "call",
            function = "get-product",
            caller = field::Empty,
            number = 1,
        );
        call.in_scope(|| tracing::debug!(r#type = "raw", none = None::<&str>, "one"));
        call.record("caller", "a \\ \"b\"\n\u{1}é");
        call.record("number", 2);
        call.in_scope(|| {
            tracing::warn!(
                float = 1.5,
                tiny = 1e-7,
                nan = f64::NAN,
                signed = -5,
                unsigned = u64::MAX,
                huge = 5_u128,
                flag = true,
                list = ?["x\ty", "z"],
                shown = %"shown \r",
                error = &error as &dyn std::error::Error,
                "two {}",
                3
            );
            let inner = tracing::info_span!("inner", depth = 2);
            inner.in_scope(|| tracing::error!(parent: &call, "three"));
            inner.in_scope(|| tracing::error!(""));
        });
    });
    let lines = ours.lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines, theirs.lines());
    assert_eq!(lines[2]["span"]["number"], 2);
}

#[test]
fn a_text_is_for_people() {
    let ours = Memory::default();
    let subscriber = tracing_subscriber::registry().with(Lines::text(ours.clone()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(count = 2, "outside");
        let call = tracing::info_span!("call", function = "get-product", id = 5);
        call.in_scope(|| tracing::info!(code = "OK", "answered in {}", "time"));
    });
    let text = String::from_utf8(ours.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| line.split_once("Z ").unwrap().1);
    let expected = [
        " WARN outside count=2",
        " INFO call{function=\"get-product\" id=5}: answered in time code=\"OK\"",
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn a_value_may_log_while_it_is_formatted() {
    let ours = Memory::default();
    let subscriber = tracing_subscriber::registry().with(Lines::json(ours.clone()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(value = ?Talking, "outer");
    });
    // tracing itself keeps events within events from being seen.
    let lines = ours.lines();
    assert_eq!(lines.last().unwrap()["value"], "talking");
}

#[test]
fn a_long_line_leaves_no_long_buffer() {
    let ours = Memory::default();
    let subscriber = tracing_subscriber::registry().with(Lines::json(ours.clone()));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(long = "x".repeat(2 * KEPT_BYTES), "one");
        tracing::info!("two");
    });
    assert_eq!(ours.lines().len(), 2);
    LINE.with(|line| assert!(line.borrow().capacity() <= KEPT_BYTES));
}
