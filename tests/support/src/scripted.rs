//! A function that does what a test says, in place of any RPC of the contract.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Map, Value};
use zerocart_core::{Call, Error, Function, Invalid, Setup};
use zerocart_proto::rpc::Rpc;

/// The variable that names a script.
const VARIABLE: &str = "SCRIPT";

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;
type Handler<R> = dyn Fn(Call, <R as Rpc>::Request) -> Answer<<R as Rpc>::Response> + Send + Sync;
type Ready = dyn Fn() -> Answer<()> + Send + Sync;

/// What a [`Scripted`] function does.
pub struct Script<R: Rpc> {
    handler: Arc<Handler<R>>,
    ready: Arc<Ready>,
    health: Map<String, Value>,
}

impl<R: Rpc> Script<R> {
    /// Answers each call with what `handler` makes of it.
    pub fn new<H, A>(handler: H) -> Self
    where
        H: Fn(Call, R::Request) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R::Response, Error>> + Send + 'static,
    {
        Self {
            handler: Arc::new(move |cx, request| Box::pin(handler(cx, request))),
            ready: Arc::new(|| Box::pin(async { Ok(()) })),
            health: Map::new(),
        }
    }

    /// Answers each call with `response`.
    pub fn answers(response: R::Response) -> Self {
        Self::new(move |_, _| std::future::ready(Ok(response.clone())))
    }

    /// Fails each call with the error that `error` makes.
    pub fn fails(error: impl Fn() -> Error + Send + Sync + 'static) -> Self {
        Self::new(move |_, _| std::future::ready(Err(error())))
    }

    /// Answers whether it is ready with what `ready` says.
    #[must_use]
    pub fn ready<H, A>(mut self, ready: H) -> Self
    where
        H: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.ready = Arc::new(move || Box::pin(ready()));
        self
    }

    /// Shows `key` in its health.
    #[must_use]
    pub fn health(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.health.insert(key.to_owned(), value.into());
        self
    }

    /// Keeps the script where [`Scripted`] finds it, and gives the variable that names it.
    pub fn into_env(self) -> (String, String) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        scripts().insert(id.clone(), Box::new(self));
        (VARIABLE.to_owned(), id)
    }
}

impl<R: Rpc> fmt::Debug for Script<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", R::INFO.name)
    }
}

type Scripts = HashMap<String, Box<dyn Any + Send>>;

/// A function is built from its environment alone, so what a test wants of it waits here.
fn scripts() -> std::sync::MutexGuard<'static, Scripts> {
    static SCRIPTS: LazyLock<Mutex<Scripts>> = LazyLock::new(Mutex::default);
    SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The function that serves `R` by its [`Script`].
#[derive(Debug)]
pub struct Scripted<R: Rpc>(Script<R>);

impl<R: Rpc> Function for Scripted<R> {
    type Rpc = R;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let id: String = setup.require(VARIABLE)?;
        let script = scripts().remove(&id);
        match script.and_then(|script| script.downcast::<Script<R>>().ok()) {
            Some(script) => {
                let ready = Arc::clone(&script.ready);
                setup.readiness(move || ready());
                Ok(Self(*script))
            }
            None => {
                setup.problem(format!("{VARIABLE} names no script of this RPC"));
                Err(Invalid)
            }
        }
    }

    fn call(
        &self,
        cx: &Call,
        request: R::Request,
    ) -> impl Future<Output = Result<R::Response, Error>> + Send {
        // A script that panics before its first await does so inside the call, like a handler.
        let handler = Arc::clone(&self.0.handler);
        let cx = cx.clone();
        async move { handler(cx, request).await }
    }

    fn health(&self) -> Map<String, Value> {
        self.0.health.clone()
    }
}
