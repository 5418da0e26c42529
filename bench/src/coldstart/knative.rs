//! A cluster with Knative. The client runs where it reaches the cluster's Services, such as on a node.

use std::{
    collections::HashMap,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use http::Uri;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use zerocart_anatomy::{Api, ColdStart};
use zerocart_cluster::{Kubectl, Mode, Programs};
use zerocart_collector::otlp::Export;

use super::{
    client::{Asked, Place},
    empty,
    engine::{EMPTY, Expected, Told},
    phases::{Cut, Phases, Spans},
    traces::Traces,
};

/// The namespace of the functions.
const NAMESPACE: &str = "zerocart";
/// The label of the pods of functions.
const SERVICE: &str = "serving.knative.dev/service";

/// How long pods may take to go: a window, Knative's grace, and a drain of 30 s.
const ZERO_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(500);
/// How long the watch may take to tell a cold start after its answer.
const TOLD_LIMIT: Duration = Duration::from_secs(10);
const CALLED_LIMIT: Duration = Duration::from_secs(2);
const PROXY_LIMIT: Duration = Duration::from_secs(10);

/// Which cluster, and how it is reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The context of kubectl's configuration, with --engine knative
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// kubectl's configuration [default: as kubectl finds it]
    #[arg(long, value_name = "FILE", requires = "context")]
    kubeconfig: Option<PathBuf>,
    /// The public address of the cluster's edge: what the gateway costs is measured through it
    #[arg(long, value_name = "URL", requires = "context")]
    url: Option<Uri>,
    /// Where Kourier's internal gateway is reached [default: the address of its Service in the cluster, which
    /// nodes reach]
    #[arg(long, value_name = "URL", requires = "context")]
    direct: Option<Uri>,
    /// Load the image of the empty function: kind=NAME, ctr, minikube=PROFILE, k3d=NAME, docker or podman. Without it
    /// the nodes must have it
    #[arg(long, value_name = "PLACE", requires = "context")]
    load: Option<zerocart_images::Loader>,
    /// Write the spans of all requests to this file, as lines that `zerocart trace --file` shows
    #[arg(long, value_name = "FILE", requires = "context")]
    traces: Option<PathBuf>,
}

/// Cold starts by trace and function, as the watch tells them.
type Starts = Arc<Mutex<HashMap<(String, String), ColdStart>>>;

/// A cluster.
pub(super) struct Knative {
    kubectl: Kubectl,
    api: Api,
    /// `kubectl proxy`.
    proxy: Child,
    watching: JoinHandle<()>,
    starts: Starts,
    direct: SocketAddr,
    gateway: Option<Place>,
    token: String,
    traces: Option<Traces>,
}

impl Knative {
    pub(super) async fn reach(options: &Options, token: String) -> Result<Self> {
        let context = options.context.as_deref();
        let context =
            context.context("--engine knative needs --context: that of kubectl's configuration")?;
        let programs = Programs::of_machine();
        let kubectl = Kubectl::new(programs, context, options.kubeconfig.clone(), Mode::Change);
        let (proxy, api) = proxy(context, options.kubeconfig.as_ref()).await?;
        let starts = Starts::default();
        let (ready, watched) = oneshot::channel();
        let watching = {
            let (api, starts) = (api.clone(), Arc::clone(&starts));
            tokio::spawn(async move {
                let tell = |start: ColdStart| {
                    let key = (start.call.trace_id.clone(), start.function.clone());
                    starts
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(key, start);
                };
                // If nobody waits any more, nobody hears of it.
                let ready = || {
                    let _ = ready.send(());
                };
                if let Err(error) = zerocart_anatomy::watch(&api, NAMESPACE, ready, tell).await {
                    eprintln!("the cluster cannot be watched: {error}");
                }
            })
        };
        watched.await.context("the pods cannot be watched")?;
        let direct = match &options.direct {
            Some(url) => place(url, "--direct")?.address,
            None => internal(&api).await?,
        };
        let knative = Self {
            gateway: options
                .url
                .as_ref()
                .map(|url| place(url, "--url"))
                .transpose()?,
            traces: options.traces.as_deref().map(Traces::create).transpose()?,
            kubectl,
            api,
            proxy,
            watching,
            starts,
            direct,
            token,
        };
        let window = knative.window("get-product").await?;
        empty::deploy(&knative.kubectl, options.load.as_ref(), &window).await?;
        Ok(knative)
    }

    pub(super) fn direct(&self, function: &str) -> Place {
        Place {
            address: self.direct,
            host: format!("{function}.{NAMESPACE}.svc.cluster.local"),
        }
    }

    /// The edge does not know the empty function.
    pub(super) fn gateway(&self, function: &str) -> Option<Place> {
        self.gateway.clone().filter(|_| function != EMPTY)
    }

    pub(super) fn admin(&self) -> String {
        self.token.clone()
    }

    async fn pods(&self) -> Result<Vec<Value>> {
        let path = format!(
            "/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=serving.knative.dev%2Fservice"
        );
        let mut list = self.api.get(&path).await?;
        match list["items"].take() {
            Value::Array(pods) => Ok(pods),
            _ => bail!("the list of pods has no items"),
        }
    }

    /// Waits until Knative has scaled everything to zero. Pods that end already are not drained to their end: they
    /// have nothing to do any more, and the 30 s of their drain tell nothing about a start.
    pub(super) async fn to_zero(&self) -> Result<()> {
        let deadline = Instant::now() + ZERO_LIMIT;
        let mut hurried = Vec::new();
        loop {
            let pods = self.pods().await?;
            if pods.is_empty() {
                return Ok(());
            }
            let names = pods
                .iter()
                .filter(|pod| pod["metadata"]["deletionTimestamp"].is_string());
            let names: Vec<_> = names
                .filter_map(|pod| pod["metadata"]["name"].as_str())
                .collect();
            for name in names {
                if !hurried.iter().any(|known| known == name) {
                    let args = [
                        "pod",
                        name,
                        "--namespace",
                        NAMESPACE,
                        "--grace-period=1",
                        "--wait=false",
                    ];
                    self.kubectl.delete(&args, Duration::from_secs(30)).await?;
                    hurried.push(name.to_owned());
                }
            }
            if Instant::now() > deadline {
                let left: Vec<_> = pods
                    .iter()
                    .filter_map(|pod| pod["metadata"]["name"].as_str())
                    .collect();
                bail!(
                    "after {} s these pods are still there: {}",
                    ZERO_LIMIT.as_secs(),
                    left.join(", ")
                );
            }
            sleep(POLL).await;
        }
    }

    pub(super) async fn are_at_zero(&self, functions: &[&str]) -> Result<bool> {
        let pods = self.pods().await?;
        let mut of = pods
            .iter()
            .filter_map(|pod| pod["metadata"]["labels"][SERVICE].as_str());
        Ok(!of.any(|function| functions.contains(&function)))
    }

    pub(super) async fn told(
        &self,
        function: &str,
        asked: &Asked,
        expected: Expected,
    ) -> Result<Told> {
        let key = (asked.trace_id.clone(), function.to_owned());
        let deadline = Instant::now() + TOLD_LIMIT;
        let start = loop {
            let found = self.lock().get(&key).cloned();
            if found.is_some() || Instant::now() > deadline {
                break found;
            }
            sleep(Duration::from_millis(50)).await;
        };
        if start.is_some() && expected.starts > 1 {
            // Those that it calls are told later.
            sleep(CALLED_LIMIT).await;
        }
        let all: Vec<_> = {
            let starts = self.lock();
            let of = starts
                .iter()
                .filter(|((trace, _), _)| *trace == asked.trace_id);
            of.map(|(_, start)| start.clone()).collect()
        };
        if let Some(traces) = &self.traces {
            traces.write(function, asked, &all)?;
        }
        Ok(Told {
            started: all.len(),
            early: start
                .as_ref()
                .is_some_and(|start| start.from_ns() < asked.from_ns),
            phases: start
                .filter(|_| !expected.woken)
                .map(|start| phases(&start, asked)),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), ColdStart>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time without requests after which Knative begins to scale a function to zero.
    async fn window(&self, function: &str) -> Result<String> {
        let path =
            format!("/apis/serving.knative.dev/v1/namespaces/{NAMESPACE}/services/{function}");
        let service = self.api.get(&path).await?;
        let annotations = &service["spec"]["template"]["metadata"]["annotations"];
        let window = annotations["autoscaling.knative.dev/window"].as_str();
        // Knative's default.
        Ok(window.unwrap_or("60s").to_owned())
    }

    pub(super) async fn parts(&self) -> Result<Vec<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
        let version = self.api.get("/version").await?;
        let nodes = self.api.get("/api/v1/nodes").await?;
        let nodes = nodes["items"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut parts = vec![("Kubernetes".to_owned(), text(&version["gitVersion"]))];
        if let Some(node) = nodes.first() {
            let info = &node["status"]["nodeInfo"];
            let allocatable = &node["status"]["allocatable"];
            let node = format!(
                "{} of {} cores and {}: kubelet {}, {}, Linux {}",
                nodes.len(),
                text(&allocatable["cpu"]),
                text(&allocatable["memory"]),
                text(&info["kubeletVersion"]),
                text(&info["containerRuntimeVersion"]),
                text(&info["kernelVersion"]),
            );
            parts.push(("nodes".to_owned(), node));
        }
        let controller = "/apis/apps/v1/namespaces/knative-serving/deployments/controller";
        let controller = self.api.get(controller).await?;
        let serving = text(&controller["metadata"]["labels"]["app.kubernetes.io/version"]);
        parts.push(("Knative Serving".to_owned(), serving));
        let config = "/api/v1/namespaces/knative-serving/configmaps/config-autoscaler";
        let config = self.api.get(config).await?;
        let grace = config["data"]["scale-to-zero-grace-period"]
            .as_str()
            .unwrap_or("30s");
        let window = self.window(EMPTY).await?;
        parts.push((
            "to zero".to_owned(),
            format!("window {window}, grace {grace}"),
        ));
        Ok(parts)
    }

    pub(super) async fn stop(mut self) {
        self.watching.abort();
        // It has nothing to end.
        let _ = self.proxy.kill().await;
    }
}

/// The phases of a request: held until a pod was decided, then what the watch tells, then the call.
fn phases(start: &ColdStart, asked: &Asked) -> Phases {
    let mut cuts = vec![Cut::new("request held", start.from_ns())];
    let own = start.phases.iter();
    cuts.extend(own.map(|phase| Cut::new(phase.name.as_str(), phase.to_ns)));
    cuts.push(Cut::new("call", start.call.to_ns));
    let mut phases = Phases::cut(asked.from_ns, asked.took_ms, &cuts, "answer");
    phases.wrong_ms += start.disorder_ns as f64 / 1e6;
    if let Ok(export) = serde_json::from_str::<Export>(&start.line) {
        let spans = Spans::of(export);
        // Others of its spans may be on other lines.
        phases.within = spans.process(&start.function);
    }
    phases
}

/// `kubectl proxy`, and the API behind it.
async fn proxy(context: &str, kubeconfig: Option<&PathBuf>) -> Result<(Child, Api)> {
    let mut command = tokio::process::Command::new("kubectl");
    if let Some(file) = kubeconfig {
        command.arg("--kubeconfig").arg(file);
    }
    command
        .args(["--context", context, "proxy", "--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let mut child = command.spawn().context("cannot run kubectl")?;
    let output = child.stdout.take().context("kubectl has no output")?;
    let mut lines = BufReader::new(output).lines();
    let line = timeout(PROXY_LIMIT, lines.next_line()).await;
    let line = line.ok().and_then(Result::ok).flatten().unwrap_or_default();
    // Starting to serve on 127.0.0.1:40123
    let address: Option<SocketAddr> = line.rsplit(' ').next().and_then(|a| a.parse().ok());
    let address = address
        .with_context(|| format!("`kubectl --context {context} proxy` does not serve: {line}"))?;
    // It says nothing more that anybody needs.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, Api::at(&format!("http://{address}"))?))
}

/// The address of Kourier's internal gateway in the cluster.
async fn internal(api: &Api) -> Result<SocketAddr> {
    let path = "/api/v1/namespaces/kourier-system/services/kourier-internal";
    let service = api
        .get(path)
        .await
        .context("--direct is not given, and Kourier is not found")?;
    let address = service["spec"]["clusterIP"]
        .as_str()
        .and_then(|ip| ip.parse().ok());
    let ip = address.context("kourier-internal has no address: give --direct")?;
    Ok(SocketAddr::new(ip, 80))
}

fn place(url: &Uri, option: &str) -> Result<Place> {
    let wrong = || anyhow!("{option} {url}: it must be an http URL with a host");
    let host = url.host().ok_or_else(wrong)?;
    if url.scheme_str() != Some("http") {
        return Err(wrong());
    }
    let addresses = (host, url.port_u16().unwrap_or(80)).to_socket_addrs();
    let mut addresses = addresses.with_context(|| format!("{option} {url}"))?;
    let authority = url.authority().map(ToString::to_string);
    Ok(Place {
        address: addresses.next().ok_or_else(wrong)?,
        host: authority.unwrap_or_default(),
    })
}
