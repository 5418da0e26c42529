//! Who is calling: issuers, and the identity that a verified token gives.

use std::fmt;

use uuid::Uuid;
use zerocart_proto::access::Role;

/// Who signs a token. Each issuer has keys of its own and may only give its own roles, so that
/// the key which signs for people can never make a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Issuer {
    /// Signs for people: customers and admins. The gateway knows it.
    User,
    /// Signs for functions. The gateway does not know it, so its tokens are refused from outside.
    Service,
}

impl Issuer {
    /// The name, as in the claim `iss`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "zerocart-user",
            Self::Service => "zerocart-service",
        }
    }

    /// The roles that this issuer may give.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::User => &[Role::Customer, Role::Admin],
            Self::Service => &[Role::Service],
        }
    }

    /// Whether `subject` is one that this issuer may name.
    ///
    /// A user is named by a UUID in its one canonical form (lowercase, hyphens): one user has one
    /// subject. A service is named by any text that is not empty.
    pub(crate) fn accepts_subject(self, subject: &str) -> bool {
        match self {
            Self::User => Uuid::try_parse(subject).is_ok_and(|id| {
                id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == subject
            }),
            Self::Service => !subject.is_empty(),
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A caller whose token was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id (a canonical UUID), or the name of the calling function.
    pub subject: String,
    /// What the caller is.
    pub role: Role,
    /// Who vouches for it.
    pub issuer: Issuer,
    /// The generation of the user's tokens that this one belongs to. When the tokens of a user become
    /// void, the next ones get a higher generation. 0 for a service, and for a token that names none.
    pub generation: u32,
}

impl Identity {
    /// Whether this is the user whose id is `user_id`.
    ///
    /// The hexadecimal digits of a UUID may come in either case (RFC 9562, section 4), so a
    /// request that spells its id in capitals still means the same user.
    pub fn owns(&self, user_id: &str) -> bool {
        self.subject.eq_ignore_ascii_case(user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_exactly_one_issuer() {
        for role in Role::ALL {
            let issuers = [Issuer::User, Issuer::Service]
                .into_iter()
                .filter(|issuer| issuer.roles().contains(&role))
                .count();
            assert_eq!(issuers, 1, "{role}");
        }
    }

    #[test]
    fn a_user_has_one_spelling() {
        let canonical = "018f4e9a-7c1b-7def-8000-0123456789ab";
        assert!(Issuer::User.accepts_subject(canonical));
        for other in [
            "",
            "create-order",
            "018F4E9A-7C1B-7DEF-8000-0123456789AB",
            "018f4e9a7c1b7def80000123456789ab",
            "{018f4e9a-7c1b-7def-8000-0123456789ab}",
            "urn:uuid:018f4e9a-7c1b-7def-8000-0123456789ab",
            "018f4e9a-7c1b-7def-8000-0123456789ab ",
        ] {
            assert!(!Issuer::User.accepts_subject(other), "{other:?}");
        }
        assert!(Issuer::Service.accepts_subject("create-order"));
        assert!(!Issuer::Service.accepts_subject(""));
    }

    #[test]
    fn owning_ignores_case_only() {
        let identity = Identity {
            subject: "018f4e9a-7c1b-7def-8000-0123456789ab".to_owned(),
            role: Role::Customer,
            issuer: Issuer::User,
            generation: 0,
        };
        assert!(identity.owns("018f4e9a-7c1b-7def-8000-0123456789ab"));
        assert!(identity.owns("018F4E9A-7C1B-7DEF-8000-0123456789AB"));
        assert!(!identity.owns("018f4e9a-7c1b-7def-8000-0123456789ac"));
        assert!(!identity.owns("018f4e9a-7c1b-7def-8000-0123456789a"));
        assert!(!identity.owns(""));
    }
}
