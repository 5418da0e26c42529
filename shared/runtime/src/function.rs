//! What a function is, and lists of functions.

use std::future::Future;

use axum::Router;
use zerocart_proto::rpc::{Info, Rpc};

use crate::{
    call::Call,
    config::{Background, Env, Invalid, Platform, Setup, StartError},
    error::Error,
    invoke::Runtime,
    lasting::Lasting,
    router,
};

/// The request of a function.
pub type Request<F> = <<F as Function>::Rpc as Rpc>::Request;

/// The response of a function.
pub type Response<F> = <<F as Function>::Rpc as Rpc>::Response;

/// A handler: how it is built, and how it answers one call. Everything around it is the runtime's.
pub trait Function: Sized + Send + Sync + 'static {
    /// The RPC that it serves.
    type Rpc: Rpc;

    /// Builds it from its configuration. Opens no connection and waits for nothing: what takes
    /// time goes into [`Setup::background`]. What it depends on registers [`Setup::readiness`].
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

/// A function that is built: its routes, and what runs beside them.
pub struct Built {
    /// JSON, gRPC, gRPC-Web, health and metrics.
    pub router: Router,
    /// To be spawned once it listens.
    pub background: Vec<Background>,
    /// What goes on after its call; a process that stops waits for it.
    pub lasting: Lasting,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").finish_non_exhaustive()
    }
}

/// Builds the function `F`.
///
/// # Errors
///
/// [`StartError::Config`] with everything that is wrong.
pub fn build<F: Function>(env: Env) -> Result<Built, StartError> {
    build_on::<F>(Platform::default(), env)
}

/// Builds the function `F` on a platform that gives more than variables.
///
/// # Errors
///
/// [`StartError::Config`] with everything that is wrong.
pub fn build_on<F: Function>(platform: Platform, env: Env) -> Result<Built, StartError> {
    let mut setup = Setup::on(platform, env, F::Rpc::INFO.name);
    let settings = crate::invoke::Settings::from_setup(&mut setup);
    let function = F::build(&mut setup);
    let lasting = setup.lasting();
    let (problems, metrics, background, readiness) = setup.finish();
    match (settings, function) {
        (Ok(settings), Ok(function)) if problems.is_empty() => Ok(Built {
            router: router::router(Runtime::new(function, settings, metrics, readiness)),
            background,
            lasting,
        }),
        _ => Err(StartError::Config(problems)),
    }
}

/// Something that runs as functions do, whatever it serves.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name: of its binary, its manifest and the first label of its host.
    pub name: &'static str,
    /// Builds it.
    pub build: fn(Env) -> Result<Built, StartError>,
}

impl Service {
    /// The service of the function `F`.
    pub const fn of<F: Function>() -> Self {
        Self {
            name: F::Rpc::INFO.name,
            build: build::<F>,
        }
    }
}

impl Built {
    /// A service that serves no RPC of the contract, and depends on nothing: `routes`, health, and a
    /// clean answer to all else.
    pub fn from_routes(routes: Router) -> Self {
        Self {
            router: router::of_routes(routes),
            background: Vec::new(),
            lasting: Lasting::new(),
        }
    }
}

/// A function in a list of functions.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The facts of its RPC.
    pub info: &'static Info,
    /// Builds it.
    pub build: fn(Env) -> Result<Built, StartError>,
}

impl Entry {
    /// The entry of `F`.
    pub const fn of<F: Function>() -> Self {
        Self {
            info: &F::Rpc::INFO,
            build: build::<F>,
        }
    }
}
