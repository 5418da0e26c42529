//! Which client has which session now: for requests to cancel.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Address, server::Backend};

/// A pid and a secret, as a client gets them. The pid is the server's, the secret is drawn for each client:
/// an earlier client of the session knows another one.
type Name = (i32, i32);

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<Name, Arc<Lease>>>);

#[derive(Debug)]
struct Lease {
    backend: Backend,
    /// Held while a request to cancel is on its way.
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// A request may arrive at any time.
    uncertain: bool,
}

impl Leases {
    /// A client has this session from now on.
    pub(crate) fn open(&self, backend: Backend) -> Name {
        let lease = Arc::new(Lease {
            backend,
            state: tokio::sync::Mutex::default(),
        });
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let name = (backend.pid, rand::random());
            if let std::collections::hash_map::Entry::Vacant(free) = leases.entry(name) {
                free.insert(lease);
                return name;
            }
        }
    }

    /// The client is gone. Waits for a request to cancel that is on its way. Whether the session can be lent
    /// again: no such request can hit what it does next.
    pub(crate) async fn close(&self, name: Name) -> bool {
        let lease = {
            let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            leases.remove(&name)
        };
        let Some(lease) = lease else { return false };
        let mut state = lease.state.lock().await;
        state.closed = true;
        !state.uncertain
    }

    /// Passes a request to cancel on to the server, and returns when the server is done with it. A request of
    /// nobody's name does nothing, as with PostgreSQL.
    pub(crate) async fn cancel(&self, name: Name, server: &Address) {
        let lease = {
            let leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            leases.get(&name).cloned()
        };
        let Some(lease) = lease else { return };
        let mut state = lease.state.lock().await;
        if state.closed || state.uncertain {
            return;
        }
        // Until the server has answered, also if this future is dropped.
        state.uncertain = true;
        match lease.backend.cancel(server).await {
            Ok(()) => state.uncertain = false,
            Err(error) => tracing::warn!(%error, "a request to cancel was not passed on"),
        }
    }
}
