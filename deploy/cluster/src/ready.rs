//! Waiting until something is ready, and the reason where it does not become so.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Kubectl, Mode, Problem, Progress, Result,
    diagnosis::{self, Patience, Trouble},
    object::{
        KSVC, REVISION, REVISIONS, condition, count, is, items, kind, label, leaves, name, text,
        up_to_date,
    },
};

/// How often is looked, and how long a trouble may last.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The pause between two looks.
    pub poll: Duration,
    /// For what heals at once or not at all: an image or a secret that is missing.
    pub short: Duration,
    /// For what may be the load of a first start.
    pub long: Duration,
    /// For want of room: an instance without requests is gone after 100 s, and makes room.
    pub room: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(1500),
            short: Duration::from_secs(20),
            long: Duration::from_secs(60),
            room: Duration::from_secs(120),
        }
    }
}

/// Waits in a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    kubectl: &'a Kubectl,
    progress: &'a Progress,
    namespace: &'a str,
    limit: Duration,
    pace: Pace,
}

/// How far something is.
enum State {
    Ready,
    /// It will not become ready.
    Failed,
    Waiting,
}

/// Something that is waited for.
struct Watched<'a> {
    name: &'a str,
    state: State,
    trouble: Option<Trouble>,
    event: Option<String>,
}

impl<'a> Wait<'a> {
    /// Waits so long in this namespace.
    pub fn new(
        kubectl: &'a Kubectl,
        progress: &'a Progress,
        namespace: &'a str,
        limit: Duration,
    ) -> Self {
        Self {
            kubectl,
            progress,
            namespace,
            limit,
            pace: Pace::default(),
        }
    }

    /// Looks at another pace.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Waits until these functions are ready: their newest revision runs and has a route.
    ///
    /// # Errors
    ///
    /// When one of them cannot become ready, or not in time.
    pub async fn functions(&self, names: &[&str]) -> Result<()> {
        let kinds = format!("{KSVC},{REVISIONS},pods,events");
        self.until_ready(&kinds, |objects| {
            names.iter().map(|name| function(name, objects)).collect()
        })
        .await
    }

    /// Waits until a Deployment runs as it is declared.
    ///
    /// # Errors
    ///
    /// When it cannot become ready, or not in time.
    pub async fn deployment(&self, of_name: &str) -> Result<()> {
        self.until_ready("deployments,pods,events", |objects| {
            vec![workload(of_name, "Deployment", objects)]
        })
        .await
    }

    /// Waits until a StatefulSet runs as it is declared.
    ///
    /// # Errors
    ///
    /// When it cannot become ready, or not in time.
    pub async fn statefulset(&self, of_name: &str) -> Result<()> {
        self.until_ready(
            "statefulsets,pods,events,persistentvolumeclaims",
            |objects| vec![workload(of_name, "StatefulSet", objects)],
        )
        .await
    }

    /// Waits until a DaemonSet has a pod that is ready on each of its nodes.
    ///
    /// # Errors
    ///
    /// When it cannot become ready, or not in time.
    pub async fn daemonset(&self, of_name: &str) -> Result<()> {
        self.until_ready("daemonsets,pods,events", |objects| {
            vec![workload(of_name, "DaemonSet", objects)]
        })
        .await
    }

    /// Waits until a Job has succeeded.
    ///
    /// # Errors
    ///
    /// When it fails, or does not end in time. The cause has its last lines.
    pub async fn job(&self, of_name: &str) -> Result<()> {
        self.until_ready("jobs,pods,events", |objects| vec![job(of_name, objects)])
            .await
    }

    async fn until_ready<'n>(
        &self,
        kinds: &str,
        look: impl Fn(&[Value]) -> Vec<Watched<'n>>,
    ) -> Result<()> {
        if self.kubectl.mode() != Mode::Change {
            return Ok(());
        }
        let began = Instant::now();
        let (mut most, mut progressed) = (0, began);
        let mut since: BTreeMap<(&str, &str), Instant> = BTreeMap::new();
        let mut answered = began;
        loop {
            match self.kubectl.list(kinds, self.namespace, "").await {
                // A server under the load of a first start may leave a question without an answer.
                Err(problem) if answered.elapsed() >= self.pace.short => return Err(problem),
                Err(problem) => self.progress.event(problem.what()),
                Ok(objects) => {
                    answered = Instant::now();
                    let all = look(&objects);
                    let ready = all.iter().filter(|one| matches!(one.state, State::Ready));
                    let ready = ready.count();
                    if ready == all.len() {
                        return Ok(());
                    }
                    if ready > most {
                        (most, progressed) = (ready, Instant::now());
                    }
                    self.progress.event(shown(&all, ready));
                    since.retain(|(name, sort), _| {
                        all.iter().any(|one| {
                            let same = |trouble: &Trouble| trouble.sort == *sort;
                            one.name == *name && one.trouble.as_ref().is_some_and(same)
                        })
                    });
                    for one in &all {
                        let Some(trouble) = &one.trouble else {
                            continue;
                        };
                        let now = Instant::now();
                        let seen = *since.entry((one.name, trouble.sort)).or_insert(now);
                        let from = match trouble.patience {
                            Patience::Short => seen,
                            Patience::Long | Patience::Room => seen.max(progressed),
                        };
                        let over = from.elapsed() >= self.patience(trouble.patience);
                        if over || matches!(one.state, State::Failed) {
                            return Err(self.problem(one, trouble, &all).await);
                        }
                    }
                    if began.elapsed() >= self.limit {
                        return Err(self.late(&all, ready).await);
                    }
                }
            }
            sleep(self.pace.poll).await;
        }
    }

    fn patience(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Short => self.pace.short,
            Patience::Long => self.pace.long,
            Patience::Room => self.pace.room,
        }
    }

    async fn late(&self, all: &[Watched<'_>], ready: usize) -> Problem {
        let waiting = || all.iter().filter(|one| !matches!(one.state, State::Ready));
        let trouble = waiting().find_map(|one| Some((one, one.trouble.as_ref()?)));
        if let Some((one, trouble)) = trouble {
            return self.problem(one, trouble, all).await;
        }
        let names: Vec<_> = waiting().map(|one| one.name).collect();
        let events =
            waiting().filter_map(|one| Some(format!("{}: {}", one.name, one.event.as_ref()?)));
        let events: Vec<_> = events.take(5).collect();
        let (seconds, namespace) = (self.limit.as_secs(), self.namespace);
        Problem::new(format!(
            "{ready} of {} are ready after {seconds} s; these are not: {}",
            all.len(),
            names.join(", ")
        ))
        .because(events.join("\n"))
        .cure(format!(
            "`kubectl --context {} get pods,events --namespace {namespace}` says more. A second run goes on \
             where this one ended",
            self.kubectl.context()
        ))
    }

    /// A trouble as a problem, with the last lines of its container, and with the others that have it.
    async fn problem(&self, one: &Watched<'_>, trouble: &Trouble, all: &[Watched<'_>]) -> Problem {
        let mut cause = trouble.cause.clone();
        if let Some((pod, container)) = &trouble.logs {
            let lines = self.last_lines(pod, container).await;
            if !lines.is_empty() {
                cause = format!("{cause}:\n{lines}");
            }
        }
        let same = all.iter().filter(|other| {
            let same = |other: &Trouble| other.sort == trouble.sort;
            other.name != one.name && other.trouble.as_ref().is_some_and(same)
        });
        let same: Vec<_> = same.map(|other| other.name).collect();
        if !same.is_empty() {
            cause = format!("{cause}\nthe same holds for {}", same.join(", "));
        }
        Problem::new(format!("{} does not become ready", one.name))
            .because(cause)
            .cure(trouble.cure.clone())
    }

    /// What a container wrote before it ended. Functions leave secrets out of it by themselves.
    async fn last_lines(&self, pod: &str, container: &str) -> String {
        for previous in ["--previous=true", "--previous=false"] {
            let call = self.kubectl.call([
                "logs",
                pod,
                "--namespace",
                self.namespace,
                "--container",
                container,
                "--tail",
                "6",
                previous,
            ]);
            let Ok(call) = call else { break };
            match call.done().await {
                // The node forgets the lines of a container soon after it has ended.
                Ok(done) if done.success && !done.out.starts_with("unable to retrieve") => {
                    return done.out.trim().to_owned();
                }
                _ => {}
            }
        }
        String::new()
    }
}

fn shown(all: &[Watched<'_>], ready: usize) -> String {
    let slow = all.iter().find(|one| !matches!(one.state, State::Ready));
    let slow = slow.map_or_else(String::new, |one| {
        let trouble = one.trouble.as_ref().map(|trouble| &trouble.cause);
        match trouble.or(one.event.as_ref()) {
            Some(event) => format!("; {}: {event}", one.name),
            None => format!("; {} starts", one.name),
        }
    });
    match all.len() {
        1 => slow.trim_start_matches("; ").to_owned(),
        all => format!("{ready} of {all} ready{slow}"),
    }
}

fn of_kind<'o>(objects: &'o [Value], of: &str) -> impl Iterator<Item = &'o Value> + Clone {
    objects.iter().filter(move |object| kind(object) == of)
}

fn missing<'a>(of_name: &'a str, of_kind: &str) -> Watched<'a> {
    Watched {
        name: of_name,
        state: State::Waiting,
        trouble: Some(Trouble {
            sort: "missing",
            cause: format!("the cluster has no {of_kind} {of_name}"),
            cure: "run `zerocart deploy` again; `zerocart doctor` checks what it needs".to_owned(),
            patience: Patience::Short,
            logs: None,
        }),
        event: None,
    }
}

fn function<'a>(of_name: &'a str, objects: &[Value]) -> Watched<'a> {
    let mut ksvcs = objects.iter().filter(|object| {
        kind(object) == "Service" && text(&object["apiVersion"]).starts_with("serving.knative.dev/")
    });
    let Some(ksvc) = ksvcs.find(|ksvc| name(ksvc) == of_name) else {
        return missing(of_name, "ksvc");
    };
    let mut watched = Watched {
        name: of_name,
        state: State::Waiting,
        trouble: None,
        event: None,
    };
    if !up_to_date(ksvc) {
        return watched;
    }
    if is(ksvc, "Ready", "True") {
        watched.state = State::Ready;
        return watched;
    }
    // Only the newest revision counts: an earlier one may have failed for what is mended now.
    let revision = text(&ksvc["status"]["latestCreatedRevisionName"]);
    let events = of_kind(objects, "Event");
    let pods =
        of_kind(objects, "Pod").filter(|pod| label(pod, REVISION) == revision && !leaves(pod));
    let of_pods = pods
        .filter_map(|pod| diagnosis::of_pod(pod, events.clone()))
        .next();
    let of_revision = || {
        let mut revisions = of_kind(objects, "Revision");
        diagnosis::of_revision(revisions.find(|one| name(one) == revision)?)
    };
    watched.trouble = of_pods
        .or_else(of_revision)
        .or_else(|| diagnosis::of_ksvc(ksvc));
    watched.event = diagnosis::last_event(
        events,
        match revision {
            "" => of_name,
            revision => revision,
        },
    );
    watched
}

fn workload<'a>(of_name: &'a str, of: &str, objects: &[Value]) -> Watched<'a> {
    let Some(workload) = of_kind(objects, of).find(|one| name(one) == of_name) else {
        return missing(of_name, of);
    };
    let mut watched = Watched {
        name: of_name,
        state: State::Waiting,
        trouble: None,
        event: None,
    };
    if !up_to_date(workload) {
        return watched;
    }
    let status = &workload["status"];
    let (replicas, numbers) = match of {
        "DaemonSet" => (
            // Before its first pod it wants none.
            count(&status["desiredNumberScheduled"]).max(1),
            [
                "currentNumberScheduled",
                "updatedNumberScheduled",
                "numberReady",
            ],
        ),
        _ => (
            workload["spec"]["replicas"].as_u64().unwrap_or(1),
            ["replicas", "updatedReplicas", "readyReplicas"],
        ),
    };
    if numbers
        .iter()
        .all(|number| count(&status[*number]) == replicas)
    {
        watched.state = State::Ready;
        return watched;
    }
    let (events, selector) = (
        of_kind(objects, "Event"),
        &workload["spec"]["selector"]["matchLabels"],
    );
    let pods = of_kind(objects, "Pod").filter(|pod| selected(pod, selector) && !leaves(pod));
    let of_pods = pods
        .filter_map(|pod| diagnosis::of_pod(pod, events.clone()))
        .next();
    // A claim is named after its template, its StatefulSet and the number of the pod.
    let templates = items(&workload["spec"]["volumeClaimTemplates"]);
    let begins: Vec<_> = templates
        .map(|one| format!("{}-{of_name}-", name(one)))
        .collect();
    let of_claims = || {
        let mut claims = of_kind(objects, "PersistentVolumeClaim")
            .filter(|claim| begins.iter().any(|begins| name(claim).starts_with(begins)));
        claims.find_map(|claim| diagnosis::of_claim(claim, events.clone()))
    };
    // The claim says better what its pod can only say is missing.
    let of_pods = match of_pods {
        Some(trouble) if trouble.sort == "volume" => of_claims().or(Some(trouble)),
        of_pods => of_pods,
    };
    watched.trouble = of_pods.or_else(|| diagnosis::of_owner(workload, events.clone()));
    watched.event = diagnosis::last_event(events, of_name);
    watched
}

fn selected(pod: &Value, labels: &Value) -> bool {
    let mut labels = labels.as_object().into_iter().flatten();
    labels.all(|(key, value)| pod["metadata"]["labels"][key] == *value)
}

fn job<'a>(of_name: &'a str, objects: &[Value]) -> Watched<'a> {
    let Some(job) = of_kind(objects, "Job").find(|one| name(one) == of_name) else {
        return missing(of_name, "Job");
    };
    let events = of_kind(objects, "Event");
    let pods = of_kind(objects, "Pod").filter(|pod| label(pod, "job-name") == of_name);
    let newest = pods.max_by_key(|pod| text(&pod["metadata"]["creationTimestamp"]));
    let mut trouble = newest
        .and_then(|pod| diagnosis::of_pod(pod, events.clone()))
        .or_else(|| diagnosis::of_owner(job, events.clone()));
    let state = if is(job, "Complete", "True") {
        State::Ready
    } else if is(job, "Failed", "True") {
        // Of a Job that reached its deadline the pods are gone.
        let failed = condition(job, "Failed").unwrap_or(&Value::Null);
        trouble = trouble.or_else(|| {
            Some(Trouble {
                sort: "job",
                cause: format!("{}: {}", text(&failed["reason"]), text(&failed["message"])),
                cure: "run `zerocart deploy` again: it makes the Job again".to_owned(),
                patience: Patience::Short,
                logs: None,
            })
        });
        State::Failed
    } else {
        // A run that failed is repeated, as often as the Job allows.
        trouble = trouble.filter(|trouble| trouble.sort != "exit");
        State::Waiting
    };
    Watched {
        name: of_name,
        state,
        trouble,
        event: diagnosis::last_event(events, of_name),
    }
}
