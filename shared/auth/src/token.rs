//! Raw tokens, and reading them from the Authorization header.

use std::fmt;

/// The longest token that is read, in bytes: 8 KiB. Ours have about 350.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A token as text, verified or not. Anybody who has it can act as its subject, so `Debug` hides
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Treats a text as a token. [`Verifier::verify`] finds out whether it is one.
    ///
    /// [`Verifier::verify`]: crate::Verifier::verify
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text: three parts in base64url, with dots between.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the Authorization header that presents this token.
    pub fn to_authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Why a token, or the header that should hold one, is refused (gRPC UNAUTHENTICATED, HTTP 401).
///
/// The message never quotes the token. It is for logs; to a client all of these are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// More than one Authorization header.
    #[error("more than one Authorization header")]
    Repeated,
    /// An Authorization header of another scheme than Bearer.
    #[error("the Authorization header is not of the scheme Bearer")]
    Scheme,
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// Not a JWT, without a claim that it needs, with one twice, with an audience or a critical
    /// header, or of an algorithm that does not even have a name here (such as `none`).
    #[error("the token is malformed")]
    Malformed,
    /// Signed with another algorithm than EdDSA.
    #[error("the token's algorithm is not EdDSA")]
    Algorithm,
    /// No `kid`, or one that names no key.
    #[error("the token names no known key")]
    UnknownKey,
    /// The signature is not one by the named key.
    #[error("the token's signature is wrong")]
    Signature,
    /// The time `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// The time `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is not the issuer to which the key belongs.
    #[error("the token's issuer is not the owner of its key")]
    Issuer,
    /// `sub` is not one that the issuer may name: for a user, anything but a UUID.
    #[error("the token's subject is not valid")]
    Subject,
    /// Its subject's tokens of this generation are void: they were taken back before they expired.
    #[error("the token is void")]
    Void,
    /// `role` is unknown, or not one that the issuer may give.
    #[error("the token's role is not one that its issuer may give")]
    Role,
}

/// Takes the token from a request's Authorization headers: all of their values, as bytes.
///
/// No header is no token. The scheme may be written in any case (RFC 9110, section 11.1).
///
/// # Errors
///
/// [`TokenError::Repeated`] with more than one header, [`TokenError::Scheme`],
/// [`TokenError::TooLong`], and [`TokenError::Malformed`] when what follows the scheme cannot be a
/// token (RFC 6750, section 2.1).
pub fn bearer<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Token>, TokenError> {
    let mut values = values.into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(TokenError::Repeated);
    }
    let end = value.iter().position(|&byte| byte == b' ');
    let (scheme, token) = value.split_at(end.unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(TokenError::Scheme);
    }
    let token = token.trim_ascii();
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    if token.is_empty() || !token.iter().all(|&byte| is_token_byte(byte)) {
        return Err(TokenError::Malformed);
    }
    let text = String::from_utf8(token.to_vec()).map_err(|_| TokenError::Malformed)?;
    Ok(Some(Token(text)))
}

/// `b64token` of RFC 6750, section 2.1.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES));
        let too_long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        let longest = &long["Bearer ".len()..];
        type Row<'a> = (&'a [&'a str], Result<Option<&'a str>, TokenError>);
        let table: &[Row<'_>] = &[
            (&[], Ok(None)),
            (&["Bearer a.b.c"], Ok(Some("a.b.c"))),
            (&["bearer a.b.c"], Ok(Some("a.b.c"))),
            (&["BEARER a.b.c"], Ok(Some("a.b.c"))),
            (&["Bearer   a.b.c "], Ok(Some("a.b.c"))),
            (&[&long], Ok(Some(longest))),
            (&[&too_long], Err(TokenError::TooLong)),
            (&["Bearer a", "Bearer b"], Err(TokenError::Repeated)),
            (&["Bearer a", "Basic b"], Err(TokenError::Repeated)),
            (&["Basic dTpw"], Err(TokenError::Scheme)),
            (&["Bearera.b.c"], Err(TokenError::Scheme)),
            (&["a.b.c"], Err(TokenError::Scheme)),
            (&[" Bearer a.b.c"], Err(TokenError::Scheme)),
            (&["Bearer\ta.b.c"], Err(TokenError::Scheme)),
            (&[""], Err(TokenError::Scheme)),
            (&["Bearer"], Err(TokenError::Malformed)),
            (&["Bearer "], Err(TokenError::Malformed)),
            (&["Bearer a b"], Err(TokenError::Malformed)),
            (&["Bearer a, Bearer b"], Err(TokenError::Malformed)),
            (&["Bearer \"a\""], Err(TokenError::Malformed)),
            (&["Bearer Ä"], Err(TokenError::Malformed)),
        ];
        for (values, expected) in table {
            let got = bearer(values.iter().map(|value| value.as_bytes()));
            let got = got.as_ref().map(|token| token.as_ref().map(Token::as_str));
            assert_eq!(got, expected.as_ref().copied(), "{values:?}");
        }
        assert_eq!(bearer([&b"Bearer \xff"[..]]), Err(TokenError::Malformed));
    }

    #[test]
    fn a_token_hides_from_debug_and_comes_back_from_its_header() {
        let token = Token::new("aaa.bbb.ccc");
        assert_eq!(format!("{token:?}"), "Token(hidden)");
        let header = token.to_authorization();
        assert_eq!(bearer([header.as_bytes()]), Ok(Some(token)));
    }
}
