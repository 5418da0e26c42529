//! New instances in place of those that run, for what is read at a start only: secrets.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Kubectl, Mode, Problem, Progress, Result,
    object::{
        KSVC, REVISION, REVISIONS, SERVICE, is, items, kind, label, leaves, name, text, up_to_date,
    },
};

/// How long the instances that leave may take: a drain is 30 s, and its limit 35 s.
const DRAINED: Duration = Duration::from_secs(90);

/// How long a new instance may take. After it, the autoscaler wants fewer than before.
const REPLACED: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(500);

/// An instance as it was before.
struct Instance {
    function: String,
    pod: String,
}

/// Replaces every running instance of these functions, and returns how many there were.
///
/// In each round, one instance of each function is deleted, and then its replacement is waited for: a function
/// with several instances keeps all but one. An instance that is deleted drains: it answers what it has, and
/// for 30 s what still comes. A function without instances reads the secrets at its next start. Jobs read
/// them at each run. At the end, no instance is left that has read the secrets as they were before.
///
/// # Errors
///
/// When the cluster refuses, or an instance does not leave.
pub async fn roll(
    kubectl: &Kubectl,
    progress: &Progress,
    namespace: &str,
    names: &[&str],
) -> Result<usize> {
    let mut left = instances(&kubectl.list("pods", namespace, SERVICE).await?, names);
    let all = left.len();
    let old: Vec<_> = left.iter().map(|one| one.pod.clone()).collect();
    if all == 0 || kubectl.mode() != Mode::Change {
        return Ok(all);
    }
    while !left.is_empty() {
        let mut round: Vec<Instance> = Vec::new();
        for one in std::mem::take(&mut left) {
            match round.iter().any(|other| other.function == one.function) {
                true => left.push(one),
                false => round.push(one),
            }
        }
        let mut args = vec!["pods"];
        args.extend(round.iter().map(|one| one.pod.as_str()));
        args.extend(["--namespace", namespace, "--wait=false"]);
        kubectl.delete(&args, Duration::from_secs(60)).await?;
        progress.event(format_args!(
            "{} of {all} instances replaced",
            all - left.len()
        ));
        if !left.is_empty() {
            replaced(kubectl, namespace, &round, &left).await?;
        }
    }
    gone(kubectl, progress, namespace, SERVICE, Some(&old)).await?;
    Ok(all)
}

fn instances(pods: &[Value], names: &[&str]) -> Vec<Instance> {
    let ours = pods
        .iter()
        .filter(|pod| names.contains(&label(pod, SERVICE)));
    ours.map(|pod| Instance {
        function: label(pod, SERVICE).to_owned(),
        pod: name(pod).to_owned(),
    })
    .collect()
}

/// Waits until the functions of a round have as many ready instances as before. Those that have no further
/// instance to be replaced are not waited for.
async fn replaced(
    kubectl: &Kubectl,
    namespace: &str,
    round: &[Instance],
    left: &[Instance],
) -> Result<()> {
    let began = Instant::now();
    loop {
        let pods = kubectl.list("pods", namespace, SERVICE).await?;
        let done = round.iter().all(|one| {
            let more = left
                .iter()
                .filter(|other| other.function == one.function)
                .count();
            if more == 0 {
                return true;
            }
            let mut live = pods.iter().filter(|pod| {
                label(pod, SERVICE) == one.function
                    && !leaves(pod)
                    && !round.iter().any(|old| old.pod == name(pod))
            });
            let ready = live.clone().filter(|pod| is(pod, "Ready", "True")).count();
            let settled = live.all(|pod| is(pod, "Ready", "True"));
            settled && (ready > more || began.elapsed() >= REPLACED)
        });
        if done {
            return Ok(());
        }
        if began.elapsed() >= DRAINED {
            return Err(Problem::new("a new instance does not become ready").cure(
                "`zerocart status` shows which one; the instances that are left have the secrets as they \
                 were before. Mend it, and roll again",
            ));
        }
        sleep(POLL).await;
    }
}

/// Waits until pods are gone: those with these names, or all that a selector finds.
pub(crate) async fn gone(
    kubectl: &Kubectl,
    progress: &Progress,
    namespace: &str,
    selector: &str,
    names: Option<&[String]>,
) -> Result<()> {
    let began = Instant::now();
    loop {
        let pods = kubectl.list("pods", namespace, selector).await?;
        let mut names_left = pods.iter().map(name).filter(|pod| match names {
            Some(names) => names.iter().any(|name| name == pod),
            None => true,
        });
        let Some(first) = names_left.next() else {
            return Ok(());
        };
        let left = 1 + names_left.count();
        if began.elapsed() >= DRAINED {
            return Err(Problem::new(format!("{left} instances do not leave, such as {first}"))
                .because(format!("they had {} s to drain", DRAINED.as_secs()))
                .cure(format!(
                    "is its node there? `kubectl --context {} describe pod {first} --namespace {namespace}`",
                    kubectl.context()
                )));
        }
        progress.event(format_args!("{left} instances drain (up to 35 s)"));
        sleep(POLL).await;
    }
}

/// Starts again at once what waits for its next try after a failure. Kubernetes waits up to 5 minutes between
/// two tries, and Knative gives up a revision after 10; so a deployment that has mended the cause says so here,
/// before it waits. Nothing that is ready, or that gets traffic, is touched. Returns what was started again.
///
/// # Errors
///
/// When the cluster refuses.
pub async fn retry_failed(kubectl: &Kubectl, namespace: &str) -> Result<Vec<String>> {
    // Two questions: kubectl refuses a list of kinds of which it does not know one.
    let mut objects = kubectl
        .list(&format!("{KSVC},{REVISIONS}"), namespace, "")
        .await?;
    objects.extend(kubectl.list("pods", namespace, "").await?);
    let mut again: Vec<(&str, &str)> = Vec::new();
    for ksvc in objects
        .iter()
        .filter(|one| kind(one) == "Service" && up_to_date(one))
    {
        let newest = text(&ksvc["status"]["latestCreatedRevisionName"]);
        let routed = items(&ksvc["status"]["traffic"]).any(|route| route["revisionName"] == newest);
        let mut revisions = objects.iter().filter(|one| kind(one) == "Revision");
        let failed = revisions.any(|one| name(one) == newest && is(one, "Ready", "False"));
        if failed && !routed {
            // Knative makes it again, of the same name.
            again.push((REVISIONS, newest));
        }
    }
    for pod in objects.iter().filter(|one| kind(one) == "Pod") {
        // A Job counts a pod that is deleted as a failure; a revision that is made again makes its pods again.
        let mut owners = items(&pod["metadata"]["ownerReferences"]);
        let kept = owners.any(|owner| ["ReplicaSet", "StatefulSet"].contains(&kind(owner)));
        let made_again = again.contains(&(REVISIONS, label(pod, REVISION)));
        if kept && !made_again && !leaves(pod) && !is(pod, "Ready", "True") && backs_off(pod) {
            again.push(("pods", name(pod)));
        }
    }
    for of in [REVISIONS, "pods"] {
        let mut args = vec![of];
        args.extend(
            again
                .iter()
                .filter(|(kind, _)| *kind == of)
                .map(|(_, name)| *name),
        );
        if args.len() > 1 {
            args.extend(["--namespace", namespace, "--wait=false"]);
            kubectl.delete(&args, Duration::from_secs(60)).await?;
        }
    }
    Ok(again.into_iter().map(|(_, name)| name.to_owned()).collect())
}

fn backs_off(pod: &Value) -> bool {
    let reasons = items(&pod["status"]["containerStatuses"])
        .map(|container| text(&container["state"]["waiting"]["reason"]));
    let mut stuck = reasons.filter(|reason| {
        [
            "ErrImagePull",
            "ImagePullBackOff",
            "CrashLoopBackOff",
            "InvalidImageName",
        ]
        .contains(reason)
    });
    stuck.next().is_some()
}
