//! The path of a request: what nginx refuses, what the routes are compared with, and what goes to the
//! upstream.

use std::borrow::Cow;

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPath {
    /// It is not valid, or leaves the root. nginx answers 400.
    Invalid,
    /// It is no text (UTF-8) without its escapes. Kong's router finds no route.
    NoText,
}

/// The form of a path that routes are compared with: without escapes, except those of reserved
/// characters (RFC 3986, section 2.2) and of `%`, in upper case; without empty and dot segments.
///
/// nginx looks at the path first, and reads `%2F` as a slash for that: a path is refused that leaves
/// the root in this reading.
pub(crate) fn normalize(path: &str) -> Result<Cow<'_, str>, BadPath> {
    // nginx refuses a zero byte, also as an escape.
    if !path.starts_with('/') || path.contains('\0') {
        return Err(BadPath::Invalid);
    }
    if !path.contains('%') && !path.contains("//") && !path.contains("/.") {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = |all| decode(path, all).ok_or(BadPath::Invalid);
    stays_within_root(&decoded(true)?)?;
    let decoded = String::from_utf8(decoded(false)?).map_err(|_| BadPath::NoText)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = decoded.split('/').skip(1).peekable();
    let mut directory = false;
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "" | "." => directory = last,
            ".." => {
                segments.pop();
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

/// A path that was normalized, as it goes to an upstream.
pub(crate) fn escape(path: &str) -> Cow<'_, str> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'()*+,/:;=?@[]-_.~%".contains(&byte);
    if path.bytes().all(plain) {
        return Cow::Borrowed(path);
    }
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match plain(byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    Cow::Owned(escaped)
}

fn stays_within_root(decoded: &[u8]) -> Result<(), BadPath> {
    let mut depth = 0_usize;
    for segment in decoded.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1).ok_or(BadPath::Invalid)?,
            _ => depth += 1,
        }
    }
    Ok(())
}

/// The path without its escapes; those of reserved characters and of `%` stay unless `all` is set.
/// `None` for an escape that is none.
fn decode(path: &str, all: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.extend(rest[..at].bytes());
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        match u8::from_str_radix(digits, 16).ok()? {
            0 => return None,
            byte if !all && b"!*'();:@&=+$,/?%#[]".contains(&byte) => {
                decoded.extend(format!("%{byte:02X}").bytes());
            }
            byte => decoded.push(byte),
        }
        rest = &rest[at + 3..];
    }
    decoded.extend(rest.bytes());
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_every_spelling() {
        use BadPath::{Invalid, NoText};
        // The path, the form that routes are compared with, and what the upstream gets of it.
        let cases = [
            ("/users/1", Ok(("/users/1", "/users/1"))),
            ("/", Ok(("/", "/"))),
            ("//users///1", Ok(("/users/1", "/users/1"))),
            ("/users/./1", Ok(("/users/1", "/users/1"))),
            ("/users/x/../1", Ok(("/users/1", "/users/1"))),
            ("/users/..", Ok(("/", "/"))),
            ("/users/1/", Ok(("/users/1/", "/users/1/"))),
            ("/users/1/.", Ok(("/users/1/", "/users/1/"))),
            ("/users/1//", Ok(("/users/1/", "/users/1/"))),
            ("/a.b/.hidden", Ok(("/a.b/.hidden", "/a.b/.hidden"))),
            ("/%75sers/%2e%2E/admin", Ok(("/admin", "/admin"))),
            ("/users/a%2fb", Ok(("/users/a%2Fb", "/users/a%2Fb"))),
            ("/users/%c3%a4", Ok(("/users/ä", "/users/%C3%A4"))),
            ("/users/ä", Ok(("/users/ä", "/users/%C3%A4"))),
            ("/users/%20%7b", Ok(("/users/ {", "/users/%20%7B"))),
            ("/users/\"{}", Ok(("/users/\"{}", "/users/%22%7B%7D"))),
            ("/users/%25%3a", Ok(("/users/%25%3A", "/users/%25%3A"))),
            ("/users/a%0d%0aX", Ok(("/users/a\r\nX", "/users/a%0D%0AX"))),
            ("/a/%2fb/..%2fc", Ok(("/a/%2Fb/..%2Fc", "/a/%2Fb/..%2Fc"))),
            // nginx sees three segments here, and Kong one.
            ("/a%2fb%2fc/../../d", Ok(("/d", "/d"))),
            ("/..", Err(Invalid)),
            ("/users/../../etc", Err(Invalid)),
            ("/users/%2e%2e/%2e%2e/etc", Err(Invalid)),
            ("/..%2f..", Err(Invalid)),
            ("/users/..%2f..%2fetc", Err(Invalid)),
            ("/users/%zz", Err(Invalid)),
            ("/users/%+1", Err(Invalid)),
            ("/users/%2", Err(Invalid)),
            ("/users/%00", Err(Invalid)),
            ("/users/\0", Err(Invalid)),
            ("*", Err(Invalid)),
            ("", Err(Invalid)),
            ("/users/%ff", Err(NoText)),
            ("/users/%c3", Err(NoText)),
        ];
        for (path, expected) in cases {
            let got = normalize(path);
            let got = got.as_deref().map_err(|error| *error);
            let escaped = got.map(|path| escape(path).into_owned());
            let expected = expected.map(|(path, sent)| (path, sent.to_owned()));
            assert_eq!(
                got,
                expected.as_ref().map(|(path, _)| *path).map_err(|e| *e),
                "{path}"
            );
            assert_eq!(escaped, expected.map(|(_, sent)| sent), "{path}");
        }
    }
}
