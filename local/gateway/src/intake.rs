//! Takes in the whole body of a request before the request starts or asks a function.
//!
//! In Kong, nginx buffers requests over HTTP (`request_buffering`), and request-size-limiting reads a body that announces no length, as those of gRPC do not, to its
//! end. So a client that is slow or stops half-way starts no function and keeps none busy. A body
//! that no plugin measures is streamed.
//!
//! Memory: [`FREE_BYTES`] for each connection (at most as many as the process may open files), and
//! [`MAX_HELD_BYTES`] for all bytes above that together. nginx keeps those on disk. Here, when they
//! are used up, large bodies are refused with 503 until other requests have ended; small bodies are
//! never refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client may take for the whole body. nginx allows as long between any two of its bytes.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);
/// The bytes that all bodies together may hold at one time. Of each body, the bytes above
/// [`FREE_BYTES`] count.
const MAX_HELD_BYTES: usize = 128 << 20;
/// The bytes of a body that do not count, so that large bodies never keep small ones out.
const FREE_BYTES: u64 = 16 << 10;

/// The memory for bodies. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    free_bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(MAX_HELD_BYTES, FREE_BYTES)
    }
}

/// A body that was taken in, and its share of the memory.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

/// Why a body was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the body is larger than it may be")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the client's connection broke within the body")]
    Broken,
    #[error("too many bodies are held already")]
    NoRoom,
}

impl Room {
    pub(crate) fn of(bytes: usize, free_bytes: u64) -> Self {
        Self {
            places: Arc::new(Semaphore::new(bytes)),
            free_bytes,
        }
    }

    /// Reads `body` to its end. If it is refused, the rest stays unread in `body`.
    pub(crate) async fn take(&self, body: &mut Body, limit_bytes: u64) -> Result<Whole, Refused> {
        match tokio::time::timeout(CLIENT_TIMEOUT, self.read(body, limit_bytes)).await {
            Ok(result) => result,
            Err(_) => Err(Refused::TooSlow),
        }
    }

    async fn read(&self, body: &mut Body, limit_bytes: u64) -> Result<Whole, Refused> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut place: Option<OwnedSemaphorePermit> = None;
        let mut seen = 0_u64;
        while let Some(frame) = body.frame().await {
            // Trailers are dropped, as in nginx.
            let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else {
                continue;
            };
            let before = seen;
            seen += data.len() as u64;
            if seen > limit_bytes {
                return Err(Refused::TooLarge);
            }
            let above = |bytes: u64| bytes.saturating_sub(self.free_bytes);
            let bytes = u32::try_from(above(seen) - above(before)).map_err(|_| Refused::NoRoom)?;
            let more = Arc::clone(&self.places).try_acquire_many_owned(bytes);
            let more = more.map_err(|_| Refused::NoRoom)?;
            match &mut place {
                Some(place) => place.merge(more),
                None => place = Some(more),
            }
            // Most bodies are one piece, which needs no copy.
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        let bytes = if rest.is_empty() {
            first
        } else {
            rest.freeze()
        };
        Ok(Whole {
            bytes,
            _place: place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Channel;

    type Client = http_body_util::channel::Sender<Bytes, Refused>;

    fn body() -> (Client, Body) {
        let (client, body) = Channel::<Bytes, Refused>::new(8);
        (client, Body::new(body))
    }

    async fn send(client: &mut Client, text: &'static str) {
        client
            .send_data(Bytes::from_static(text.as_bytes()))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_is_sent_in_pieces_is_here_in_one() {
        let room = Room::of(10, 0);
        for pieces in [&[][..], &["abc"], &["abc", "", "de", "f"]] {
            let (mut client, mut body) = body();
            for piece in pieces {
                send(&mut client, piece).await;
            }
            drop(client);
            let whole = room.take(&mut body, 6).await.unwrap();
            assert_eq!(whole.bytes, pieces.concat());
        }
        assert_eq!(
            room.places.available_permits(),
            10,
            "everything was given back"
        );
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_and_its_rest_is_left() {
        let room = Room::of(100, 0);
        let (mut client, mut body) = body();
        for piece in ["abc", "de", "f"] {
            send(&mut client, piece).await;
        }
        drop(client);
        assert_eq!(
            room.take(&mut body, 4).await.unwrap_err(),
            Refused::TooLarge
        );
        assert_eq!(body.collect().await.unwrap().to_bytes(), "f");
    }

    #[tokio::test]
    async fn the_room_is_shared_by_all() {
        let room = Room::of(5, 2);
        let mut whole = Vec::new();
        for (text, expected) in [
            ("abcdef", Ok(())),
            ("abcd", Err(Refused::NoRoom)),
            // A small body needs no share, and neither do the first bytes of a large one.
            ("ab", Ok(())),
            ("abc", Ok(())),
        ] {
            let (mut client, mut body) = body();
            send(&mut client, text).await;
            drop(client);
            let taken = room.take(&mut body, 9).await;
            assert_eq!(taken.as_ref().map(|_| ()).map_err(|e| *e), expected);
            whole.extend(taken);
        }
        whole.clear();
        assert_eq!(room.places.available_permits(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_half_way_is_not_waited_for() {
        let room = Room::default();
        let (mut client, mut slow) = body();
        send(&mut client, "abc").await;
        let began = tokio::time::Instant::now();
        assert_eq!(room.take(&mut slow, 9).await.unwrap_err(), Refused::TooSlow);
        assert_eq!(began.elapsed(), CLIENT_TIMEOUT);

        let (mut client, mut broken) = body();
        send(&mut client, "abc").await;
        client.abort(Refused::Broken);
        assert_eq!(
            room.take(&mut broken, 9).await.unwrap_err(),
            Refused::Broken
        );
    }
}
