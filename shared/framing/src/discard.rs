//! Bodies that nobody wants.

use std::time::Duration;

use bytes::Buf;
use http_body::Body;
use http_body_util::BodyExt;

/// How much of a body is read, and thrown away, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// How long that may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Reads the rest of a body without keeping anything, up to 32 MiB and for up to a second.
///
/// HTTP/1 can only close the connection under a body that is not read. A client that is still sending
/// then gets a reset in place of the answer. With HTTP/2 the stream ends, and this is not needed.
pub async fn discard(mut body: impl Body<Data: Buf> + Unpin) {
    let read = async {
        let mut left = MAX_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Buf::remaining));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(TIMEOUT, read).await;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::channel::Channel;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let (_send, body) = Channel::<Bytes>::new(1);
        let began = Instant::now();
        discard(body).await;
        assert_eq!(began.elapsed(), TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let (mut send, body) = Channel::<Bytes>::new(1);
        let discarded = tokio::spawn(discard(body));
        let mib = Bytes::from(vec![0; 1024 * 1024]);
        let mut sent = 0;
        while send.send_data(mib.clone()).await.is_ok() {
            sent += 1;
        }
        discarded.await.unwrap();
        // One more may be on its way.
        assert!((32..=34).contains(&sent), "{sent}");
    }
}
