//! How large a program may be: what is larger takes longer to load and to start.

/// The name of the command's own program.
pub const COMMAND: &str = "zerocart";

/// A tenth above the largest function (create-order) in November 2026.
const FUNCTION_BYTES: u64 = 7_500_000;

/// The command starts no function, so its size costs only its transfer. It holds all functions, and 1.8 MB of them
/// are the dashboard, where that is built.
const COMMAND_BYTES: u64 = 33_000_000;

/// The limit of a program of this name.
pub fn limit_bytes(name: &str) -> u64 {
    match name {
        COMMAND => COMMAND_BYTES,
        _ => FUNCTION_BYTES,
    }
}
