//! The ops domain: what runs zerocart. The engine knows all that it answers: its database has nothing but the list
//! of void tokens, and answers to repeated requests.
//!
//! - `source`: who is asked, by the setting `FLEET_SOURCE`.
//! - `engine`: the local engine.
//! - `cluster`: the API of Kubernetes.
//! - One module per function.

mod cluster;
mod engine;
mod source;

// generated: functions (cargo zerocart generate)
mod list_functions;
mod record_void_in_ops;

pub use list_functions::ListFunctions;
pub use record_void_in_ops::RecordVoidInOps;

/// The functions of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<ListFunctions>(),
    zerocart_runtime::Entry::of::<RecordVoidInOps>(),
];

/// The jobs of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static JOBS: &[zerocart_runtime::JobEntry] = &[
];
// end of generated: functions
