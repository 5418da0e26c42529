//! Clients of functions.
