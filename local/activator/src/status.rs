//! What functions and instances are doing, as `zerocart ps` shows it.

use serde::{Deserialize, Serialize};

/// The status of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionStatus {
    /// Its name.
    pub name: String,
    /// Its instances; none when it is at zero.
    pub instances: Vec<InstanceStatus>,
    /// The most instances that it may have.
    #[serde(default)]
    pub max_instances: usize,
    /// Requests that wait for an instance.
    pub held: usize,
    /// Requests since the engine started.
    pub requests: u64,
    /// Starts from zero since the engine started.
    pub cold_starts: u64,
    /// From exec to ready, the last time an instance started, in milliseconds.
    pub last_start_ms: Option<u64>,
    /// When the newest instance was started, in milliseconds since 1970; none if no instance has become ready.
    #[serde(default)]
    pub last_started_at_unix_ms: Option<u64>,
    /// Instances that ended without being asked to or failed to start.
    pub crashes: u64,
}

/// The status of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its process id; none when it runs inside the engine or has not been started yet.
    pub pid: Option<u32>,
    /// When it was started, in milliseconds since 1970.
    pub started_at_unix_ms: u64,
    /// The requests that it is answering.
    pub in_flight: usize,
    /// Its phase.
    pub state: InstanceState,
}

/// The phase of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Started, not ready yet.
    Starting,
    /// Takes requests.
    Ready,
    /// Takes no more requests, finishes those that it has, and ends.
    Stopping,
}
