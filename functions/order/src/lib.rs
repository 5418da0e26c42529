//! The orders.
