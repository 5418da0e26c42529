//! The real engine under test, as a person starts it: its processes, and clients of it.
//!
//! A failure is a panic, as in a test: nothing else uses this.

pub mod engine;
pub mod http;
pub mod processes;

use std::{future::Future, time::Duration};

/// Waits until `done` gives something.
///
/// # Panics
///
/// When it does not within `limit`: never in a test that passes, so a limit may be generous.
pub async fn until<T, F>(what: &str, limit: Duration, done: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    // A look at processes or at the engine's state costs little, and nobody tells us.
    until_every(Duration::from_millis(100), what, limit, done).await
}

/// As [`until`], with a look at every `pause`.
///
/// # Panics
///
/// As [`until`].
pub async fn until_every<T, F>(
    pause: Duration,
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let mut looks = tokio::time::interval(pause);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let waiting = async {
        loop {
            looks.tick().await;
            if let Some(value) = done().await {
                return value;
            }
        }
    };
    match tokio::time::timeout(limit, waiting).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}
