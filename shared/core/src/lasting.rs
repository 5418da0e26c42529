//! Lasting work: tasks that continue after their call was answered, or after its client went away.

use std::{fmt, future::Future};

use tokio::sync::watch;
use tracing::Instrument;

/// Runs tasks to their end, even if nobody waits for them any more: for example the steps of an order that
/// is placed. A function gets it from [`Setup::lasting`](crate::Setup::lasting). Clones share the tasks.
///
/// A process that is asked to stop waits for the tasks, at most for its drain time. A platform may end the
/// process earlier. So another process must be able to continue the work.
#[derive(Clone, Default)]
pub struct Lasting(watch::Sender<usize>);

impl Lasting {
    /// Starts `work` as a task in the current tracing span. The handle that this returns can wait for the
    /// result; dropping the handle does not stop the task.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0.send_modify(|running| *running += 1);
        let running = Running(self.0.clone());
        let work = async move {
            let _running = running;
            work.await
        };
        tokio::spawn(work.in_current_span())
    }

    /// Waits until no task runs. It has no time limit of its own.
    pub async fn idle(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|running| *running == 0).await;
    }
}

/// Counted until it is dropped, also by a panic.
struct Running(watch::Sender<usize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lasting").field(&*self.0.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_idle_once_the_last_has_ended() {
        let lasting = Lasting::default();
        lasting.idle().await;
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        drop(lasting.spawn(wait));
        let panics = lasting.spawn(async { panic!("on purpose") });
        assert!(panics.await.is_err());
        let idle = lasting.clone();
        let idle = tokio::spawn(async move { idle.idle().await });
        tokio::task::yield_now().await;
        assert!(!idle.is_finished());
        go.send(()).unwrap();
        idle.await.unwrap();
    }
}
