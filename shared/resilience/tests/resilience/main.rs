//! Each layer alone, over a mock service and on a paused clock; then the order of the stack.

#[cfg(test)]
mod breaker;
#[cfg(test)]
mod bulkhead;
#[cfg(test)]
mod deadline;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod stack;

/// What the tests share.
#[cfg(test)]
mod common {
    use std::time::Duration;
    use tower_test::mock;

    pub(crate) type Mock = mock::Mock<u32, u32>;
    pub(crate) type Handle = mock::Handle<u32, u32>;
    pub(crate) type Reply = mock::SendResponse<u32>;

    pub(crate) const SECOND: Duration = Duration::from_secs(1);

    pub(crate) const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Awaits what must happen. Clocks are paused here: a day passes as soon as nothing else can.
    pub(crate) async fn surely<F: Future>(future: F) -> F::Output {
        let day = SECOND * 86_400;
        let within_a_day = tokio::time::timeout(day, future);
        within_a_day.await.expect("it did not happen")
    }

    /// The next request that reaches the service. On a paused clock, time moves on to it.
    pub(crate) async fn next(handle: &mut Handle) -> Reply {
        surely(handle.next_request()).await.expect("a request").1
    }

    /// Whether a request waits at the service.
    pub(crate) fn reached(handle: &mut Handle) -> bool {
        handle.poll_request().is_ready()
    }
}
