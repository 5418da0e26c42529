//! Which revision of a function gets how much of its traffic.
//!
//! A deployment writes `spec.traffic` in one of three ways: [`rolling`], [`canary`] or [`blue_green`].
//! [`promote`] and [`rollback`] change it for a function that runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Kubectl, Mode, Problem, Progress, Result,
    object::{KSVC, REVISIONS, SERVICE, count, is, items, label, name, text, up_to_date},
};

/// The tag of a new revision that gets a part of the traffic.
pub const CANARY: &str = "canary";

/// The tag of a new revision that gets no traffic yet.
pub const GREEN: &str = "green";

/// How long a route may take to change.
const ROUTED: Duration = Duration::from_secs(60);

/// All traffic to the newest revision, as soon as it is ready.
pub fn rolling() -> Vec<Value> {
    vec![json!({"latestRevision": true, "percent": 100})]
}

/// `percent` of the traffic to the newest revision, the rest to the current one. The newest answers all that
/// is sent to `canary-NAME`, too. Without a current revision it is [`rolling`].
///
/// # Errors
///
/// When `percent` leaves nothing for one of them.
pub fn canary(live: Option<&Value>, percent: u8) -> Result<Vec<Value>> {
    if !(1..=99).contains(&percent) {
        return Err(
            Problem::new(format!("a canary cannot have {percent} % of the traffic"))
                .because("it is a part of the traffic: 1 to 99")
                .cure(
                    "for 100 %, deploy without `--canary`; for 0 %, deploy with `--blue-green`, and try the \
                     new revision at its own address",
                ),
        );
    }
    Ok(split(live, percent, CANARY))
}

/// All traffic stays with the current revision; the newest answers at `TAG-NAME` only. Without a current
/// revision it is [`rolling`].
pub fn blue_green(live: Option<&Value>, tag: &str) -> Vec<Value> {
    split(live, 0, tag)
}

fn split(live: Option<&Value>, percent: u8, tag: &str) -> Vec<Value> {
    match live.and_then(current) {
        None => rolling(),
        Some(current) => vec![
            json!({"revisionName": current, "percent": 100 - percent}),
            json!({"latestRevision": true, "percent": percent, "tag": tag}),
        ],
    }
}

/// The revision that people use: the one with the most traffic, apart from one on trial. Only revisions that
/// are ready get traffic.
pub fn current(ksvc: &Value) -> Option<&str> {
    items(&ksvc["status"]["traffic"])
        .filter(|route| count(&route["percent"]) > 0)
        // Of equals, the first.
        .rev()
        .max_by_key(|route| (on_trial(route).is_none(), count(&route["percent"])))
        .and_then(|route| route["revisionName"].as_str())
}

/// A revision beside the current one that is tried, and its tag.
pub fn trial(ksvc: &Value) -> Option<(&str, &str, u64)> {
    let mut routes = items(&ksvc["status"]["traffic"]);
    let current = current(ksvc);
    routes.find_map(|route| {
        let revision = text(&route["revisionName"]);
        let tag = on_trial(route).filter(|_| Some(revision) != current)?;
        Some((tag, revision, count(&route["percent"])))
    })
}

fn on_trial(route: &Value) -> Option<&str> {
    route["tag"].as_str()
}

/// How the traffic is split, in words; nothing where one revision has it all.
pub fn in_words(ksvc: &Value) -> Option<String> {
    let (tag, revision, percent) = trial(ksvc)?;
    Some(match percent {
        0 => format!("{tag} {revision} without traffic"),
        percent => format!("{tag} {revision} with {percent} %"),
    })
}

/// What a person does after a deployment with a canary or a green revision.
pub fn next_steps(of_name: &str, namespace: &str, tag: &str) -> String {
    format!(
        "try it at http://{tag}-{of_name}.{namespace}.svc.cluster.local (inside of the cluster); \
         `zerocart promote {of_name}` gives it all traffic, `zerocart rollback {of_name}` gives it none"
    )
}

/// A revision of a function, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its name.
    pub name: String,
    /// Which one it is: 1 for the first.
    pub generation: u64,
    /// Whether it can get traffic.
    pub ready: bool,
    /// How much of the traffic it gets.
    pub percent: u64,
    /// The tag with which it is reached alone.
    pub tag: Option<String>,
    /// Its image.
    pub image: String,
    /// When it was made, as Kubernetes writes it.
    pub made: String,
}

/// A function and its revisions, the newest first.
///
/// # Errors
///
/// When the cluster has no such function, or cannot be asked.
pub async fn revisions(
    kubectl: &Kubectl,
    namespace: &str,
    of_name: &str,
) -> Result<(Value, Vec<Revision>)> {
    let ksvc = ksvc(kubectl, namespace, of_name).await?;
    let selector = format!("{SERVICE}={of_name}");
    let found = kubectl.list(REVISIONS, namespace, &selector).await?;
    let mut revisions: Vec<_> = found.iter().map(|one| revision(one, &ksvc)).collect();
    revisions.sort_by_key(|one| std::cmp::Reverse(one.generation));
    Ok((ksvc, revisions))
}

fn revision(revision: &Value, ksvc: &Value) -> Revision {
    let routes = || {
        items(&ksvc["status"]["traffic"]).filter(|route| route["revisionName"] == name(revision))
    };
    let generation = label(revision, "serving.knative.dev/configurationGeneration");
    Revision {
        name: name(revision).to_owned(),
        generation: generation.parse().unwrap_or(0),
        ready: is(revision, "Ready", "True"),
        percent: routes().map(|route| count(&route["percent"])).sum(),
        tag: routes().find_map(on_trial).map(str::to_owned),
        image: text(&revision["spec"]["containers"][0]["image"]).to_owned(),
        made: text(&revision["metadata"]["creationTimestamp"]).to_owned(),
    }
}

async fn ksvc(kubectl: &Kubectl, namespace: &str, of_name: &str) -> Result<Value> {
    let found = kubectl.get(KSVC, namespace, of_name).await?;
    found.ok_or_else(|| {
        Problem::new(format!("the cluster has no function {of_name}"))
            .because(format!(
                "no ksvc of this name is in the namespace {namespace} of {}",
                kubectl.context()
            ))
            .cure(format!(
                "`zerocart status --context {}` lists the functions",
                kubectl.context()
            ))
    })
}

/// Gives all traffic to the newest revision: the end of a canary, of a green revision, or of a rollback.
/// Says what happened.
///
/// # Errors
///
/// When the newest revision is not ready, or there is nothing to promote.
pub async fn promote(
    kubectl: &Kubectl,
    progress: &Progress,
    namespace: &str,
    of_name: &str,
) -> Result<String> {
    let ksvc = ksvc(kubectl, namespace, of_name).await?;
    let status = &ksvc["status"];
    let (created, ready) = (
        text(&status["latestCreatedRevisionName"]),
        text(&status["latestReadyRevisionName"]),
    );
    if !up_to_date(&ksvc) || created != ready || ready.is_empty() {
        return Err(
            Problem::new(format!("the newest revision of {of_name} is not ready"))
                .because(match ready {
                    "" => "no revision of it is ready".to_owned(),
                    ready => format!("the newest is {created}, the newest that is ready {ready}"),
                })
                .cure(format!(
                    "wait until `zerocart status` shows it as ready; or end the trial with `zerocart rollback \
                     {of_name}`"
                )),
        );
    }
    let before = current(&ksvc).map(str::to_owned);
    if before.as_deref() == Some(ready)
        && trial(&ksvc).is_none()
        && ksvc["spec"]["traffic"] == json!(rolling())
    {
        return Err(Problem::new(format!(
            "nothing to promote: {of_name} has no revision on trial"
        ))
        .because(format!("{ready} gets all traffic already"))
        .cure("`zerocart deploy --canary 10` or `--blue-green` puts a new revision on trial"));
    }
    route(kubectl, progress, namespace, of_name, &rolling()).await?;
    let back = match before.filter(|before| before != ready) {
        Some(before) => format!("; `zerocart rollback {of_name}` goes back to {before}"),
        None => String::new(),
    };
    Ok(format!("{of_name}: {ready} gets all traffic{back}"))
}

/// Gives all traffic to an earlier revision: to `to`; or, where a newer one than the current is on trial or has
/// failed, to the current one; or else to the newest one before the current one. Says what happened.
///
/// # Errors
///
/// When there is no such revision, or it is not ready.
pub async fn rollback(
    kubectl: &Kubectl,
    progress: &Progress,
    namespace: &str,
    of_name: &str,
    to: Option<&str>,
) -> Result<String> {
    let (ksvc, revisions) = revisions(kubectl, namespace, of_name).await?;
    let listed = format!("`zerocart rollback {of_name} --list` shows its revisions");
    let target = match to {
        Some(to) => {
            let found = revisions.iter().find(|one| one.name == to);
            let found = found.ok_or_else(|| {
                Problem::new(format!("{of_name} has no revision {to}")).cure(listed.clone())
            })?;
            if !found.ready {
                return Err(Problem::new(format!("{to} cannot get traffic"))
                    .because("it is not ready")
                    .cure(listed));
            }
            found
        }
        None => earlier(&ksvc, &revisions).ok_or_else(|| {
            Problem::new(format!("{of_name} has no earlier revision"))
                .because("no revision before the current one is ready")
                .cure(listed)
        })?,
    };
    let traffic = [json!({"revisionName": target.name, "percent": 100})];
    route(kubectl, progress, namespace, of_name, &traffic).await?;
    Ok(format!(
        "{of_name}: {} gets all traffic (image {}). It stays so until the next `zerocart deploy`, which gives \
         all traffic to its new revision again, or until `zerocart promote {of_name}`, which gives it to the \
         newest one that there is",
        target.name, target.image
    ))
}

fn earlier<'a>(ksvc: &Value, revisions: &'a [Revision]) -> Option<&'a Revision> {
    let of_current = current(ksvc).and_then(|name| revisions.iter().find(|one| one.name == name));
    // A revision that is tried, and one that failed and never got any traffic, are newer than the current
    // one: to go back from them is to stay with the current one.
    let mut declared = items(&ksvc["spec"]["traffic"]);
    let newest = &ksvc["status"]["latestCreatedRevisionName"];
    let newer = declared.any(|route| {
        let waits = route["latestRevision"] == true && current(ksvc) != newest.as_str();
        waits || on_trial(route).is_some()
    });
    if newer && of_current.is_some_and(|one| one.ready) {
        return of_current;
    }
    let generation = of_current.map_or(u64::MAX, |one| one.generation);
    revisions
        .iter()
        .find(|one| one.ready && one.generation < generation)
}

/// Writes the traffic, and waits until it is so.
async fn route(
    kubectl: &Kubectl,
    progress: &Progress,
    namespace: &str,
    of_name: &str,
    traffic: &[Value],
) -> Result<()> {
    let patch = json!({"spec": {"traffic": traffic}});
    kubectl.patch(KSVC, namespace, of_name, &patch).await?;
    if kubectl.mode() != Mode::Change {
        return Ok(());
    }
    let began = Instant::now();
    loop {
        let ksvc = ksvc(kubectl, namespace, of_name).await?;
        // The newest revision may have failed, for which one goes back: only the route counts.
        if up_to_date(&ksvc) && is(&ksvc, "RoutesReady", "True") {
            return Ok(());
        }
        if began.elapsed() >= ROUTED {
            let routes = crate::object::condition(&ksvc, "RoutesReady").unwrap_or(&Value::Null);
            return Err(
                Problem::new(format!("the traffic of {of_name} is not routed yet"))
                    .because(text(&routes["message"]))
                    .cure("`kubectl get pods --namespace kourier-system`: Kourier routes it"),
            );
        }
        progress.event(format_args!("{of_name}: waits for the route"));
        sleep(Duration::from_millis(500)).await;
    }
}
