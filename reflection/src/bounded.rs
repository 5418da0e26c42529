//! A stream with an end: so much may be asked on it, and so much is answered.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame};
use tonic::Status;
use tower::Service;

/// What may be asked on one stream, in bytes. Questions are names, of files and of symbols; all that
/// there are of this project, one by one, are a third of it.
pub const MAX_QUESTION_BYTES: usize = 16 * 1024;

/// What is answered on one stream, in bytes: all of it, twice.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bounds the streams of a service.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<S>(S);

impl<S> Bounded<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<Request> for Bounded<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let over = Arc::new(AtomicBool::new(false));
        let questions = Arc::clone(&over);
        let request = request.map(|inner| {
            Body::new(Questions {
                inner,
                left: MAX_QUESTION_BYTES,
                over: questions,
            })
        });
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|inner| {
                Body::new(Answers {
                    inner,
                    left: MAX_ANSWER_BYTES,
                    over,
                    ended: false,
                })
            }))
        })
    }
}

/// How much a frame says: none does not, nor do trailers.
fn data_bytes<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> usize {
    let frame = frame.as_ref().and_then(|frame| frame.as_ref().ok());
    let data = frame.and_then(Frame::data_ref);
    data.map_or(0, Bytes::len)
}

/// Questions, which end before there are too many.
struct Questions {
    inner: Body,
    left: usize,
    /// Tells the answers why.
    over: Arc<AtomicBool>,
}

impl HttpBody for Questions {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.over.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let bytes = data_bytes(&frame);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            None => {
                self.over.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
        }
    }
}

/// Answers, which end with why there are no more.
struct Answers {
    inner: Body,
    left: usize,
    over: Arc<AtomicBool>,
    ended: bool,
}

impl HttpBody for Answers {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let bytes = data_bytes(&frame);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => self.over.store(true, Ordering::Relaxed),
        }
        let is_data = matches!(&frame, Some(Ok(frame)) if frame.is_data());
        let is_over = self.over.load(Ordering::Relaxed);
        // What was answered before the questions were too many is still sent.
        if is_over && (!is_data || bytes > self.left) {
            self.ended = true;
            let status = Status::resource_exhausted("too much for one stream: begin another");
            let mut trailers = http::HeaderMap::new();
            return Poll::Ready(match status.add_header(&mut trailers) {
                Ok(()) => Some(Ok(Frame::trailers(trailers))),
                Err(status) => Some(Err(status.into())),
            });
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }
}
