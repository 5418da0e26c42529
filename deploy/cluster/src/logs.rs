//! The logs of a function, of a job's last run, of the edge and of PostgreSQL.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Kubectl, Namespaces, Problem, Result,
    object::{KSVC, SERVICE, items, label, name, text},
};

/// Which lines are shown.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// New lines, too, until the person ends it.
    pub follow: bool,
    /// Only those of the last time, such as `1h`.
    pub since: Option<String>,
    /// Only the last ones of each instance.
    pub tail: Option<u32>,
}

/// Where the lines are.
struct Source {
    namespace: String,
    selector: String,
    /// None: the pod's own first choice.
    container: Option<&'static str>,
    /// Only the newest pod: the last run of a job.
    newest: bool,
    function: bool,
}

/// How often a function at zero is looked at for a new instance.
const POLL: Duration = Duration::from_secs(2);

/// The label of a Job's pods.
const JOB: &str = "batch.kubernetes.io/job-name";

/// Shows the lines of `of_name`: a function, a job, `gateway` or `kong`, `postgres`, or `provision`. `say`
/// tells the person what is not a line of it.
///
/// # Errors
///
/// When nothing of this name is there, or when it has no pod.
pub async fn show(
    kubectl: &Kubectl,
    namespaces: &Namespaces,
    of_name: &str,
    lines: &Lines,
    say: impl Fn(&str),
) -> Result<()> {
    let source = source(kubectl, namespaces, of_name).await?;
    let mut seen = BTreeSet::new();
    let mut since_time = None;
    loop {
        let all = pods(kubectl, &source, of_name).await?;
        let pods: Vec<_> = all.iter().filter(|pod| started(pod, &source)).collect();
        let fresh: Vec<_> = pods
            .iter()
            .copied()
            .filter(|pod| !seen.contains(name(pod)))
            .collect();
        if let Some(newest) = fresh.last() {
            if !seen.is_empty() {
                since_time = Some(text(&newest["metadata"]["creationTimestamp"]).to_owned());
            }
            read(kubectl, &source, &pods, lines, since_time.as_deref()).await?;
            seen.extend(pods.iter().map(|pod| name(pod).to_owned()));
            if !(lines.follow && source.function) {
                return Ok(());
            }
            say(&format!(
                "{of_name} has no instance any more; its next start is waited for (Ctrl-C ends this)"
            ));
        } else if seen.is_empty() && !lines.follow {
            return Err(match all.is_empty() {
                true => nothing(kubectl, &source, of_name),
                false => Problem::new(format!("{of_name} has written nothing"))
                    .because("its container has not started yet")
                    .cure(format!(
                        "`zerocart status --context {}` says what it waits for",
                        kubectl.context()
                    )),
            });
        } else if seen.is_empty() {
            say(&format!(
                "{of_name} has no instance; its next start is waited for (Ctrl-C ends this)"
            ));
            // So that it is said once.
            seen.insert(String::new());
        }
        sleep(POLL).await;
    }
}

/// Whether its container has started: of one that has not, kubectl refuses the lines, and with them those of
/// all others.
fn started(pod: &Value, source: &Source) -> bool {
    let mut containers = items(&pod["status"]["containerStatuses"]);
    containers.any(|container| {
        let wanted = source
            .container
            .is_none_or(|name| container["name"] == name);
        let began = container["state"]["waiting"].is_null()
            || !container["lastState"]["terminated"].is_null();
        wanted && began
    })
}

fn nothing(kubectl: &Kubectl, source: &Source, of_name: &str) -> Problem {
    if !source.function {
        return Problem::new(format!("{of_name} has no pod"))
            .because("it has not run yet, or Kubernetes has removed its last runs")
            .cure(format!(
                "`zerocart status --context {}` shows what runs",
                kubectl.context()
            ));
    }
    Problem::new(format!("{of_name} has no instance at the moment"))
        .because("a function without requests is at zero, and Kubernetes keeps no lines of pods that are gone")
        .cure(
            "the cluster's log collector has older lines, where one is installed; `--follow` waits for the \
             next start",
        )
}

async fn source(kubectl: &Kubectl, namespaces: &Namespaces, of_name: &str) -> Result<Source> {
    let source = |namespace: &str, selector: String| Source {
        namespace: namespace.to_owned(),
        selector,
        container: None,
        newest: false,
        function: false,
    };
    match of_name {
        "postgres" | "gateway" | "kong" => {
            let (namespace, kind) = match of_name {
                "postgres" => (&namespaces.system, "statefulsets"),
                _ => (&namespaces.edge, "deployments"),
            };
            let found = kubectl.list(kind, namespace, "").await?;
            let found = found.iter().find(|one| {
                name(one) == of_name || label(one, "app.kubernetes.io/name") == of_name
            });
            let found = found.ok_or_else(|| {
                Problem::new(format!("the cluster has no {of_name}"))
                    .because(format!("the namespace {namespace} has none"))
                    .cure("`zerocart status` shows what runs")
            })?;
            let labels = found["spec"]["selector"]["matchLabels"].as_object();
            let labels = labels.into_iter().flatten();
            let labels: Vec<_> = labels
                .map(|(key, value)| format!("{key}={}", text(value)))
                .collect();
            return Ok(source(namespace, labels.join(",")));
        }
        "provision" => {
            let mut source = source(&namespaces.system, format!("{JOB}=provision"));
            source.newest = true;
            return Ok(source);
        }
        _ => {}
    }
    let functions = &namespaces.functions;
    let ksvcs = kubectl.list(KSVC, functions, "").await?;
    if ksvcs.iter().any(|ksvc| name(ksvc) == of_name) {
        return Ok(Source {
            container: Some("user-container"),
            function: true,
            ..source(functions, format!("{SERVICE}={of_name}"))
        });
    }
    let jobs = kubectl.list("cronjobs", functions, "").await?;
    if jobs.iter().any(|job| name(job) == of_name) {
        return Ok(Source {
            newest: true,
            ..source(functions, JOB.to_owned())
        });
    }
    let names: Vec<_> = ksvcs.iter().chain(&jobs).map(name).collect();
    Err(
        Problem::new(format!("the cluster has no function and no job {of_name}"))
            .because(match names.is_empty() {
                true => format!(
                    "the namespace {functions} of {} has none at all",
                    kubectl.context()
                ),
                false => format!("it has {}", names.join(", ")),
            })
            .cure("or one of gateway, kong, postgres, provision"),
    )
}

/// The pods, the oldest first.
async fn pods(kubectl: &Kubectl, source: &Source, of_name: &str) -> Result<Vec<Value>> {
    let mut pods = kubectl
        .list("pods", &source.namespace, &source.selector)
        .await?;
    if source.newest {
        // A run of a CronJob is named after it and its time.
        let run = |pod: &Value| {
            let job = label(pod, JOB);
            let time = job
                .strip_prefix(of_name)
                .and_then(|rest| rest.strip_prefix('-'));
            job == of_name || time.is_some_and(|time| time.chars().all(|c| c.is_ascii_digit()))
        };
        pods.retain(run);
    }
    pods.sort_by_key(|pod| text(&pod["metadata"]["creationTimestamp"]).to_owned());
    if source.newest {
        pods = pods.pop().into_iter().collect();
    }
    Ok(pods)
}

async fn read(
    kubectl: &Kubectl,
    source: &Source,
    pods: &[&Value],
    lines: &Lines,
    since_time: Option<&str>,
) -> Result<()> {
    let (tail, since);
    let mut args = vec!["logs"];
    match pods {
        [pod] => args.push(name(pod)),
        _ => args.extend([
            "--selector",
            &source.selector,
            "--prefix",
            "--max-log-requests",
            "50",
            // One instance that has not started yet must not hide the others.
            "--ignore-errors",
        ]),
    }
    args.extend(["--namespace", &source.namespace]);
    // Without it, kubectl shows 10 lines of each where there are several.
    tail = lines
        .tail
        .map_or_else(|| "-1".to_owned(), |tail| tail.to_string());
    args.extend(["--tail", &tail]);
    if let Some(container) = source.container {
        args.extend(["--container", container]);
    }
    if lines.follow {
        args.push("--follow");
    }
    match (since_time, &lines.since) {
        (Some(time), _) => {
            since = format!("--since-time={time}");
            args.push(&since);
        }
        (None, Some(time)) => args.extend(["--since", time]),
        (None, None) => {}
    }
    // Spans are for the Collector. With several instances each line begins with the name of one.
    let wanted = |line: &str| !line.contains("{\"resourceSpans\":[{\"resource\":");
    kubectl.call(args)?.attached_lines(wanted).await
}
