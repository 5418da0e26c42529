//! Reads of one row that share a connection.
//!
//! A [`Session`] has its connection alone, so each of its statements is a write, a wait and a read of
//! its own. Reads that run at the same time need no such isolation: each is one statement, and a
//! transaction of its own. They share a connection, so the statements of several calls go out in one
//! write, the server works them off in order, and their answers come in one read (pipelining).
//!
//! The connection is taken from the pool by the first read, joined by those that come meanwhile, and
//! given back by the last. All else takes its own connection from the pool, as ever: reads share only
//! where the pool has more than one.
//!
//! - **A slow statement delays those behind it.** So only statements belong here that find a row by
//!   its key. When a read runs into its deadline, no other read joins it any more.
//! - **A read that is dropped** leaves the others alone. The last one of them gives the server a short
//!   time for what it still owes, as a session does.
//! - **A connection that ends fails all reads on it.** A read has no effect, so it is then repeated
//!   once, over a connection of its own.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use deadpool_postgres::Client;
use tokio::runtime::Handle;
use tokio_postgres::{Row, types::ToSql};
use zerocart_core::{Call, Error};

use crate::{Database, Session, session::drain};

/// A connection that reads share. It goes back to the pool when the last one leaves.
pub(crate) struct Shared {
    /// None only after the drop.
    client: Option<Client>,
    database: Database,
    /// A read was dropped that was not answered.
    owes: AtomicBool,
    /// Nobody joins any more, and the connection is not to be used again.
    ended: AtomicBool,
}

impl Database {
    /// The row of a statement that reads one row or none. `statement` must find it by a key, and change
    /// nothing: it may be sent twice, and others wait behind it.
    ///
    /// # Errors
    ///
    /// As those of [`session`](Self::session) and of [`Session::query_opt`].
    pub async fn read_opt(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let session = self.reading(cx, statement).await?;
        match session.query_opt(statement, params).await {
            Err(error) if error.is_lost_connection() && session.is_reused() => {
                drop(session);
                Ok(self.session(cx).await?.query_opt(statement, params).await?)
            }
            result => Ok(result?),
        }
    }

    /// A session for one read.
    async fn reading(&self, cx: &Call, statement: &str) -> Result<Session, Error> {
        let permit = self.permit()?;
        let Some(reads) = self.reads() else {
            return Session::open(self, cx.deadline, permit, Some(&cx.trace)).await;
        };
        if let Some(shared) = present(reads) {
            return Ok(Session::join(self, cx.deadline, permit, shared, &cx.trace));
        }
        let mut session = Session::open(self, cx.deadline, permit, Some(&cx.trace)).await?;
        // Those who join find it prepared.
        session.prepare(&[statement]).await?;
        match present(reads) {
            // Another read was faster.
            Some(shared) => session.rejoin(shared),
            None => {
                if let Some(shared) = session.share() {
                    *lock(reads) = Arc::downgrade(&shared);
                }
            }
        }
        Ok(session)
    }
}

fn lock(reads: &Mutex<Weak<Shared>>) -> std::sync::MutexGuard<'_, Weak<Shared>> {
    reads.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection that a read can join.
fn present(reads: &Mutex<Weak<Shared>>) -> Option<Arc<Shared>> {
    let shared = lock(reads).upgrade()?;
    let usable = !shared.ended.load(Ordering::Relaxed) && !shared.client().is_closed();
    usable.then_some(shared)
}

impl Shared {
    pub(crate) fn new(client: Client, database: &Database) -> Self {
        Self {
            client: Some(client),
            database: database.clone(),
            owes: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        self.client
            .as_ref()
            .expect("a connection is there until it is dropped")
    }

    /// A read leaves. `unanswered`: it was dropped before its answer. `end`: the connection is of no
    /// further use to others.
    pub(crate) fn leave(self: Arc<Self>, unanswered: bool, end: bool) {
        if unanswered {
            self.owes.store(true, Ordering::Relaxed);
        }
        if end {
            self.ended.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let (owes, ended) = (*self.owes.get_mut(), *self.ended.get_mut());
        if !owes && !ended {
            // Back to the pool.
            return drop(client);
        }
        let runtime = Handle::try_current().ok().filter(|_| owes);
        if let Some(runtime) = &runtime
            && !ended
        {
            runtime.spawn(drain::drain(client, self.database.clone()));
            return;
        }
        let client = Client::take(client);
        if let Some(runtime) = runtime {
            // Nobody else uses the connection any more, so no other statement is met.
            runtime.spawn(self.database.transport().cancel(client.cancel_token()));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
