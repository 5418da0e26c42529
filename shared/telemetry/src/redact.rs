//! Removes secrets from log lines and error texts.
//!
//! No code should log a secret, and `proto/` marks the fields that are secret. This is a second
//! line of defence: for a secret in the name of a field, in a cause that quotes its input, or in a
//! line that somebody adds later. It recognises secrets by their form:
//!
//! - JSON Web Tokens, and the text after `Bearer`;
//! - the private part of a JWK, and private keys in PEM;
//! - the password of a URL;
//! - e-mail addresses, which are no secrets, but are nobody's business;
//! - card numbers: 12 to 19 digits that satisfy Luhn's check (ISO/IEC 7812-1), also in groups.
//!
//! A password has no such form, so messages must not contain one. A line is read once, without
//! regular expressions, and without allocation if there is nothing to hide, so a cold start pays
//! nothing for it.

use std::{
    borrow::Cow,
    io::{self, Write},
    ops::Range,
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// The digits of a card number (ISO/IEC 7812-1, and the shortest that are in use).
const MIN_CARD: usize = 12;
const MAX_CARD: usize = 19;

/// The longest id that is known as one: a SHA-256 in hexadecimal.
const MAX_ID: usize = 64;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Shorter texts that begin like a token are none: the header of the shortest has 17 characters.
const MIN_TOKEN: usize = 17;

/// A text without its secrets.
pub fn text(text: &str) -> Cow<'_, str> {
    match secrets(text.as_bytes(), false) {
        secrets if secrets.is_empty() => Cow::Borrowed(text),
        secrets => Cow::Owned(String::from_utf8_lossy(&without(text.as_bytes(), &secrets)).into()),
    }
}

/// Makes writers that write each line without its secrets.
///
/// A line has to come in one write, as `tracing_subscriber::fmt` writes it. A line that begins with `{`
/// is taken for JSON: numbers that are no texts stay as they are, because they are measurements.
#[derive(Clone, Debug)]
pub struct Redacted<M>(pub M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacted<M> {
    type Writer = Redacted<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Redacted(self.0.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        Redacted(self.0.make_writer_for(metadata))
    }
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let secrets = secrets(line, line.starts_with(b"{"));
        if secrets.is_empty() {
            self.0.write_all(line)?;
        } else {
            self.0.write_all(&without(line, &secrets))?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// `line` with [`REDACTED`] in these places.
fn without(line: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(line.len());
    let mut from = 0;
    for secret in secrets {
        text.extend_from_slice(&line[from..secret.start]);
        text.extend_from_slice(REDACTED.as_bytes());
        from = secret.end;
    }
    text.extend_from_slice(&line[from..]);
    text
}

/// Where the secrets of a line are, in order and apart.
fn secrets(line: &[u8], json: bool) -> Vec<Range<usize>> {
    let mut secrets: Vec<Range<usize>> = Vec::new();
    let (mut at, mut in_text, mut escaped) = (0, !json, false);
    while at < line.len() {
        let byte = line[at];
        let found = match byte {
            b'0'..=b'9' if in_text => card(line, at),
            b'e' => token(line, at),
            b'B' | b'b' => bearer(line, at),
            b'd' => jwk(line, at),
            b'-' => pem(line, at),
            b':' => password(line, at),
            b'@' => email(line, at, secrets.last().map_or(0, |last| last.end)),
            _ => Found::Nothing,
        };
        if json {
            // The quotes around a text of JSON; those in it are escaped.
            if byte == b'"' && !escaped {
                in_text = !in_text;
            }
            escaped = byte == b'\\' && !escaped;
        }
        at = match found {
            Found::Nothing => at + 1,
            Found::Harmless(end) => end,
            Found::Secret(secret) => {
                let end = secret.end;
                secrets.push(secret);
                end
            }
        };
    }
    secrets
}

/// What begins at a place of a line. Nothing that is found holds a quote, so the caller that
/// continues after it knows whether it is inside a JSON string.
enum Found {
    Nothing,
    /// Looked at as a whole, up to here, and no secret.
    Harmless(usize),
    Secret(Range<usize>),
}

/// How many bytes from `at` on are such.
fn run(line: &[u8], at: usize, such: impl Fn(u8) -> bool) -> usize {
    let rest = &line[at..];
    rest.iter()
        .position(|byte| !such(*byte))
        .unwrap_or(rest.len())
}

/// Whether a word goes on from the byte before `at` to the one at it.
fn inside(line: &[u8], at: usize) -> bool {
    at > 0 && line[at - 1].is_ascii_alphanumeric()
}

/// Of base64url, and the dots between the parts of a token.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// `eyJ` is the base64url of `{"`, with which the header of every token begins (RFC 7515).
fn token(line: &[u8], at: usize) -> Found {
    if !line[at..].starts_with(b"eyJ") || inside(line, at) {
        return Found::Nothing;
    }
    match run(line, at, is_token) {
        length if length >= MIN_TOKEN => Found::Secret(at..at + length),
        _ => Found::Nothing,
    }
}

/// Any text after `Bearer` (RFC 6750, section 2.1).
fn bearer(line: &[u8], at: usize) -> Found {
    const SCHEME: &[u8] = b"bearer";
    let end = at + SCHEME.len();
    let scheme = line.get(at..end);
    if inside(line, at) || !scheme.is_some_and(|word| word.eq_ignore_ascii_case(SCHEME)) {
        return Found::Nothing;
    }
    let start = end + run(line, end, |byte| byte == b' ');
    let is_credential = |byte| is_token(byte) || matches!(byte, b'~' | b'+' | b'/' | b'=');
    match run(line, start, is_credential) {
        0 => Found::Nothing,
        _ if start == end => Found::Nothing,
        length => Found::Secret(start..start + length),
    }
}

/// The member `"d"` of a JWK (RFC 8037, section 2), its quotes escaped or not.
fn jwk(line: &[u8], at: usize) -> Found {
    let quote = |at: usize| {
        let escapes = run(line, at, |byte| byte == b'\\');
        (line.get(at + escapes) == Some(&b'"')).then_some(at + escapes + 1)
    };
    let space = |at: usize| at + run(line, at, |byte| byte == b' ');
    let value = || {
        let colon = space(quote(at + 1)?);
        (at > 0 && line[at - 1] == b'"' && line.get(colon) == Some(&b':')).then_some(())?;
        quote(space(colon + 1))
    };
    match value() {
        Some(start) => {
            let length = run(line, start, |byte| byte != b'"' && byte != b'\\');
            Found::Secret(start..start + length)
        }
        None => Found::Nothing,
    }
}

/// A private key in PEM (RFC 7468), up to its last dashes or to the end of the text that holds it.
fn pem(line: &[u8], at: usize) -> Found {
    const BEGIN: &[u8] = b"-----BEGIN ";
    if !line[at..].starts_with(BEGIN) {
        return Found::Nothing;
    }
    let label = at + BEGIN.len();
    let is_label = |byte: u8| byte.is_ascii_uppercase() || byte == b' ' || byte.is_ascii_digit();
    let end = label + run(line, label, is_label);
    if !line[label..end].ends_with(b"PRIVATE KEY") {
        return Found::Nothing;
    }
    let end = at + run(line, at, |byte| byte != b'"');
    // A quote within a text of JSON brings the backslash before it.
    let escapes = line[..end].iter().rev();
    let escapes = escapes.take_while(|byte| **byte == b'\\').count();
    Found::Secret(at..end - escapes)
}

/// The password of a URL: `://user:password@` (RFC 3986, section 3.2.1).
fn password(line: &[u8], at: usize) -> Found {
    if !line[at..].starts_with(b"://") {
        return Found::Nothing;
    }
    let start = at + 3;
    let is_authority = |byte: u8| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\\' | b'/' | b'?' | b'#')
    };
    let authority = &line[start..start + run(line, start, is_authority)];
    let end = authority.iter().rposition(|byte| *byte == b'@');
    let user = authority.iter().position(|byte| *byte == b':');
    match (user, end) {
        (Some(user), Some(end)) if user < end => Found::Secret(start + user + 1..start + end),
        _ => Found::Nothing,
    }
}

/// An e-mail address around its `@` (RFC 5321, section 4.1.2): a name, which begins at `from` at the earliest,
/// and a domain with a full stop. The user of a URL is none.
fn email(line: &[u8], at: usize, from: usize) -> Found {
    let of_name = |byte: u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b".!$%'*+-^_~".contains(&byte)
    };
    let name = line[from..at].iter().rev();
    let mut start = at - name.take_while(|byte| of_name(**byte)).count();
    // The letter of an escape stays with its backslash.
    if start > 0 && line[start - 1] == b'\\' {
        start += 1;
    }
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii();
    let (mut end, mut labels) = (at + 1, 0);
    loop {
        let label = run(line, end, of_label);
        if label == 0 {
            break;
        }
        (end, labels) = (end + label, labels + 1);
        // A full stop may end the sentence.
        if line.get(end) != Some(&b'.') || run(line, end + 1, of_label) == 0 {
            break;
        }
        end += 1;
    }
    let last = line[..end].iter().rev().take_while(|byte| of_label(**byte));
    let is_word = last.clone().count() >= 2 && last.clone().all(|byte| !byte.is_ascii_digit());
    let in_url = line[..start].ends_with(b"://");
    match start < at && labels >= 2 && is_word && !in_url {
        true => Found::Secret(start..end),
        false => Found::Nothing,
    }
}

/// A card number among digits, which a blank or a hyphen may part.
fn card(line: &[u8], at: usize) -> Found {
    if at > 0 && line[at - 1].is_ascii_digit() {
        return Found::Nothing;
    }
    if let Some(end) = id(line, at) {
        return Found::Harmless(end);
    }
    let (mut digits, mut count, mut next) = ([0; MAX_CARD], 0, at);
    let mut card = None;
    loop {
        let group = run(line, next, |byte| byte.is_ascii_digit());
        if group == 0 || count + group > MAX_CARD {
            break;
        }
        for (digit, byte) in digits[count..].iter_mut().zip(&line[next..next + group]) {
            *digit = byte - b'0';
        }
        count += group;
        next += group;
        if count >= MIN_CARD && luhn(&digits[..count]) {
            // The longest counts: more groups may follow.
            card = Some(at..next);
        }
        match line.get(next) {
            Some(b' ' | b'-') => next += 1,
            _ => break,
        }
    }
    match card {
        Some(card) => Found::Secret(card),
        None => Found::Harmless(at + run(line, at, |byte| byte.is_ascii_digit())),
    }
}

/// The end of an id that begins before or at `at`: hexadecimal digits, of a length that ids have,
/// with a letter among them. So a UUID, a trace id or a digest is never a card number.
fn id(line: &[u8], at: usize) -> Option<usize> {
    let is_id = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    // No further than an id reaches: a line of a million such digits is looked at once, not squared.
    let before = line[..at].iter().rev().take(MAX_ID);
    let start = at - before.take_while(|byte| is_id(byte)).count();
    let word = line[start..].iter().take(MAX_ID + 1);
    let length = word.take_while(|byte| is_id(byte)).count();
    let word = &line[start..start + length];
    let bounded = !inside(line, start)
        && !line
            .get(start + length)
            .is_some_and(u8::is_ascii_alphanumeric);
    let hyphens = word.iter().filter(|byte| **byte == b'-').count();
    let form = matches!((length, hyphens), (16 | 32 | 64, 0) | (36, 4));
    let letter = word.iter().any(u8::is_ascii_alphabetic);
    (bounded && form && letter && start + length > at).then_some(start + length)
}

/// Luhn's check: from the right, every second digit counts double, with its own digits added up.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit @ 0..=4) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests;
