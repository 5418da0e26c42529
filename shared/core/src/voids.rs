//! Void tokens: tokens of people that were taken back before they expired.
//!
//! A token cannot be called back from the client that has it. So a list says which tokens are void: all
//! tokens of a user that are of a generation before the one in the list. The runtime keeps a copy of the
//! list and checks each call of a person against it. What keeps the list is a [`VoidList`], which a
//! dependency of the function registers with [`Setup::void_list`](crate::Setup::void_list).

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    time::{Duration, Instant, SystemTime},
};

use zerocart_auth::Identity;

use crate::{call::Call, error::Error};

/// A moment by two clocks.
///
/// A platform may freeze a process, and some clocks then stand still. A clock of the day may be set back. The
/// age of a moment is the longer one of the two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    steady: Instant,
    of_day: SystemTime,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self {
            steady: Instant::now(),
            of_day: SystemTime::now(),
        }
    }

    /// How long ago it was.
    pub fn age(&self) -> Duration {
        let of_day = self.of_day.elapsed().unwrap_or_default();
        self.steady.elapsed().max(of_day)
    }
}

/// A copy of the list of void tokens.
pub struct Voids {
    asked: Moment,
    /// By user id: the first generation whose tokens are good.
    good_from: HashMap<String, u32>,
}

impl Voids {
    /// The list as it was when it was asked for at the moment `asked`: for each user id (a canonical UUID)
    /// the first generation whose tokens are good.
    pub fn new(asked: Moment, list: impl IntoIterator<Item = (String, u32)>) -> Self {
        Self {
            asked,
            good_from: list.into_iter().collect(),
        }
    }

    /// How old the copy is.
    pub fn age(&self) -> Duration {
        self.asked.age()
    }

    /// Whether the token of this identity is void.
    pub fn has(&self, identity: &Identity) -> bool {
        let good_from = self.good_from.get(&identity.subject);
        good_from.is_some_and(|first| identity.generation < *first)
    }
}

impl fmt::Debug for Voids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voids")
            .field("asked", &self.asked)
            .field("users", &self.good_from.len())
            .finish()
    }
}

/// A read of the list that is going on.
pub type Reading<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What keeps the list of void tokens.
pub trait VoidList: Send + Sync {
    /// The copy that the process read while it started, if it read one. This waits until the start is over.
    fn at_start(&self) -> Reading<'_, Option<Voids>>;

    /// Reads the list in the path of a call, as a handler would use the same system.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE and DEADLINE_EXCEEDED, as the handler would get them.
    fn read<'a>(&'a self, cx: &'a Call) -> Reading<'a, Result<Voids, Error>>;

    /// Reads the list beside all calls. It takes no part in what counts as a failure of the system.
    ///
    /// # Errors
    ///
    /// When the list cannot be read in a short time.
    fn refresh(&self) -> Reading<'_, Result<Voids, Error>>;
}
