//! The spans of measured requests as lines in a file.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use serde_json::json;
use zerocart_anatomy::ColdStart;
use zerocart_telemetry::{Recorder, Resource};

use super::client::Asked;

/// A file of lines.
pub(super) struct Traces(Arc<Mutex<File>>);

impl Traces {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path);
        let file = file.with_context(|| format!("--traces {} cannot be made", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Writes the client's span, the phases of all pods that started, and what their functions wrote.
    pub(super) fn write(&self, function: &str, asked: &Asked, starts: &[ColdStart]) -> Result<()> {
        let to_ns = asked.from_ns + (asked.took_ms * 1e6) as u64;
        let client = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "client"}}]},
            "scopeSpans": [{"scope": {"name": "zerocart"}, "spans": [{
                "traceId": asked.trace_id, "spanId": asked.span_id, "flags": 1,
                "name": format!("ask {function}"), "kind": 3,
                "startTimeUnixNano": asked.from_ns.to_string(), "endTimeUnixNano": to_ns.to_string(),
                "attributes": []}]}]}]});
        self.line(client.to_string().as_bytes())?;
        let file = Arc::clone(&self.0);
        let resource = Resource::new(zerocart_anatomy::SERVICE, env!("CARGO_PKG_VERSION"));
        let recorder = Recorder::new(&resource, move |lines: &[u8]| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // The next line that is written says what is wrong.
            let _ = file.write_all(lines);
        });
        for start in starts {
            start.record(&recorder);
            self.line(start.line.as_bytes())?;
        }
        Ok(())
    }

    fn line(&self, line: &[u8]) -> Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&[line, b"\n"].concat())
            .context("--traces: cannot write")
    }
}
