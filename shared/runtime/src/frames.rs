//! The frames of a gRPC body: before each message stand five bytes, a flag that says whether it is
//! compressed, and its length
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tonic::Status;

use crate::json::MAX_REQUEST_BYTES;

/// What stands before a message, in bytes.
const HEAD_BYTES: usize = 5;

/// Counts the messages of a body that comes in pieces.
#[derive(Debug, Default)]
pub struct Frames {
    head: Vec<u8>,
    left: usize,
    whole: usize,
    longest: usize,
    flagged: bool,
}

impl Frames {
    /// Reads on.
    pub fn read(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.left > 0 {
                let now = self.left.min(data.len());
                data = &data[now..];
                self.left -= now;
                if self.left > 0 {
                    break;
                }
            } else {
                let now = (HEAD_BYTES - self.head.len()).min(data.len());
                self.head.extend(&data[..now]);
                data = &data[now..];
                let Some([flag, length @ ..]) = self.head.first_chunk::<HEAD_BYTES>() else {
                    break;
                };
                self.flagged |= *flag != 0;
                self.left = u32::from_be_bytes(*length) as usize;
                self.longest = self.longest.max(self.left);
                if self.left > 0 {
                    continue;
                }
            }
            self.head.clear();
            self.whole += 1;
        }
    }

    /// How many messages came whole.
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// Whether a message has begun that is not whole yet.
    pub fn has_begun(&self) -> bool {
        !self.head.is_empty()
    }

    /// Whether a message says that it is compressed, or has a flag that does not exist. No encoding
    /// is offered here, so there is none with which it could be read.
    pub fn is_flagged(&self) -> bool {
        self.flagged
    }

    /// The length of the longest message, as it was announced.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

/// The body of a request that is one message: any other number of messages, a broken frame, or a
/// message that is too large is an error, as soon as it can be told.
///
/// The codes are those of gRPC
/// (<https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>). tonic's own reader looks at
/// nothing behind the first message, and at no frame that trailers cut off.
#[derive(Debug)]
pub(crate) struct OneMessage {
    inner: Body,
    frames: Frames,
    ended: bool,
}

impl OneMessage {
    pub(crate) fn new(inner: Body) -> Self {
        Self {
            inner,
            frames: Frames::default(),
            ended: false,
        }
    }

    /// What is wrong with the frames so far.
    fn wrong(&self) -> Option<Status> {
        let frames = &self.frames;
        if frames.whole() > 1 || (frames.whole() == 1 && frames.has_begun()) {
            return Some(Status::unimplemented(
                "this method takes one message, and the request has more",
            ));
        }
        if frames.is_flagged() {
            return Some(Status::internal(
                "the message is flagged as compressed, and the call has no grpc-encoding",
            ));
        }
        (frames.longest() > MAX_REQUEST_BYTES)
            .then(|| Status::resource_exhausted("the message is too large"))
    }

    /// What is wrong with the frames at the end of the body.
    fn incomplete(&self) -> Option<Status> {
        if self.frames.has_begun() {
            return Some(Status::internal("the request ends within a message"));
        }
        (self.frames.whole() == 0).then(|| {
            Status::unimplemented("this method takes one message, and the request has none")
        })
    }
}

impl HttpBody for OneMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let data = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => data,
            // Trailers of a request say nothing, and end it.
            Some(Ok(Err(_))) | None => {
                self.ended = true;
                return Poll::Ready(self.incomplete().map(Err));
            }
            Some(Err(error)) => {
                self.ended = true;
                let mut status = Status::internal("the request cannot be read to its end");
                status.set_source(std::sync::Arc::new(error));
                return Poll::Ready(Some(Err(status)));
            }
        };
        self.frames.read(&data);
        if let Some(wrong) = self.wrong() {
            self.ended = true;
            return Poll::Ready(Some(Err(wrong)));
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_in_whatever_pieces_they_come() {
        let body = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0; 5], &[1, 0, 0, 0, 9, 1]].concat();
        for piece in 1..=body.len() {
            let mut frames = Frames::default();
            for data in body.chunks(piece) {
                frames.read(data);
            }
            assert_eq!((frames.whole(), frames.longest()), (2, 9), "{piece}");
            assert!(frames.has_begun() && frames.is_flagged(), "{piece}");
        }
        let mut frames = Frames::default();
        frames.read(&body[..13]);
        assert!(!frames.has_begun() && !frames.is_flagged());
    }
}
