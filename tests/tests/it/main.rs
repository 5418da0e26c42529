//! What crosses functions.

mod agreement;
mod contract;
mod e2e;
mod images;
mod openapi;
mod rules;
mod saga;

/// Asserts that nothing is wrong, or lists all that is.
#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
