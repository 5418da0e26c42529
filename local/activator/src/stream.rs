//! The body of a response from an instance. It holds the request's place at the instance, and ends
//! when the request's time is over.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::pool::Permit;

/// The request's `timeoutSeconds` passed while its answer was still being sent.
#[derive(Debug, thiserror::Error)]
#[error("the answer was not complete within the function's timeout")]
pub(crate) struct Elapsed;

#[derive(Debug)]
pub(crate) struct Stream {
    inner: Incoming,
    /// Given back when the body ends, breaks or is dropped.
    permit: Option<Permit>,
    deadline: Pin<Box<Sleep>>,
}

impl Stream {
    pub(crate) fn new(inner: Incoming, permit: Permit, deadline: Instant) -> Self {
        Self {
            // Without a body, this is never polled again.
            permit: (!inner.is_end_stream()).then_some(permit),
            inner,
            deadline: Box::pin(sleep_until(deadline)),
        }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.inner.is_end_stream() {
                    self.permit = None;
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(end) => end.map(|end| end.map_err(Into::into)),
            Poll::Pending if self.deadline.as_mut().poll(cx).is_ready() => {
                Some(Err(Elapsed.into()))
            }
            Poll::Pending => return Poll::Pending,
        };
        self.permit = None;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
