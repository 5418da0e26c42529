//! The breaker as a tower layer.

use super::{Breaker, BreakerOpen, Outcome, Permit};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::util::Oneshot;

/// Puts a breaker before a service.
///
/// `C` judges results: `Fn(&Result<Response, Error>) -> Outcome`. Rejections that come from this
/// side (a full bulkhead) say nothing about the dependency: [`Outcome::Ignore`].
#[derive(Clone)]
pub struct Layer<C> {
    breaker: Breaker,
    classify: C,
}

impl<C> Layer<C> {
    /// A layer whose services all share `breaker`.
    pub const fn new(breaker: Breaker, classify: C) -> Self {
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

/// A service behind a breaker. Made by [`Layer`].
#[derive(Clone)]
pub struct Service<S, C> {
    inner: S,
    breaker: Breaker,
    classify: C,
}

impl<S, C, Req> tower::Service<Req> for Service<S, C>
where
    S: tower::Service<Req> + Clone,
    S::Error: From<BreakerOpen>,
    C: Fn(&Result<S::Response, S::Error>) -> Outcome + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<Oneshot<S, Req>, C>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let state = match self.breaker.try_acquire() {
            Ok(permit) => State::Admitted {
                call: Oneshot::new(self.inner.clone(), request),
                permit: Some(permit),
                classify: self.classify.clone(),
            },
            Err(open) => State::Rejected { open },
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The answer, or [`BreakerOpen`]. Holds the permit until then.
    pub struct ResponseFuture<F, C> {
        #[pin]
        state: State<F, C>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, C> {
        Rejected {
            open: BreakerOpen,
        },
        Admitted {
            #[pin]
            call: F,
            permit: Option<Permit>,
            classify: C,
        },
    }
}

impl<F, C, T, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<T, E>>,
    E: From<BreakerOpen>,
    C: Fn(&Result<T, E>) -> Outcome,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Rejected { open } => Poll::Ready(Err((*open).into())),
            StateProj::Admitted {
                call,
                permit,
                classify,
            } => {
                let result = ready!(call.poll(cx));
                if let Some(permit) = permit.take() {
                    permit.settle(classify(&result));
                }
                Poll::Ready(result)
            }
        }
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

impl<F, C> fmt::Debug for ResponseFuture<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &dyn fmt::Debug = match &self.state {
            State::Rejected { open } => open,
            State::Admitted { permit, .. } => permit,
        };
        f.debug_struct("ResponseFuture")
            .field("state", state)
            .finish_non_exhaustive()
    }
}
