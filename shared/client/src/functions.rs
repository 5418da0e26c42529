//! The functions that one function calls.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use zerocart_core::{Invalid, Setup};
use zerocart_proto::rpc::{Info, JobInfo, Rpc};
use zerocart_resilience::breaker::{State, shared::Shared};

use crate::{
    address::Addresses,
    attempt::Attempt,
    callee::Callee,
    client::{Client, Inner as ClientInner, Options},
    identity::Identity,
    sidecar::{self, Carried},
    stack::Stack,
    transport::{H2c, Transport, Way},
};

/// Says that a proxy beside this process carries the calls.
const SIDECAR: &str = "FUNCTION_SIDECAR";

/// The longest wait for a function to wake.
const WAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A caller, and the functions that it may call.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The name of the function or job.
    pub name: &'static str,
    /// The names of the functions that it calls, as `proto/` declares them.
    pub calls: &'static [&'static str],
}

impl From<&Info> for Caller {
    fn from(info: &Info) -> Self {
        Self {
            name: info.name,
            calls: info.calls,
        }
    }
}

impl From<&JobInfo> for Caller {
    fn from(info: &JobInfo) -> Self {
        Self {
            name: info.name,
            calls: info.calls,
        }
    }
}

/// Addresses and connections of the functions that one function calls. Clones share everything.
#[derive(Clone)]
pub struct Functions(Arc<Inner>);

struct Inner {
    caller: Caller,
    addresses: Addresses,
    transport: Arc<dyn Transport>,
    sidecar: bool,
    callees: Mutex<Vec<Arc<Callee>>>,
    counts: Counts,
}

impl Functions {
    /// The functions that `caller` calls, where the environment says that they are: see the
    /// settings of this crate.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when a variable is bad; the reasons are noted.
    pub fn from_setup(setup: &mut Setup, caller: Caller) -> Result<Self, Invalid> {
        let transport = match setup.given::<Way>() {
            Some(Way(transport)) => transport,
            None => Arc::new(H2c::new()),
        };
        let addresses = Addresses::from_setup(setup, &*transport);
        let sidecar = setup.optional(SIDECAR);
        let (addresses, sidecar) = (addresses?, sidecar?.unwrap_or(false));
        let counts = Counts::default();
        setup.metrics().register(|registry| {
            registry.register(
                "zerocart_function_calls",
                "Calls of other functions, by callee and code",
                counts.calls.clone(),
            );
            registry.register(
                "zerocart_function_breaker_state",
                "The circuit breaker around calls of another function: 0 closed, 1 half-open, 2 open",
                counts.breakers.clone(),
            );
        });
        Ok(Self(Arc::new(Inner {
            caller,
            addresses,
            transport,
            sidecar,
            callees: Mutex::default(),
            counts,
        })))
    }

    /// A client of `R`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the caller does not declare that it calls `R`, when there is no address
    /// for it, and when the breaker's probes could lose their lease while they run; the reason is
    /// noted.
    pub fn client<R: Rpc>(
        &self,
        setup: &mut Setup,
        mut options: Options,
    ) -> Result<Client<R>, Invalid> {
        if R::INFO.access.anyone {
            options.identity = Identity::Nobody;
        }
        let limit = options.attempt_timeout.unwrap_or(R::INFO.timeout());
        let inner = self.prepare(R::INFO.name, R::INFO.grpc_path, limit, options);
        inner.map(Client::new).map_err(|problem| {
            setup.problem(problem);
            Invalid
        })
    }

    fn prepare(
        &self,
        name: &'static str,
        path: &'static str,
        limit: Duration,
        options: Options,
    ) -> Result<ClientInner, String> {
        let caller = self.0.caller;
        if !caller.calls.contains(&name) {
            return Err(format!(
                "{} calls {name}, which proto/ does not declare",
                caller.name
            ));
        }
        let lease = options
            .breaker
            .as_ref()
            .and_then(|breaker| breaker.config().breaker.probe_lease);
        if lease.is_some_and(|lease| lease < limit) {
            return Err(format!(
                "the circuit breaker's probe lease must not be shorter than an attempt of {name}"
            ));
        }
        let callee = self.callee(name)?;
        if options.wake {
            callee.is_expected();
        }
        if let Some(breaker) = &options.breaker {
            self.0.counts.observe(name, breaker);
        }
        let attempt = Attempt {
            callee,
            transport: Arc::clone(&self.0.transport),
            path,
            limit,
            sidecar: self.0.sidecar,
        };
        let stack = Stack::new(attempt, options.attempts, options.breaker.clone())
            .map_err(|error| format!("the client of {name}: {error}"))?;
        Ok(ClientInner {
            callee: name,
            stack,
            identity: options.identity,
            breaker: options.breaker,
            counts: self.0.counts.clone(),
        })
    }

    /// The callee of this name; the same for all its clients.
    fn callee(&self, name: &'static str) -> Result<Arc<Callee>, String> {
        let mut callees = self.0.callees();
        if let Some(callee) = callees.iter().find(|callee| callee.name == name) {
            return Ok(Arc::clone(callee));
        }
        let callee = Arc::new(Callee::new(name, self.0.addresses.of(name)?));
        callees.push(Arc::clone(&callee));
        Ok(callee)
    }

    /// Wakes all functions that clients were made for, unless these say otherwise
    /// ([`Options::wake`]), at once and without waiting.
    ///
    /// Each is asked for its health, which needs no identity and touches nothing else, over the
    /// connection that the calls will use. Those that gave a sign of life within the last 5 s are
    /// left alone. What comes of it shows only in the log, at `debug`.
    pub fn wake_all(&self) {
        let callees = self.0.callees();
        // In the order in which `proto/` names them, which is that of need: where few cores start
        // many functions, the first one should not be ready last.
        let needed = self.0.caller.calls.iter();
        let needed = needed.filter_map(|name| callees.iter().find(|callee| callee.name == *name));
        for callee in needed.filter(|callee| callee.expected()) {
            let (callee, transport) = (Arc::clone(callee), Arc::clone(&self.0.transport));
            let sidecar = self.0.sidecar;
            tokio::spawn(async move { wake(&callee, &*transport, sidecar).await });
        }
    }
}

impl Inner {
    fn callees(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Callee>>> {
        self.callees.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wake(callee: &Callee, transport: &dyn Transport, sidecar: bool) {
    let Some(_waking) = callee.wake() else { return };
    let until = Instant::now() + WAKE_TIMEOUT;
    let health = || transport.get(&callee.base, "/health");
    let carried = match sidecar {
        false => match timeout_at(until, health()).await {
            Ok(reply) => Carried::Through(reply),
            Err(_) => Carried::Late,
        },
        true => sidecar::carry(until, health, |_| ()).await,
    };
    let callee_name = callee.name;
    match carried {
        Carried::Through(Ok(reply)) if reply.status.is_success() => callee.awoken(),
        Carried::Through(Ok(reply)) => {
            let status = reply.status.as_u16();
            tracing::debug!(callee = callee_name, status, "a function did not wake");
        }
        Carried::Through(Err(error)) => {
            let error = &*error as &dyn std::error::Error;
            tracing::debug!(callee = callee_name, error, "a function did not wake");
        }
        Carried::NoWay => {
            tracing::debug!(
                callee = callee_name,
                "the sidecar is not ready to wake a function"
            );
        }
        Carried::Late => tracing::debug!(callee = callee_name, "a function did not wake in time"),
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("caller", &self.0.caller)
            .field("callees", &*self.0.callees())
            .finish_non_exhaustive()
    }
}

/// Calls by callee and code, circuit breakers by callee.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    calls: Family<CallLabels, Counter>,
    breakers: Family<BreakerLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    callee: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    callee: &'static str,
}

impl Counts {
    pub(crate) fn add(&self, callee: &'static str, code: &'static str) {
        self.calls.get_or_create(&CallLabels { callee, code }).inc();
    }

    fn observe(&self, callee: &'static str, breaker: &Shared) {
        let gauge = self
            .breakers
            .get_or_create(&BreakerLabels { callee })
            .clone();
        let show = move |state| {
            gauge.set(match state {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            });
        };
        show(breaker.snapshot().state);
        breaker.on_transition(move |transition| show(transition.to));
    }
}

/// What a function's health shows of a circuit breaker:
/// `{"state": "open", "consecutive_failures": 3, "retry_after_ms": 29000}`, without the last where
/// a call would pass.
pub fn health(breaker: &Shared) -> Value {
    let snapshot = breaker.snapshot();
    let mut shown = json!({
        "state": snapshot.state.as_str(),
        "consecutive_failures": snapshot.consecutive_failures,
    });
    if let Some(after) = snapshot.retry_after {
        shown["retry_after_ms"] = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).into();
    }
    shown
}
