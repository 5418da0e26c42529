//! The sessions that nobody has now, and the seats of those who have one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ring::hmac;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

use crate::{
    Login, Options, RoleStatus, Status,
    lease::Leases,
    server::{Key, Session},
    wire::Refusal,
};

/// The time after the last idle session was lent in which no other one is made: it would compete with the
/// function that starts.
const REFILL_DELAY: Duration = Duration::from_millis(100);

/// How often idle sessions are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// The pause after the server has refused a session, or does not run.
const SERVER_PAUSE: Duration = Duration::from_millis(500);

/// All sessions, and who may have one.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) options: Options,
    roles: HashMap<String, Role>,
    pub(crate) leases: Leases,
    /// One for each client that has a session, of all roles.
    seats: Arc<Semaphore>,
    max_sessions: usize,
    /// The sessions that nobody has, the one that was used last at the end.
    idle: Mutex<Vec<Session>>,
    /// Those that are being made for nobody yet.
    warming: AtomicUsize,
    lent: Notify,
    /// Compares passwords without telling by the time how much of one was right.
    comparison: hmac::Key,
}

#[derive(Debug)]
struct Role {
    login: Login,
    key: Arc<Key>,
    /// The tag of its password.
    password: hmac::Tag,
    /// One for each client of the role that has a session.
    seats: Arc<Semaphore>,
    max_sessions: usize,
    /// Clients that wait for a seat.
    waiting: AtomicUsize,
}

/// The right to one session. It is held until the session has been reset or closed.
#[derive(Debug)]
pub(crate) struct Seat {
    _of_role: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(options: Options) -> Self {
        let comparison = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        // A semaphore has a limit, and a bound above the sum means nothing.
        let max_sessions = options.max_sessions.min(Semaphore::MAX_PERMITS);
        let roles = options.logins.iter().map(|login| {
            let of_role = login.max_sessions.min(max_sessions);
            let role = Role {
                key: Arc::new(Key {
                    role: login.role.clone(),
                    database: login.database.clone(),
                    parameters: login.parameters.clone(),
                }),
                password: hmac::sign(&comparison, login.password.expose().as_bytes()),
                seats: Arc::new(Semaphore::new(of_role)),
                max_sessions: of_role,
                waiting: AtomicUsize::new(0),
                login: login.clone(),
            };
            (login.role.clone(), role)
        });
        Self {
            roles: roles.collect(),
            leases: Leases::default(),
            seats: Arc::new(Semaphore::new(max_sessions)),
            max_sessions,
            idle: Mutex::default(),
            warming: AtomicUsize::new(0),
            lent: Notify::new(),
            comparison,
            options,
        }
    }

    pub(crate) fn status(&self) -> Status {
        let idle = self.idle();
        let roles = self.roles.iter().map(|(name, role)| RoleStatus {
            role: name.clone(),
            lent: role.max_sessions - role.seats.available_permits(),
            idle: idle.iter().filter(|s| s.key.role == *name).count(),
            waiting: role.waiting.load(Ordering::Relaxed),
            limit: role.max_sessions,
        });
        let mut roles: Vec<_> = roles.collect();
        roles.sort_by(|a, b| a.role.cmp(&b.role));
        Status {
            max_sessions: self.max_sessions,
            roles,
        }
    }

    /// Whether this is the password of the role.
    pub(crate) fn is_password(&self, role: &str, password: &[u8]) -> bool {
        match self.roles.get(role) {
            Some(role) => hmac::verify(&self.comparison, password, role.password.as_ref()).is_ok(),
            None => false,
        }
    }

    /// A session for a client that has proved its role: an idle one, or a new one.
    pub(crate) async fn lend(&self, key: Key) -> Result<(Session, Seat), Refusal> {
        let role = self
            .roles
            .get(&key.role)
            .ok_or_else(|| Refusal::new("28000", "there is no such role"))?;
        let seat = timeout(self.options.wait_timeout, self.seat(role));
        let seat = seat.await.map_err(|_| {
            tracing::warn!(role = key.role, "all sessions are lent");
            Refusal::new(
                "53300",
                "all sessions of the broker are lent: lower max-scale or pool, or raise its bound",
            )
        })?;
        while let Some(mut session) = self.take(&key) {
            if session.is_alive() {
                self.lent.notify_one();
                return Ok((session, seat));
            }
        }
        self.make_room();
        // The key of the role is the usual one, and need not be kept twice.
        let key = if *role.key == key {
            Arc::clone(&role.key)
        } else {
            Arc::new(key)
        };
        let opened = Session::open(&self.options.server, key, &role.login.password);
        let session = opened.await?;
        self.lent.notify_one();
        Ok((session, seat))
    }

    async fn seat(&self, role: &Role) -> Seat {
        let _waiting = Counted::new(&role.waiting);
        let closed = "the seats are never closed";
        // First that of the role: who waits for it must not keep others from theirs.
        let of_role = Arc::clone(&role.seats).acquire_owned().await.expect(closed);
        let of_all = Arc::clone(&self.seats).acquire_owned().await.expect(closed);
        Seat {
            _of_role: of_role,
            _of_all: of_all,
        }
    }

    /// Takes a session back that has been reset.
    pub(crate) fn give_back(&self, mut session: Session, seat: Seat) {
        session.since = Instant::now();
        if session.born.elapsed() > self.options.max_age {
            session.end();
        } else {
            self.idle().push(session);
        }
        drop(seat);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, key: &Key) -> Option<Session> {
        let mut idle = self.idle();
        let at = idle.iter().rposition(|session| *session.key == *key)?;
        Some(idle.remove(at))
    }

    /// The sessions that the server has, with those that are being made.
    fn sessions(&self, idle: usize) -> usize {
        let lent = self.max_sessions - self.seats.available_permits();
        lent + idle + self.warming.load(Ordering::Relaxed)
    }

    /// Closes idle sessions of other keys, so that one more does not exceed the bound. The seat of the new
    /// one is taken already.
    fn make_room(&self) {
        let mut idle = self.idle();
        while self.sessions(idle.len()) > self.max_sessions && !idle.is_empty() {
            idle.remove(0).end();
        }
    }

    /// Keeps sessions warm, and closes those that nobody needs. Never ends.
    pub(crate) async fn maintain(&self) {
        loop {
            self.sweep();
            let filled = self.fill().await;
            if !filled {
                sleep(SERVER_PAUSE).await;
                continue;
            }
            if timeout(SWEEP, self.lent.notified()).await.is_ok() {
                sleep(REFILL_DELAY).await;
            }
        }
    }

    /// Closes dead sessions, and those that have been idle for too long, but keeps as many as are to be warm.
    fn sweep(&self) {
        let mut idle = self.idle();
        idle.retain_mut(Session::is_alive);
        let late = |session: &Session| session.since.elapsed() > self.options.idle_timeout;
        // The oldest are at the front.
        let mut at = 0;
        while let Some(session) = idle.get(at).filter(|session| late(session)) {
            let same = idle.iter().filter(|other| other.key == session.key).count();
            let usual = self.roles.get(&session.key.role);
            let usual = usual.is_some_and(|role| role.key == session.key);
            if usual && same <= self.options.warm {
                at += 1;
            } else {
                idle.remove(at).end();
            }
        }
    }

    /// Makes sessions for the roles that have none left. Whether the server gave all of them.
    async fn fill(&self) -> bool {
        for role in self.roles.values() {
            let idle = self.idle().iter().filter(|s| s.key == role.key).count();
            if idle > 0 {
                continue;
            }
            // Nobody could have more.
            let free = role.seats.available_permits();
            for _ in 0..self.options.warm.min(free) {
                // Counted before it is asked whether there is room, so that two never take the same.
                let warming = Counted::new(&self.warming);
                let idle = self.idle().len();
                if self.sessions(idle) > self.max_sessions {
                    return true;
                }
                let key = Arc::clone(&role.key);
                let opened = Session::open(&self.options.server, key, &role.login.password);
                let Ok(session) = opened.await else {
                    tracing::debug!(role = role.login.role, "no session can be made");
                    return false;
                };
                self.idle().push(session);
                drop(warming);
                self.make_room();
            }
        }
        true
    }
}

/// Counts something for as long as it lasts.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
