//! The deadline as a tower layer.

use super::{After, Elapsed, Source};
use crate::InvalidConfig;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::util::Oneshot;

/// Ends the calls of a service at their deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Layer<D> {
    source: D,
}

impl<D> Layer<D> {
    /// A layer that takes each call's deadline from `source`.
    pub const fn new(source: D) -> Self {
        Self { source }
    }
}

impl Layer<After> {
    /// A layer that gives every call the same time budget, counted from its start.
    ///
    /// # Errors
    ///
    /// When the budget is zero.
    pub fn after(budget: Duration) -> Result<Self, InvalidConfig> {
        After::new(budget).map(Self::new)
    }
}

impl<S, D: Clone> tower::Layer<S> for Layer<D> {
    type Service = Service<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        Service {
            inner,
            source: self.source.clone(),
        }
    }
}

/// A service whose calls end at their deadlines. Made by [`Layer`].
#[derive(Clone, Copy, Debug)]
pub struct Service<S, D> {
    inner: S,
    source: D,
}

impl<S, D, Req> tower::Service<Req> for Service<S, D>
where
    S: tower::Service<Req> + Clone,
    S::Error: From<Elapsed>,
    D: Source<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<Oneshot<S, Req>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let deadline = self.source.deadline(&request);
        if deadline.is_some_and(|at| at <= Instant::now()) {
            return ResponseFuture {
                call: None,
                sleep: None,
            };
        }
        ResponseFuture {
            call: Some(Oneshot::new(self.inner.clone(), request)),
            sleep: deadline.map(sleep_until),
        }
    }
}

pin_project! {
    /// The answer, or [`Elapsed`] at the deadline.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // `None` when the deadline has passed: the call's resources are freed at that moment, and
        // not only when this future is dropped.
        #[pin]
        call: Option<F>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Elapsed>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(call) = this.call.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(Elapsed.into()));
        };
        // The answer is polled first: an answer at the last moment still counts.
        if let Poll::Ready(result) = call.poll(cx) {
            return Poll::Ready(result);
        }
        match this.sleep.as_pin_mut() {
            Some(sleep) => ready!(sleep.poll(cx)),
            None => return Poll::Pending,
        }
        this.call.set(None);
        Poll::Ready(Err(Elapsed.into()))
    }
}
