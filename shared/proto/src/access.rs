//! Who may call an RPC, as `proto/` declares it.

use std::{fmt, str::FromStr};

/// Who may call an RPC. Each field opens the RPC to more callers; the default opens it to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Everybody, without a token. A token that is sent is not read.
    pub anyone: bool,
    /// All callers with one of these roles.
    pub roles: &'static [Role],
    /// The caller whose subject this field of the request names, with any role.
    pub self_field: Option<&'static str>,
    /// Any customer; the handler then lets only the owner of the loaded row through.
    pub owner: bool,
}

/// The role of a caller. Tokens have the lowercase name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A person with an account.
    Customer,
    /// A person who runs the shop.
    Admin,
    /// A function that calls another function.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Admin, Self::Service];

    /// The name, as in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`Role`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of customer, admin, service")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == name)
            .ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_lowercase_names_and_no_other() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(role.to_string(), role.as_str());
        }
        for name in ["", "Admin", "ADMIN", " admin", "root"] {
            assert_eq!(name.parse::<Role>(), Err(UnknownRole), "{name:?}");
        }
    }
}
