//! The part of images' names that is the same for all.

use std::{fmt, str::FromStr};

use oci_client::Reference;

use crate::Error;

/// A registry, with or without a path below it: `dev.local/zerocart`, `ghcr.io/ada/zerocart`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// For images that are on the nodes and in no registry. Knative does not look for the digests of
    /// images below `dev.local/`, which it would ask a registry for.
    pub fn local() -> Self {
        Self("dev.local/zerocart".into())
    }

    /// The host of the registry, with its port.
    pub fn registry(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The whole name of an image.
    pub(crate) fn reference(&self, name: &str, tag: &str) -> String {
        format!("{self}/{name}:{tag}")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Repository {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Repository {
            given: given.into(),
            reason,
        };
        if given.contains("://") {
            return Err(wrong("write it without https://".into()));
        }
        let repository = Self(given.trim_end_matches('/').into());
        let registry = repository.registry();
        // Docker's rule of what is a host; it would look for all else at Docker Hub.
        if !(registry.contains(['.', ':']) || registry == "localhost") {
            return Err(wrong(format!(
                "its first part must be a registry, as in docker.io/{given}"
            )));
        }
        let reference = repository.reference("name", "tag").parse::<Reference>();
        let whole = reference.is_ok_and(|reference| {
            reference.registry() == registry && reference.digest().is_none()
        });
        if !whole {
            return Err(wrong(
                "it must be a registry and a path of lower-case letters, digits, `-`, `.` and `_`"
                    .into(),
            ));
        }
        Ok(repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_begins_with_a_registry() {
        for good in [
            "dev.local/zerocart",
            "localhost:5000",
            "localhost/a",
            "ghcr.io/ada/zero-cart/",
        ] {
            let repository: Repository = good.parse().unwrap();
            assert_eq!(repository.to_string(), good.trim_end_matches('/'));
        }
        for (bad, why) in [
            ("ada/zerocart", "as in docker.io/ada/zerocart"),
            ("", "must be a registry"),
            ("https://ghcr.io/ada", "without https://"),
            ("ghcr.io/Ada", "lower-case letters"),
            ("ghcr.io/ada:v1", "a registry and a path"),
            ("ghcr.io/a b", "a registry and a path"),
        ] {
            let error = bad.parse::<Repository>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert_eq!(Repository::local(), "dev.local/zerocart".parse().unwrap());
    }
}
