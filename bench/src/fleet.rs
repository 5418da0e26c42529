//! Functions as the local engine runs them: from zero, by the real activator and manifests.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use axum::{Router, body::Body, routing::get};
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use uuid::Uuid;
use zerocart_activator::{Activator, Guard, ProcessLauncher, load_dir};
use zerocart_proto::rpc::{self, Rpc};

use crate::{
    binaries::{entries, workspace_root},
    cases::{self, Case, Seeds},
    cpu,
    stand::{Sessions, Stand},
};

/// How many products there are: enough for a full page of a list.
const PRODUCTS: u32 = 30;

/// How functions find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// Through the activator, as in the local engine.
    Open,
    /// Through the activator, except `GET /health`, which is answered before it gets there, so
    /// wake-ups have no effect.
    Sleepy,
    /// Not at all: nothing listens on this port.
    Closed(u16),
}

/// The log folder of all fleets of a run, and the guard that ends their functions if this process
/// is killed.
pub(crate) struct Yard {
    logs: TempDir,
    guard: Guard,
}

impl Yard {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            logs: tempfile::tempdir().context("cannot make a folder for logs")?,
            guard: Guard::spawn().context("cannot start a guard")?,
        })
    }
}

/// All functions, at zero when this is made.
pub(crate) struct Fleet {
    activator: Activator,
    /// Ends the address between functions when it is dropped.
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Fleet {
    /// The functions whose binaries are in `folder`.
    pub(crate) async fn start(
        yard: &Yard,
        stand: &Stand,
        folder: &Path,
        paths: Paths,
        sessions: Sessions,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = match paths {
            Paths::Open | Paths::Sleepy => listener.local_addr()?.port(),
            Paths::Closed(port) => port,
        };
        let env = entries().into_iter().map(|entry| {
            let env = stand.env(entry.info, port, sessions)?;
            Ok((entry.info.name.to_owned(), env))
        });
        let env: HashMap<_, _> = env.collect::<Result<_>>()?;
        let functions = load_dir(&workspace_root().join("knative/services"))?;
        let launcher =
            ProcessLauncher::new(folder, yard.logs.path(), yard.guard.clone(), move |name| {
                env.get(name).cloned().unwrap_or_default()
            });
        let activator = Activator::new(functions, launcher, Default::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let serving = match paths {
            Paths::Sleepy => {
                let router = sleepy(activator.clone());
                tokio::spawn(async move {
                    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
                    // The other end of every connection is gone when this ends.
                    let _ = serving.await;
                })
            }
            Paths::Open | Paths::Closed(_) => {
                let activator = activator.clone();
                tokio::spawn(async move { drop(activator.serve(listener, stopped).await) })
            }
        };
        Ok(Self {
            activator,
            stop,
            serving,
        })
    }

    /// Asks a function, which is started if necessary. Returns the answer, and the time that all of
    /// it took.
    ///
    /// # Errors
    ///
    /// For an answer of another status.
    pub(crate) async fn ask(&self, function: &str, case: &Case) -> Result<(String, Duration)> {
        let mut request = Request::builder()
            .method(case.method.as_str())
            .uri(&case.path)
            .header(header::HOST, "localhost");
        if let Some(token) = &case.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if case.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Body::from(case.body.clone().unwrap_or_default()))?;
        let began = Instant::now();
        let response = self.activator.handle(function, request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let took = began.elapsed();
        let body = body.with_context(|| format!("half an answer of {function}"))?;
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        if status != case.status {
            let wanted = case.status;
            bail!("{function}: status {status}, not {wanted}: {body}");
        }
        Ok((body, took))
    }

    /// The CPU time that the running functions have used so far, and PostgreSQL and the broker since they had used
    /// `before` ([`Stand::exact_cpu_ms`], [`Stand::broker_cpu_ms`]), in milliseconds; none if the kernel does not
    /// report it (`CONFIG_SCHED_INFO`).
    pub(crate) async fn cpu_ms(
        &self,
        stand: &Stand,
        (before, broker): (Option<f64>, Option<f64>),
    ) -> Result<Option<f64>> {
        let broker = match broker.zip(stand.broker_cpu_ms()) {
            Some((before, after)) => after - before,
            None => 0.0,
        };
        let functions = self.activator.status();
        let functions = functions.iter().flat_map(|f| &f.instances);
        let mut pids: Vec<_> = functions.filter_map(|instance| instance.pid).collect();
        let postgres = match before.zip(stand.exact_cpu_ms()) {
            Some((before, after)) => after - before,
            // What its sessions have used is less: their fork is not in it.
            None => {
                pids.extend(stand.sessions().await?);
                0.0
            }
        };
        let all: Option<f64> = pids.into_iter().map(cpu::of_process).sum();
        Ok(all.map(|all| all + postgres + broker))
    }

    /// Ends every function, and waits until all have ended.
    pub(crate) async fn end(self) -> Result<()> {
        self.activator.shutdown().await;
        drop(self.stop);
        self.serving
            .await
            .context("the way between functions broke")
    }

    /// An account, products, an order that is paid and one that is being made, all through the
    /// functions that make them, with a payment provider that answers at once and never fails.
    pub(crate) async fn seed(&self, stand: &Stand) -> Result<Seeds> {
        let mut seeds = Seeds {
            token: stand.admin_token()?,
            email: cases::email(0),
            ..Seeds::default()
        };
        let admin = seeds.token.clone();
        // The provider answers at once and never fails.
        let (set, user, product) = (
            rpc::SetFailureRate::INFO,
            rpc::CreateUser::INFO,
            rpc::CreateProduct::INFO,
        );
        self.ask(set.name, &cases::case(&set, &seeds, 0)).await?;
        let (made, _) = self.ask(user.name, &cases::case(&user, &seeds, 0)).await?;
        seeds.user_id = cases::text(&made, "/user/id")?;
        for n in 0..PRODUCTS {
            let case = cases::case(&product, &seeds, n);
            let (made, _) = self.ask(product.name, &case).await?;
            seeds.product_id = cases::text(&made, "/product/id")?;
        }
        seeds.busy_user_id = Uuid::now_v7().to_string();
        seeds.busy_token = stand.customer_token(&seeds.busy_user_id)?;
        let token = stand.customer_token(&seeds.user_id)?;
        let (product, user) = (seeds.product_id.clone(), seeds.user_id.clone());
        self.fill_cart(&user, &product, &admin).await?;
        let (paid, _) = self
            .ask(rpc::CreateOrder::INFO.name, &order(&user, &token))
            .await?;
        seeds.order_id = cases::text(&paid, "/order/id")?;
        seeds.payment_id = cases::text(&paid, "/order/payment_id")?;
        // The order has taken what was in the cart.
        self.fill_cart(&user, &product, &admin).await?;

        let (busy, token) = (seeds.busy_user_id.clone(), seeds.busy_token.clone());
        self.fill_cart(&busy, &product, &admin).await?;
        let (paid, _) = self
            .ask(rpc::CreateOrder::INFO.name, &order(&busy, &token))
            .await?;
        stand.reopen(&cases::text(&paid, "/order/id")?).await?;
        Ok(seeds)
    }

    /// Puts a unit of a product into somebody's cart.
    pub(crate) async fn fill_cart(&self, user: &str, product: &str, admin: &str) -> Result<()> {
        let info = rpc::AddToCart::INFO;
        let line = json!({"user_id": user, "product_id": product, "quantity": 1});
        let case = Case::call(&info, admin, line);
        self.ask(info.name, &case).await.map(drop)
    }
}

/// The order of somebody's cart.
pub(crate) fn order(user: &str, token: &str) -> Case {
    Case::call(&rpc::CreateOrder::INFO, token, json!({"user_id": user}))
}

/// The address between functions that answers wake-ups itself, so that they start nothing.
fn sleepy(activator: Activator) -> Router {
    Router::new().route("/health", get(async || "")).fallback(
        async move |request: Request<Body>| {
            let host = match request.uri().host() {
                Some(host) => Some(host),
                None => request
                    .headers()
                    .get(header::HOST)
                    .and_then(|h| h.to_str().ok()),
            };
            let function = host.and_then(|host| host.split(['.', ':']).next());
            let function = function.unwrap_or_default().to_owned();
            activator.handle(&function, request).await
        },
    )
}
