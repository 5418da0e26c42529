//! Writes JSON texts into memory, without a value tree between.

use std::fmt::{self, Write as _};

/// Appends a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Memory takes all that is written.
    let _ = Escaped(out).write_str(text);
    out.push(b'"');
}

/// Appends a number without quotes.
pub fn number(out: &mut Vec<u8>, number: u64) {
    // As many digits as the largest one has.
    let mut digits = [0; 20];
    let (mut rest, mut at) = (number, digits.len());
    loop {
        at -= 1;
        // A digit, and so below 10.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a number that is finite.
pub fn float(out: &mut Vec<u8>, number: f64) {
    // Memory takes all that is written.
    let _ = write!(Plain(out), "{number}");
}

/// Appends a text of hexadecimal digits in lower case, as many as the bytes have.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.push(b'"');
}

/// Appends text as it is.
#[derive(Debug)]
pub struct Plain<'a>(pub &'a mut Vec<u8>);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends text, and escapes the characters that a JSON string may not hold (RFC 8259, section 7).
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        while let Some(at) = rest.iter().position(special) {
            self.0.extend_from_slice(&rest[..at]);
            match rest[at] {
                byte @ (b'"' | b'\\') => self.0.extend([b'\\', byte]),
                b'\n' => self.0.extend(b"\\n"),
                b'\r' => self.0.extend(b"\\r"),
                b'\t' => self.0.extend(b"\\t"),
                byte => write!(Plain(self.0), "\\u{byte:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        Ok(())
    }
}
