//! Why a Kong file was refused, and where.

use std::fmt;

/// One reason why a Kong file was refused.
///
/// Displayed as `file:line:column: path: message`, so that an editor can jump to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}{message}", Prefix(.path))]
pub struct ConfigError {
    /// The file's name as it was given to the loader.
    pub file: String,
    /// Line, counted from 1; 0 when the value has no place in a file.
    pub line: u64,
    /// Column, counted from 1; 0 when the value has no place in a file.
    pub column: u64,
    /// Path of the field, such as `services[0].routes[1].paths[0]`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "{}: ", self.0)
        }
    }
}

/// A field that does not hold, named relative to the entity that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
        }
    }
}
