//! The settings of a function: scale, memory, rate limits.
//!
//! A domain's decisions stand in `functions/<domain>/functions.toml`, a table per function or job.
//! A value that is left out has its default; what can be derived has no setting.

use std::collections::BTreeMap;

use crate::Sources;
use serde::Deserialize;

/// The settings of one function or job.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Unit {
    /// The reason of its scale, in the words of its manifest.
    pub why: String,
    /// The most instances that run at once. Default 3: it counts, times `pool`, against the
    /// connections that PostgreSQL takes.
    pub max_scale: u32,
    /// The requests per instance at which another one starts. Default 40.
    pub target: u32,
    /// The most requests that one instance has at once. Default 50.
    pub concurrency: u32,
    /// The most database connections of one instance. Default 2.
    pub pool: u32,
    /// The most memory of an instance on Kubernetes, in MiB. Default 64.
    pub memory_mib: u32,
    /// The memory on Lambda, in MB, of which CPU is a share. Default 128, the least there is.
    pub lambda_memory_mb: u32,
    /// The most calls of one client address in a minute. Default 100.
    pub calls_per_minute: u32,
    /// The most calls of one client address in an hour. Default 1000.
    pub calls_per_hour: u32,
    /// When a job runs: cron's five fields, in UTC. Jobs only, and required there.
    pub schedule: Option<String>,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            why: String::new(),
            max_scale: 3,
            target: 40,
            concurrency: 50,
            pool: 2,
            memory_mib: 64,
            lambda_memory_mb: 128,
            calls_per_minute: 100,
            calls_per_hour: 1000,
            schedule: None,
        }
    }
}

/// A setting that is wrong: which file, which table, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Invalid {
    /// The settings file.
    pub path: String,
    /// What is wrong in it.
    pub message: String,
}

/// The settings of every function and job.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<String, Unit>);

impl Settings {
    /// Reads the settings files of all domains.
    ///
    /// # Errors
    ///
    /// Everything that is wrong: a file that is no TOML, a table of no function or of another
    /// file's, a key that does not exist, a value out of its range.
    pub fn read(sources: &Sources<'_>) -> Result<Self, Vec<Invalid>> {
        let functions = sources.functions.iter();
        let functions = functions.map(|f| (f.name, file_of(f.domain), false));
        let jobs = sources.jobs.iter();
        let jobs = jobs.map(|job| (job.name, file_of(job.domain), true));
        let services = sources.services.iter();
        let services = services.map(|(name, file)| (*name, (*file).to_owned(), false));
        let declared: Vec<_> = functions.chain(jobs).chain(services).collect();
        let mut settings = BTreeMap::new();
        let mut wrong = Vec::new();
        for (path, text) in sources.settings {
            let mut fail = |message: String| {
                let path = path.clone();
                wrong.push(Invalid { path, message });
            };
            let tables: BTreeMap<String, Unit> = match toml::from_str(text) {
                Ok(tables) => tables,
                Err(error) => {
                    fail(error.to_string());
                    continue;
                }
            };
            for (name, unit) in tables {
                match declared.iter().find(|(declared, ..)| *declared == name) {
                    None => fail(format!("[{name}]: proto/ declares no such function or job")),
                    Some((_, file, _)) if path != file => {
                        fail(format!("[{name}] belongs to {file}"));
                    }
                    Some((_, _, job)) => {
                        for message in unit.problems(*job) {
                            fail(format!("[{name}]: {message}"));
                        }
                        settings.insert(name, unit);
                    }
                }
            }
        }
        for (name, path, job) in declared {
            if job && !settings.contains_key(name) {
                let message = format!("[{name}] is missing: a job needs a schedule");
                wrong.push(Invalid { path, message });
            }
        }
        if wrong.is_empty() {
            Ok(Self(settings))
        } else {
            Err(wrong)
        }
    }

    /// The settings of a function or job, with defaults for values that are left out.
    pub fn of(&self, name: &str) -> Unit {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// The settings file of a domain.
pub fn file_of(domain: &str) -> String {
    format!("functions/{domain}/functions.toml")
}

impl Unit {
    fn problems(&self, job: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value, min, max) in [
            ("max-scale", self.max_scale, 1, 1000),
            ("target", self.target, 1, 1_000_000),
            // `container-concurrency-max-limit` of Knative's config-defaults.
            ("concurrency", self.concurrency, 1, 1000),
            ("pool", self.pool, 1, 100),
            ("memory-mib", self.memory_mib, 16, 32 * 1024),
            // Lambda's own limits.
            ("lambda-memory-mb", self.lambda_memory_mb, 128, 10_240),
            ("calls-per-minute", self.calls_per_minute, 1, 1_000_000),
            ("calls-per-hour", self.calls_per_hour, 1, 1_000_000),
        ] {
            if !(min..=max).contains(&value) {
                problems.push(format!(
                    "{key} must be between {min} and {max}, not {value}"
                ));
            }
        }
        if self.target > self.concurrency {
            let (target, concurrency) = (self.target, self.concurrency);
            problems.push(format!(
                "target ({target}) must be at most concurrency ({concurrency}): another instance \
                 would never start in time"
            ));
        }
        match (&self.schedule, job) {
            (None, true) => problems.push("schedule is required for a job".into()),
            (Some(_), false) => problems.push("schedule is for jobs only".into()),
            _ => {}
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_proto::rpc::{CreateUser, GetProduct, Info, JobInfo, Rpc};

    const FUNCTIONS: [Info; 2] = [CreateUser::INFO, GetProduct::INFO];

    const JOBS: [JobInfo; 1] = [JobInfo {
        name: "sweep-users",
        domain: "user",
        timeout_ms: 50_000,
        calls: &[],
    }];

    fn read(text: &str) -> Result<Settings, String> {
        let files = [(file_of("user"), text.to_owned())];
        let sources = Sources {
            functions: &FUNCTIONS,
            jobs: &JOBS,
            services: &[("mirror", "mirror/functions.toml")],
            settings: &files,
            edge: "",
            version: "1",
        };
        Settings::read(&sources).map_err(|wrong| {
            let lines: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            lines.join("\n")
        })
    }

    const JOB: &str = "[sweep-users]\nschedule = \"* * * * *\"\n";

    #[test]
    fn a_value_that_is_left_out_has_its_default() {
        let settings = read(&format!("{JOB}[create-user]\nmax-scale = 2\n")).unwrap();
        let expected = Unit {
            max_scale: 2,
            ..Unit::default()
        };
        assert_eq!(settings.of("create-user"), expected);
        assert_eq!(settings.of("get-product"), Unit::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            (
                "[create-user]\nmax-scale = 0\n",
                "[create-user]: max-scale must be between 1",
            ),
            (
                "[create-user]\nmax_scale = 1\n",
                "unknown field `max_scale`",
            ),
            (
                "[create-user]\ntarget = 60\n",
                "target (60) must be at most concurrency (50)",
            ),
            ("[create-user]\nschedule = \"* * * * *\"\n", "jobs only"),
            ("[eat-user]\n", "no such function"),
            ("[mirror]\n", "belongs to mirror/functions.toml"),
            (
                "[get-product]\n",
                "belongs to functions/product/functions.toml",
            ),
        ] {
            let error = read(&format!("{JOB}{text}")).unwrap_err();
            assert!(
                error.starts_with("functions/user/functions.toml: "),
                "{error}"
            );
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(read("").unwrap_err().contains("[sweep-users] is missing"));
        assert!(
            read("[sweep-users]\n")
                .unwrap_err()
                .contains("schedule is required")
        );
    }
}
