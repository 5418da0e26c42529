//! Readiness: whether the systems that a function depends on, such as its database, answer.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use futures_util::future::try_join_all;

use crate::error::Error;

/// The longest time that `GET /ready` waits for its checks: 1 s (the contract's Health paragraph).
pub const READY_TIMEOUT: Duration = Duration::from_secs(1);

type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

/// The readiness checks of a function, which its dependencies register with
/// [`Setup::readiness`](crate::Setup::readiness).
#[derive(Default)]
pub struct Readiness(Vec<Check>);

impl Readiness {
    pub(crate) fn add<A>(&mut self, check: impl Fn() -> A + Send + Sync + 'static)
    where
        A: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.0.push(Box::new(move || Box::pin(check())));
    }

    /// Runs all checks at the same time. A function without checks is ready.
    ///
    /// # Errors
    ///
    /// The error of the first check that fails; UNAVAILABLE if one has not ended after [`READY_TIMEOUT`].
    pub async fn check(&self) -> Result<(), Error> {
        let checks = try_join_all(self.0.iter().map(|check| check()));
        match tokio::time::timeout(READY_TIMEOUT, checks).await {
            Ok(checked) => checked.map(drop),
            Err(_) => Err(Error::unavailable(
                "not ready within a second",
                READY_TIMEOUT,
            )),
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("checks", &self.0.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_check_that_fails_makes_a_function_unready() {
        let mut readiness = Readiness::default();
        assert!(readiness.check().await.is_ok());
        readiness.add(|| async { Ok(()) });
        assert!(readiness.check().await.is_ok());
        readiness.add(|| async { Err(Error::unavailable("it is down", READY_TIMEOUT)) });
        readiness.add(std::future::pending);
        assert_eq!(readiness.check().await.unwrap_err().message(), "it is down");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_without_an_answer_is_given_up() {
        let mut readiness = Readiness::default();
        readiness.add(std::future::pending);
        let error = readiness.check().await.unwrap_err();
        assert_eq!(error.message(), "not ready within a second");
    }
}
