//! The bulkhead as a tower layer.

use super::{Bulkhead, BulkheadFull, Entry, Permit};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::util::Oneshot;

/// Limits how many calls of a service run at once.
#[derive(Clone, Debug)]
pub struct Layer {
    bulkhead: Bulkhead,
}

impl Layer {
    /// A layer whose services all share `bulkhead`.
    pub const fn new(bulkhead: Bulkhead) -> Self {
        Self { bulkhead }
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Service<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Service {
            inner,
            bulkhead: self.bulkhead.clone(),
        }
    }
}

/// A service of which a bounded number of calls run at once. Made by [`Layer`].
#[derive(Clone, Debug)]
pub struct Service<S> {
    inner: S,
    bulkhead: Bulkhead,
}

impl<S, Req> tower::Service<Req> for Service<S>
where
    S: tower::Service<Req> + Clone,
    S::Error: From<BulkheadFull>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<Oneshot<S, Req>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        ResponseFuture {
            progress: match self.bulkhead.enter() {
                Entry::Admitted(permit) => Progress::Running(permit),
                Entry::Queued(turn) => Progress::Waiting(turn),
                Entry::Full(full) => Progress::Rejected(full),
            },
            call: Oneshot::new(self.inner.clone(), request),
        }
    }
}

pin_project! {
    /// The answer, or [`BulkheadFull`]. Holds the slot until then.
    pub struct ResponseFuture<F> {
        progress: Progress,
        #[pin]
        call: F,
    }
}

enum Progress {
    Waiting(Pin<Box<dyn Future<Output = Result<Permit, BulkheadFull>> + Send>>),
    Running(#[expect(dead_code, reason = "held for its drop")] Permit),
    Rejected(BulkheadFull),
    Finished,
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<BulkheadFull>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Progress::Waiting(turn) = this.progress {
            *this.progress = match ready!(turn.as_mut().poll(cx)) {
                Ok(permit) => Progress::Running(permit),
                Err(full) => Progress::Rejected(full),
            };
        }
        if let Progress::Rejected(full) = this.progress {
            return Poll::Ready(Err((*full).into()));
        }
        let result = ready!(this.call.poll(cx));
        // The slot is free when the answer is there, even if this future is kept for a while.
        *this.progress = Progress::Finished;
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = match self.progress {
            Progress::Waiting(_) => "Waiting",
            Progress::Running(_) => "Running",
            Progress::Rejected(_) => "Rejected",
            Progress::Finished => "Finished",
        };
        f.debug_struct("ResponseFuture")
            .field("progress", &progress)
            .finish_non_exhaustive()
    }
}
