//! A session whose socket its client has, so that nobody stands between client and server.
//!
//! Nothing is known here of what they say to each other. So a session is lent again only if its client says that
//! it has ended (Terminate): all that it has sent was whole, and it has read all answers. The session of a client
//! that is gone without Terminate is closed. PostgreSQL first executes what it has got.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use crate::{
    relay::{End, Sent},
    server::Session,
    stream::Stream,
    wire::message,
};

/// Sends the client the greeting, the session's socket with its last byte, and waits for the client's end. None if
/// the session cannot be used here any more.
pub(crate) async fn pass(
    client: &Stream,
    mut session: Session,
    greeting: &[u8],
    sent: &mut Sent,
) -> (Option<Session>, End) {
    // What arrives at it must not wake this process.
    let socket = session.stream.into_socket();
    let end = match greet(client, greeting, socket.as_fd()).await {
        Ok(()) => end_of(client, sent).await,
        Err(_) => End::Client,
    };
    let Ok(stream) = Stream::new(socket) else {
        return (None, End::Server);
    };
    session.stream = stream;
    (Some(session), end)
}

async fn greet(client: &Stream, greeting: &[u8], socket: BorrowedFd<'_>) -> io::Result<()> {
    let (last, others) = greeting.split_last().ok_or(io::ErrorKind::InvalidInput)?;
    client.write_all(others).await?;
    client.pass(*last, socket).await
}

/// How the client ends.
async fn end_of(client: &Stream, sent: &mut Sent) -> End {
    sent.unseen = true;
    let terminate = message(b'X', b"");
    let mut last = vec![0; terminate.len()];
    match client.read_exact(&mut last).await {
        Ok(()) if last == terminate => {
            sent.unseen = false;
            End::Client
        }
        Ok(()) => End::Invalid,
        Err(_) => End::Client,
    }
}
