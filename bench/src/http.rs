//! A client with almost no cost of its own: one blocking connection, HTTP/1.1, one request at a
//! time.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, bail};

use crate::cases::Case;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request with `token` as its Bearer token and `body` as its JSON.
    pub(crate) fn new(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Self {
        Self::with((method, path), "localhost", &[], token, body)
    }

    /// The request of a case, for this host and with these headers.
    pub(crate) fn to(host: &str, headers: &[(&str, &str)], case: &Case) -> Self {
        let (token, body) = (case.token.as_deref(), case.body.as_deref());
        Self::with((&case.method, &case.path), host, headers, token, body)
    }

    fn with(
        (method, path): (&str, &str),
        host: &str,
        headers: &[(&str, &str)],
        token: Option<&str>,
        body: Option<&str>,
    ) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(token) = token {
            text.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if let Some(body) = body {
            let length = body.len();
            text.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {length}\r\n"
            ));
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        Self(text.into_bytes())
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Its size with its head, in bytes.
    pub(crate) bytes: usize,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

impl Answer {
    /// Refuses any other status.
    pub(crate) fn with_status(self, wanted: u16) -> Result<Self> {
        if self.status != wanted {
            bail!("status {}, not {wanted}: {}", self.status, self.body);
        }
        Ok(self)
    }
}

/// Sends a request and waits for the whole of its answer.
pub(crate) fn exchange(stream: &mut TcpStream, request: &Request) -> Result<Answer> {
    stream.write_all(&request.0).context("cannot send")?;
    let mut received = Vec::with_capacity(16 * 1024);
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).context("no answer")? {
            0 => bail!("the connection was closed in the middle of an answer"),
            n => received.extend_from_slice(&buffer[..n]),
        }
        if let Some(answer) = parse(&received)? {
            return Ok(answer);
        }
        if received.len() > MAX_ANSWER_BYTES {
            bail!("an answer without end");
        }
    }
}

/// The answer in `received`, once all of it is there.
fn parse(received: &[u8]) -> Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(begin) = head.parse(received).context("not HTTP/1.1")? else {
        return Ok(None);
    };
    let length: usize = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .context("an answer without content-length")?;
    let Some(body) = received.get(begin..begin + length) else {
        return Ok(None);
    };
    let closes = head.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("connection")
            && header.value.eq_ignore_ascii_case(b"close")
    });
    Ok(Some(Answer {
        bytes: begin + length,
        closes,
        status: head.code.context("an answer without status")?,
        body: String::from_utf8(body.to_vec()).context("a body that is not UTF-8")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let text = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
        for n in 0..text.len() {
            assert!(parse(&text[..n]).unwrap().is_none(), "{n}");
        }
        let answer = parse(text).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "{}"));
        assert!(answer.with_status(200).is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let request = Request::new("POST", "/x", Some("t"), Some("{}"));
        let text = String::from_utf8(request.0).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("\r\nauthorization: Bearer t\r\n"), "{text}");
        assert!(text.ends_with("\r\ncontent-length: 2\r\n\r\n{}"), "{text}");
    }
}
