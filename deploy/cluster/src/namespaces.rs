//! Where a deployment puts what.

use crate::names;

/// The three namespaces of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// Functions, jobs, and the secrets that they read.
    pub functions: String,
    /// PostgreSQL, and what only a deployment reads.
    pub system: String,
    /// Kong, or the gateway in its place.
    pub edge: String,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            functions: names::FUNCTIONS.to_owned(),
            system: names::SYSTEM.to_owned(),
            edge: names::EDGE.to_owned(),
        }
    }
}
