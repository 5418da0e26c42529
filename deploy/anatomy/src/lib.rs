//! The anatomy of a cold start on Knative: what happened between the decision to start a pod and the call that
//! its function answers, as spans of that call's trace.
//!
//! Nothing of it is in the request's way. A program watches the pods of functions, their events and their
//! Deployments ([`watch`]), and keeps when what happened ([`Tracker`]). When a pod is ready, it reads the first
//! spans of the function from the pod's log. They name the trace of the call that the pod was started for, and
//! when the call began. From both come the phases ([`ColdStart`]), which are spans beside that of the call.
//!
//! Kubernetes keeps times of objects in whole seconds only. Two sources are finer:
//!
//! - [`Clock::Event`]: an event has the time at which it was made in its name, in nanoseconds, by the clock of the
//!   node or component that made it (client-go, `tools/record`);
//! - [`Clock::Watch`]: the time at which the API server's watch told of a change, by the clock of this program. It
//!   is some milliseconds late.
//!
//! Where clocks of nodes differ, phases begin and end wrong by that much. A phase never has a negative length,
//! and all phases together always end when the call begins.

mod cold_start;
mod tracker;
mod watch;

pub use cold_start::{Clock, ColdStart, Phase, SERVICE};
pub use tracker::{Change, Follow, Stream, Tracker};
pub use watch::watch;
pub use zerocart_api::{Api, Error};
