//! The names of a domain's database and roles.

use crate::Error;

/// The names of a domain's database and roles. They need no escape in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Names {
    /// The database, `zerocart_<domain>`.
    pub database: String,
    /// The role of the functions, `zerocart_<domain>`.
    pub role: String,
    /// The role of the migrations, `zerocart_<domain>_owner`.
    pub owner: String,
}

impl Names {
    /// The names of a domain.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`].
    pub fn of(domain: &str) -> Result<Self, Error> {
        if !is_name(domain) {
            return Err(Error::Domain(domain.to_owned()));
        }
        let name = format!("zerocart_{domain}");
        Ok(Self {
            owner: format!("{name}_owner"),
            role: name.clone(),
            database: name,
        })
    }
}

/// The roles of these domains: for each the functions', then the owner's.
///
/// # Errors
///
/// [`Error::Domain`] for a name that cannot be used.
pub fn roles(domains: &[&str]) -> Result<Vec<String>, Error> {
    let mut roles = Vec::with_capacity(2 * domains.len());
    for domain in domains {
        let names = Names::of(domain)?;
        roles.extend([names.role, names.owner]);
    }
    Ok(roles)
}

/// PostgreSQL cuts names at 63 bytes. 40 leaves room for prefix and suffix.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A name as SQL has it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in ["user", "order_2", "a"] {
            assert!(Names::of(good).is_ok(), "{good}");
        }
        let long = "a".repeat(41);
        for bad in ["", "User", "2user", "user-x", "us\"er", "usér", &long] {
            assert!(Names::of(bad).is_err(), "{bad}");
        }
    }
}
