//! Lasting work: tasks that continue after their call was answered, or after its client went away. And what a
//! function does at its end.

use std::{
    fmt,
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use tracing::Instrument;

use crate::config::Background;

/// Runs tasks to their end, even if nobody waits for them any more: for example the steps of an order that
/// is placed. A function gets it from [`Setup::lasting`](crate::Setup::lasting). Clones share the tasks.
///
/// A process that is asked to stop waits for the tasks, at most for its drain time. A platform may end the
/// process earlier. So another process must be able to continue the work.
#[derive(Clone, Default)]
pub struct Lasting {
    running: watch::Sender<usize>,
    at_end: Arc<Mutex<Vec<Background>>>,
}

impl Lasting {
    /// Starts `work` as a task in the current tracing span. The handle that this returns can wait for the
    /// result; dropping the handle does not stop the task.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let running = self.begin();
        let work = async move {
            let _running = running;
            work.await
        };
        tokio::spawn(work.in_current_span())
    }

    /// Begins work that the caller does itself. It runs until what this returns is dropped.
    #[must_use]
    pub fn begin(&self) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(self.running.clone())
    }

    /// Waits until no work runs. It has no time limit of its own.
    pub async fn idle(&self) {
        // The sender lives as long as this.
        let mut running = self.running.subscribe();
        let _ = running.wait_for(|running| *running == 0).await;
    }

    /// Registers what the function does at its end, such as giving its connections back. It has its own time limit,
    /// which is short. A process that is killed does not do it.
    pub fn at_end(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.registered().push(Box::pin(task));
    }

    /// Ends the function, which serves no call any more: does what was registered with [`at_end`](Self::at_end).
    pub async fn end(&self) {
        let registered = mem::take(&mut *self.registered());
        for task in registered {
            task.await;
        }
    }

    fn registered(&self) -> std::sync::MutexGuard<'_, Vec<Background>> {
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work of a [`Lasting`] that runs until this is dropped, also by a panic.
#[derive(Debug)]
pub struct Running(watch::Sender<usize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting")
            .field("running", &*self.running.borrow())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_registered_for_the_end_is_done_once() {
        let lasting = Lasting::default();
        let (done, mut count) = tokio::sync::mpsc::channel(2);
        let of_part = lasting.clone();
        of_part.at_end(async move { done.send(()).await.unwrap() });
        lasting.end().await;
        lasting.end().await;
        assert_eq!(count.recv().await, Some(()));
        assert_eq!(count.recv().await, None);
    }

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
