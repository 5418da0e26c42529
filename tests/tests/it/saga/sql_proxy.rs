//! Between a process and the session broker in front of PostgreSQL.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

use super::boundary::{Boundaries, Crossing, Pass};

/// More than any of these messages takes at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Passes connections on to the socket `server`.
pub(crate) async fn serve(listener: TcpListener, server: PathBuf, boundaries: Boundaries) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, boundaries) = (server.clone(), boundaries.clone());
        tokio::spawn(async move { relay(client, &server, boundaries).await });
    }
}

async fn relay(client: TcpStream, server: &Path, boundaries: Boundaries) -> io::Result<()> {
    let _open = boundaries.connection();
    let server = UnixStream::connect(server).await?;
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let outward = async {
        let mut buffer = vec![0; CHUNK_BYTES];
        // The first message of a connection has no tag.
        let mut first = true;
        let mut late = None;
        loop {
            let read = from_client.read(&mut buffer).await.unwrap_or(0);
            let chunk = &buffer[..read];
            if read == 0 {
                break;
            }
            let pass = if !first && executes(chunk) {
                boundaries.pass(Crossing::Statements)
            } else {
                boundaries.pass_uncounted()
            };
            first = false;
            match pass {
                Pass::On => {}
                Pass::Lost => break,
                Pass::Held(held) => {
                    held.released().await;
                    late = Some(held);
                }
            }
            if to_server.write_all(chunk).await.is_err() || late.is_some() {
                break;
            }
        }
        // As when the process's end is closed: the server finishes what it got, and goes.
        let _ = to_server.shutdown().await;
        late
    };
    let inward = async {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = from_server.read(&mut buffer).await.unwrap_or(0);
            let chunk = &buffer[..read];
            if read == 0 {
                break;
            }
            let pass = if was_executed(chunk) {
                boundaries.pass(Crossing::Rows)
            } else {
                boundaries.pass_uncounted()
            };
            // Read to the end all the same: then the server is done.
            if matches!(pass, Pass::On) {
                let _ = to_client.write_all(chunk).await;
            }
        }
        let _ = to_client.shutdown().await;
    };
    let (late, ()) = tokio::join!(outward, inward);
    drop(late);
    Ok(())
}

/// Whether the messages execute anything, rather than only prepare it.
fn executes(chunk: &[u8]) -> bool {
    tags(chunk).is_none_or(|tags| tags.iter().any(|tag| matches!(tag, b'E' | b'Q')))
}

/// Whether the messages say that anything was executed.
fn was_executed(chunk: &[u8]) -> bool {
    tags(chunk).is_none_or(|tags| tags.iter().any(|tag| matches!(tag, b'C' | b'D' | b'E')))
}

/// The tags of the messages (PostgreSQL documentation, 54.7 Message Formats); none when these are
/// not whole messages.
fn tags(mut chunk: &[u8]) -> Option<Vec<u8>> {
    let mut tags = Vec::new();
    while let Some((tag, rest)) = chunk.split_first() {
        let length = u32::from_be_bytes(*rest.first_chunk()?);
        chunk = rest.get(length as usize..)?;
        tags.push(*tag);
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparing_is_not_executing() {
        let message = |tag: u8, body: &[u8]| {
            let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
            [&[tag], length.as_slice(), body].concat()
        };
        let sync = message(b'S', b"");
        let prepare = [message(b'P', b"s\0SELECT\0\0\0"), sync.clone()].concat();
        assert!(!executes(&prepare));
        let execute = [message(b'B', b"s"), message(b'E', b"\0"), sync].concat();
        assert!(executes(&execute));
        // Half a message may be anything.
        assert!(executes(&prepare[..7]));
        assert!(!was_executed(&message(b'1', b"")));
        assert!(was_executed(&message(b'C', b"UPDATE 1\0")));
    }
}
