//! A kind cluster of its own name.
//!
//! kind makes the context of a new cluster the current one. It is set back, so that other programs of
//! the same person go on to ask the cluster that they asked before.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    Engine, Kubectl, Mode, Problem, Programs, Progress, Result, program::Call, version::Version,
};

/// The name unless another is asked for.
pub const NAME: &str = "zerocart";

/// The node image: the one that kind 0.32 was released with, which later ones run, too.
pub const NODE_IMAGE: &str = "kindest/node:v1.36.1\
    @sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5";

/// The NodePort of the edge for HTTP, which the HTTP port of the machine leads to.
pub const NODE_PORT_HTTP: u16 = 30080;

/// The NodePort of the edge for HTTPS.
pub const NODE_PORT_HTTPS: u16 = 30443;

/// The label of a node of a cluster that deploy made. kubelet refuses labels of `kubernetes.io`.
const LABEL: (&str, &str) = ("zerocart/managed-by", "zerocart");

/// The image of a node has about 400 MB, which may have to be fetched.
const CREATE_LIMIT: Duration = Duration::from_secs(900);

/// A kind cluster, as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The port of this machine where the edge serves HTTP.
    pub http_port: u16,
    /// The port of this machine where the edge serves HTTPS.
    pub https_port: u16,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: NAME.to_owned(),
            http_port: 8080,
            https_port: 8443,
        }
    }
}

impl Cluster {
    /// The context that kind gives it.
    pub fn context(&self) -> String {
        format!("kind-{}", self.name)
    }

    fn node(&self) -> String {
        format!("{}-control-plane", self.name)
    }

    /// The configuration file for kind. The ports of the edge are open to this machine only.
    pub fn config(&self) -> Value {
        let port = |node: u16, machine: u16| {
            json!({
                "containerPort": node,
                "hostPort": machine,
                "listenAddress": "127.0.0.1",
                "protocol": "TCP",
            })
        };
        json!({
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{
                "role": "control-plane",
                "image": NODE_IMAGE,
                "labels": {LABEL.0: LABEL.1},
                "extraPortMappings": [
                    port(NODE_PORT_HTTP, self.http_port),
                    port(NODE_PORT_HTTPS, self.https_port),
                ],
            }],
        })
    }
}

/// The Kubernetes of the node image.
pub(crate) fn node_version() -> Option<Version> {
    NODE_IMAGE.split([':', '@']).find_map(Version::find)
}

/// kind, with the engine that it uses and the kubeconfig that it writes.
#[derive(Clone, Debug)]
pub struct Kind {
    programs: Programs,
    engine: Engine,
    kubeconfig: Option<PathBuf>,
}

impl Kind {
    /// kind on an engine. Without `kubeconfig` it is kubectl's own.
    pub fn new(programs: Programs, engine: Engine, kubeconfig: Option<PathBuf>) -> Self {
        Self {
            programs,
            engine,
            kubeconfig,
        }
    }

    fn kind<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Call> {
        Ok(self.engine.of(self.programs.call("kind")?.args(args)))
    }

    fn writing<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Call> {
        let call = self.kind(args)?;
        Ok(match &self.kubeconfig {
            Some(file) => call.arg("--kubeconfig").arg(file),
            None => call,
        })
    }

    fn config<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Call> {
        let mut call = self.programs.call("kubectl")?;
        if let Some(file) = &self.kubeconfig {
            call = call.arg("--kubeconfig").arg(file);
        }
        Ok(call.arg("config").args(args))
    }

    fn kubectl(&self, context: String) -> Kubectl {
        let kubeconfig = self.kubeconfig.clone();
        Kubectl::new(self.programs.clone(), context, kubeconfig, Mode::Change)
    }

    /// Whether a cluster of this name exists.
    ///
    /// # Errors
    ///
    /// When kind cannot be asked.
    pub async fn exists(&self, name: &str) -> Result<bool> {
        let names = self.kind(["get", "clusters"])?.output().await?;
        Ok(names.lines().any(|line| line.trim() == name))
    }

    /// Makes a cluster, or checks that the one of its name runs and has the ports that are wanted.
    ///
    /// # Errors
    ///
    /// When kind cannot make it, or it has other ports, or does not run.
    pub async fn ensure(&self, cluster: &Cluster, progress: &Progress) -> Result<((), String)> {
        let name = &cluster.name;
        if self.exists(name).await? {
            self.check(cluster).await?;
            let context = cluster.context();
            let contexts = self.config(["get-contexts", "--output", "name"])?;
            if !contexts.output().await?.lines().any(|line| line == context) {
                let export = self.writing(["export", "kubeconfig", "--name", name])?;
                self.keeping_current(export).await?;
                return Ok(((), format!("{context}: entered into the kubeconfig again")));
            }
            return Ok(((), format!("{context}, unchanged")));
        }
        progress.event(format!(
            "kind makes {name}; the node image may have to be fetched"
        ));
        let call = self.writing([
            "create", "cluster", "--name", name, "--config", "-", "--wait", "120s",
        ])?;
        let call = call
            .input(cluster.config().to_string())
            .within(CREATE_LIMIT);
        self.keeping_current(call)
            .await
            .map_err(|problem| explained(problem, cluster))?;
        self.ready(cluster).await?;
        let port = cluster.http_port;
        Ok(((), format!("{} made, port {port}", cluster.context())))
    }

    /// kind warns only when its node is not ready in time.
    async fn ready(&self, cluster: &Cluster) -> Result<()> {
        let context = cluster.context();
        let call = self.kubectl(context.clone()).call([
            "wait",
            "--for=condition=Ready",
            "nodes",
            "--all",
            "--timeout=60s",
        ])?;
        let waited = call.within(Duration::from_secs(75)).output().await;
        waited.map(drop).map_err(|problem| {
            problem
                .in_step(format!(
                    "the node of the kind cluster {} is not ready",
                    cluster.name
                ))
                .cure(format!(
                    "see kubectl --context {context} describe nodes; then `kind delete cluster \
                     --name {}` and deploy again",
                    cluster.name
                ))
        })
    }

    async fn check(&self, cluster: &Cluster) -> Result<()> {
        let (name, node) = (&cluster.name, cluster.node());
        let program = self.engine.program();
        let call = self.programs.call(program)?.args(["inspect", &node]);
        let text = call.output().await.map_err(|problem| {
            problem
                .in_step(format!(
                    "the node of the kind cluster {name} cannot be examined"
                ))
                .cure(format!(
                    "remove what is left of it: kind delete cluster --name {name}"
                ))
        })?;
        let node: Value = serde_json::from_str(&text).map_err(|error| {
            Problem::new(format!("`{program} inspect` answered no JSON")).because(error)
        })?;
        let node = &node[0];
        if node["State"]["Running"] == false {
            let container = cluster.node();
            return Err(
                Problem::new(format!("the kind cluster {name} does not run"))
                    .because(format!("its container {container} is stopped"))
                    .cure(format!("{program} start {container}")),
            );
        }
        let ports = &node["HostConfig"]["PortBindings"];
        let mapped = |port: u16| {
            let port = ports[format!("{port}/tcp")][0]["HostPort"].as_str()?;
            port.parse::<u16>().ok()
        };
        for (what, option, node, wanted) in [
            ("HTTP", "--port", NODE_PORT_HTTP, cluster.http_port),
            ("HTTPS", "--https-port", NODE_PORT_HTTPS, cluster.https_port),
        ] {
            let remove = format!("remove the cluster: kind delete cluster --name {name}");
            let problem = match mapped(node) {
                Some(port) if port == wanted => continue,
                Some(port) => Problem::new(format!(
                    "the kind cluster {name} serves {what} on port {port}, and port {wanted} is asked for"
                ))
                .because("kind maps ports only when it makes a cluster")
                .cure(format!("give {option} {port}, or {remove}")),
                None => Problem::new(format!(
                    "the kind cluster {name} maps no port to {node}, where the edge serves {what}"
                ))
                .because("it was not made by zerocart")
                .cure(format!("choose another name with --name, or {remove}")),
            };
            return Err(problem);
        }
        Ok(())
    }

    /// Deletes a cluster that deploy made. Says whether there was one.
    ///
    /// # Errors
    ///
    /// When it was made otherwise or does not answer; when kind cannot delete it.
    pub async fn delete(&self, name: &str) -> Result<bool> {
        if !self.exists(name).await? {
            return Ok(false);
        }
        let (label, value) = LABEL;
        let nodes = self.kubectl(format!("kind-{name}")).call([
            "get",
            "nodes",
            "--selector",
            &format!("{label}={value}"),
            "--output",
            "name",
        ])?;
        let by_hand = format!("if it can go: kind delete cluster --name {name}");
        let nodes = nodes.output().await.map_err(|problem| {
            problem
                .in_step(format!(
                    "who made the kind cluster {name} cannot be found out"
                ))
                .cure(by_hand.clone())
        })?;
        if nodes.trim().is_empty() {
            return Err(
                Problem::new(format!("the kind cluster {name} is not deleted"))
                    .because(format!(
                        "its node has no label {label}: zerocart did not make it"
                    ))
                    .cure(by_hand),
            );
        }
        let call = self.writing(["delete", "cluster", "--name", name])?;
        self.keeping_current(call.within(Duration::from_secs(120)))
            .await?;
        Ok(true)
    }

    /// Runs a call of kind, and sets the current context back to what it was.
    async fn keeping_current(&self, call: Call) -> Result<()> {
        let before = self.config(["current-context"])?.done().await?;
        let before = before.success.then(|| before.out.trim().to_owned());
        let done = call.output().await;
        let after = self.config(["current-context"])?.done().await?;
        let after = after.success.then(|| after.out.trim().to_owned());
        // What was current may be what was deleted.
        let contexts = self.config(["get-contexts", "--output", "name"])?;
        let contexts = contexts.output().await?;
        let gone = |name: &String| !contexts.lines().any(|line| line == name);
        if before != after && !before.as_ref().is_some_and(gone) {
            match before {
                Some(before) => self.config(["use-context", &before])?.output().await?,
                None => self.config(["unset", "current-context"])?.output().await?,
            };
        }
        done.map(drop)
    }
}

/// Adds what helps against the usual refusals.
fn explained(problem: Problem, cluster: &Cluster) -> Problem {
    let cause = problem.cause().unwrap_or_default();
    let taken = [
        "port is already allocated",
        "address already in use",
        "ports are not available",
    ];
    let cure = if taken.iter().any(|text| cause.contains(text)) {
        format!(
            "port {} or {} is taken: choose others with --port and --https-port",
            cluster.http_port, cluster.https_port
        )
    } else if cause.contains("failed to pull image") {
        format!(
            "the machine cannot fetch the node image; load it where there is internet: {NODE_IMAGE}"
        )
    } else {
        "`zerocart doctor` examines the machine; \
         https://kind.sigs.k8s.io/docs/user/known-issues lists what is known"
            .to_owned()
    };
    problem
        .in_step(format!("kind cannot make the cluster {}", cluster.name))
        .cure(cure)
}
