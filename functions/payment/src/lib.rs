//! The charges.
