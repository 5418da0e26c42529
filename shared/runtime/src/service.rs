//! Functions that are built, and lists of functions.

use axum::Router;
use zerocart_core::{Env, Function, Lasting, Platform, Setup, StartError, config::Background};
use zerocart_proto::rpc::{Info, Rpc};

use crate::{
    invoke::{Runtime, Settings},
    router,
    voids::VoidCheck,
};

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
    let mut setup = Setup::on(platform, env, F::Rpc::INFO.name).serving(Runtime::<F>::INFO);
    let settings = Settings::from_setup(&mut setup);
    let function = F::build(&mut setup);
    let (lasting, recorder, start) = (setup.lasting(), setup.recorder(), setup.start());
    let void_list = setup.registered_void_list();
    let (problems, metrics, background, readiness) = setup.finish();
    match (settings, function) {
        (Ok(settings), Ok(function)) if problems.is_empty() => {
            let voids = VoidCheck::new(void_list, settings.ages, lasting.clone());
            Ok(Built {
                router: router::router(Runtime::new(
                    function, settings, voids, metrics, readiness, recorder, start,
                )),
                background,
                lasting,
            })
        }
        _ => Err(StartError::Config(problems)),
    }
}

/// A service that runs as functions do.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name: of its binary, its manifest and the first label of its host.
    pub name: &'static str,
    /// Builds it.
    pub build: fn(Platform, Env) -> Result<Built, StartError>,
}

impl Service {
    /// The service of the function `F`.
    pub const fn of<F: Function>() -> Self {
        Self {
            name: F::Rpc::INFO.name,
            build: build_on::<F>,
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
            lasting: Lasting::default(),
        }
    }
}

/// A function in a list of functions.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The facts of its RPC.
    pub info: &'static Info,
    /// Builds it.
    pub build: fn(Platform, Env) -> Result<Built, StartError>,
}

impl Entry {
    /// The entry of `F`.
    pub const fn of<F: Function>() -> Self {
        Self {
            info: &F::Rpc::INFO,
            build: build_on::<F>,
        }
    }
}
