//! All functions of the project. A domain is added here, and nowhere else in the engine.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use zerocart_runtime::Entry;

/// The functions of each domain.
const DOMAINS: [&[Entry]; 2] = [zerocart_user::FUNCTIONS, zerocart_product::FUNCTIONS];

/// Every function.
pub(crate) fn functions() -> impl Iterator<Item = &'static Entry> {
    DOMAINS.into_iter().flatten()
}

/// The function of this name.
pub(crate) fn function(name: &str) -> Option<&'static Entry> {
    functions().find(|entry| entry.info.name == name)
}

/// The names of the domains.
pub(crate) fn names() -> Vec<&'static str> {
    let names: BTreeSet<_> = functions().map(|entry| entry.info.domain).collect();
    names.into_iter().collect()
}

/// Refuses manifests that are not exactly those of the functions.
pub(crate) fn check(manifests: &[zerocart_activator::Function]) -> Result<()> {
    let have: BTreeSet<_> = manifests.iter().map(|f| f.name.as_str()).collect();
    let want: BTreeSet<_> = functions().map(|entry| entry.info.name).collect();
    let missing: Vec<_> = want.difference(&have).copied().collect();
    let unknown: Vec<_> = have.difference(&want).copied().collect();
    if !missing.is_empty() {
        bail!("knative/services has no file for {}", missing.join(", "));
    }
    if !unknown.is_empty() {
        bail!(
            "knative/services names functions that do not exist: {}",
            unknown.join(", ")
        );
    }
    Ok(())
}
