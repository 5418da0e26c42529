//! Where a deployment goes.

use crate::kind;

/// The cluster of a deployment. It is never the current one of a kubeconfig without being named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A kind cluster of its own, which is made where there is none.
    Kind(kind::Cluster),
    /// The cluster of a context.
    Context(String),
}

impl Target {
    /// The name of its context.
    pub fn context(&self) -> String {
        match self {
            Self::Kind(cluster) => cluster.context(),
            Self::Context(name) => name.clone(),
        }
    }
}
