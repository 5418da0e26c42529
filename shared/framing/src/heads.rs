//! Finds where the requests of a connection begin, and which of them announces two lengths.

/// The bytes that are kept of a line: more than a name, a length or the size of a chunk needs.
const KEPT_BYTES: usize = 128;

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// Reads what a client sends, in pieces of any size.
///
/// It parses messages as hyper does. What it does not understand, hyper refuses, and the connection
/// ends.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    at: At,
    line: Vec<u8>,
    /// Whether the line is longer than the bytes that are kept of it.
    cut: bool,
    /// How many requests have begun.
    requests: u64,
    /// The lengths in the head that is being read.
    head: Head,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// Before a request line.
    #[default]
    Request,
    /// In the header lines.
    Fields,
    /// In a body, with so many bytes left.
    Body(u64),
    /// In the line before a chunk.
    ChunkSize,
    /// In a chunk, with so many bytes left.
    Chunk(u64),
    /// In the end of the line after a chunk.
    ChunkEnd,
    /// In the lines after the last chunk.
    Trailers,
    /// Nothing more is parsed.
    Blind,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// Whether a `Content-Length` was there, and what it said.
    length: Option<Option<u64>>,
    /// Whether there was another one.
    repeated: bool,
    /// Whether a `Transfer-Encoding` was there.
    coded: bool,
}

impl Heads {
    /// Reads more bytes. Returns the number, from 1, of the request that announces two lengths. It
    /// is the last request that is parsed.
    pub(crate) fn read(&mut self, mut data: &[u8]) -> Option<u64> {
        while !data.is_empty() {
            match self.at {
                At::Blind => return None,
                At::Body(left) | At::Chunk(left) => {
                    let now = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
                    data = &data[now..];
                    let left = left - now as u64;
                    self.at = match (self.at, left) {
                        (At::Body(_), 0) => At::Request,
                        (At::Body(_), left) => At::Body(left),
                        (_, 0) => At::ChunkEnd,
                        (_, left) => At::Chunk(left),
                    };
                }
                _ => {
                    let end = data.iter().position(|byte| *byte == b'\n');
                    let (part, rest) = data.split_at(end.map_or(data.len(), |end| end + 1));
                    data = rest;
                    let room = KEPT_BYTES - self.line.len();
                    self.line.extend(&part[..part.len().min(room)]);
                    self.cut |= part.len() > room;
                    if end.is_some() {
                        let line = std::mem::take(&mut self.line);
                        let two_lengths = self.line(line.trim_ascii_end());
                        self.cut = false;
                        if two_lengths {
                            self.at = At::Blind;
                            return Some(self.requests);
                        }
                    }
                }
            }
        }
        None
    }

    /// Reads a line, without its end. Whether it ends a head with two lengths.
    fn line(&mut self, line: &[u8]) -> bool {
        self.at = match self.at {
            // Empty lines before a request are skipped (RFC 9112, section 2.2).
            At::Request if line.is_empty() => At::Request,
            At::Request if line.starts_with(HTTP2) => At::Blind,
            At::Request => {
                self.requests += 1;
                self.head = Head::default();
                At::Fields
            }
            At::Fields if line.is_empty() => match self.head {
                Head { repeated: true, .. }
                | Head {
                    length: Some(_),
                    coded: true,
                    ..
                } => return true,
                Head { coded: true, .. } => At::ChunkSize,
                Head { length, .. } => match length {
                    None | Some(Some(0)) => At::Request,
                    Some(Some(length)) => At::Body(length),
                    Some(None) => At::Blind,
                },
            },
            At::Fields => {
                self.head.field(line, self.cut);
                At::Fields
            }
            At::ChunkSize => match size(line, self.cut) {
                Some(0) => At::Trailers,
                Some(size) => At::Chunk(size),
                None => At::Blind,
            },
            At::ChunkEnd => At::ChunkSize,
            At::Trailers if line.is_empty() => At::Request,
            at => at,
        };
        false
    }
}

impl Head {
    fn field(&mut self, line: &[u8], cut: bool) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.get(1..).unwrap_or_default().trim_ascii();
            let length = std::str::from_utf8(digits);
            let length = length.ok().filter(|_| !cut);
            self.repeated = self.length.is_some();
            self.length = Some(length.and_then(|digits| digits.parse().ok()));
        }
    }
}

/// The size of a chunk, without its extensions (RFC 9112, section 7.1).
fn size(line: &[u8], cut: bool) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    if cut && digits.is_none() {
        return None;
    }
    let digits = std::str::from_utf8(&line[..digits.unwrap_or(line.len())]).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "POST /b HTTP/1.1\r\ncontent-LENGTH: 3\r\nTransfer-encoding:chunked\r\n\r\n";

    /// The request in `text` that announces two lengths, by its number, and how many have begun.
    /// The result is the same for all ways to split the bytes.
    fn found(text: &str) -> (Option<u64>, u64) {
        let mut all = Vec::new();
        for size in [1, 2, 3, 7, text.len().max(1)] {
            let mut heads = Heads::default();
            let mut found = None;
            for piece in text.as_bytes().chunks(size) {
                found = found.or(heads.read(piece));
            }
            all.push((found, heads.requests));
        }
        all.dedup();
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        all[0]
    }

    #[test]
    fn a_request_with_two_lengths_is_found_behind_any_other() {
        let fake = BOTH.replace("/b", "/fake");
        let long = "x".repeat(10 * KEPT_BYTES);
        let size = fake.len();
        for before in [
            String::new(),
            "\r\n\n\r\n".into(),
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET / HTTP/1.1\nHost: a\n\n".into(),
            format!("GET /{long} HTTP/1.1\r\nX: {long}\r\nHost: a\r\n\r\n"),
            // The bytes of a body are no head.
            format!("POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n{fake}"),
            format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {size:X};a=\"b\"\r\n{fake}\r\n3 \r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"
            ),
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".into(),
        ] {
            let (of_before, requests) = found(&before);
            assert_eq!(of_before, None, "{before:?}");
            let next = requests + 1;
            // The bytes after it are never parsed.
            let all = format!("{before}{BOTH}{BOTH}");
            assert_eq!(found(&all), (Some(next), next), "{before:?}");
        }
    }

    /// hyper takes two equal lengths for one.
    #[test]
    fn a_length_that_is_repeated_is_two() {
        let text = "POST / HTTP/1.1\r\nContent-Length: 3\r\nX: y\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(found(text), (Some(1), 1));
    }

    #[test]
    fn what_is_not_understood_ends_the_search() {
        let zeros = "0".repeat(KEPT_BYTES);
        for nonsense in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            &format!("POST / HTTP/1.1\r\nContent-Length: {zeros}9\r\n\r\n"),
            &format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}9\r\n"),
        ] {
            assert_eq!(found(&format!("{nonsense}{BOTH}")).0, None, "{nonsense:?}");
        }
    }

    #[test]
    fn other_names_are_not_these() {
        let text = "POST / HTTP/1.1\r\nContent-Length : 1\r\nX-Transfer-Encoding: chunked\r\n\
                    Content-Lengthy: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(found(text), (None, 1));
    }
}
