//! The ops domain: what runs zerocart. It has no database, because the engine knows all that it answers.
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

pub use list_functions::ListFunctions;

/// The functions of this domain.
#[rustfmt::skip]
pub const FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<ListFunctions>(),
];

/// The jobs of this domain.
#[rustfmt::skip]
pub const JOBS: &[zerocart_runtime::JobEntry] = &[
];
// end of generated: functions
