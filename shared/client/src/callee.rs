//! One function that is called, and what this process knows about it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Uri;
use tokio::time::Instant;

/// How long after an answer a function is taken to be up; an idle one may be gone then.
const WARM_FOR: Duration = Duration::from_secs(30);

/// How long after a sign of life nobody needs to wake it.
const AWAKE_FOR: Duration = Duration::from_secs(5);

/// A function that is called.
#[derive(Debug)]
pub(crate) struct Callee {
    pub(crate) name: &'static str,
    /// `http://host[:port][/path]`.
    pub(crate) base: Uri,
    heard: Mutex<Heard>,
    waking: AtomicBool,
    /// Whether it is worth waking before it is called.
    expected: AtomicBool,
}

#[derive(Debug, Default)]
struct Heard {
    /// When it last answered a call.
    answered: Option<Instant>,
    /// When it last answered a wake-up.
    awoken: Option<Instant>,
    /// When its silence was forgiven, since its last answer.
    forgiven: Option<Instant>,
}

impl Callee {
    pub(crate) fn new(name: &'static str, base: Uri) -> Self {
        Self {
            name,
            base,
            heard: Mutex::default(),
            waking: AtomicBool::new(false),
            expected: AtomicBool::new(false),
        }
    }

    /// From now on it is worth waking before it is called.
    pub(crate) fn is_expected(&self) {
        self.expected.store(true, Ordering::Relaxed);
    }

    /// Whether it is worth waking before it is called.
    pub(crate) fn expected(&self) -> bool {
        self.expected.load(Ordering::Relaxed)
    }

    /// It answered a call.
    pub(crate) fn answered(&self) {
        let mut heard = self.heard();
        heard.answered = Some(Instant::now());
        heard.forgiven = None;
    }

    /// It answered a wake-up.
    pub(crate) fn awoken(&self) {
        self.heard().awoken = Some(Instant::now());
    }

    /// Whether its silence since `began` may be a cold start.
    ///
    /// Once per cold start, or a function that is dead would be forgiven for ever; attempts that
    /// waited for the same start are forgiven together.
    pub(crate) fn forgive(&self, began: Instant) -> bool {
        let mut heard = self.heard();
        let warm = heard
            .answered
            .is_some_and(|at| began.saturating_duration_since(at) < WARM_FOR);
        if warm {
            return false;
        }
        match heard.forgiven {
            Some(at) => began <= at,
            None => {
                heard.forgiven = Some(Instant::now());
                true
            }
        }
    }

    /// The permission to wake it; none if it is awake, or is being woken.
    pub(crate) fn wake(&self) -> Option<Waking<'_>> {
        let awake = {
            let heard = self.heard();
            heard
                .answered
                .max(heard.awoken)
                .is_some_and(|at| at.elapsed() < AWAKE_FOR)
        };
        (!awake && !self.waking.swap(true, Ordering::Relaxed)).then_some(Waking(self))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wake-up on its way.
#[derive(Debug)]
pub(crate) struct Waking<'a>(&'a Callee);

impl Drop for Waking<'_> {
    fn drop(&mut self) {
        self.0.waking.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn callee() -> Callee {
        Callee::new("get-product", Uri::from_static("http://h/"))
    }

    #[tokio::test(start_paused = true)]
    async fn one_cold_start_is_forgiven() {
        let callee = callee();
        let (first, same) = (Instant::now(), Instant::now());
        advance(Duration::from_secs(5)).await;
        assert!(callee.forgive(first));
        assert!(callee.forgive(same));
        advance(Duration::from_millis(1)).await;
        assert!(!callee.forgive(Instant::now()));

        callee.answered();
        advance(WARM_FOR - Duration::from_millis(1)).await;
        assert!(!callee.forgive(Instant::now()));
        advance(Duration::from_millis(1)).await;
        assert!(callee.forgive(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_during_the_attempt_counts() {
        let callee = callee();
        let began = Instant::now();
        advance(Duration::from_secs(1)).await;
        callee.answered();
        advance(WARM_FOR).await;
        assert!(!callee.forgive(began));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_awake_is_left_alone() {
        let callee = callee();
        let waking = callee.wake().unwrap();
        assert!(callee.wake().is_none());
        drop(waking);
        drop(callee.wake().unwrap());
        callee.awoken();
        assert!(callee.wake().is_none());
        advance(AWAKE_FOR).await;
        drop(callee.wake().unwrap());
        callee.answered();
        assert!(callee.wake().is_none());
    }
}
