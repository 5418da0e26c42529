//! Whole stories: the real engine, its real functions, a real PostgreSQL, over real sockets.

mod access;
mod bad_input;
pub(crate) mod engine;
mod forged;
mod grpcio;
mod http;
mod keys;
mod life;
mod openapi;
mod outage;
mod processes;
mod python;
mod reflection;
mod schemathesis;
mod secrets;
mod story;
mod writes;
mod zero;

use std::{future::Future, time::Duration};

/// Waits until `done` gives something.
///
/// # Panics
///
/// When it does not within `limit`: never in a test that passes, so a limit may be generous.
async fn until<T, F>(what: &str, limit: Duration, done: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    // A look at processes or at the engine's state costs little, and nobody tells us.
    until_every(Duration::from_millis(100), what, limit, done).await
}

/// As [`until`], with a look at every `pause`.
async fn until_every<T, F>(
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
