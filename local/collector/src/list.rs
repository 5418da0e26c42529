//! Finds traces in the ring, and sums each up.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    fields::Key,
    ring::Segment,
    span::{SERVER, Span},
};

/// Which traces are asked for. `to_string` gives the query of a URL, which [`FromStr`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Those whose root took this long at least, in milliseconds.
    pub slow_ms: Option<u64>,
    /// Those with a span that failed.
    pub errors: bool,
    /// Those with a cold start.
    pub cold: bool,
    /// Those with a span of this function, job or part of the engine.
    pub function: Option<String>,
    /// The newest so many.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            slow_ms: None,
            errors: false,
            cold: false,
            function: None,
            limit: 20,
        }
    }
}

/// A query that is no filter.
#[derive(Debug, thiserror::Error)]
#[error("{0}: unknown, or its value is not valid")]
pub struct FilterError(String);

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(query: &str) -> Result<Self, Self::Err> {
        let mut filter = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = || value.parse().map_err(|_| FilterError(name.to_owned()));
            match name {
                "slow_ms" => filter.slow_ms = Some(number()?),
                "limit" => filter.limit = usize::try_from(number()?).unwrap_or(usize::MAX),
                "errors" => filter.errors = true,
                "cold" => filter.cold = true,
                // A name in kebab-case: nothing in it is encoded.
                "function" => filter.function = Some(value.to_owned()),
                _ => return Err(FilterError(name.to_owned())),
            }
        }
        Ok(filter)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit={}", self.limit)?;
        if let Some(ms) = self.slow_ms {
            write!(f, "&slow_ms={ms}")?;
        }
        for (name, on) in [("errors", self.errors), ("cold", self.cold)] {
            if on {
                write!(f, "&{name}")?;
            }
        }
        match &self.function {
            Some(name) => write!(f, "&function={name}"),
            None => Ok(()),
        }
    }
}

/// A trace in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// When its first span began, in milliseconds since 1970.
    pub started_at_unix_ms: u64,
    /// The name of its root: the span that has no parent here, and began first.
    pub root: String,
    /// How long the root took.
    pub duration_ms: f64,
    /// Where its spans come from, sorted.
    pub functions: Vec<String>,
    /// The number of its spans.
    pub spans: usize,
    /// The outcome of the root: a gRPC code's name, or a status of HTTP; empty if the root has none.
    pub code: String,
    /// Whether a function had a cold start in it.
    pub cold: bool,
    /// Whether a span failed.
    pub failed: bool,
}

/// What of a span is looked at.
#[derive(Debug)]
struct Seen<'a> {
    service: &'a str,
    id: u64,
    parent: Option<u64>,
    name: Cow<'a, str>,
    is_call: bool,
    start_ns: u64,
    seconds: f64,
    code: String,
    cold: bool,
    failed: bool,
}

impl<'a> Seen<'a> {
    fn new(service: &'a str, span: Span<'a>) -> Self {
        let code = span.fields.get(Key::Code);
        let code = code.or_else(|| span.fields.get(Key::Status));
        let code = code.or_else(|| span.fields.get(Key::ErrorType));
        Self {
            service,
            id: span.id,
            parent: span.parent,
            is_call: span.kind == SERVER,
            start_ns: span.start_ns,
            seconds: span.seconds(),
            code: code.unwrap_or_default().to_owned(),
            cold: span.is_cold(),
            failed: span.failed,
            name: span.name,
        }
    }
}

fn summary(trace: u128, spans: &[Seen<'_>]) -> Option<Summary> {
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id).collect();
    let inner = |span: &Seen<'_>| span.parent.is_some_and(|parent| ids.contains(&parent));
    // The phases of a start stand beside the call, which is the root all the same.
    let root = spans
        .iter()
        .min_by_key(|span| (inner(span), !span.is_call, span.start_ns))?;
    let began_ns = spans.iter().map(|span| span.start_ns).min()?;
    let functions: BTreeSet<_> = spans.iter().map(|span| span.service).collect();
    Some(Summary {
        trace_id: format!("{trace:032x}"),
        started_at_unix_ms: began_ns / 1_000_000,
        root: root.name.clone().into_owned(),
        duration_ms: root.seconds * 1e3,
        functions: functions.into_iter().map(str::to_owned).collect(),
        spans: spans.len(),
        code: root.code.clone(),
        cold: spans.iter().any(|span| span.cold),
        failed: spans.iter().any(|span| span.failed),
    })
}

/// The newest traces that the filter lets pass, newest first.
pub(crate) fn list(segments: &[Arc<Segment>], filter: &Filter) -> Vec<Summary> {
    let mut traces: HashMap<u128, Vec<Seen<'_>>> = HashMap::new();
    for segment in segments {
        for (trace, resource, raw) in segment.spans() {
            // It was read before, so it can be read again.
            let Some(span) = Span::read(raw) else {
                continue;
            };
            let spans = traces.entry(trace).or_default();
            spans.push(Seen::new(&resource.service, span));
        }
    }
    let summaries = traces
        .iter()
        .filter_map(|(trace, spans)| summary(*trace, spans));
    let mut summaries: Vec<_> = summaries.filter(|trace| filter.passes(trace)).collect();
    summaries.sort_by(|a, b| {
        let key = |s: &Summary| (s.started_at_unix_ms, s.trace_id.clone());
        key(b).cmp(&key(a))
    });
    summaries.truncate(filter.limit);
    summaries
}

impl Filter {
    fn passes(&self, trace: &Summary) -> bool {
        let least_ms = |ms| Duration::from_millis(ms).as_secs_f64() * 1e3;
        let slow = self
            .slow_ms
            .is_none_or(|ms| trace.duration_ms >= least_ms(ms));
        let of = |name: &String| trace.functions.contains(name);
        slow && (!self.errors || trace.failed)
            && (!self.cold || trace.cold)
            && self.function.as_ref().is_none_or(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_its_own_query() {
        let all = Filter {
            slow_ms: Some(250),
            errors: true,
            cold: true,
            function: Some("get-product".into()),
            limit: 7,
        };
        for filter in [all, Filter::default()] {
            assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter);
        }
        for (query, name) in [("limit=many", "limit"), ("colour=red", "colour")] {
            let error = query.parse::<Filter>().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
