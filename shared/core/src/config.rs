//! Configuration: environment variables, parsed once into typed values.
//!
//! All bad ones are reported together, before anything listens; the process then exits 64
//! (`EX_USAGE`). Values are never printed: some are secrets.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use crate::{error::Error, lasting::Lasting, metrics::Metrics, readiness::Readiness};

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Env(Arc<BTreeMap<String, String>>);

impl Env {
    /// The variables of this process. One that is not Unicode counts as absent.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of `name`; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }
}

impl Env {
    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These variables, and in their place `more`.
    #[must_use]
    pub fn with<K: Into<String>, V: Into<String>>(
        self,
        more: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut vars = Arc::unwrap_or_clone(self.0);
        vars.extend(more.into_iter().map(|(k, v)| (k.into(), v.into())));
        Self(Arc::new(vars))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(vars: I) -> Self {
        Self(Arc::new(
            vars.into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        ))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Values that a platform gives to all functions in addition to variables, by type, such as another
/// way to call functions. Empty on most platforms. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Platform(http::Extensions);

impl Platform {
    /// The same with `given`, which replaces a value of its type.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, given: T) -> Self {
        self.0.insert(given);
        self
    }
}

/// A value is missing or bad. [`Setup`] has noted why.
#[derive(Clone, Copy, Debug)]
pub struct Invalid;

/// A task that runs beside the server.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The parts from which a function is built: its configuration, and the tasks that it starts beside
/// the server.
pub struct Setup {
    env: Env,
    platform: Platform,
    problems: Vec<String>,
    background: Vec<Background>,
    readiness: Readiness,
    metrics: Metrics,
    lasting: Lasting,
}

impl Setup {
    /// A setup from `env`, on a platform that gives nothing else.
    pub fn new(env: Env, function: &'static str) -> Self {
        Self::on(Platform::default(), env, function)
    }

    /// A setup from `env` and what `platform` gives.
    pub fn on(platform: Platform, env: Env, function: &'static str) -> Self {
        Self {
            env,
            platform,
            problems: Vec::new(),
            background: Vec::new(),
            readiness: Readiness::default(),
            metrics: Metrics::new(function),
            lasting: Lasting::default(),
        }
    }

    /// The value of `name`, which must be there.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is absent or bad; the reason is noted. Read all the values that you
    /// need before the first `?`, so that all reasons are noted.
    pub fn require<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, Invalid> {
        match self.optional(name)? {
            Some(value) => Ok(value),
            None => {
                self.problem(format!("{name} is required"));
                Err(Invalid)
            }
        }
    }

    /// The value of `name`, or `default` when it is absent.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is bad; the reason is noted.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> Result<T, Invalid> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// The value of `name`, if it is there.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is bad; the reason is noted.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Invalid> {
        let Some(value) = self.env.get(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.problem(format!("{name}: {error}"));
                Err(Invalid)
            }
        }
    }

    /// A time in milliseconds from `name`, or `default`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is not a whole number above 0; the reason is noted.
    pub fn millis(&mut self, name: &str, default: Duration) -> Result<Duration, Invalid> {
        match self.optional::<u64>(name)? {
            None => Ok(default),
            Some(0) => {
                self.problem(format!("{name} must be above 0"));
                Err(Invalid)
            }
            Some(ms) => Ok(Duration::from_millis(ms)),
        }
    }

    /// What the platform gives of this type, if anything.
    pub fn given<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.platform.0.get().cloned()
    }

    /// Notes a problem, without the value that causes it. One that two readers of a variable note is
    /// noted once.
    pub fn problem(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What was noted so far.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Runs `task` beside the server, from the moment that it listens.
    pub fn background(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.background.push(Box::pin(task));
    }

    /// Registers a readiness check: whether something that the function depends on answers. The
    /// runtime makes all checks at once, and waits for them
    /// [`READY_TIMEOUT`](crate::READY_TIMEOUT) at most.
    pub fn readiness<A>(&mut self, check: impl Fn() -> A + Send + Sync + 'static)
    where
        A: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.readiness.add(check);
    }

    /// Runs work that must continue after its call. All parts of a function share it.
    pub fn lasting(&self) -> Lasting {
        self.lasting.clone()
    }

    /// The function's metrics.
    pub fn metrics(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// What is left once the function is built: the problems that were noted, its metrics, the tasks that
    /// run beside it and its readiness checks.
    pub fn finish(self) -> (Vec<String>, Metrics, Vec<Background>, Readiness) {
        (self.problems, self.metrics, self.background, self.readiness)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("env", &self.env)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Why a function did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// All environment variables that are missing or bad.
    #[error("bad configuration: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The port cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl StartError {
    /// The exit status of sysexits.h: 64 for usage, 69 for a port that cannot be had, 71 for the
    /// operating system.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 64,
            Self::Listen { .. } => 69,
            Self::Io { .. } => 71,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_platform_gives_is_found_by_its_type() {
        let platform = Platform::default().with(7_u8).with("text").with(8_u8);
        let setup = Setup::on(platform, Env::default(), "test");
        assert_eq!(setup.given::<u8>(), Some(8));
        assert_eq!(setup.given::<&str>(), Some("text"));
        assert_eq!(setup.given::<u16>(), None);
    }

    #[test]
    fn variables_are_added_and_replaced() {
        let env = Env::from_iter([("A", "1"), ("B", "2")]).with([("B", "3"), ("C", "4")]);
        let all: Vec<_> = env.iter().collect();
        assert_eq!(all, [("A", "1"), ("B", "3"), ("C", "4")]);
    }

    #[test]
    fn all_problems_are_noted_and_no_value() {
        let env = Env::from_iter([("SIZE", "many"), ("WAIT_MS", "0"), ("EMPTY", "")]);
        let mut setup = Setup::new(env, "test");
        assert!(setup.require::<u16>("SIZE").is_err());
        for _ in 0..2 {
            assert!(setup.millis("WAIT_MS", Duration::ZERO).is_err());
        }
        assert!(setup.require::<String>("EMPTY").is_err());
        assert_eq!(setup.or("ABSENT", 7).unwrap(), 7);
        let (problems, ..) = setup.finish();
        assert_eq!(problems.len(), 3);
        assert!(problems.iter().all(|p| !p.contains("many")), "{problems:?}");
    }
}
