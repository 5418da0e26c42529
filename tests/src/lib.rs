//! What must hold for the project as a whole, as functions over facts.
//!
//! Each check takes data (descriptors, manifests, routes, metadata, source text) and gives the
//! list of what is wrong, empty when nothing is. So the integration tests run it on the real tree,
//! and a unit test beside it shows that it fails on a broken one.
//!
//! - [`contract`]: `proto/` is a superset of the published contract;
//! - [`functions`], [`binaries`], [`knative`], [`kong`], [`consul`]: all name the same functions;
//! - [`limits`]: times are ordered, connections fit;
//! - [`dependencies`], [`source`]: who may depend on whom, and what a file may hold.

pub mod binaries;
pub mod consul;
pub mod contract;
pub mod dependencies;
pub mod functions;
pub mod knative;
pub mod kong;
pub mod limits;
pub mod source;

use std::path::PathBuf;

/// The root of the workspace.
///
/// # Panics
///
/// Never: this crate is in a folder of it.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("this crate is in a folder").to_owned()
}

/// `CreateUser` of `create-user`.
pub(crate) fn pascal(kebab: &str) -> String {
    kebab
        .split('-')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect()
}

/// What one set has and the other lacks, both ways, in words.
pub(crate) fn compare<'a>(
    what: &str,
    wanted: impl IntoIterator<Item = &'a str>,
    found: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    use std::collections::BTreeSet;
    let wanted: BTreeSet<_> = wanted.into_iter().collect();
    let found: BTreeSet<_> = found.into_iter().collect();
    let missing = wanted.difference(&found);
    let unknown = found.difference(&wanted);
    missing
        .map(|name| format!("{what}: {name} is missing"))
        .chain(unknown.map(|name| format!("{what}: {name} is no function")))
        .collect()
}

/// Facts to break, for the unit tests.
#[cfg(test)]
pub(crate) mod sample {
    use zerocart_proto::rpc::{CreateUser, GetProduct, GetUser, Info, Rpc};

    /// Three functions of two domains.
    pub(crate) const FUNCTIONS: [Info; 3] = [CreateUser::INFO, GetUser::INFO, GetProduct::INFO];

    /// Asserts that exactly one thing is wrong, and that it is said in these words.
    #[track_caller]
    pub(crate) fn only(problems: &[String], words: &str) {
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(
            problems[0].contains(words),
            "{:?} lacks {words:?}",
            problems[0]
        );
    }
}
