//! The carts.
