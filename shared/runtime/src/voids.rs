//! Refuses void tokens, with a copy of the list of them.
//!
//! The copy is read while the process starts, or by the first call that needs it. A call with a copy that is
//! older than [`REFRESH_AFTER`] starts to read a new one and does not wait for it. A copy that is older than
//! [`MAX_AGE`] is not used: the call reads a new one first. So every instance refuses a void token [`MAX_AGE`]
//! after the list has it.
//!
//! If such a call cannot read the list, it fails. To let it pass would keep a void token alive for as long as
//! the list cannot be read. And it would help nobody, because the list is in the database that the handler
//! needs, too. That is the difference to a circuit breaker, whose state may be in another place than what it
//! protects.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use zerocart_auth::{Identity, Issuer, TokenError};
use zerocart_core::{
    Call, Error, Invalid, Lasting, Setup,
    voids::{VoidList, Voids},
};

/// The age of a copy from which on a call reads a new one beside it.
const REFRESH_AFTER: Duration = Duration::from_secs(30);

/// The age from which on a copy is not used any more.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The ages of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    refresh_after: Duration,
    max: Duration,
}

impl Ages {
    /// `TOKEN_VOIDS_REFRESH_MS`, default 30 s, and `TOKEN_VOIDS_MAX_AGE_MS`, default 60 s: both are for
    /// tests.
    pub(crate) fn from_setup(setup: &mut Setup) -> Result<Self, Invalid> {
        let refresh_after = setup.millis("TOKEN_VOIDS_REFRESH_MS", REFRESH_AFTER);
        let max = setup.millis("TOKEN_VOIDS_MAX_AGE_MS", MAX_AGE);
        Ok(Self {
            refresh_after: refresh_after?,
            max: max?,
        })
    }
}

/// The check of tokens against the list of void ones.
pub(crate) struct VoidCheck {
    /// None if nothing keeps such a list.
    list: Option<Arc<dyn VoidList>>,
    ages: Ages,
    copy: Arc<Copy>,
    lasting: Lasting,
}

#[derive(Default)]
struct Copy {
    voids: Mutex<Option<Voids>>,
    /// A new one is being read beside the calls.
    refreshing: AtomicBool,
}

impl VoidCheck {
    /// A check against the list that the function has registered while it was built.
    pub(crate) fn new(list: Option<Arc<dyn VoidList>>, ages: Ages, lasting: Lasting) -> Self {
        Self {
            list,
            ages,
            copy: Arc::default(),
            lasting,
        }
    }

    /// Refuses the caller of `cx` if its token is void.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED for a void token. The error of the list if the copy is too old and no new one can be
    /// read.
    pub(crate) async fn check(&self, cx: &Call) -> Result<(), Error> {
        let people = |identity: &&Identity| identity.issuer == Issuer::User;
        let caller = cx.identity.as_ref().filter(people);
        let (Some(list), Some(caller)) = (&self.list, caller) else {
            return Ok(());
        };
        if let Some(void) = self.look(list, caller) {
            return refuse(void);
        }
        // The start of the process has read it, or is about to.
        if self.copy.is_missing() {
            if let Some(voids) = list.at_start().await {
                self.copy.take(voids);
            }
            // One of the calls that waited for it has it.
            if let Some(void) = self.look(list, caller) {
                return refuse(void);
            }
        }
        let voids = list.read(cx).await?;
        let void = voids.has(caller);
        self.copy.take(voids);
        refuse(void)
    }

    /// Whether the token of `caller` is void by the copy; none if the copy may not be used.
    fn look(&self, list: &Arc<dyn VoidList>, caller: &Identity) -> Option<bool> {
        let (age, void) = {
            let copy = self.copy.lock();
            let voids = copy.as_ref()?;
            (voids.age(), voids.has(caller))
        };
        if age >= self.ages.max {
            return None;
        }
        if age >= self.ages.refresh_after {
            self.refresh(list);
        }
        Some(void)
    }

    /// Reads a new copy beside the call, unless that is going on.
    fn refresh(&self, list: &Arc<dyn VoidList>) {
        if self.copy.refreshing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (list, refreshing) = (Arc::clone(list), Refreshing(Arc::clone(&self.copy)));
        // A platform that freezes processes after an answer lets this end first.
        drop(self.lasting.spawn(async move {
            match list.refresh().await {
                Ok(voids) => refreshing.0.take(voids),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(zerocart_core::error::chain);
                    let reason = error.message();
                    tracing::warn!(reason, cause, "the list of void tokens cannot be read");
                }
            }
        }));
    }
}

fn refuse(void: bool) -> Result<(), Error> {
    match void {
        true => Err(TokenError::Void.into()),
        false => Ok(()),
    }
}

impl Copy {
    fn is_missing(&self) -> bool {
        self.lock().is_none()
    }

    /// Keeps the younger one.
    fn take(&self, voids: Voids) {
        let mut copy = self.lock();
        if copy.as_ref().is_none_or(|old| voids.age() < old.age()) {
            *copy = Some(voids);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Voids>> {
        self.voids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with the read, also if that is given up.
struct Refreshing(Arc<Copy>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.refreshing.store(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for VoidCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoidCheck")
            .field("ages", &self.ages)
            .field("copy", &*self.copy.lock())
            .finish_non_exhaustive()
    }
}
