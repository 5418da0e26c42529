//! Normalizes a request's path. The normalized form is matched, and sent to the upstream.
//!
//! The upstream sees the path that was matched, so no other spelling of a path can avoid a rule.

use std::borrow::Cow;

/// A path that is not valid. nginx answers 400.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPath;

/// Decodes escapes of unreserved characters, writes the others in upper case, merges slashes and
/// removes dot segments (RFC 3986 section 6.2.2).
pub(crate) fn normalize(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if !path.starts_with('/') {
        return Err(BadPath);
    }
    if !path.contains(['%']) && !path.contains("//") && !path.contains("/.") {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = decoded.split('/').skip(1).peekable();
    let mut directory = false;
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "" | "." => directory = last,
            ".." => {
                segments.pop().ok_or(BadPath)?;
                directory = last;
            }
            part => segments.push(part),
        }
    }
    let mut path = String::with_capacity(decoded.len());
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    if directory || segments.is_empty() {
        path.push('/');
    }
    Ok(Cow::Owned(path))
}

fn decode(path: &str) -> Result<String, BadPath> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3).ok_or(BadPath)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadPath);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| BadPath)?;
        match byte {
            0 => return Err(BadPath),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                decoded.push(char::from(byte));
            }
            byte => decoded.push_str(&format!("%{byte:02X}")),
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_every_spelling() {
        let cases = [
            ("/users/1", Ok("/users/1")),
            ("/", Ok("/")),
            ("//users///1", Ok("/users/1")),
            ("/users/./1", Ok("/users/1")),
            ("/users/x/../1", Ok("/users/1")),
            ("/users/..", Ok("/")),
            ("/users/1/", Ok("/users/1/")),
            ("/users/1/.", Ok("/users/1/")),
            ("/users/1//", Ok("/users/1/")),
            ("/a.b/.hidden", Ok("/a.b/.hidden")),
            ("/%75sers/%2e%2E/admin", Ok("/admin")),
            ("/users/a%2fb", Ok("/users/a%2Fb")),
            ("/users/%c3%a4", Ok("/users/%C3%A4")),
            ("/users/%25", Ok("/users/%25")),
            ("/..", Err(BadPath)),
            ("/users/../../etc", Err(BadPath)),
            ("/users/%zz", Err(BadPath)),
            ("/users/%+1", Err(BadPath)),
            ("/users/%2", Err(BadPath)),
            ("/users/%00", Err(BadPath)),
            ("*", Err(BadPath)),
        ];
        for (path, expected) in cases {
            assert_eq!(
                normalize(path).as_deref().map_err(|_| BadPath),
                expected,
                "{path}"
            );
        }
    }
}
