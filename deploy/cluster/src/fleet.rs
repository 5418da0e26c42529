//! What runs on a cluster: functions, jobs, the edge and PostgreSQL.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Kubectl, Namespaces, Problem, Result,
    object::{
        KSVC, REVISIONS, SERVICE, condition, count, instant, is, items, kind, label, leaves, name,
        short, text, up_to_date,
    },
    traffic,
};

/// What runs on a cluster.
#[derive(Clone, Debug, Serialize)]
pub struct Fleet {
    /// The context of the cluster.
    pub context: String,
    /// The version of Knative Serving; none where it is not installed.
    pub knative: Option<String>,
    /// The functions, by name.
    pub functions: Vec<Function>,
    /// The jobs, by name.
    pub jobs: Vec<Job>,
    /// What runs in the namespace of the edge: Kong or the gateway.
    pub edge: Vec<Workload>,
    /// What runs in the namespace of the system: PostgreSQL.
    pub system: Vec<Workload>,
}

/// A function.
#[derive(Clone, Debug, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Whether its newest revision is ready and has a route.
    pub ready: bool,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// Its pods that are ready.
    pub instances: usize,
    /// The revision that people use.
    pub revision: Option<String>,
    /// How old that revision is, in seconds.
    pub revision_age_s: Option<u64>,
    /// The tag of that revision's image.
    pub image_tag: String,
    /// How the traffic is split.
    pub traffic: Vec<Share>,
    /// A revision on trial, in words.
    pub trial: Option<String>,
    /// How long the newest of the pods took from its creation until it was ready, in whole seconds.
    pub last_start_s: Option<u64>,
}

/// The part of the traffic that a revision gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The revision.
    pub revision: String,
    /// In percent.
    pub percent: u64,
    /// The tag with which it is reached alone.
    pub tag: Option<String>,
}

/// A job.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// When it runs, as cron writes it; `suspended` where it does not.
    pub schedule: String,
    /// How long ago its last run began, in seconds.
    pub last_run_s_ago: Option<u64>,
    /// How its last run went: `succeeded`, `runs`, or `failed: …`.
    pub last_result: Option<String>,
}

/// A Deployment or a StatefulSet.
#[derive(Clone, Debug, Serialize)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its pods that are ready.
    pub ready: u64,
    /// The pods that it should have.
    pub wanted: u64,
    /// The image of its first container.
    pub image: String,
}

impl Fleet {
    /// Looks at a cluster.
    ///
    /// # Errors
    ///
    /// When it cannot be asked, or when nothing of a deployment is there.
    pub async fn look(kubectl: &Kubectl, namespaces: &Namespaces) -> Result<Self> {
        Self::look_at(kubectl, namespaces, OffsetDateTime::now_utc()).await
    }

    /// Looks at a cluster, where the time is `now`.
    ///
    /// # Errors
    ///
    /// When it cannot be asked, or when nothing of a deployment is there.
    pub async fn look_at(
        kubectl: &Kubectl,
        namespaces: &Namespaces,
        now: OffsetDateTime,
    ) -> Result<Self> {
        let knative = format!("{KSVC},{REVISIONS}");
        let workloads = "deployments,statefulsets";
        let (functions, others, edge, system, serving) = tokio::try_join!(
            kubectl.list(&knative, &namespaces.functions, ""),
            kubectl.list("pods,cronjobs,jobs", &namespaces.functions, ""),
            kubectl.list(workloads, &namespaces.edge, ""),
            kubectl.list(workloads, &namespaces.system, ""),
            kubectl.list("deployments", "knative-serving", ""),
        )?;
        if functions.is_empty() && others.is_empty() && edge.is_empty() && system.is_empty() {
            let context = kubectl.context();
            return Err(Problem::new(format!("nothing is deployed on {context}"))
                .because(format!(
                    "the namespaces {}, {} and {} are empty",
                    namespaces.functions, namespaces.edge, namespaces.system
                ))
                .cure(format!("`zerocart deploy --context {context}`")));
        }
        let controller = serving.iter().find(|one| name(one) == "controller");
        let version = controller.map(|one| label(one, "app.kubernetes.io/version").to_owned());
        let of = |objects: &[Value], of: &str| -> Vec<Value> {
            let found = objects.iter().filter(|object| kind(object) == of);
            found.cloned().collect()
        };
        let (pods, runs) = (of(&others, "Pod"), of(&others, "Job"));
        let revisions = of(&functions, "Revision");
        let mut functions: Vec<_> = of(&functions, "Service")
            .iter()
            .map(|ksvc| function(ksvc, &revisions, &pods, now))
            .collect();
        functions.sort_by(|one, other| one.name.cmp(&other.name));
        let mut jobs: Vec<_> = of(&others, "CronJob")
            .iter()
            .map(|cron| job(cron, &runs, now))
            .collect();
        jobs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            context: kubectl.context().to_owned(),
            knative: version,
            functions,
            jobs,
            edge: edge.iter().map(workload).collect(),
            system: system.iter().map(workload).collect(),
        })
    }
}

fn seconds_since(time: &Value, now: OffsetDateTime) -> Option<u64> {
    let passed = now - instant(time)?;
    Some(u64::try_from(passed.whole_seconds()).unwrap_or(0))
}

fn function(ksvc: &Value, revisions: &[Value], pods: &[Value], now: OffsetDateTime) -> Function {
    let of_name = name(ksvc);
    let ready = up_to_date(ksvc) && is(ksvc, "Ready", "True");
    let reason = || {
        let Some(ready) = condition(ksvc, "Ready").filter(|_| up_to_date(ksvc)) else {
            return "Knative has not looked at it yet".to_owned();
        };
        // What failed of a revision says more than that it failed.
        let newest = text(&ksvc["status"]["latestCreatedRevisionName"]);
        let revision = revisions.iter().find(|one| name(one) == newest);
        let failed = revision.and_then(|one| condition(one, "Ready"));
        let failed = failed.filter(|ready| ready["status"] == "False");
        let message = text(&failed.unwrap_or(ready)["message"]);
        match message {
            "" => format!("its newest revision {newest} is not ready yet"),
            message => short(&message.replace('\n', " "), 160),
        }
    };
    let current = traffic::current(ksvc);
    let revision = current.and_then(|current| revisions.iter().find(|one| name(one) == current));
    let image = revision.map_or("", |one| text(&one["spec"]["containers"][0]["image"]));
    let own = || {
        let own = pods
            .iter()
            .filter(|pod| label(pod, SERVICE) == of_name && !leaves(pod));
        own.filter(|pod| is(pod, "Ready", "True"))
    };
    let newest = own().max_by_key(|pod| text(&pod["metadata"]["creationTimestamp"]));
    let last_start = newest.and_then(|pod| {
        let ready = instant(&condition(pod, "Ready")?["lastTransitionTime"])?;
        seconds_since(&pod["metadata"]["creationTimestamp"], ready)
    });
    Function {
        name: of_name.to_owned(),
        ready,
        reason: (!ready).then(reason),
        instances: own().count(),
        revision: current.map(str::to_owned),
        revision_age_s: revision
            .and_then(|one| seconds_since(&one["metadata"]["creationTimestamp"], now)),
        image_tag: image.rsplit_once(':').map_or("", |(_, tag)| tag).to_owned(),
        traffic: items(&ksvc["status"]["traffic"])
            .map(|route| Share {
                revision: text(&route["revisionName"]).to_owned(),
                percent: count(&route["percent"]),
                tag: route["tag"].as_str().map(str::to_owned),
            })
            .collect(),
        trial: traffic::in_words(ksvc),
        last_start_s: last_start,
    }
}

fn job(cron: &Value, runs: &[Value], now: OffsetDateTime) -> Job {
    let own = runs.iter().filter(|run| {
        items(&run["metadata"]["ownerReferences"]).any(|owner| name_of(owner) == name(cron))
    });
    let last = own.max_by_key(|run| text(&run["metadata"]["creationTimestamp"]));
    let result = last.map(|run| {
        if is(run, "Complete", "True") {
            return "succeeded".to_owned();
        }
        match condition(run, "Failed").filter(|failed| failed["status"] == "True") {
            Some(failed) => format!("failed: {}", text(&failed["reason"])),
            None => "runs".to_owned(),
        }
    });
    let began = last.map_or(&cron["status"]["lastScheduleTime"], |run| {
        &run["metadata"]["creationTimestamp"]
    });
    Job {
        name: name(cron).to_owned(),
        schedule: match cron["spec"]["suspend"] == true {
            true => "suspended".to_owned(),
            false => text(&cron["spec"]["schedule"]).to_owned(),
        },
        last_run_s_ago: seconds_since(began, now),
        last_result: result,
    }
}

fn name_of(owner: &Value) -> &str {
    owner["name"].as_str().unwrap_or_default()
}

fn workload(object: &Value) -> Workload {
    Workload {
        name: name(object).to_owned(),
        ready: count(&object["status"]["readyReplicas"]),
        wanted: object["spec"]["replicas"].as_u64().unwrap_or(1),
        image: text(&object["spec"]["template"]["spec"]["containers"][0]["image"]).to_owned(),
    }
}
