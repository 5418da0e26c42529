//! The newest spans, in memory of a bounded size.
//!
//! Spans are kept in the order in which they came, in segments of some hundred kilobytes: their text, and for
//! each the trace that it belongs to. The oldest segment goes as a whole. To find a trace, all entries are
//! looked at, which takes a fraction of a millisecond; so nothing but a copy is done when a span comes.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::line::Resource;

/// How many segments a full ring has at least.
const SEGMENTS: usize = 32;
/// What a resource takes beside its text.
const RESOURCE_BYTES: usize = 128;
const MAX_SEGMENT_BYTES: usize = 512 * 1024;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) trace: u128,
    at: u32,
    len: u32,
    resource: u32,
}

/// Spans that came one after the other.
#[derive(Debug)]
pub(crate) struct Segment {
    text: Vec<u8>,
    entries: Vec<Entry>,
    resources: Vec<Arc<Resource>>,
    resource_bytes: usize,
    began: Instant,
    last: Instant,
}

impl Segment {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            text: Vec::new(),
            entries: Vec::new(),
            resources: Vec::new(),
            resource_bytes: 0,
            began: now,
            last: now,
        }
    }

    pub(crate) fn push(&mut self, trace: u128, resource: &Arc<Resource>, raw: &[u8], now: Instant) {
        // Lines of one process come together, so it is mostly the last one.
        let known = self
            .resources
            .iter()
            .rposition(|r| Arc::ptr_eq(r, resource));
        let place = known.unwrap_or_else(|| {
            self.resources.push(Arc::clone(resource));
            self.resource_bytes += resource.head.len() + resource.tail.len() + RESOURCE_BYTES;
            self.resources.len() - 1
        });
        let index = |number: usize| u32::try_from(number).expect("a segment is less than 4 GiB");
        self.entries.push(Entry {
            trace,
            at: index(self.text.len()),
            len: index(raw.len()),
            resource: index(place),
        });
        self.text.extend_from_slice(raw);
        self.last = now;
    }

    /// The bytes of its spans.
    pub(crate) fn used(&self) -> usize {
        self.text.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Gives back the memory that it has no use for, once it gets no more spans.
    pub(crate) fn sealed(mut self) -> Self {
        self.text.shrink_to_fit();
        self.entries.shrink_to_fit();
        self
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        self.text.capacity() + entries + self.resource_bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its spans, oldest first: trace, resource, JSON.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (u128, &Arc<Resource>, &[u8])> {
        self.entries.iter().map(|entry| {
            let at = entry.at as usize;
            let raw = &self.text[at..at + entry.len as usize];
            (entry.trace, &self.resources[entry.resource as usize], raw)
        })
    }

    fn copy(&self) -> Self {
        let entry = |entry: &Entry| Entry { ..*entry };
        Self {
            text: self.text.clone(),
            entries: self.entries.iter().map(entry).collect(),
            resources: self.resources.clone(),
            ..*self
        }
    }
}

/// Spans as one OTLP JSON document, those of a resource together.
pub(crate) fn document<'a>(spans: impl Iterator<Item = (&'a Arc<Resource>, &'a [u8])>) -> Vec<u8> {
    let mut groups: Vec<(&Arc<Resource>, Vec<u8>)> = Vec::new();
    for (resource, raw) in spans {
        let group = groups.iter_mut().rfind(|(of, _)| of == &resource);
        match group {
            Some((_, text)) => {
                text.push(b',');
                text.extend_from_slice(raw);
            }
            None => groups.push((resource, raw.to_vec())),
        }
    }
    let mut document = br#"{"resourceSpans":["#.to_vec();
    for (place, (resource, text)) in groups.iter().enumerate() {
        if place > 0 {
            document.push(b',');
        }
        document.extend_from_slice(&resource.head);
        document.extend_from_slice(text);
        document.extend_from_slice(&resource.tail);
    }
    document.extend_from_slice(b"]}");
    document
}

/// The newest spans.
#[derive(Debug)]
pub(crate) struct Ring {
    max_bytes: usize,
    max_age: Duration,
    sealed: VecDeque<Arc<Segment>>,
    sealed_bytes: usize,
    open: Segment,
}

impl Ring {
    pub(crate) fn new(max_bytes: usize, max_age: Duration, now: Instant) -> Self {
        Self {
            max_bytes,
            max_age,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            open: Segment::new(now),
        }
    }

    pub(crate) fn push(&mut self, trace: u128, resource: &Arc<Resource>, raw: &[u8], now: Instant) {
        if self.open.is_empty() {
            self.open.began = now;
        }
        self.open.push(trace, resource, raw, now);
        let full = (self.max_bytes / SEGMENTS).min(MAX_SEGMENT_BYTES);
        if self.open.used() >= full {
            self.seal(now);
        }
        while self.bytes() > self.max_bytes && !self.sealed.is_empty() {
            self.drop_oldest();
        }
    }

    fn seal(&mut self, now: Instant) {
        let open = std::mem::replace(&mut self.open, Segment::new(now)).sealed();
        self.sealed_bytes += open.bytes();
        self.sealed.push_back(Arc::new(open));
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.sealed.pop_front() {
            self.sealed_bytes -= oldest.bytes();
        }
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Instant) {
        // So that a segment that is rarely written to does not keep what is old.
        let old = now.saturating_duration_since(self.open.began) > self.max_age / 8;
        if old && !self.open.is_empty() {
            self.seal(now);
        }
        while let Some(oldest) = self.sealed.front()
            && now.saturating_duration_since(oldest.last) > self.max_age
        {
            self.drop_oldest();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.sealed_bytes + self.open.bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.sealed.iter().map(|s| s.len()).sum::<usize>() + self.open.len()
    }

    /// All spans as they are now, oldest first.
    pub(crate) fn snapshot(&self) -> Vec<Arc<Segment>> {
        let open = Arc::new(self.open.copy());
        self.sealed.iter().cloned().chain([open]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_in_bytes_and_in_age_and_keeps_the_newest() {
        let resource = Arc::new(Resource {
            head: vec![b'h'; 500],
            tail: Vec::new(),
            service: "f".into(),
        });
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let mut ring = Ring::new(1 << 20, 100 * second, began);
        let raw = [b'x'; 700];
        for number in 1..=10_000_u128 {
            ring.push(number, &resource, &raw, began);
            assert!(ring.bytes() <= 1 << 20, "{}", ring.bytes());
        }
        let traces = |ring: &Ring| -> Vec<u128> {
            let segments = ring.snapshot();
            let spans = segments
                .iter()
                .flat_map(|s| s.spans().map(|(trace, ..)| trace));
            spans.collect()
        };
        let kept = traces(&ring);
        assert!(kept.len() > 1000, "{}", kept.len());
        assert_eq!(kept.len(), ring.len());
        let newest: Vec<_> = (10_001 - kept.len() as u128..=10_000).collect();
        assert_eq!(kept, newest);

        ring.push(10_001, &resource, &raw, began + 90 * second);
        ring.expire(began + 100 * second);
        assert!(ring.len() > 1000);
        // The open segment was sealed by then, though it is not full.
        ring.push(10_002, &resource, &raw, began + 101 * second);
        ring.expire(began + 150 * second);
        assert_eq!(*traces(&ring).last().unwrap(), 10_002);
        ring.expire(began + 300 * second);
        assert!(traces(&ring).is_empty());
    }
}
