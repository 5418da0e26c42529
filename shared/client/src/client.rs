//! A client of one RPC.

use std::{fmt, marker::PhantomData, num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;
use zerocart_core::Call;
use zerocart_proto::rpc::Rpc;
use zerocart_resilience::breaker::shared::Shared;

use crate::{
    attempt::{Outgoing, Trail},
    failure::Failure,
    functions::Counts,
    grpc,
    identity::Identity,
    stack::Stack,
};

/// How one RPC is called.
#[derive(Clone, Debug)]
pub struct Options {
    /// The identity of the call. Default: the call's own caller.
    pub identity: Identity,
    /// A circuit breaker around each call, for which all attempts together are one outcome. Default:
    /// none. Its probe lease is the longest that a call may take then.
    pub breaker: Option<Shared>,
    /// Attempts in all, the first included. Default 3; more than 1 only for what is safe to repeat.
    ///
    /// Repeated are attempts that found no function, whose process died, or that were not answered in
    /// time, UNAVAILABLE, RESOURCE_EXHAUSTED and DEADLINE_EXCEEDED, and ABORTED when the callee says
    /// when to come back; never past the deadline, and not once others have opened the breaker. A
    /// process that died is replaced at once, once in a call; before all other attempts there is a
    /// pause, and a budget limits them.
    pub attempts: NonZeroU32,
    /// The longest that one attempt may take. Default: the callee's own limit.
    pub attempt_timeout: Option<Duration>,
    /// Whether [`Functions::wake_all`](crate::Functions::wake_all) wakes it. Default: yes; no for
    /// what is only called when something goes wrong.
    pub wake: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            identity: Identity::default(),
            breaker: None,
            attempts: NonZeroU32::MIN.saturating_add(2),
            attempt_timeout: None,
            wake: true,
        }
    }
}

/// A client of the RPC `R`. Clones share everything.
pub struct Client<R> {
    inner: Arc<Inner>,
    rpc: PhantomData<fn() -> R>,
}

/// What does not depend on the messages' types: it exists once in a program, not once per RPC.
pub(crate) struct Inner {
    pub(crate) callee: &'static str,
    pub(crate) stack: Stack,
    pub(crate) identity: Identity,
    pub(crate) breaker: Option<Shared>,
    pub(crate) counts: Counts,
}

impl<R: Rpc> Client<R> {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            rpc: PhantomData,
        }
    }

    /// Calls the function, within the deadline of `cx`; trace and identity are passed on.
    ///
    /// Dropping the future ends the call over there, too.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn call(&self, cx: &Call, request: &R::Request) -> Result<R::Response, Failure> {
        let bytes = self.inner.call(cx, request.encode_to_vec().into()).await?;
        R::Response::decode(bytes).map_err(|error| Failure::unreadable(self.inner.callee, error))
    }

    /// The circuit breaker, if there is one.
    pub fn breaker(&self) -> Option<&Shared> {
        self.inner.breaker.as_ref()
    }
}

impl Inner {
    async fn call(&self, cx: &Call, message: Bytes) -> Result<Bytes, Failure> {
        let result = self.send(cx, message).await;
        let code = match &result {
            Ok(_) => "OK",
            Err(failure) => failure.kind.name(),
        };
        self.counts.add(self.callee, code);
        result
    }

    async fn send(&self, cx: &Call, message: Bytes) -> Result<Bytes, Failure> {
        let callee = self.callee;
        let token = self
            .identity
            .token(cx)
            .map_err(|error| Failure::ours(callee, error))?;
        let message = grpc::frame(&message).map_err(|error| Failure::ours(callee, error))?;
        let trail = Arc::new(Trail::default());
        let out = Outgoing {
            message,
            began: Instant::now(),
            deadline: cx.deadline,
            admitted: None,
            trace: cx.trace.clone(),
            breaker: None,
            token,
            trail: Arc::clone(&trail),
        };
        let result = self.stack.call(out).await;
        result.map_err(|error| Failure::of(callee, error, &trail))
    }
}

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            rpc: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("callee", &self.inner.callee)
            .field("identity", &self.inner.identity)
            .field("breaker", &self.inner.breaker)
            .finish_non_exhaustive()
    }
}
