//! Removing what a deployment made, and nothing else.
//!
//! What it made has the label `app.kubernetes.io/managed-by: zerocart`, or belongs to the helm release
//! [`RELEASE`]. The edge goes first, so that no new request comes; then jobs, then functions, which drain.
//! Namespaces, secrets, PostgreSQL and its volume stay, unless the data is to be removed, too.

use std::time::Duration;

use serde_json::Value;

use crate::{
    Kubectl, Mode, Namespaces, Problem, Progress, Result,
    object::{KSVC, MANAGED_BY, SERVICE, items, kind, label, name, ours, owned},
    restart::gone,
};

/// Kong's helm release.
pub const RELEASE: &str = "zerocart-kong";

/// How long the server may take to delete objects.
const LIMIT: Duration = Duration::from_secs(120);

/// How long a namespace may take: everything in it ends first.
const NAMESPACE_LIMIT: Duration = Duration::from_secs(300);

/// What can be in a namespace, apart from functions and secrets.
const KINDS: &str = "cronjobs,jobs,deployments,statefulsets,pods,services,configmaps,serviceaccounts,roles,rolebindings,\
                     networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,resourcequotas,limitranges,\
                     persistentvolumeclaims";

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    resource: String,
    name: String,
}

impl Object {
    fn shown(&self) -> String {
        format!("{}/{}", self.resource, self.name)
    }
}

/// What is in one namespace.
#[derive(Debug, Default)]
struct Inside {
    name: String,
    /// The namespace itself is of a deployment.
    ours: bool,
    functions: Vec<Object>,
    jobs: Vec<Object>,
    others: Vec<Object>,
    /// PostgreSQL and its volume.
    data: Vec<Object>,
    /// What somebody else made.
    foreign: Vec<Object>,
    /// Secrets of a deployment, and others.
    secrets: (Vec<String>, Vec<String>),
}

/// What would be removed.
#[derive(Debug)]
pub struct Plan {
    release: bool,
    functions: Inside,
    system: Inside,
    edge: Inside,
    data: bool,
}

impl Plan {
    /// Looks at what is there. With `data`, also at PostgreSQL, secrets and namespaces.
    ///
    /// # Errors
    ///
    /// When the cluster cannot be asked, or when Kong is there and helm is not installed.
    pub async fn make(kubectl: &Kubectl, namespaces: &Namespaces, data: bool) -> Result<Self> {
        let names = [&namespaces.functions, &namespaces.system, &namespaces.edge];
        let mut args = vec!["get", "namespaces"];
        args.extend(names.map(String::as_str));
        args.extend(["--ignore-not-found", "--output", "json"]);
        let found = kubectl.call(args)?.output().await?;
        let found: Value = match found.trim().is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&found)
                .map_err(|error| Problem::new("kubectl answered no JSON").because(error))?,
        };
        // Of one, kubectl answers no list.
        let found: Vec<_> = match found["items"].is_array() {
            true => items(&found["items"]).cloned().collect(),
            false => vec![found],
        };
        let inside = async |namespace: &str| match found.iter().find(|one| name(one) == namespace) {
            Some(object) => look(kubectl, object, data).await,
            None => Ok(Inside::default()),
        };
        let (functions, mut system, edge) = tokio::try_join!(
            inside(&namespaces.functions),
            inside(&namespaces.system),
            inside(&namespaces.edge)
        )?;
        // What PostgreSQL needs stays with it: its Service, its policies, the Job that provisions it.
        system.data.append(&mut system.jobs);
        system.data.append(&mut system.others);
        Ok(Self {
            release: !edge.name.is_empty() && has_release(kubectl, &edge.name).await?,
            functions,
            system,
            edge,
            data,
        })
    }

    /// Whether nothing of a deployment is there.
    pub fn is_empty(&self) -> bool {
        self.removed().is_empty()
    }

    /// What would be removed, a line each.
    pub fn removed(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.release {
            lines.push(format!("the helm release {RELEASE} in {}", self.edge.name));
        }
        for inside in [&self.edge, &self.functions, &self.system] {
            if self.data && inside.goes() {
                lines.push(format!(
                    "the namespace {} with all that is in it",
                    inside.name
                ));
                continue;
            }
            let mut of: Vec<_> = self.objects(inside).map(Object::shown).collect();
            if self.data {
                of.extend(inside.secrets.0.iter().cloned());
            }
            if !of.is_empty() {
                lines.push(format!("in {}: {}", inside.name, of.join(", ")));
            }
        }
        lines
    }

    /// What is left alone, because no deployment made it, a line each.
    pub fn left_alone(&self) -> Vec<String> {
        let all = [&self.edge, &self.functions, &self.system].into_iter();
        let with_foreign = all.filter_map(|inside| {
            let mut foreign: Vec<_> = inside.foreign.iter().map(Object::shown).collect();
            foreign.extend(inside.secrets.1.iter().cloned());
            (!foreign.is_empty()).then(|| {
                format!(
                    "in {}: {} (without the label {MANAGED_BY}: zerocart)",
                    inside.name,
                    foreign.join(", ")
                )
            })
        });
        with_foreign.collect()
    }

    fn objects<'a>(&self, inside: &'a Inside) -> impl Iterator<Item = &'a Object> + use<'a> {
        let own = inside
            .functions
            .iter()
            .chain(&inside.jobs)
            .chain(&inside.others);
        let data: &[Object] = match self.data {
            true => &inside.data,
            false => &[],
        };
        own.chain(data)
    }

    /// Removes it, in its order, and waits until all instances have drained.
    ///
    /// # Errors
    ///
    /// When the cluster refuses, or something does not end. A second run goes on from there.
    pub async fn carry_out(&self, kubectl: &Kubectl, progress: &Progress) -> Result<()> {
        if self.release || !self.edge.is_bare() {
            let work = async {
                if self.release {
                    uninstall(kubectl, &self.edge.name).await?;
                }
                delete(kubectl, &self.edge, &self.edge.jobs).await?;
                delete(kubectl, &self.edge, &self.edge.others).await?;
                Ok(((), "removed".to_owned()))
            };
            progress.step("edge", work).await?;
        }
        let of = &self.functions;
        if !of.jobs.is_empty() {
            let work = async {
                delete(kubectl, of, &of.jobs).await?;
                Ok(((), format!("{} removed", of.jobs.len())))
            };
            progress.step("jobs", work).await?;
        }
        if !of.functions.is_empty() {
            let work = async {
                delete(kubectl, of, &of.functions).await?;
                if kubectl.mode() == Mode::Change {
                    // Not those of a function that somebody else made.
                    let names: Vec<_> = of.functions.iter().map(|one| one.name.as_str()).collect();
                    let selector = format!("{SERVICE} in ({})", names.join(","));
                    gone(kubectl, progress, &of.name, &selector, None).await?;
                }
                Ok((
                    (),
                    format!("{} removed, all instances drained", of.functions.len()),
                ))
            };
            progress.step("functions", work).await?;
        }
        if !of.others.is_empty() {
            let work = async {
                delete(kubectl, of, &of.others).await?;
                Ok(((), format!("{} objects removed", of.others.len())))
            };
            progress.step("policies", work).await?;
        }
        match self.data {
            true => progress.step("data", self.remove_data(kubectl)).await,
            false => Ok(()),
        }
    }

    async fn remove_data(&self, kubectl: &Kubectl) -> Result<((), String)> {
        let mut namespaces = Vec::new();
        for inside in [&self.edge, &self.functions, &self.system] {
            if inside.goes() {
                namespaces.push(inside.name.as_str());
                continue;
            }
            delete(kubectl, inside, &inside.data).await?;
            if !inside.secrets.0.is_empty() {
                let mut args: Vec<_> = inside.secrets.0.iter().map(String::as_str).collect();
                args.extend(["--namespace", &inside.name]);
                kubectl.delete(&args, LIMIT).await?;
            }
        }
        if !namespaces.is_empty() {
            let mut args = vec!["namespaces"];
            args.extend(&namespaces);
            kubectl.delete(&args, NAMESPACE_LIMIT).await?;
        }
        Ok((
            (),
            "the database, the keys and the secrets are removed".to_owned(),
        ))
    }
}

impl Inside {
    /// Whether the whole namespace can go: it is of a deployment, and nobody else has put anything in it.
    fn goes(&self) -> bool {
        self.ours && self.foreign.is_empty() && self.secrets.1.is_empty()
    }

    fn is_bare(&self) -> bool {
        self.functions.is_empty() && self.jobs.is_empty() && self.others.is_empty()
    }
}

async fn look(kubectl: &Kubectl, namespace: &Value, data: bool) -> Result<Inside> {
    let mut inside = Inside {
        name: name(namespace).to_owned(),
        ours: ours(namespace),
        ..Inside::default()
    };
    for ksvc in kubectl.list(KSVC, &inside.name, "").await? {
        let object = Object {
            resource: KSVC.to_owned(),
            name: name(&ksvc).to_owned(),
        };
        match ours(&ksvc) {
            true => inside.functions.push(object),
            false => inside.foreign.push(object),
        }
    }
    let objects = kubectl.list(KINDS, &inside.name, "").await?;
    let claims: Vec<_> = objects
        .iter()
        .filter(|one| kind(one) == "StatefulSet" && ours(one))
        .collect();
    let claims: Vec<_> = claims.into_iter().flat_map(claim_names).collect();
    for one in objects
        .iter()
        .filter(|one| !owned(one) && !of_the_platform(one))
    {
        let object = Object {
            resource: kind(one).to_lowercase(),
            name: name(one).to_owned(),
        };
        let claimed = claims.iter().any(|begins| name(one).starts_with(begins));
        match kind(one) {
            "PersistentVolumeClaim" if ours(one) || claimed => inside.data.push(object),
            _ if !ours(one) => inside.foreign.push(object),
            "StatefulSet" => inside.data.push(object),
            "CronJob" | "Job" => inside.jobs.push(object),
            _ => inside.others.push(object),
        }
    }
    if data {
        for (selector, of_deployment) in [("=", true), ("!=", false)] {
            let selector = format!("{MANAGED_BY}{selector}zerocart,owner!=helm");
            // Only their names: what is in them is of no concern here.
            let call = kubectl.call([
                "get",
                "secrets",
                "--namespace",
                &inside.name,
                "--selector",
                &selector,
                "--output",
                "name",
            ])?;
            let names: Vec<_> = call.output().await?.lines().map(str::to_owned).collect();
            match of_deployment {
                true => inside.secrets.0 = names,
                false => inside.secrets.1 = names,
            }
        }
    }
    Ok(inside)
}

/// How the names of a StatefulSet's volumes begin.
fn claim_names(statefulset: &Value) -> Vec<String> {
    let templates = items(&statefulset["spec"]["volumeClaimTemplates"]);
    templates
        .map(|one| format!("{}-{}-", name(one), name(statefulset)))
        .collect()
}

/// What Kubernetes puts into every namespace, and what helm removes with the release.
fn of_the_platform(object: &Value) -> bool {
    matches!(
        (kind(object), name(object)),
        ("ServiceAccount", "default")
            | (
                "ConfigMap",
                "kube-root-ca.crt" | "istio-ca-root-cert" | "openshift-service-ca.crt"
            )
    ) || label(object, "app.kubernetes.io/instance") == RELEASE
}

async fn has_release(kubectl: &Kubectl, namespace: &str) -> Result<bool> {
    if kubectl.programs().find("helm").is_none() {
        let selector = format!("app.kubernetes.io/instance={RELEASE}");
        let kong = kubectl.list("deployments", namespace, &selector).await?;
        return match kong.is_empty() {
            true => Ok(false),
            false => Err(
                Problem::new(format!("the helm release {RELEASE} cannot be removed"))
                    .because("helm is not installed")
                    .cure("install helm: https://helm.sh/docs/intro/install"),
            ),
        };
    }
    let filter = format!("^{RELEASE}$");
    let call = kubectl.helm([
        "list",
        "--namespace",
        namespace,
        "--all",
        "--filter",
        &filter,
        "--output",
        "json",
    ])?;
    let found: Value = serde_json::from_str(&call.output().await?).unwrap_or_default();
    Ok(items(&found).next().is_some())
}

async fn uninstall(kubectl: &Kubectl, namespace: &str) -> Result<()> {
    let mut args = vec![
        "uninstall",
        RELEASE,
        "--namespace",
        namespace,
        "--wait",
        "--timeout",
        "120s",
    ];
    match kubectl.mode() {
        Mode::Change => {}
        Mode::DryRun => args.push("--dry-run"),
        Mode::Print => return Ok(()),
    }
    // Longer than helm's own limit, which says why.
    let call = kubectl.helm(args)?.within(LIMIT + Duration::from_secs(15));
    call.output().await.map(drop)
}

async fn delete(kubectl: &Kubectl, inside: &Inside, objects: &[Object]) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = objects.iter().map(Object::shown).collect();
    let mut args: Vec<_> = names.iter().map(String::as_str).collect();
    args.extend(["--namespace", &inside.name]);
    kubectl.delete(&args, LIMIT).await.map(drop)
}
