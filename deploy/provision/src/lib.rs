//! Databases, roles and tables on any PostgreSQL from version 14: one that this project started, or
//! a managed one, whose administrator may make roles and databases and is no superuser.
//!
//! - [`Address`]: a server and a login, from a URL;
//! - [`Administrator::provision`]: a database and two roles for each domain;
//! - [`migrate`]: the tables. [`Migrations::embedded`] are those of this build, so that no repository
//!   is needed where something is deployed.
//!
//! What exists stays, and a second run changes nothing.

mod address;
mod administrator;
mod database;
mod error;
mod migrate;
mod migrations;
mod names;
mod password;
mod role;
mod versions;

pub use address::{Address, InvalidAddress, Roots};
pub use administrator::Administrator;
pub use error::Error;
pub use migrate::migrate;
pub use migrations::Migrations;
pub use names::{Names, roles};
pub use password::{Password, Passwords};

use std::fmt;

/// A step, and what it did.
///
/// `Display` is a line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the step is about, such as `role zerocart_user`.
    pub what: String,
    /// What it did.
    pub outcome: Outcome,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was there.
    Unchanged,
    /// It made or changed something: in one or a few words.
    Done(String),
    /// It could not do something that the rest can do without: why, and the cure.
    Warning(String),
}

impl Step {
    pub(crate) fn new(what: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            what: what.into(),
            outcome,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match &self.outcome {
            Outcome::Unchanged => write!(f, "{what}: unchanged"),
            Outcome::Done(done) => write!(f, "{what}: {done}"),
            Outcome::Warning(warning) => write!(f, "{what}: warning: {warning}"),
        }
    }
}
