//! What went wrong, why, and what a person does about it.

use std::fmt;

/// A failure of a step, with its cause and its cure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    what: String,
    cause: Option<String>,
    cure: Option<String>,
}

/// The result of everything here.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// A failure of which nothing else is known yet.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        let cause = cause.to_string();
        self.cause = (!cause.trim().is_empty()).then(|| cause.trim().to_owned());
        self
    }

    /// Adds the cure: what to do, with the command where there is one.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Says what failed in the words of the step; the cause and the cure stay. What it said before
    /// becomes the cause where there is none.
    #[must_use]
    pub fn in_step(mut self, what: impl Into<String>) -> Self {
        let before = std::mem::replace(&mut self.what, what.into());
        self.cause = Some(match self.cause {
            Some(cause) => format!("{before}: {cause}"),
            None => before,
        });
        self
    }

    /// Adds a cure, unless there is one.
    #[must_use]
    pub fn or_cure(self, cure: impl Into<String>) -> Self {
        match self.cure {
            Some(_) => self,
            None => self.cure(cure),
        }
    }

    /// Whether a server refused an object because its namespace is not there.
    pub(crate) fn lacks_namespace(&self) -> bool {
        let cause = self.cause.as_deref().unwrap_or_default();
        cause.contains("namespaces \"") && cause.contains("not found")
    }

    /// What failed.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it, as far as it is known.
    pub fn remedy(&self) -> Option<&str> {
        self.cure.as_deref()
    }

    /// Why, as far as it is known.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  because: {}", cause.replace('\n', "\n           "))?;
        }
        if let Some(cure) = &self.cure {
            write!(f, "\n  cure: {}", cure.replace('\n', "\n        "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
