//! What a broker tells about itself.

use serde::{Deserialize, Serialize};

/// The sessions of a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Status {
    /// The most sessions of all roles together.
    pub max_sessions: usize,
    /// Those of each role, sorted by its name.
    pub roles: Vec<RoleStatus>,
}

/// The sessions of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct RoleStatus {
    /// The role.
    pub role: String,
    /// Sessions that clients have, or that are being made or reset for them.
    pub lent: usize,
    /// Sessions that nobody has.
    pub idle: usize,
    /// Clients that wait for a session.
    pub waiting: usize,
    /// The most sessions that clients may have.
    pub limit: usize,
}

/// An answer of a broker's process, with the number of its question.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) status: Status,
}
