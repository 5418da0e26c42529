//! Jobs: processes that a schedule starts, that do their work once and exit.

use serde_json::{Map, Value};
use zerocart_proto::rpc::JobInfo;

use crate::{
    call::Call,
    config::{Invalid, Setup},
    error::Error,
};

/// What a run did, for its log line.
pub type Summary = Map<String, Value>;

/// A job: how it is built, and its one run.
pub trait Job: Sized + Send + Sync + 'static {
    /// Its facts, as `proto/` declares them.
    const INFO: JobInfo;

    /// Builds it from its configuration, as a function is built.
    ///
    /// # Errors
    ///
    /// [`Invalid`] after `setup` noted what is missing or bad.
    fn build(setup: &mut Setup) -> Result<Self, Invalid>;

    /// Does the work, within the call's deadline. It may be stopped at any point and must be able
    /// to go on in another run.
    fn run(&self, cx: &Call) -> impl Future<Output = Result<Summary, Error>> + Send;
}
