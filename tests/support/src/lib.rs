//! What tests share.
//!
//! - [`postgres`]: a real PostgreSQL for each test binary, a database for each test;
//! - [`functions`]: functions on a port for one test, keys and tokens, functions by script;
//! - [`clients`]: one client for JSON and gRPC, one form of what comes back;
//! - [`process`]: functions as processes.

mod authority;
pub mod functions;
pub mod postgres;
pub mod process;
mod scripted;

use std::path::PathBuf;

pub use zerocart_wires as clients;

/// The root of the workspace, where `migrations/`, `knative/` and `kong/` are.
pub fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    // Out of tests/support.
    root.pop();
    root.pop();
    root
}
