//! Exit statuses that say more than success and failure.

/// A command that failed with a status of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exit {
    /// The status; those of sysexits.h where one fits.
    pub(crate) status: u8,
    /// Why, for the person; empty where they know.
    pub(crate) message: String,
}

impl Exit {
    /// The command was used wrongly (`EX_USAGE`).
    pub(crate) const USAGE: u8 = 64;
    /// What the command reads is not there (`EX_NOINPUT`).
    pub(crate) const NO_INPUT: u8 = 66;

    /// A failure with this status and message.
    pub(crate) fn new(status: u8, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}
