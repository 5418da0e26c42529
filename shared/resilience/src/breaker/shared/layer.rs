//! The shared breaker as a tower layer.

use super::{BoxFuture, Shared};
use crate::breaker::{BreakerOpen, Outcome};
use std::fmt;
use std::task::{Context, Poll};
use tower::ServiceExt as _;

/// Puts a shared breaker before a service.
///
/// `C` judges results, as for [`breaker::Layer`](crate::breaker::Layer).
#[derive(Clone)]
pub struct Layer<C> {
    breaker: Shared,
    classify: C,
}

impl<C> Layer<C> {
    /// A layer whose services all share `breaker`.
    pub const fn new(breaker: Shared, classify: C) -> Self {
        Self { breaker, classify }
    }
}

impl<S, C: Clone> tower::Layer<S> for Layer<C> {
    type Service = Service<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Service {
            inner,
            breaker: self.breaker.clone(),
            classify: self.classify.clone(),
        }
    }
}

/// A service behind a shared breaker. Made by [`Layer`].
#[derive(Clone)]
pub struct Service<S, C> {
    inner: S,
    breaker: Shared,
    classify: C,
}

impl<S, C, Req> tower::Service<Req> for Service<S, C>
where
    S: tower::Service<Req, Response: Send, Error: From<BreakerOpen> + Send, Future: Send>
        + Clone
        + Send
        + 'static,
    C: Fn(&Result<S::Response, S::Error>) -> Outcome + Clone + Send + 'static,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    /// The answer, once its verdict is kept; or [`BreakerOpen`].
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let Self {
            inner,
            breaker,
            classify,
        } = self.clone();
        Box::pin(async move {
            let permit = breaker.acquire().await?;
            let result = inner.oneshot(request).await;
            permit.settle(classify(&result)).await;
            result
        })
    }
}

impl<C> fmt::Debug for Layer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Service<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("inner", &self.inner)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
