//! The activator's spans of a request.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use zerocart_telemetry::{Attributes, Kind, Name, Recorder, Span, Trace, TraceContext};

use crate::answer::Refusal;
use crate::instance::Instance;
use crate::options::Options;

pub(crate) const TRACEPARENT: &str = "traceparent";

/// What the spans of all requests of a function have in common.
#[derive(Debug)]
pub(crate) struct Spans {
    recorder: Recorder,
    name: Name,
    attributes: Attributes,
}

impl Spans {
    pub(crate) fn new(function: &str, options: &Options) -> Self {
        let name: Arc<str> = format!("activate {function}").into();
        Self {
            recorder: options.recorder.clone(),
            name: name.into(),
            attributes: Attributes::default().with("faas.invoked_name", function),
        }
    }

    /// The span of a request, which becomes the parent of the function's own.
    pub(crate) fn begin(&self, request: &mut Request<Body>) -> Activation<'_> {
        let attributes = &self.attributes;
        if !self.recorder.is_on() {
            return Activation {
                span: None,
                attributes,
            };
        }
        let context = TraceContext::from_headers(request.headers());
        let trace = Trace::begin(&self.recorder, context);
        let mut span = trace.root(self.name.clone(), Kind::Client);
        span.set_all(&self.attributes);
        if let Ok(parent) = HeaderValue::try_from(context.to_string()) {
            request.headers_mut().insert(TRACEPARENT, parent);
        }
        Activation {
            span: Some(span),
            attributes,
        }
    }
}

/// A request that is being given to an instance.
pub(crate) struct Activation<'s> {
    span: Option<Span>,
    /// Of the request, and of the phases of a start: the function.
    attributes: &'s Attributes,
}

impl Activation<'_> {
    /// A request got its place at `instance`, for which it had waited since `since`.
    pub(crate) fn placed(&mut self, since: Instant, instance: &Instance, waited: bool) {
        let Some(span) = &mut self.span else { return };
        if !waited {
            return;
        }
        let trace = span.trace();
        let mut queued = trace.span("queued", Kind::Internal);
        queued.set_all(self.attributes);
        queued.began_at(since.into_std());
        let queued_trace = queued.trace();
        queued.end();
        // An instance that was there before the request is not started for it.
        if let Some((began, launched, ready)) = instance.start_times()
            && ready > since
        {
            span.keep();
            // The part that this request waited for.
            let (began, launched) = (began.max(since), launched.max(since));
            let mut start = queued_trace.span("start instance", Kind::Internal);
            start.began_at(began.into_std());
            if let Some(pid) = instance.pid() {
                start.set("process.pid", pid);
            }
            let start_trace = start.trace();
            let mut spawn = start_trace.span("spawn process", Kind::Internal);
            spawn.set_all(self.attributes);
            spawn.began_at(began.into_std());
            spawn.end_at(launched.into_std());
            let mut ready_span = start_trace.span("wait until ready", Kind::Internal);
            ready_span.set_all(self.attributes);
            ready_span.began_at(launched.into_std());
            ready_span.end_at(ready.into_std());
            start.end_at(ready.into_std());
        }
    }

    /// The answer has begun, or there is none.
    pub(crate) fn answered<B>(self, answer: &Result<Response<B>, Refusal>) {
        let Some(mut span) = self.span else { return };
        match answer {
            Ok(response) => span.set("http.response.status_code", response.status().as_u16()),
            Err(refusal) => span.fail(refusal.code(), &refusal.detail),
        }
        span.end();
    }
}
