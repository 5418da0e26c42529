//! The body of a request on its way to the upstream, and who is waited for meanwhile.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::upstream::BoxError;

/// How long a client may pause within a body that is streamed (nginx's `client_body_timeout`).
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A request's body, as attempts send it.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// It is here: each attempt sends it from its beginning.
    Whole(Bytes),
    /// It comes from the client while it is sent. The first attempt that takes something of it has it.
    Streamed(Arc<Mutex<Option<Body>>>),
}

/// The client's connection broke within the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's connection broke within the body")]
pub(crate) struct Broken;

/// One attempt to send a body, as its sender watches it.
#[derive(Debug)]
pub(crate) struct Sending(Arc<State>);

#[derive(Debug)]
struct State {
    progress: Mutex<Progress>,
    /// Told when somebody else is waited for: a deadline may have come nearer.
    turn: Notify,
}

/// Who is waited for, since when.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// The client is to send more of its body.
    Client(Instant),
    /// The upstream is to take more of it.
    Write(Instant),
    /// The upstream has it all, and is to answer.
    Read(Instant),
    /// The client's connection broke.
    Broken,
}

/// What the gateway waits for next, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    Client(Instant),
    Upstream(Instant),
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl From<Body> for RequestBody {
    fn from(body: Body) -> Self {
        if body.is_end_stream() {
            return Self::Whole(Bytes::new());
        }
        Self::Streamed(Arc::new(Mutex::new(Some(body))))
    }
}

impl RequestBody {
    /// The body for one more attempt.
    pub(crate) fn attempt(&self) -> (Body, Sending) {
        let (source, ended) = match self {
            Self::Whole(bytes) => (Source::Here(Body::from(bytes.clone())), bytes.is_empty()),
            Self::Streamed(body) => (Source::Waiting(Arc::clone(body)), false),
        };
        let now = Instant::now();
        let progress = match ended {
            true => Progress::Read(now),
            false => Progress::Write(now),
        };
        let state = Arc::new(State {
            progress: Mutex::new(progress),
            turn: Notify::new(),
        });
        let attempt = Attempt {
            source,
            state: Arc::clone(&state),
        };
        (Body::new(attempt), Sending(state))
    }

    /// Whether another attempt could send the whole body.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Streamed(body) => lock(body).is_some(),
        }
    }
}

impl Sending {
    /// When waiting is over, as things stand.
    ///
    /// # Errors
    ///
    /// [`Broken`] when there is nothing to wait for.
    pub(crate) fn deadline(&self, write: Duration, read: Duration) -> Result<Deadline, Broken> {
        match *lock(&self.0.progress) {
            Progress::Client(since) => Ok(Deadline::Client(since + CLIENT_TIMEOUT)),
            Progress::Write(since) => Ok(Deadline::Upstream(since + write)),
            Progress::Read(since) => Ok(Deadline::Upstream(since + read)),
            Progress::Broken => Err(Broken),
        }
    }

    /// Completes when somebody else is waited for than before.
    pub(crate) async fn turned(&self) {
        self.0.turn.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of one attempt.
#[derive(Debug)]
struct Attempt {
    source: Source,
    state: Arc<State>,
}

#[derive(Debug)]
enum Source {
    /// Nothing was taken of it yet.
    Waiting(Arc<Mutex<Option<Body>>>),
    Here(Body),
}

impl Source {
    /// The body, which no other attempt gets from now on.
    ///
    /// # Errors
    ///
    /// When another attempt has it.
    fn body(&mut self) -> Result<&mut Body, BoxError> {
        if let Self::Waiting(body) = self {
            let body = lock(body).take();
            *self = Self::Here(body.ok_or("another attempt has taken the body over")?);
        }
        match self {
            Self::Here(body) => Ok(body),
            Self::Waiting(_) => Err("the body is not here".into()),
        }
    }
}

impl HttpBody for Attempt {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = match self.source.body() {
            Ok(body) => body,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let polled = Pin::new(&mut *body).poll_frame(cx);
        // nginx drops the trailers of requests.
        let polled = match polled.map_err(|_| BoxError::from(Broken)) {
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => Poll::Ready(None),
            polled => polled,
        };
        let (is_last, now) = (body.is_end_stream(), Instant::now());
        let progress = match &polled {
            Poll::Pending => Progress::Client(now),
            Poll::Ready(Some(Err(_))) => Progress::Broken,
            Poll::Ready(Some(Ok(frame))) if frame.is_data() && !is_last => Progress::Write(now),
            Poll::Ready(_) => Progress::Read(now),
        };
        self.state.turn_to(progress);
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Waiting(_) => false,
            Source::Here(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Waiting(body) => lock(body)
                .as_ref()
                .map_or_else(SizeHint::default, HttpBody::size_hint),
            Source::Here(body) => body.size_hint(),
        }
    }
}

impl State {
    /// Notes who is waited for now. The client and the upstream's answer are waited for since they were
    /// first; the upstream takes more of the body since its last piece.
    fn turn_to(&self, next: Progress) {
        let mut progress = lock(&self.progress);
        let same = mem::discriminant(&*progress) == mem::discriminant(&next);
        if !same || matches!(next, Progress::Write(_)) {
            *progress = next;
        }
        if !same {
            self.turn.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Channel};

    const WRITE: Duration = Duration::from_secs(2);
    const READ: Duration = Duration::from_secs(5);

    async fn text(body: Body) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_is_here_is_sent_by_every_attempt() {
        let body = RequestBody::from(Bytes::from_static(b"abcd"));
        let (mut first, _) = body.attempt();
        assert_eq!(first.size_hint().exact(), Some(4));
        first.frame().await.unwrap().unwrap();
        for _ in 0..2 {
            assert!(body.is_whole());
            assert_eq!(text(body.attempt().0).await, "abcd");
        }
    }

    #[tokio::test]
    async fn what_is_streamed_goes_to_the_first_that_takes_it() {
        let (mut client, body) = Channel::<Bytes, Broken>::new(4);
        let body = RequestBody::from(Body::new(body));
        drop(body.attempt());
        assert!(body.is_whole(), "nothing was taken yet");
        let ((mut first, _), (mut second, _)) = (body.attempt(), body.attempt());
        client.send_data(Bytes::from_static(b"ab")).await.unwrap();
        first.frame().await.unwrap().unwrap();
        assert!(!body.is_whole());
        assert!(second.frame().await.unwrap().is_err());
        client.send_data(Bytes::from_static(b"cd")).await.unwrap();
        drop(client);
        assert_eq!(text(first).await, "cd");
    }

    #[tokio::test]
    async fn trailers_of_a_request_end_here() {
        let (mut client, body) = Channel::<Bytes, Broken>::new(4);
        let (mut attempt, sending) = RequestBody::from(Body::new(body)).attempt();
        client.send_data(Bytes::from_static(b"ab")).await.unwrap();
        client.send_trailers(http::HeaderMap::new()).await.unwrap();
        assert!(attempt.frame().await.unwrap().unwrap().is_data());
        assert!(attempt.frame().await.is_none());
        assert!(matches!(*lock(&sending.0.progress), Progress::Read(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_follows_who_is_waited_for() {
        let (mut client, body) = Channel::<Bytes, Broken>::new(4);
        let start = Instant::now();
        let (mut attempt, sending) = RequestBody::from(Body::new(body)).attempt();
        let deadline = || sending.deadline(WRITE, READ);
        assert_eq!(deadline(), Ok(Deadline::Upstream(start + WRITE)));

        tokio::time::advance(Duration::from_secs(1)).await;
        let slow = Instant::now();
        for _ in 0..2 {
            let waiting = tokio::time::timeout(Duration::from_secs(1), attempt.frame()).await;
            assert!(waiting.is_err());
            assert_eq!(deadline(), Ok(Deadline::Client(slow + CLIENT_TIMEOUT)));
        }

        client.send_data(Bytes::from_static(b"a")).await.unwrap();
        attempt.frame().await.unwrap().unwrap();
        let sent = Instant::now();
        assert_eq!(deadline(), Ok(Deadline::Upstream(sent + WRITE)));
        drop(client);
        assert!(attempt.frame().await.is_none());
        assert_eq!(deadline(), Ok(Deadline::Upstream(sent + READ)));

        let (_, nothing) = RequestBody::from(Body::empty()).attempt();
        let read = Ok(Deadline::Upstream(Instant::now() + READ));
        assert_eq!(nothing.deadline(WRITE, READ), read);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_not_waited_for() {
        let (client, body) = Channel::<Bytes, Broken>::new(4);
        let (mut attempt, sending) = RequestBody::from(Body::new(body)).attempt();
        client.abort(Broken);
        assert!(attempt.frame().await.unwrap().is_err());
        assert_eq!(sending.deadline(WRITE, READ), Err(Broken));
    }
}
