//! `zerocart deploy`: from nothing, or from an earlier version, to a paid order on a cluster.

mod cluster;
mod consul;
mod database;
mod edge;
mod images;
mod observability;
mod options;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::Value;
use zerocart_cluster::{
    Applied, Kubectl, Mode, Problem, Progress, Wait, database::port as database_port, documents,
    functions, keys::TokenKeys, names, restart, traffic,
};

use super::{address::Address, check};
use crate::{console, domains, layout::Project};
use consul::Mesh;
pub(crate) use options::{Args, With};
use options::{Environment, Split};

/// How long all functions may take until they are ready.
const READY: Duration = Duration::from_secs(300);

/// The folder of the manifests that are not the functions'.
const FILES: &str = "deploy/cluster/files";

pub(crate) async fn run(args: Args) -> Result<()> {
    let began = Instant::now();
    let deployment = Deployment::new(args)?;
    // All steps are in this future: it is too large for a stack.
    let Some(done) = Box::pin(deployment.run()).await? else {
        return Ok(());
    };
    if let Some(password) = &done.admin {
        console::say(format_args!(
            "\nadmin credential, shown only this once:\n  e-mail    {}\n  password  {password}",
            zerocart_user::bootstrap::EMAIL
        ));
    }
    let url = &done.url;
    console::say(format_args!(
        "\n{url}\n\ntry:\n  \
         curl -i --json '{{\"email\":\"ada@example.com\",\"name\":\"Ada\",\"password\":\"correct horse\"}}' {0}/users\n  \
         curl --json '{{\"email\":\"ada@example.com\",\"password\":\"correct horse\"}}' {0}/auth/login\n  \
         curl {0}/products",
        url.split(' ').next().unwrap_or(url)
    ));
    for steps in &done.trials {
        console::say(format_args!("\n{steps}"));
    }
    console::say(format_args!(
        "\ndeployed in {:.0} s. `zerocart status{}` shows the functions",
        began.elapsed().as_secs_f64(),
        done.context
    ));
    Ok(())
}

/// What a deployment left behind.
struct Done {
    admin: Option<String>,
    url: String,
    /// How each canary goes on.
    trials: Vec<String>,
    /// The option that names the cluster, where it is not the default.
    context: String,
}

struct Deployment {
    args: Args,
    project: Project,
    kubectl: Kubectl,
    progress: Progress,
    environment: Environment,
}

impl Deployment {
    fn new(args: Args) -> Result<Self> {
        let project = Project::find()?;
        let mode = args.mode();
        let progress = match mode {
            // Standard output is for the manifests.
            Mode::Print => Progress::new(io::stderr(), false),
            _ => Progress::new(io::stdout(), io::stdout().is_terminal()),
        };
        Ok(Self {
            kubectl: args.cluster.kubectl(mode),
            environment: args.environment(),
            project,
            progress,
            args,
        })
    }

    /// Runs every step. None where nothing was to be changed.
    async fn run(&self) -> Result<Option<Done>, Problem> {
        let Self {
            kubectl, progress, ..
        } = self;
        let changes = kubectl.mode() == Mode::Change;
        let split = self.args.split()?;
        progress.say(format_args!("zerocart on {}", kubectl.context()));

        self.prepare_cluster().await?;
        let images = progress.step("images", self.images()).await?;
        progress.step("namespaces", self.namespaces()).await?;
        let observed = self.observability(&images, &split).await?;
        let mesh = self.consul(&split).await?;
        let renewed = progress.step("database", self.database()).await?;
        let admin = progress.step("provision", self.provision(&images)).await?;
        let keys = progress.step("keys", self.keys()).await?;
        let (names, policy) = progress
            .step(
                "functions",
                self.functions(&images, &split, observed, &mesh),
            )
            .await?;
        if changes {
            progress.step("ready", self.ready(&names)).await?;
        }
        self.settle_consul(&mesh, policy).await?;
        if changes && (renewed || keys.changed) {
            progress.step("restart", self.restart(&names)).await?;
        }
        let service = progress
            .step("edge", self.edge(&images, &keys.keys, observed))
            .await?;
        if changes {
            // Everybody knows the public keys by now.
            let signing = keys.keys.sign_with(kubectl).await?;
            if signing.changed > 0 {
                progress
                    .step("signing keys", self.restart(&signers()))
                    .await?;
            }
        }
        if !changes {
            return Ok(None);
        }
        let address = self.address(&service).await?;
        self.check(&address, &keys.keys).await?;
        let shown = match &admin {
            Some(password) => Box::pin(check::is_password(&address.url, password)).await,
            None => false,
        };
        if admin.is_some() {
            zerocart_cluster::database::forget_admin(kubectl).await?;
        }
        Ok(Some(Done {
            admin: admin.filter(|_| shown),
            url: address.shown,
            trials: split.next_steps(&match self.args.cluster.option() {
                option if option.is_empty() => option,
                option => format!(", both with{option}"),
            }),
            context: self.args.cluster.option(),
        }))
    }

    /// The namespaces, and the network's rules in them.
    async fn namespaces(&self) -> Result<((), String), Problem> {
        let mut applied = Applied::default();
        for file in [
            "namespaces.yaml",
            "system-policies.yaml",
            "edge-policies.yaml",
        ] {
            applied += self.kubectl.apply(&self.file(file)?).await?;
        }
        if let Some(url) = &self.args.database.database_url {
            let mut policies = self.file("managed-database.yaml")?;
            for policy in &mut policies {
                policy["spec"]["egress"][0]["ports"][0]["port"] = database_port(url)?.into();
            }
            applied += self.kubectl.apply(&policies).await?;
        }
        Ok(((), applied.to_string()))
    }

    /// The objects of a manifest that is not of the functions.
    fn file(&self, name: &str) -> Result<Vec<Value>, Problem> {
        documents::read(&self.project.root().join(FILES).join(name))
    }

    async fn keys(&self) -> Result<(Keys, String), Problem> {
        let kubectl = &self.kubectl;
        let (keys, made) = TokenKeys::load_or_make(kubectl).await?;
        let published = keys.publish(kubectl).await?;
        let mut applied = made;
        applied += published;
        // Without a key nobody signs yet. Otherwise the others learn the public keys first.
        if !TokenKeys::are_signed_with(kubectl).await? {
            applied += keys.sign_with(kubectl).await?;
        }
        let changed = published.changed > 0;
        Ok((Keys { keys, changed }, applied.to_string()))
    }

    async fn functions(
        &self,
        images: &BTreeMap<String, String>,
        split: &Split,
        observed: bool,
        mesh: &Mesh,
    ) -> Result<((Vec<String>, Option<Value>), String), Problem> {
        let kubectl = &self.kubectl;
        let overlay = match mesh.is_on() {
            true => format!("{}-consul", self.environment.name()),
            false => self.environment.name().to_owned(),
        };
        let overlay = self.project.root().join("knative/overlays").join(overlay);
        let mut objects = functions::render(kubectl, &overlay, images).await?;
        if observed {
            zerocart_cluster::observability::write_spans(&mut objects);
        }
        // While callers of the version before run without sidecars, they still need the way to Kourier.
        let policy = match mesh.is_on() {
            true => Some(zerocart_cluster::consul::held_back(&mut objects)?),
            false => None,
        };
        let all = functions::names(&objects);
        for name in &split.names {
            if !all.contains(name) {
                return Err(Problem::new(format!("there is no function {name}"))
                    .cure(format!("one of {}", all.join(", "))));
            }
        }
        let live = kubectl.list(functions::KSVC, names::FUNCTIONS, "").await?;
        let live = |name: &str| live.iter().find(|live| live["metadata"]["name"] == name);
        let wanted = match split.names.is_empty() {
            true => all.clone(),
            false => split.names.clone(),
        };
        for name in &wanted {
            functions::split(&mut objects, name, split.of(live(name))?)?;
        }
        if split.names.is_empty() {
            let gone = functions::prune(kubectl, &objects).await?;
            if !gone.is_empty() {
                self.progress
                    .event(format_args!("removed {}", gone.join(", ")));
            }
        } else {
            // The others stay as they are.
            objects.retain(|object| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                functions::is_function(object) && wanted.iter().any(|one| one == name)
            });
        }
        let applied = kubectl.apply(&objects).await?;
        if kubectl.mode() == Mode::Change {
            // Kubernetes waits for minutes until it tries again what failed, though its cause may be gone.
            restart::retry_failed(kubectl, names::FUNCTIONS).await?;
        }
        Ok(((wanted, policy), applied.to_string()))
    }

    async fn ready(&self, names: &[String]) -> Result<((), String), Problem> {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        Wait::new(&self.kubectl, &self.progress, names::FUNCTIONS, READY)
            .functions(&names)
            .await?;
        Ok(((), format!("{} functions", names.len())))
    }

    /// Has the functions that run read their Secrets again.
    async fn restart(&self, names: &[String]) -> Result<((), String), Problem> {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let pods = restart::roll(&self.kubectl, &self.progress, names::FUNCTIONS, &names).await?;
        Ok((
            (),
            format!("{pods} instances replaced, which had read Secrets that changed"),
        ))
    }

    async fn check(&self, address: &Address, keys: &TokenKeys) -> Result<(), Problem> {
        if !self.args.no_check {
            let work = async {
                let purchase = check::purchase(&self.progress, &address.url, keys);
                // A purchase is many calls, each with its buffers.
                let order = Box::pin(purchase).await?;
                Ok(((), format!("order {order} is PAID, over REST and gRPC")))
            };
            self.progress.step("check", work).await?;
        }
        Ok(())
    }
}

/// The functions that sign tokens or call others as a service.
pub(super) fn signers() -> Vec<String> {
    use zerocart_deploy::unit::Secret;
    let signs = |name: &str| {
        let secrets = domains::secrets(name);
        secrets.contains(&Secret::Signing) || secrets.contains(&Secret::ServiceSigning)
    };
    let functions = domains::functions().map(|entry| entry.info.name);
    functions
        .filter(|name| signs(name))
        .map(str::to_owned)
        .collect()
}

/// The cluster's keys, and whether functions that run know others.
struct Keys {
    keys: TokenKeys,
    changed: bool,
}

impl Split {
    /// How each function that is on trial goes on.
    fn next_steps(&self, context: &str) -> Vec<String> {
        let tag = match &self.kind {
            options::Kind::Rolling => return Vec::new(),
            options::Kind::Canary(_) => "canary",
            options::Kind::Tag(tag) => tag,
        };
        let steps = |name: &String| traffic::next_steps(name, names::FUNCTIONS, tag) + context;
        self.names.iter().map(steps).collect()
    }

    /// The traffic of a function.
    fn of(&self, live: Option<&Value>) -> Result<Vec<Value>, Problem> {
        match &self.kind {
            options::Kind::Canary(percent) => traffic::canary(live, *percent),
            options::Kind::Tag(tag) => Ok(traffic::blue_green(live, tag)),
            options::Kind::Rolling => Ok(traffic::rolling()),
        }
    }
}
