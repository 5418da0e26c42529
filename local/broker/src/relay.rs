//! A client's bytes to its session, and the session's to the client.

use crate::{
    scan::{ClientScan, Stop},
    server::Session,
    stream::Stream,
};

/// The bytes that are passed on at once. PostgreSQL sends 8 KiB at a time.
const CHUNK: usize = 16 * 1024;

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has said that it goes, or is gone.
    Client,
    /// The client sent what is no message.
    Invalid,
    /// The server has closed the session, or sent what is no message.
    Server,
}

/// What a client has sent so far.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) scan: ClientScan,
    /// The session got a part of what the scan has seen.
    pub(crate) torn: bool,
    /// The session got what nobody here has seen.
    pub(crate) unseen: bool,
}

/// Passes bytes on in both directions, until one side ends.
pub(crate) async fn relay(client: &Stream, session: &mut Session, sent: &mut Sent) -> End {
    let (server, scan) = (&session.stream, &mut session.scan);
    let outward = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let Ok(read @ 1..) = client.read(&mut buffer).await else {
                return End::Client;
            };
            let stop = sent.scan.feed(&buffer[..read]);
            let whole = stop.map_or(read, |(at, _)| at);
            sent.torn = true;
            if server.write_all(&buffer[..whole]).await.is_err() {
                return End::Server;
            }
            sent.torn = false;
            match stop {
                None => {}
                Some((_, Stop::Terminate)) => return End::Client,
                Some((_, Stop::Invalid)) => return End::Invalid,
            }
        }
    };
    let inward = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let Ok(read @ 1..) = server.read(&mut buffer).await else {
                return End::Server;
            };
            scan.feed(&buffer[..read]);
            if scan.broken {
                return End::Server;
            }
            if client.write_all(&buffer[..read]).await.is_err() {
                return End::Client;
            }
        }
    };
    tokio::select! {
        biased;
        end = inward => end,
        end = outward => end,
    }
}
