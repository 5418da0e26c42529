//! The trait of a function's handler.

use std::future::Future;

use zerocart_proto::rpc::Rpc;

use crate::{
    call::Call,
    config::{Invalid, Setup},
    error::Error,
};

/// The request message of the function `F`.
pub type Request<F> = <<F as Function>::Rpc as Rpc>::Request;

/// The response message of the function `F`.
pub type Response<F> = <<F as Function>::Rpc as Rpc>::Response;

/// A handler: how it is built, and how it answers one call. The runtime does the rest: it reads the
/// request, verifies the token, keeps the deadline, and sends and logs the answer.
pub trait Function: Sized + Send + Sync + 'static {
    /// The RPC that the function serves.
    type Rpc: Rpc;

    /// Builds the handler from its configuration, once for each process. This opens no connection and waits
    /// for nothing: a task that takes time goes to [`Setup::background`]. A dependency, such as the
    /// database, registers its check with [`Setup::readiness`].
    ///
    /// # Errors
    ///
    /// [`Invalid`] after `setup` has noted every value that is missing or bad.
    fn build(setup: &mut Setup) -> Result<Self, Invalid>;

    /// Answers one call. The runtime has already checked the field rules and the access of the RPC. If the
    /// access is `owner`, the handler must also call [`Call::authorize_owner`] with the owner of the row
    /// that it loaded.
    ///
    /// # Errors
    ///
    /// The error that the client gets. The runtime logs it.
    fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self>, Error>> + Send;

    /// Further members of the answer to `GET /health` beside `status`, such as the state of a circuit
    /// breaker. By default there are none.
    fn health(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }
}
