//! The local engine's activator: runs each function as processes that exist only while needed.
//!
//! It reads the Knative Service files that are deployed ([`load_dir`]) and does on one machine
//! what Knative's activator, autoscaler and queue-proxy do together ([`Activator`]): the first
//! request for a function starts a process and is held until that process is ready; more
//! requests at once start more processes, up to `max-scale`; without requests for the window
//! the function goes back to zero.
//!
//! # What differs from Knative
//!
//! - Scaling out follows the present number of requests, not an average. A process starts in
//!   milliseconds, so there is no panic window, and `target-utilization-percentage` is 100 unless
//!   it is set. Scaling in follows the average over the window, as in Knative.
//! - There is no `initial-scale`: deploying starts nothing. There is no grace period after the
//!   window, because no routes must change.
//! - `max-scale` must be set: each instance holds database connections.
//! - The readiness probe goes through h2c on the connection that later carries the requests.
//!   Connections queue in the listening socket before the process accepts, so the probe is answered
//!   as soon as the process can answer. After that, readiness is not probed again: a process that
//!   died is noticed at once, and one that hangs by its liveness probe.
//! - A failed start answers every held request at once, and is not tried again before a short
//!   back-off has passed. The end of the function's log goes into the engine's.
//!
//! # Jobs
//!
//! It also reads CronJob files ([`load_jobs`]) and does what Kubernetes' CronJob controller does
//! with them ([`Jobs`]): starts a process when its schedule says so, never two at once. In
//! addition, each job runs once at the start, because the engine may have been killed while there
//! was work.
//!
//! Nothing here knows what functions and jobs do, or knows the gateway or the database.

mod activator;
mod answer;
mod causes;
mod connection;
pub mod guard;
mod instance;
pub mod jobs;
pub mod launcher;
mod log;
pub mod manifest;
mod options;
mod pool;
mod process;
pub mod scale;
pub mod span;
mod status;
mod stream;

pub use activator::Activator;
pub use guard::Guard;
pub use jobs::{JobRun, JobStatus, Jobs};
pub use launcher::{Exit, JobLauncher, Launch, Launcher, Running, Stop};
pub use log::{SpanLines, Tail};
pub use manifest::{Job, Ksvc, LoadError, load_dir, load_jobs};
pub use options::Options;
pub use process::ProcessLauncher;
pub use status::{FunctionStatus, InstanceState, InstanceStatus};
pub use zerocart_schedule::Schedule;
