//! What the messages that pass by say about the state of a session.
//!
//! Only the five bytes before each message are read, and the bodies of two short kinds. Everything else is
//! skipped by its length.

use std::collections::BTreeMap;

/// The longest ParameterStatus that is kept.
const MAX_PARAMETER: usize = 64 * 1024;

/// Where a stream of messages is.
#[derive(Debug, Default)]
struct Position {
    head: [u8; 5],
    in_head: usize,
    /// The bytes of the message that have not come yet.
    body: usize,
}

/// What comes next.
enum Step<'a> {
    /// The head of a message is complete; its body has this length.
    Head(u8, usize),
    /// A part of its body.
    Body(u8, &'a [u8]),
    /// The bytes end here.
    End,
    /// This is no message.
    Invalid,
}

impl Position {
    fn at_boundary(&self) -> bool {
        self.in_head == 0 && self.body == 0
    }

    /// The next step; takes its bytes off the front of `bytes`.
    fn step<'a>(&mut self, bytes: &mut &'a [u8]) -> Step<'a> {
        if bytes.is_empty() {
            return Step::End;
        }
        if self.body > 0 {
            let (part, rest) = bytes.split_at(self.body.min(bytes.len()));
            *bytes = rest;
            self.body -= part.len();
            return Step::Body(self.head[0], part);
        }
        let missing = self.head.len() - self.in_head;
        let (part, rest) = bytes.split_at(missing.min(bytes.len()));
        *bytes = rest;
        self.head[self.in_head..self.in_head + part.len()].copy_from_slice(part);
        self.in_head += part.len();
        if self.in_head < self.head.len() {
            return Step::End;
        }
        self.in_head = 0;
        let [tag, length @ ..] = self.head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        match length.checked_sub(4) {
            Some(body) => {
                self.body = body;
                Step::Head(tag, body)
            }
            None => Step::Invalid,
        }
    }
}

/// What a client has sent.
#[derive(Debug, Default)]
pub(crate) struct ClientScan {
    position: Position,
    /// The ReadyForQuery messages that its messages call for.
    pub(crate) asked: u64,
    /// Messages were sent that no Sync has followed.
    unsynced: bool,
}

/// Why a client's bytes are not passed on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Terminate begins here.
    Terminate,
    /// A message with an impossible length.
    Invalid,
}

impl ClientScan {
    /// Takes note of bytes. The position from which they must not be passed on, if there is one.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<(usize, Stop)> {
        let mut rest = bytes;
        loop {
            let at = bytes.len() - rest.len();
            // Terminate has no body, so its first byte is enough.
            if self.position.at_boundary() && rest.first() == Some(&b'X') {
                return Some((at, Stop::Terminate));
            }
            match self.position.step(&mut rest) {
                Step::Head(tag, _) => match tag {
                    // Query, FunctionCall, Sync
                    b'Q' | b'F' | b'S' => {
                        self.asked += 1;
                        self.unsynced = false;
                    }
                    // CopyData, CopyDone, CopyFail: a part of the statement before.
                    b'd' | b'c' | b'f' => {}
                    _ => self.unsynced = true,
                },
                Step::Body(..) => {}
                Step::End => return None,
                Step::Invalid => return Some((at, Stop::Invalid)),
            }
        }
    }

    /// Whether all messages are whole, and the server answers them without a further one.
    pub(crate) fn is_complete(&self) -> bool {
        self.position.at_boundary() && !self.unsynced
    }
}

/// What a server has sent.
#[derive(Debug, Default)]
pub(crate) struct ServerScan {
    position: Position,
    /// The ReadyForQuery messages since the last [`ServerScan::begin`].
    pub(crate) ready: u64,
    /// What the last one said: `I` idle, `T` in a transaction, `E` in one that failed.
    pub(crate) status: u8,
    /// The server reads the data of a COPY.
    pub(crate) copying: bool,
    /// There was an error.
    pub(crate) failed: bool,
    /// These are no messages.
    pub(crate) broken: bool,
    /// The present values of the parameters that the server reports.
    parameters: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The ParameterStatus that is being received.
    parameter: Vec<u8>,
}

impl ServerScan {
    /// Counts from here.
    pub(crate) fn begin(&mut self) {
        self.ready = 0;
        self.failed = false;
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            match self.position.step(&mut bytes) {
                Step::Head(tag, length) => match tag {
                    b'S' if length > MAX_PARAMETER => self.broken = true,
                    b'S' => self.parameter.clear(),
                    b'E' => self.failed = true,
                    // CopyInResponse, CopyBothResponse
                    b'G' | b'W' => self.copying = true,
                    b'Z' if length != 1 => self.broken = true,
                    _ => {}
                },
                Step::Body(b'Z', part) => {
                    self.status = part[0];
                    self.ready += 1;
                    self.copying = false;
                }
                Step::Body(b'S', part) if !self.broken => {
                    self.parameter.extend_from_slice(part);
                    if self.position.at_boundary() {
                        self.keep();
                    }
                }
                Step::Body(..) => {}
                Step::End => return,
                Step::Invalid => {
                    self.broken = true;
                    return;
                }
            }
            if self.broken {
                return;
            }
        }
    }

    fn keep(&mut self) {
        let mut texts = self.parameter.split(|byte| *byte == 0);
        if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            self.parameters.insert(name.to_vec(), value.to_vec());
        }
    }

    /// Whether all messages are whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.position.at_boundary() && !self.broken
    }

    /// The parameters that a client gets at its start.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let all = self.parameters.iter();
        all.map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message;

    /// The bytes in every two parts, and one by one.
    fn parts(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut all: Vec<_> = (0..=bytes.len())
            .map(|at| vec![&bytes[..at], &bytes[at..]])
            .collect();
        all.push(bytes.chunks(1).collect());
        all
    }

    #[test]
    fn it_does_not_matter_how_bytes_are_cut() {
        let server = [
            message(b'S', b"TimeZone\0UTC\0"),
            message(b'1', b""),
            message(b'D', b"Z\0\0\0\x05I"),
            message(b'S', b"TimeZone\0Asia/Tokyo\0"),
            message(b'Z', b"T"),
            message(b'G', b"\0\0\0"),
        ]
        .concat();
        for parts in parts(&server) {
            let mut scan = ServerScan::default();
            parts.iter().for_each(|part| scan.feed(part));
            assert!(scan.is_whole() && scan.copying && !scan.failed);
            assert_eq!((scan.ready, scan.status), (1, b'T'));
            let parameters: Vec<_> = scan.parameters().collect();
            assert_eq!(parameters, [(&b"TimeZone"[..], &b"Asia/Tokyo"[..])]);
        }
        let client = [
            message(b'Q', b"SELECT 'X'\0"),
            message(b'P', b"\0X\0\0\0"),
            message(b'S', b""),
        ]
        .concat();
        for parts in parts(&client) {
            let mut scan = ClientScan::default();
            assert!(parts.iter().all(|part| scan.feed(part).is_none()));
            assert!(scan.is_complete());
            assert_eq!(scan.asked, 2);
        }
    }

    #[test]
    fn what_is_not_complete_is_known() {
        let sync = message(b'S', b"");
        for (bytes, complete) in [
            (message(b'Q', b"SELECT 1\0"), true),
            (message(b'P', b"\0SELECT 1\0\0\0"), false),
            ([message(b'E', b"\0\0\0\0\0"), sync.clone()].concat(), true),
            (b"Q\0\0\0\x10SEL".to_vec(), false),
            (b"Q\0\0".to_vec(), false),
            (b"Q".to_vec(), false),
        ] {
            let mut scan = ClientScan::default();
            assert_eq!(scan.feed(&bytes), None);
            assert_eq!(scan.is_complete(), complete, "{bytes:?}");
        }
    }

    #[test]
    fn terminate_is_found_where_it_begins() {
        let query = message(b'Q', b"X\0");
        let bytes = [query.clone(), message(b'X', b"")].concat();
        let mut scan = ClientScan::default();
        assert_eq!(scan.feed(&bytes), Some((query.len(), Stop::Terminate)));
        assert!(scan.is_complete());
        // A part of it is enough.
        let mut scan = ClientScan::default();
        assert_eq!(
            scan.feed(&bytes[..=query.len()]),
            Some((query.len(), Stop::Terminate))
        );
        let mut scan = ClientScan::default();
        assert_eq!(scan.feed(b"Q\0\0\0\x03"), Some((0, Stop::Invalid)));
    }
}
