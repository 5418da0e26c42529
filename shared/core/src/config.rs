//! Configuration: environment variables, parsed once into typed values.
//!
//! All variables that are missing or bad are reported together, before the process accepts calls. It then
//! exits with 64 (`EX_USAGE` of sysexits.h). The report does not print values, because some are secrets.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use zerocart_proto::rpc::Info;
use zerocart_telemetry::Recorder;

use crate::{
    error::Error, lasting::Lasting, metrics::Metrics, readiness::Readiness, start::Start,
    voids::VoidList,
};

/// A snapshot of environment variables. `Debug` shows only their names. Clones share the values.
#[derive(Clone, Default)]
pub struct Env(Arc<BTreeMap<String, String>>);

impl Env {
    /// The variables of this process. A variable whose name or value is not Unicode counts as absent.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of the variable `name`. An empty value counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }
}

impl Env {
    /// All variables as pairs of name and value, sorted by name. Empty values are included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These variables and `more`. A variable of `more` replaces one with the same name.
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

/// Values that a platform gives to functions in addition to variables, such as another way to call
/// functions or a source of database passwords. It holds at most one value of each type. Only AWS Lambda
/// gives some.
#[derive(Clone, Debug, Default)]
pub struct Platform(http::Extensions);

impl Platform {
    /// Adds the value `given`. It replaces an earlier value of the same type.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, given: T) -> Self {
        self.0.insert(given);
        self
    }
}

/// The error for a variable that is missing or bad. It has no text: [`Setup::problems`] has the reason.
#[derive(Clone, Copy, Debug)]
pub struct Invalid;

/// A task that runs beside the server, such as opening the first database connection.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The setup of a function or job while it is built. It gives the configuration, and it collects problems,
/// metrics, readiness checks, and the tasks that run beside the server.
pub struct Setup {
    env: Env,
    platform: Platform,
    problems: Vec<String>,
    background: Vec<Background>,
    readiness: Readiness,
    metrics: Metrics,
    lasting: Lasting,
    start: Start,
    rpc: Option<&'static Info>,
    void_list: Option<Arc<dyn VoidList>>,
}

impl Setup {
    /// A setup from the variables `env` for the function or job of this name, on a platform that gives
    /// nothing else.
    pub fn new(env: Env, function: &'static str) -> Self {
        Self::on(Platform::default(), env, function)
    }

    /// A setup from the variables `env` and the values of `platform`, for the function or job of this name.
    pub fn on(platform: Platform, env: Env, function: &'static str) -> Self {
        let start = platform.0.get().cloned().unwrap_or_default();
        Self {
            start,
            env,
            platform,
            problems: Vec::new(),
            background: Vec::new(),
            readiness: Readiness::default(),
            metrics: Metrics::new(function),
            lasting: Lasting::default(),
            rpc: None,
            void_list: None,
        }
    }

    /// The same setup, for the function that serves this RPC.
    #[must_use]
    pub fn serving(mut self, rpc: &'static Info) -> Self {
        self.rpc = Some(rpc);
        self
    }

    /// The RPC that is served; `None` for a job.
    pub fn rpc(&self) -> Option<&'static Info> {
        self.rpc
    }

    /// Parses the variable `name`, which must be set.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the variable is absent or cannot be parsed; the reason is noted. Read all the values
    /// that you need before the first `?`, so that all reasons are noted.
    pub fn require<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, Invalid> {
        match self.optional(name)? {
            Some(value) => Ok(value),
            None => {
                self.problem(format!("{name} is required"));
                Err(Invalid)
            }
        }
    }

    /// Parses the variable `name`, or gives `default` if it is absent.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the value cannot be parsed; the reason is noted.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> Result<T, Invalid> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// Parses the variable `name`; `None` if it is absent.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the value cannot be parsed; the reason is noted.
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

    /// Reads a duration in milliseconds from the variable `name`, or gives `default` if it is absent.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the value is not a whole number above 0; the reason is noted.
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

    /// The value of type `T` that the platform gives; `None` if it gives none. See [`Platform`].
    pub fn given<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.platform.0.get().cloned()
    }

    /// How the process started. What a platform gives is used; a function that is built in a process of
    /// others has one of its own.
    pub fn start(&self) -> Start {
        self.start.clone()
    }

    /// Where the function's spans go: nowhere, unless the platform gives a [`Recorder`].
    pub fn recorder(&self) -> Recorder {
        self.given().unwrap_or_default()
    }

    /// Notes a problem of the configuration, in the form `NAME must be above 0`. Do not put the value into
    /// the text, because it may be a secret. The same text is noted only once.
    pub fn problem(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The problems that were noted so far, in the order in which they were found.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Adds a task that the runtime starts when the server listens, and that runs beside it. On Lambda, the
    /// task starts during init. In a job it ends with the run.
    pub fn background(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.background.push(Box::pin(task));
    }

    /// Registers a readiness check: whether a system that the function depends on answers. `GET /ready`
    /// runs all checks at the same time, and waits for them at most [`READY_TIMEOUT`](crate::READY_TIMEOUT)
    /// (1 s).
    pub fn readiness<A>(&mut self, check: impl Fn() -> A + Send + Sync + 'static)
    where
        A: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.readiness.add(check);
    }

    /// The [`Lasting`] of this function, which runs work that must continue after its call. All parts of
    /// the function share it.
    pub fn lasting(&self) -> Lasting {
        self.lasting.clone()
    }

    /// Registers what keeps the list of void tokens. There is one; a later one takes its place.
    pub fn void_list(&mut self, list: impl VoidList + 'static) {
        self.void_list = Some(Arc::new(list));
    }

    /// The list of void tokens that was registered.
    pub fn registered_void_list(&self) -> Option<Arc<dyn VoidList>> {
        self.void_list.clone()
    }

    /// The metrics of the function, to register further ones.
    pub fn metrics(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// Ends the setup, once the function is built. Gives the problems that were noted, the metrics, the
    /// tasks that run beside the server, and the readiness checks. The function starts only without
    /// problems.
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

/// The error of a function or job that could not start. [`StartError::exit_code`] has its exit status.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Environment variables are missing or bad. The list has one text for each problem.
    #[error("bad configuration: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The port cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// What the process cannot listen on: `port 8080`, or the socket that should be standard input.
        address: String,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// The operation that failed, such as `cannot start the event loop`.
        what: &'static str,
        /// The reason of the operating system.
        source: std::io::Error,
    },
}

impl StartError {
    /// The exit status of the process, as sysexits.h has it: 64 (`EX_USAGE`) for bad configuration, 69
    /// (`EX_UNAVAILABLE`) for a port that cannot be used, 71 (`EX_OSERR`) for other errors of the operating
    /// system.
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
