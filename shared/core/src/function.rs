//! What a function is.

use std::future::Future;

use zerocart_proto::rpc::Rpc;

use crate::{
    call::Call,
    config::{Invalid, Setup},
    error::Error,
};

/// The request of a function.
pub type Request<F> = <<F as Function>::Rpc as Rpc>::Request;

/// The response of a function.
pub type Response<F> = <<F as Function>::Rpc as Rpc>::Response;

/// A handler: how it is built, and how it answers one call. The runtime does everything around it.
pub trait Function: Sized + Send + Sync + 'static {
    /// The RPC that it serves.
    type Rpc: Rpc;

    /// Builds it from its configuration. It opens no connection and waits for nothing. Work that
    /// takes time goes into [`Setup::background`]. What it depends on registers
    /// [`Setup::readiness`].
    ///
    /// # Errors
    ///
    /// [`Invalid`] after `setup` noted what is missing or bad.
    fn build(setup: &mut Setup) -> Result<Self, Invalid>;

    /// Answers one call. The request is valid by its field rules and the caller is allowed by the
    /// RPC's access; with `owner` access the handler calls [`Call::authorize_owner`].
    fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self>, Error>> + Send;

    /// What `GET /health` shows beside `status`, such as the state of a breaker.
    fn health(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }
}
