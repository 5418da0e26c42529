//! Finds HTTP/1.1 requests whose length can be read in two ways. Request smuggling uses such
//! requests to hide one request in another.
//!
//! hyper refuses most of them. But it accepts `Content-Length` together with `Transfer-Encoding`,
//! and follows the latter. It takes two equal `Content-Length`s for one. It also accepts any coding
//! before `chunked`. RFC 9112, sections 6.1 and 6.3, allows all of that, but a service then does not
//! see the length or that the body is coded. nginx refuses these requests, and so does
//! [`Framing::check`], which a server calls before it answers.
//!
//! hyper removes the length from the head before a service sees it. So [`watch`] reads the heads on
//! their way to hyper. It changes nothing and holds nothing back.
//!
//! [`discard`] and [`Linger`] are for the other end of a connection: a server that closes too soon takes answers away
//! that its client has not read.

mod discard;
mod heads;
mod linger;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::{HeaderMap, StatusCode, Version, header::TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use discard::discard;
use heads::Heads;
pub use linger::Linger;

/// Why a request is refused. The connection ends with the answer, because the start of its next
/// request is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `Content-Length` beside `Transfer-Encoding`, or twice.
    TwoLengths,
    /// `Transfer-Encoding` twice.
    Repeated,
    /// A coding that is not `chunked`, or more than that.
    Coding,
}

impl Refused {
    /// The status, as nginx has it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TwoLengths | Self::Repeated => StatusCode::BAD_REQUEST,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

/// Watches what is read from `stream`, a connection from its first byte on.
pub fn watch<S>(stream: S) -> (Watched<S>, Framing) {
    let framing = Framing::default();
    let watched = Watched {
        stream,
        heads: Heads::default(),
        bad: Arc::clone(&framing.bad),
    };
    (watched, framing)
}

/// The state of the requests of a connection. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Framing {
    /// The number of the request that announces two lengths; 0 without one.
    bad: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Framing {
    /// Why the connection's next request is refused, if it is. Must be called once for each
    /// request, in their order.
    pub fn check(&self, version: Version, headers: &HeaderMap) -> Option<Refused> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        // HTTP/2 has its own frames, and no such header.
        if version >= Version::HTTP_2 {
            return None;
        }
        if self.bad.load(Ordering::Relaxed) == number {
            return Some(Refused::TwoLengths);
        }
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next()?;
        if codings.next().is_some() {
            return Some(Refused::Repeated);
        }
        let plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        (!plain).then_some(Refused::Coding)
    }
}

/// A stream that is watched.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    heads: Heads,
    bad: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if let Some(number) = this.heads.read(&buf.filled()[before..]) {
            this.bad.store(number, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
