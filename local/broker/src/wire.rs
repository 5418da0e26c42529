//! What a client says first, and what the broker itself says to it (PostgreSQL documentation, 53.7 Message
//! Formats).

use std::{collections::BTreeMap, io};

use crate::stream::Stream;

/// The longest startup packet that PostgreSQL takes (`MAX_STARTUP_PACKET_LENGTH`).
const MAX_STARTUP: usize = 10_000;

/// The longest password message that PostgreSQL takes (`PG_MAX_AUTH_TOKEN_LENGTH`).
const MAX_PASSWORD: usize = 65_535;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const MAJOR: u32 = 3;

/// The first message of a connection that asks for something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// It wants a session with these parameters.
    Start {
        parameters: BTreeMap<String, String>,
        /// What it would like beyond protocol 3.0, and does not get: the answer to tell it so.
        negotiate: Option<Vec<u8>>,
    },
    /// It wants a statement of another connection cancelled.
    Cancel { pid: i32, secret: i32 },
}

/// Why a connection gets no session: the end of it, or an error to send.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The connection broke, or ended in the middle of a message.
    Gone,
    /// An ErrorResponse, whole.
    Error(Vec<u8>),
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Refusal {
    pub(crate) fn new(code: &str, message: &str) -> Self {
        Self::Error(fatal(code, message))
    }

    /// Whether it is an error with this SQLSTATE.
    pub(crate) fn is_of(&self, code: &str) -> bool {
        let Self::Error(error) = self else {
            return false;
        };
        let mut fields = error.get(5..).unwrap_or_default().split(|byte| *byte == 0);
        fields.any(|field| field.strip_prefix(b"C") == Some(code.as_bytes()))
    }
}

/// Reads until a connection says what it wants. TLS and GSSAPI are declined.
pub(crate) async fn first(stream: &Stream) -> Result<First, Refusal> {
    // As PostgreSQL does, each may be asked for once.
    let (mut tls, mut gss) = (false, false);
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head).await?;
        let [length, code] = [&head[..4], &head[4..]].map(number);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(8..=MAX_STARTUP).contains(&length) {
            return Err(Refusal::new("08P01", "invalid length of startup packet"));
        }
        let mut rest = vec![0; length - 8];
        stream.read_exact(&mut rest).await?;
        let declined = match code {
            SSL_REQUEST => &mut tls,
            GSSENC_REQUEST => &mut gss,
            CANCEL_REQUEST => {
                let Ok([pid, secret]) = <&[u8; 8]>::try_from(&rest[..])
                    .map(|key| [&key[..4], &key[4..]].map(|part| number(part).cast_signed()))
                else {
                    return Err(Refusal::Gone);
                };
                return Ok(First::Cancel { pid, secret });
            }
            version if version >> 16 == MAJOR => return start(version & 0xffff, &rest),
            version => {
                return Err(Refusal::new(
                    "0A000",
                    &format!(
                        "unsupported frontend protocol {}.{}: the broker speaks 3.0",
                        version >> 16,
                        version & 0xffff
                    ),
                ));
            }
        };
        if std::mem::replace(declined, true) {
            return Err(Refusal::new("08P01", "encryption was asked for twice"));
        }
        stream.write_all(b"N").await?;
    }
}

fn start(minor: u32, packet: &[u8]) -> Result<First, Refusal> {
    let malformed = || Refusal::new("08P01", "invalid startup packet layout");
    let mut parameters = BTreeMap::new();
    let mut unknown = Vec::new();
    let packet = packet.strip_suffix(&[0]).ok_or_else(malformed)?;
    let mut texts = packet.split_inclusive(|byte| *byte == 0);
    while let Some(name) = texts.next() {
        let value = texts.next().ok_or_else(malformed)?;
        let [name, value] = [name, value].map(|text| {
            let text = text.strip_suffix(&[0]).ok_or_else(malformed)?;
            std::str::from_utf8(text)
                .map_err(|_| Refusal::new("22021", "a startup parameter is not UTF-8"))
        });
        let (name, value) = (name?.to_owned(), value?.to_owned());
        if name.starts_with("_pq_.") {
            unknown.push(name);
        } else {
            parameters.insert(name, value);
        }
    }
    let negotiate = (minor > 0 || !unknown.is_empty()).then(|| {
        let mut body = Vec::new();
        body.extend(0_u32.to_be_bytes());
        body.extend(
            u32::try_from(unknown.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        for name in &unknown {
            body.extend(name.as_bytes());
            body.push(0);
        }
        message(b'v', &body)
    });
    Ok(First::Start {
        parameters,
        negotiate,
    })
}

/// Asks for the password in clear text, and reads it.
pub(crate) async fn password(stream: &Stream) -> Result<Vec<u8>, Refusal> {
    stream
        .write_all(&message(b'R', &3_u32.to_be_bytes()))
        .await?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let length = usize::try_from(number(&head[1..])).unwrap_or(usize::MAX);
    if head[0] != b'p' || !(5..=MAX_PASSWORD).contains(&length) {
        return Err(Refusal::new("08P01", "expected a password message"));
    }
    let mut password = vec![0; length - 4];
    stream.read_exact(&mut password).await?;
    match password.pop() {
        Some(0) => Ok(password),
        _ => Err(Refusal::new("08P01", "invalid password message")),
    }
}

/// What PostgreSQL says after a login, from a session that is ready.
pub(crate) fn greeting<'a>(
    parameters: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    pid: i32,
    secret: i32,
) -> Vec<u8> {
    let mut greeting = message(b'R', &0_u32.to_be_bytes());
    for (name, value) in parameters {
        greeting.extend(message(b'S', &[name, b"\0", value, b"\0"].concat()));
    }
    let key = [pid.to_be_bytes(), secret.to_be_bytes()].concat();
    greeting.extend(message(b'K', &key));
    greeting.extend(message(b'Z', b"I"));
    greeting
}

/// An ErrorResponse of severity FATAL.
pub(crate) fn fatal(code: &str, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, value) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', text)] {
        body.push(field);
        body.extend(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    message(b'E', &body)
}

/// A message with its tag and length.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// The number in four bytes; 0 if there are fewer.
pub(crate) fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
