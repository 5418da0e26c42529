//! A stream with an end: so much may be asked on it, and so much is answered, and who asks what cannot
//! be read is told so. The service itself ends a stream then as if all had been answered.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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
use zerocart_runtime::frames::Frames;

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
        let asked = Arc::new(Asked::default());
        let questions = Arc::clone(&asked);
        let request = request.map(|inner| {
            Body::new(Questions {
                inner,
                left: MAX_QUESTION_BYTES,
                messages: Frames::default(),
                asked: questions,
            })
        });
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|inner| {
                Body::new(Answers {
                    inner,
                    left: MAX_ANSWER_BYTES,
                    messages: Frames::default(),
                    asked,
                    ended: false,
                })
            }))
        })
    }
}

/// What the answers have to know of the questions.
#[derive(Debug, Default)]
struct Asked {
    /// They were more than may be asked.
    too_much: AtomicBool,
    /// How many came whole.
    whole: AtomicUsize,
    /// One has begun that is not whole yet.
    begun: AtomicBool,
    /// One is flagged as compressed, and no encoding is offered.
    flagged: AtomicBool,
}

/// What a frame says: none says nothing, nor do trailers.
fn data<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> &[u8] {
    let frame = frame.as_ref().and_then(|frame| frame.as_ref().ok());
    frame.and_then(Frame::data_ref).map_or(&[], Bytes::as_ref)
}

/// Questions, which end before there are too many.
struct Questions {
    inner: Body,
    left: usize,
    messages: Frames,
    /// Tells the answers what became of them.
    asked: Arc<Asked>,
}

impl HttpBody for Questions {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.asked.too_much.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let data = data(&frame);
        self.messages.read(data);
        let (whole, begun) = (self.messages.whole(), self.messages.has_begun());
        self.asked.whole.store(whole, Ordering::Relaxed);
        self.asked.begun.store(begun, Ordering::Relaxed);
        let flagged = self.messages.is_flagged();
        self.asked.flagged.store(flagged, Ordering::Relaxed);
        // What announces too much is not waited for: it may never come.
        let fits = self.messages.longest() <= MAX_QUESTION_BYTES;
        match self.left.checked_sub(data.len()).filter(|_| fits) {
            Some(left) => {
                self.left = left;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            None => {
                self.asked.too_much.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
        }
    }
}

/// Answers, which end with why there are no more.
struct Answers {
    inner: Body,
    left: usize,
    messages: Frames,
    asked: Arc<Asked>,
    ended: bool,
}

impl Answers {
    /// Why the last of these answers is not the end that the service says it is.
    fn why(&self, frame: &Option<Result<Frame<Bytes>, axum::Error>>) -> Option<Status> {
        let too_much = self.asked.too_much.load(Ordering::Relaxed);
        let data = data(frame);
        // What was answered before the questions were too many is still sent.
        if too_much && (data.is_empty() || data.len() > self.left) {
            return Some(Status::resource_exhausted(
                "too much for one stream: begin another",
            ));
        }
        let trailers = frame.as_ref()?.as_ref().ok()?.trailers_ref()?;
        let is_ok = trailers
            .get("grpc-status")
            .is_some_and(|status| status == "0");
        let whole = self.asked.whole.load(Ordering::Relaxed);
        let cut_off = self.asked.begun.load(Ordering::Relaxed);
        let broken = cut_off || self.asked.flagged.load(Ordering::Relaxed);
        let unread = broken || whole > self.messages.whole();
        let says = "a question cannot be read";
        (is_ok && unread).then(|| match broken {
            // As functions say it of a broken frame.
            true => Status::internal(says),
            false => Status::invalid_argument(says),
        })
    }
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
        let data = data(&frame);
        match self.left.checked_sub(data.len()) {
            Some(left) => {
                self.left = left;
                self.messages.read(data);
            }
            None => self.asked.too_much.store(true, Ordering::Relaxed),
        }
        if let Some(status) = self.why(&frame) {
            self.ended = true;
            let mut trailers = http::HeaderMap::new();
            return Poll::Ready(match status.add_header(&mut trailers) {
                Ok(()) => Some(Ok(Frame::trailers(trailers))),
                Err(status) => Some(Err(status.into())),
            });
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }
}
