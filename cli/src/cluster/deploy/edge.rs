//! The public edge: Kong by its official chart, or zerocart's own gateway. Both serve one document.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use zerocart_cluster::{
    Mode, Problem, Wait, certificates, documents, edge, keys::TokenKeys, names, observability,
    secrets::Data,
};

use super::{
    super::address::Address,
    Deployment, FILES,
    options::{EdgeKind, Environment, Tls},
};
use crate::openapi;

/// The release of Kong's chart, and what the chart calls its Deployment and the Service of the proxy.
const RELEASE: &str = "zerocart-kong";
const KONG: &str = "zerocart-kong-kong";
const KONG_SERVICE: &str = "zerocart-kong-kong-proxy";

/// Where Kong's official chart is, and its version.
const CHART: [&str; 5] = [
    "kong",
    "--repo",
    "https://charts.konghq.com",
    "--version",
    "3.4.1",
];

/// The port of a kind cluster's node that leads to the edge, as kong/values-kind.yaml has it.
const NODE_PORT: u16 = 30080;

/// Kong's own limit for its start is shorter.
const START: Duration = Duration::from_secs(300);

/// The Secret with the edge's certificate.
const TLS: &str = "edge-tls";

impl Deployment {
    /// The edge, with the keys whose tokens it lets in. Returns the name of its Service.
    pub(super) async fn edge(
        &self,
        images: &BTreeMap<String, String>,
        keys: &TokenKeys,
        observed: bool,
    ) -> Result<(String, String), Problem> {
        let kong = documents::text(&self.project.kong())?;
        let openapi = openapi::kong().map_err(|error| Problem::new(error.to_string()))?;
        let tls = self.args.edge.tls.as_ref();
        let mut document = edge::document(&kong, keys.consumers(), &openapi, tls.is_some())?;
        match self.args.edge.edge {
            EdgeKind::Kong => {
                self.only(EdgeKind::Kong).await?;
                if observed {
                    observability::trace_kong(&mut document)?;
                }
                self.kong(&document, tls, observed).await
            }
            EdgeKind::Gateway if tls.is_some() => Err(Problem::new(
                "zerocart's own gateway has no TLS at the edge",
            )
            .cure("--edge kong, or TLS at a load balancer in front of the gateway")),
            EdgeKind::Gateway => {
                self.only(EdgeKind::Gateway).await?;
                self.gateway(&document, images, observed).await
            }
        }
    }

    /// Removes the other edge, which an earlier deployment left: on a kind cluster both have the same port.
    async fn only(&self, kind: EdgeKind) -> Result<(), Problem> {
        if self.kubectl.mode() != Mode::Change {
            return Ok(());
        }
        match kind {
            EdgeKind::Kong => {
                let gateway = "deployment/gateway,service/gateway,configmap/gateway,poddisruptionbudget/gateway";
                for object in gateway.split(',') {
                    let args = [object, "--namespace", names::EDGE];
                    let gone = self.kubectl.delete(&args, START).await?;
                    gone.iter().for_each(|line| self.progress.event(line));
                }
            }
            EdgeKind::Gateway => {
                let kong = self.kubectl.get("deployment", names::EDGE, KONG).await?;
                if kong.is_some() {
                    self.progress
                        .event("Kong is removed: the gateway takes its place");
                    let args = ["uninstall", RELEASE, "--namespace", names::EDGE, "--wait"];
                    self.kubectl.helm(args)?.within(START).output().await?;
                }
            }
        }
        Ok(())
    }

    async fn gateway(
        &self,
        document: &Value,
        images: &BTreeMap<String, String>,
        observed: bool,
    ) -> Result<(String, String), Problem> {
        let file = self.project.root().join(FILES).join("gateway.yaml");
        let mut objects = documents::read(&file)?;
        documents::use_images(&mut objects, images)?;
        if observed {
            let deployment = documents::find(&mut objects, "Deployment", "gateway")?;
            observability::write_spans(std::slice::from_mut(deployment));
        }
        let text = document.to_string();
        let deployment = documents::find(&mut objects, "Deployment", "gateway")?;
        let template = &mut deployment["spec"]["template"];
        // Other content, other pods: that is how they take it up.
        template["metadata"]["annotations"][edge::CONTENT] = json!(documents::hash(&text));
        let trusted = &self.args.edge.trusted_addresses;
        if !trusted.is_empty() {
            let args = &mut template["spec"]["containers"][0]["args"];
            let option = json!(format!("--trusted-addresses={}", trusted.join(",")));
            args.as_array_mut()
                .ok_or_else(|| Problem::new("the Deployment gateway has no args"))?
                .push(option);
        }
        if self.environment == Environment::Production {
            deployment["spec"]["replicas"] = json!(2);
        }
        let service = &mut documents::find(&mut objects, "Service", "gateway")?["spec"];
        match self.environment {
            // kind maps a port of the machine to this one.
            Environment::Kind => {
                service["type"] = json!("NodePort");
                service["ports"][0]["nodePort"] = json!(NODE_PORT);
            }
            // A node hands requests only to pods of its own, and so keeps the client's address.
            Environment::Production => {
                service["type"] = json!("LoadBalancer");
                service["externalTrafficPolicy"] = json!("Local");
            }
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "gateway", "namespace": names::EDGE, "labels": names::labels()},
            "data": {edge::FILE: text},
        });
        objects.insert(0, config);
        let applied = self.kubectl.apply(&objects).await?;
        if self.kubectl.mode() == Mode::Change {
            let wait = Wait::new(&self.kubectl, &self.progress, names::EDGE, START);
            wait.deployment("gateway").await?;
        }
        Ok((
            "gateway".to_owned(),
            format!("gateway, in Kong's place: {applied}"),
        ))
    }

    async fn kong(
        &self,
        document: &Value,
        tls: Option<&Tls>,
        observed: bool,
    ) -> Result<(String, String), Problem> {
        let certificate = match tls {
            Some(tls) => Some(self.certificate(tls).await?),
            None => None,
        };
        let unwritten = |error: std::io::Error| {
            Problem::new("a file for helm cannot be written").because(error)
        };
        let mut config = NamedTempFile::with_suffix(".yml").map_err(unwritten)?;
        config
            .write_all(document.to_string().as_bytes())
            .map_err(unwritten)?;
        let values = |name: &str| {
            self.project
                .root()
                .join("kong")
                .join(name)
                .display()
                .to_string()
        };
        let mut args: Vec<String> = ["upgrade", "--install", RELEASE]
            .map(str::to_owned)
            .to_vec();
        match &self.args.edge.chart {
            Some(chart) => args.push(chart.clone()),
            None => args.extend(CHART.map(str::to_owned)),
        }
        args.extend(["--namespace", names::EDGE, "--values"].map(str::to_owned));
        args.push(values("values.yaml"));
        args.push("--values".to_owned());
        args.push(values(&format!("values-{}.yaml", self.environment.name())));
        if let Some((secret, hash)) = &certificate {
            args.extend(["--values".to_owned(), values("values-tls.yaml")]);
            // The pods of another certificate are other pods: that is how Kong takes it up.
            for value in [
                format!("secretVolumes[0]={secret}"),
                format!("env.ssl_cert=/etc/secrets/{secret}/tls.crt"),
                format!("env.ssl_cert_key=/etc/secrets/{secret}/tls.key"),
                format!("podAnnotations.checksum/tls={hash}"),
            ] {
                args.extend(["--set-string".to_owned(), value]);
            }
        }
        if observed {
            for value in observability::KONG_SETTINGS {
                args.extend(["--set-string", value].map(str::to_owned));
            }
        }
        for file in &self.args.edge.values {
            args.extend(["--values".to_owned(), file.display().to_string()]);
        }
        let file = config.path().display();
        args.extend([
            "--set-file".to_owned(),
            format!("dblessConfig.config={file}"),
        ]);
        let trusted = &self.args.edge.trusted_addresses;
        if !trusted.is_empty() {
            // helm separates values by commas.
            let list = trusted.join("\\,");
            for value in [
                format!("env.trusted_ips={list}"),
                "env.real_ip_header=X-Forwarded-For".to_owned(),
                "env.real_ip_recursive=on".to_owned(),
            ] {
                args.extend(["--set-string".to_owned(), value]);
            }
        }
        match self.kubectl.mode() {
            Mode::Change => {}
            Mode::DryRun => args.push("--dry-run=server".to_owned()),
            Mode::Print => {
                self.kubectl.print(std::slice::from_ref(document));
                return Ok((KONG_SERVICE.to_owned(), format!("helm {}", args.join(" "))));
            }
        }
        let helm = self.kubectl.helm(args.iter().map(String::as_str))?;
        helm.within(START).output().await.map_err(|problem| {
            problem.in_step("Kong cannot be installed").or_cure(
                "`zerocart logs kong`; without internet: --chart DIR, or --edge gateway for zerocart's own gateway",
            )
        })?;
        if self.kubectl.mode() == Mode::Change {
            // Not by helm's --wait, which does not say what it waits for.
            let wait = Wait::new(&self.kubectl, &self.progress, names::EDGE, START);
            wait.deployment(KONG).await?;
        }
        Ok((KONG_SERVICE.to_owned(), "Kong".to_owned()))
    }

    /// The Secret with the edge's certificate, and a hash of the certificate.
    async fn certificate(&self, tls: &Tls) -> Result<(String, String), Problem> {
        let read = |path: &std::path::Path| {
            fs::read_to_string(path).map_err(|error| {
                Problem::new(format!("--tls: {} cannot be read", path.display())).because(error)
            })
        };
        let data = match tls {
            Tls::Secret(name) => {
                let found = self.kubectl.secret(names::EDGE, name).await?;
                let good = found.filter(|f| f.contains_key("tls.crt") && f.contains_key("tls.key"));
                return match good {
                    Some(found) => Ok((name.clone(), documents::hash(&found["tls.crt"]))),
                    None if self.kubectl.mode() == Mode::Print => Ok((name.clone(), String::new())),
                    None => Err(Problem::new(format!(
                        "--tls secret={name}: there is no such Secret with tls.crt and tls.key in {}",
                        names::EDGE
                    ))
                    .cure("kong/README.md shows a Certificate for cert-manager")),
                };
            }
            Tls::Files(certificate, key) => Data::from([
                ("tls.crt".to_owned(), read(certificate)?),
                ("tls.key".to_owned(), read(key)?),
            ]),
            Tls::SelfSigned => {
                let found = self.kubectl.secret(names::EDGE, TLS).await?;
                match found.filter(|found| certificates::lasts(found, SystemTime::now())) {
                    Some(found) => found,
                    None => certificates::self_signed("localhost", SystemTime::now())?,
                }
            }
        };
        self.kubectl.put_secret(names::EDGE, TLS, &data).await?;
        Ok((TLS.to_owned(), documents::hash(&data["tls.crt"])))
    }

    /// Where the edge is reached.
    pub(super) async fn address(&self, service: &str) -> Result<Address, Problem> {
        if let Some(address) = &self.args.edge.address {
            return Ok(Address::known(address.clone()));
        }
        if self.args.is_kind() {
            let url = format!("http://localhost:{}", self.args.port).parse();
            return url
                .map(Address::known)
                .map_err(|_| Problem::new("the port is no port"));
        }
        Address::of_service(&self.kubectl, service).await
    }
}
