//! A request body that can be sent more than once, and that knows how its sending goes.
//!
//! The body is streamed. What an attempt has taken is kept, up to a bound and only for methods
//! that may be repeated, so that the next attempt begins at the beginning.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is kept of a body for another attempt; a larger one is sent once.
const MAX_KEPT_BYTES: usize = 1 << 20;
/// How long a client may pause within a body that is streamed (nginx's `client_body_timeout`).
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the client's body cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFailure {
    #[error("the client's connection broke within the body")]
    Broken,
    #[error("another attempt has taken the body over")]
    Superseded,
}

/// A request body, for one attempt after the other.
#[derive(Debug, Clone)]
pub(crate) struct Replay(Arc<State>);

#[derive(Debug)]
struct State {
    source: Mutex<Source>,
    /// Told when somebody else is waited for: a deadline may have come nearer.
    turn: Notify,
}

#[derive(Debug)]
struct Source {
    inner: Body,
    hint: SizeHint,
    keep: bool,
    /// Whether what was taken so far is all in `kept`.
    whole: bool,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
    attempt: u64,
    progress: Progress,
    failure: Option<BodyFailure>,
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
}

/// What the gateway waits for next, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    Client(Instant),
    Upstream(Instant),
}

impl Replay {
    /// `keep`: whether an attempt that took something may be followed by another.
    pub(crate) fn new(inner: Body, keep: bool) -> Self {
        let source = Source {
            hint: inner.size_hint(),
            ended: inner.is_end_stream(),
            inner,
            keep,
            whole: true,
            kept: Vec::new(),
            kept_bytes: 0,
            trailers: None,
            attempt: 0,
            progress: Progress::Read(Instant::now()),
            failure: None,
        };
        Self(Arc::new(State {
            source: Mutex::new(source),
            turn: Notify::new(),
        }))
    }

    /// The body from its beginning. An earlier attempt gets nothing more.
    pub(crate) fn attempt(&self) -> Body {
        let mut source = self.lock();
        source.attempt += 1;
        let now = Instant::now();
        source.progress = if source.ended && source.kept.is_empty() {
            Progress::Read(now)
        } else {
            Progress::Write(now)
        };
        Body::new(Attempt {
            number: source.attempt,
            started: false,
            position: 0,
            trailers_sent: false,
            source: self.clone(),
        })
    }

    /// Whether the next attempt could send the whole body.
    pub(crate) fn is_whole(&self) -> bool {
        self.lock().whole
    }

    pub(crate) fn failure(&self) -> Option<BodyFailure> {
        self.lock().failure
    }

    /// When waiting is over, as things stand.
    pub(crate) fn deadline(&self, write: Duration, read: Duration) -> Deadline {
        match self.lock().progress {
            Progress::Client(since) => Deadline::Client(since + CLIENT_TIMEOUT),
            Progress::Write(since) => Deadline::Upstream(since + write),
            Progress::Read(since) => Deadline::Upstream(since + read),
        }
    }

    /// Completes when somebody else is waited for than before.
    pub(crate) async fn turned(&self) {
        self.0.turn.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Source> {
        self.0.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn fail(&mut self, failure: BodyFailure) -> BodyFailure {
        self.failure = Some(failure);
        failure
    }

    /// The next frame from the client.
    fn poll_client(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        if let Some(failure) = self.failure {
            return Poll::Ready(Some(Err(failure)));
        }
        let now = Instant::now();
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => {
                if !matches!(self.progress, Progress::Client(_)) {
                    self.progress = Progress::Client(now);
                }
                return Poll::Pending;
            }
            Poll::Ready(None) => {
                self.ended = true;
                self.progress = Progress::Read(now);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(_))) => {
                return Poll::Ready(Some(Err(self.fail(BodyFailure::Broken))));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        self.progress = Progress::Write(now);
        match frame.into_data() {
            Ok(data) => {
                self.keep(&data);
                if self.inner.is_end_stream() {
                    self.ended = true;
                    self.progress = Progress::Read(now);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Err(frame) => {
                self.ended = true;
                self.progress = Progress::Read(now);
                if let Ok(trailers) = frame.into_trailers() {
                    self.trailers = Some(trailers.clone());
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Poll::Ready(None)
            }
        }
    }

    fn keep(&mut self, data: &Bytes) {
        self.kept_bytes += data.len();
        if self.keep && self.whole && self.kept_bytes <= MAX_KEPT_BYTES {
            self.kept.push(data.clone());
        } else {
            self.whole = false;
            self.kept = Vec::new();
        }
    }
}

#[derive(Debug)]
struct Attempt {
    source: Replay,
    number: u64,
    started: bool,
    /// How many of the kept chunks this attempt has sent.
    position: usize,
    trailers_sent: bool,
}

impl HttpBody for Attempt {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let replay = self.source.clone();
        let mut source = replay.lock();
        let before = mem::discriminant(&source.progress);
        let polled = self.poll_source(&mut source, cx);
        if mem::discriminant(&source.progress) != before {
            replay.0.turn.notify_one();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.lock();
        let trailers = source.trailers.is_some() && !self.trailers_sent;
        source.ended && self.position >= source.kept.len() && !trailers
    }

    fn size_hint(&self) -> SizeHint {
        if self.started {
            SizeHint::default()
        } else {
            self.source.lock().hint
        }
    }
}

impl Attempt {
    fn poll_source(
        &mut self,
        source: &mut Source,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        self.started = true;
        if source.attempt != self.number {
            return Poll::Ready(Some(Err(BodyFailure::Superseded)));
        }
        if let Some(chunk) = source.kept.get(self.position).cloned() {
            self.position += 1;
            let all = source.ended && self.position == source.kept.len();
            let now = Instant::now();
            source.progress = if all {
                Progress::Read(now)
            } else {
                Progress::Write(now)
            };
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if source.ended {
            source.progress = match source.progress {
                Progress::Read(since) => Progress::Read(since),
                _ => Progress::Read(Instant::now()),
            };
            let trailers = source.trailers.clone().filter(|_| !self.trailers_sent);
            self.trailers_sent = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let polled = source.poll_client(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => self.position = source.kept.len(),
            Poll::Ready(Some(Ok(_))) => self.trailers_sent = true,
            _ => {}
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Channel};

    fn chunk(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    async fn text(body: Body) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_second_attempt_sends_everything() {
        let (mut client, body) = Channel::<Bytes, BodyFailure>::new(4);
        let replay = Replay::new(Body::new(body), true);
        client.send_data(chunk("ab")).await.unwrap();

        let mut first = replay.attempt();
        let frame = first.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ab");

        let second = replay.attempt();
        assert!(
            first.frame().await.unwrap().is_err(),
            "the first attempt is over"
        );
        client.send_data(chunk("cd")).await.unwrap();
        drop(client);
        assert_eq!(text(second).await, "abcd");
        assert!(replay.is_whole());
        assert_eq!(text(replay.attempt()).await, "abcd");
    }

    #[tokio::test]
    async fn what_may_not_be_repeated_is_not_kept() {
        let replay = Replay::new(Body::from("abc"), false);
        assert!(replay.is_whole(), "nothing was taken yet");
        let untouched = replay.attempt();
        drop(untouched);
        assert_eq!(text(replay.attempt()).await, "abc");
        assert!(!replay.is_whole());
    }

    #[tokio::test]
    async fn large_bodies_are_sent_once() {
        let large = vec![b'x'; MAX_KEPT_BYTES + 1];
        let replay = Replay::new(Body::from(large), true);
        assert_eq!(text(replay.attempt()).await.len(), MAX_KEPT_BYTES + 1);
        assert!(!replay.is_whole());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_follows_who_is_waited_for() {
        let (write, read) = (Duration::from_secs(2), Duration::from_secs(5));
        let (mut client, body) = Channel::<Bytes, BodyFailure>::new(4);
        let replay = Replay::new(Body::new(body), false);
        let start = Instant::now();
        let mut attempt = replay.attempt();
        assert_eq!(
            replay.deadline(write, read),
            Deadline::Upstream(start + write)
        );

        tokio::time::advance(Duration::from_secs(1)).await;
        let waiting = tokio::time::timeout(Duration::ZERO, attempt.frame()).await;
        assert!(waiting.is_err());
        let Deadline::Client(until) = replay.deadline(write, read) else {
            panic!("the client is slow, not the upstream");
        };
        assert!(until > start + read);

        client.send_data(chunk("a")).await.unwrap();
        attempt.frame().await.unwrap().unwrap();
        let sent = Instant::now();
        assert_eq!(
            replay.deadline(write, read),
            Deadline::Upstream(sent + write)
        );
        drop(client);
        assert!(attempt.frame().await.is_none());
        assert_eq!(
            replay.deadline(write, read),
            Deadline::Upstream(sent + read)
        );
    }
}
