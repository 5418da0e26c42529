//! What the whole fleet may take: connections of PostgreSQL, and pods, CPU and memory of a cluster.
//! All of it is added up from the settings.

use crate::{
    Settings, Sources, Unit,
    consul::{SIDECAR_CPU_M, SIDECAR_MEMORY_MIB},
    knative::{REQUEST_CPU_M, REQUEST_MEMORY_MIB},
};

/// The CPU that the queue-proxy of each instance asks for, in thousandths: Knative's default.
pub const QUEUE_PROXY_CPU_M: u32 = 25;

/// The memory that the queue-proxy of each instance asks for, in MiB: about what it takes.
pub const QUEUE_PROXY_MEMORY_MIB: u32 = 24;

/// During a rollout, two revisions of a function run.
const REVISIONS: u32 = 2;

/// Sessions beside those of functions and jobs: the Job `provision`, `pg_dump`, and people.
const OTHER_SESSIONS: u32 = 10;

/// PostgreSQL's `superuser_reserved_connections`.
const RESERVED: u32 = 3;

/// The sessions of PostgreSQL that a fleet opens at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// All functions at full scale, each instance with a full pool.
    pub functions: u32,
    /// A run of each job. A job never runs twice at once.
    pub jobs: u32,
}

impl Connections {
    /// Those of these functions and jobs.
    pub fn of(units: &[Unit]) -> Self {
        let (mut functions, mut jobs) = (0, 0);
        for unit in units {
            let pool = unit.settings.pool;
            match unit.rpc {
                Some(_) => functions += unit.settings.max_scale * pool,
                None => jobs += pool,
            }
        }
        Self { functions, jobs }
    }

    /// The sessions of all functions and jobs together.
    pub fn sessions(self) -> u32 {
        self.functions + self.jobs
    }

    /// `max_connections` of a server that this fleet has for itself.
    ///
    /// Functions count twice: while a rollout runs, the instances of the old revision keep their
    /// sessions until they end, and those of the new one have opened theirs.
    pub fn max(self) -> u32 {
        REVISIONS * self.functions + self.jobs + OTHER_SESSIONS + RESERVED
    }

    /// The sum that makes [`Self::max`], in words.
    pub fn reason(self) -> String {
        let Self { functions, jobs } = self;
        format!(
            "{functions} sessions of all functions at max-scale, {REVISIONS} times for a rollout of \
             all of them; {jobs} of the jobs; {OTHER_SESSIONS} for provision, backups and people; \
             {RESERVED} that PostgreSQL reserves for its superuser."
        )
    }
}

/// A number of pods, and what they ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// How many pods.
    pub pods: u32,
    /// The CPU that they ask for, in thousandths.
    pub cpu_m: u32,
    /// The memory that they ask for, in MiB.
    pub memory_mib: u32,
}

impl Pods {
    /// One instance of each function and service of the edge, in two revisions, and a run of each
    /// job.
    pub fn of_first_start(sources: &Sources<'_>, units: &[Unit]) -> Self {
        Self::sum(sources, units, |_| 1)
    }

    /// Every function and service of the edge at max-scale, in two revisions, and a run of each
    /// job.
    pub fn at_full_scale(sources: &Sources<'_>, units: &[Unit], settings: &Settings) -> Self {
        Self::sum(sources, units, |name| settings.of(name).max_scale)
    }

    /// The same pods, where each caller has a sidecar of Consul.
    pub fn with_sidecars(self, units: &[Unit], scale: impl Fn(&str) -> u32) -> Self {
        let callers = units.iter().filter(|unit| !unit.calls.is_empty());
        let sidecars: u32 = callers
            .map(|caller| match caller.rpc {
                Some(_) => REVISIONS * scale(caller.name),
                None => 1,
            })
            .sum();
        Self {
            pods: self.pods,
            cpu_m: self.cpu_m + sidecars * SIDECAR_CPU_M,
            memory_mib: self.memory_mib + sidecars * SIDECAR_MEMORY_MIB,
        }
    }

    fn sum(sources: &Sources<'_>, units: &[Unit], scale: impl Fn(&str) -> u32) -> Self {
        let functions = units.iter().filter(|unit| unit.rpc.is_some());
        let names = functions.map(|unit| unit.name);
        let names = names.chain(sources.services.iter().map(|(name, _)| *name));
        let instances = REVISIONS * names.map(scale).sum::<u32>();
        let jobs = units.iter().filter(|unit| unit.rpc.is_none());
        let jobs = jobs.fold(0, |sum, _| sum + 1);
        Self {
            pods: instances + jobs,
            cpu_m: instances * (REQUEST_CPU_M + QUEUE_PROXY_CPU_M) + jobs * REQUEST_CPU_M,
            memory_mib: instances * (REQUEST_MEMORY_MIB + QUEUE_PROXY_MEMORY_MIB)
                + jobs * REQUEST_MEMORY_MIB,
        }
    }
}
