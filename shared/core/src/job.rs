//! The trait of a job: a process that a schedule starts, and that does its work once and exits.

use serde_json::{Map, Value};
use zerocart_proto::rpc::JobInfo;

use crate::{
    call::Call,
    config::{Invalid, Setup},
    error::Error,
};

/// What a run did, as members of a JSON object for its log line: `{"ended":2,"put_off":0,"left":0}`.
pub type Summary = Map<String, Value>;

/// A job: how it is built, and its one run.
pub trait Job: Sized + Send + Sync + 'static {
    /// The facts of the job that `proto/` declares: name, domain, time limit, and the functions that it
    /// calls.
    const INFO: JobInfo;

    /// Builds the job from its configuration, as [`Function::build`](crate::Function::build) builds a
    /// function.
    ///
    /// # Errors
    ///
    /// [`Invalid`] after `setup` has noted every value that is missing or bad.
    fn build(setup: &mut Setup) -> Result<Self, Invalid>;

    /// Does the work of one run, until the deadline of `cx` at the latest. The process may be stopped at
    /// any point, and the next run must be able to continue the work.
    ///
    /// # Errors
    ///
    /// The error that made the run fail. It is logged. The run is not repeated; the next one comes on
    /// schedule.
    fn run(&self, cx: &Call) -> impl Future<Output = Result<Summary, Error>> + Send;
}
