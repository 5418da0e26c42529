//! Looks for what must not be written: secrets and e-mail addresses, by what was planted and by their form.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use regex::Regex;
use zerocart_runtime::redact::{Redacted, text};

use super::spans::Span;

/// Shorter ones are words that may stand anywhere.
const MIN_PLANTED: usize = 8;

/// Looks for leaks.
pub(super) struct Leaks {
    planted: Regex,
    email: Regex,
    /// Lines that show a secret on purpose.
    allowed: Vec<String>,
    pub(super) found: Vec<String>,
    /// How many texts were looked at.
    pub(super) looked: usize,
}

impl Leaks {
    /// `planted`: what a run sent that nobody may write.
    pub(super) fn of(planted: &BTreeSet<String>) -> Self {
        let long = planted.iter().filter(|text| text.len() >= MIN_PLANTED);
        let escaped: Vec<_> = long.map(|text| regex::escape(text)).collect();
        assert!(!escaped.is_empty(), "something was planted");
        let email = r"[\p{L}\p{N}._%+-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}";
        Self {
            planted: Regex::new(&escaped.join("|")).expect("escaped texts"),
            email: Regex::new(email).expect("a regular expression"),
            allowed: Vec::new(),
            found: Vec::new(),
            looked: 0,
        }
    }

    /// Such lines show a secret on purpose.
    pub(super) fn allow(&mut self, line: String) {
        self.allowed.push(line);
    }

    /// Looks at a text that is no line of a log.
    pub(super) fn in_text(&mut self, place: &str, value: &str) {
        self.looked += 1;
        if text(value) != value {
            self.found.push(format!("{place} holds a secret: {value}"));
        }
        self.by_words(place, value);
    }

    /// Looks at lines of a log, in which numbers that are no texts are measurements.
    pub(super) fn in_lines(&mut self, place: &str, lines: &str) {
        for line in lines.lines() {
            if self.allowed.iter().any(|allowed| line.trim() == *allowed) {
                continue;
            }
            self.looked += 1;
            let mut redacted = Redacted(Vec::new());
            redacted
                .write_all(line.as_bytes())
                .expect("memory takes all");
            if redacted.0 != line.as_bytes() {
                self.found.push(format!("{place} holds a secret: {line}"));
            }
            self.by_words(place, line);
        }
    }

    fn by_words(&mut self, place: &str, text: &str) {
        for (pattern, what) in [
            (&self.planted, "what was planted"),
            (&self.email, "an address"),
        ] {
            if let Some(found) = pattern.find(text) {
                let found = found.as_str();
                self.found
                    .push(format!("{place} holds {what}, {found}: {text}"));
            }
        }
    }

    /// Looks at spans.
    pub(super) fn in_spans(&mut self, spans: &[Span]) {
        for span in spans {
            let place = format!("a span of {}, {}", span.service, span.name);
            for value in span.texts() {
                self.in_text(&place, value);
            }
        }
    }

    /// Looks at all files below a folder whose names end in `.log`. Gives how many there are.
    pub(super) fn in_logs(&mut self, folder: &Path) -> usize {
        let logs = logs(folder);
        for path in &logs {
            let text = fs::read(path).expect("a log can be read");
            let text = String::from_utf8_lossy(&text);
            self.in_lines(&path.display().to_string(), &text);
        }
        logs.len()
    }
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    // Some of PostgreSQL's folders may be gone by now.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut logs = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            logs.extend(self::logs(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs
}

#[test]
fn what_leaks_is_found() {
    let planted = BTreeSet::from(["correct horse".to_owned(), "key-0192f0c1".to_owned()]);
    let leaks = |line: &str| {
        let mut leaks = Leaks::of(&planted);
        leaks.allow("password correct horse".to_owned());
        leaks.in_lines("a log", line);
        leaks.found.len()
    };
    for leak in [
        r#"{"reason":"the password correct horse is wrong"}"#,
        r#"{"reason":"key-0192f0c1 was used before"}"#,
        r#"{"reason":"ada@example.com is taken"}"#,
        r#"{"reason":"ada@bücher.example is taken"}"#,
        r#"{"reason":"4111 1111 1111 1111"}"#,
        "postgres://role:secret@localhost/x",
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImNhbmFyeSJ9.eyJzdWIiOiJjYW5hcnkifQ.Y2FuYXJ5",
        "first\npassword correct horses\nlast",
    ] {
        assert!(leaks(leak) > 0, "{leak}");
    }
    for harmless in [
        "  password correct horse",
        r#"{"at":4111111111111111,"id":"0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60"}"#,
        "postgres@15 and a@b",
        "[redacted]",
    ] {
        assert_eq!(leaks(harmless), 0, "{harmless}");
    }
}
