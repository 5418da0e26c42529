//! How a process started, for the trace of its first call.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use zerocart_telemetry::{Kind, Trace};

/// The phases of a start: what took from when to when. Clones share them.
///
/// A process starts before it knows for which call. So the phases are kept until its first call, whose
/// trace they become part of.
#[derive(Clone, Default)]
pub struct Start(Arc<Mutex<Vec<Phase>>>);

struct Phase {
    name: &'static str,
    from: Instant,
    to: Instant,
}

impl Start {
    /// Adds a phase that has ended.
    pub fn phase(&self, name: &'static str, from: Instant, to: Instant) {
        let mut phases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        phases.push(Phase { name, from, to });
    }

    /// Makes each phase a span beside that of the call, under the same parent: the caller waited for both.
    pub fn record(&self, trace: &Trace) {
        let phases = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for Phase { name, from, to } in phases {
            let mut span = trace.sibling(name, Kind::Internal);
            span.began_at(from);
            span.end_at(to);
        }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").finish_non_exhaustive()
    }
}
