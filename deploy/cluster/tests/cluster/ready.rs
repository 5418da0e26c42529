//! Waiting: what becomes ready, and each reason why something does not, as a cluster was seen to give it.

use std::time::Duration;

use serde_json::{Value, json};
use zerocart_cluster::{Kubectl, Mode, Pace, Problem, Progress, Wait};

use crate::recorded::Recorded;

const FUNCTIONS: &str = "--context prod get services.serving.knative.dev,revisions.serving.knative.dev,pods,events \
                         --namespace zerocart";

/// No patience, and no pauses.
const AT_ONCE: Pace = Pace {
    poll: Duration::ZERO,
    short: Duration::ZERO,
    long: Duration::ZERO,
    room: Duration::ZERO,
};

/// All the patience that there is.
const PATIENT: Pace = Pace {
    poll: Duration::ZERO,
    short: Duration::from_secs(3600),
    long: Duration::from_secs(3600),
    room: Duration::from_secs(3600),
};

fn list(items: &[Value]) -> String {
    json!({"kind": "List", "items": items}).to_string()
}

fn ksvc(name: &str, ready: &str, reason: &str) -> Value {
    json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": name, "generation": 2},
        "status": {
            "observedGeneration": 2,
            "latestCreatedRevisionName": format!("{name}-00002"),
            "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": "its message"}],
        },
    })
}

fn revision(name: &str, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Revision", "metadata": {"name": name},
        "spec": {"containers": [{"image": "shop.example/zerocart/get-user:5f1c"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": reason, "message": message}]},
    })
}

/// A pod whose user-container says this.
fn pod(revision: &str, container: &Value) -> Value {
    let mut own =
        json!({"name": "user-container", "ready": false, "image": "dev.local/zerocart/x:1"});
    for (key, value) in container.as_object().unwrap() {
        own[key] = value.clone();
    }
    json!({
        "kind": "Pod",
        "metadata": {"name": format!("{revision}-deployment-1"), "labels": {"serving.knative.dev/revision": revision}},
        "status": {"phase": "Pending", "containerStatuses": [
            {"name": "queue-proxy", "ready": false, "state": {"running": {}}}, own,
        ]},
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": message}}})
}

struct Waited {
    recorded: Recorded,
    pace: Pace,
}

impl Waited {
    fn new(words: &str, answers: &[String], pace: Pace) -> Self {
        let recorded = Recorded::new();
        let answers: Vec<_> = answers.iter().map(String::as_str).collect();
        recorded.answers("kubectl", words, &answers);
        Self { recorded, pace }
    }

    async fn with(
        &self,
        limit: Duration,
        what: impl AsyncFnOnce(Wait<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let kubectl = Kubectl::new(self.recorded.programs(), "prod", None, Mode::Change);
        let progress = Progress::new(std::io::sink(), false);
        what(Wait::new(&kubectl, &progress, "zerocart", limit).at_pace(self.pace)).await
    }
}

const HOUR: Duration = Duration::from_secs(3600);

async fn functions(answers: &[String], pace: Pace, names: &[&str]) -> Result<(), Problem> {
    let waited = Waited::new(FUNCTIONS, answers, pace);
    waited
        .with(HOUR, async |wait| wait.functions(names).await)
        .await
}

#[tokio::test]
async fn functions_are_waited_for_until_each_has_been_looked_at_and_is_ready() {
    let mut unseen = ksvc("get-user", "True", "");
    unseen["status"]["observedGeneration"] = json!(1);
    let answers = [
        list(&[]),
        list(&[unseen, ksvc("get-cart", "Unknown", "RevisionMissing")]),
        list(&[
            ksvc("get-user", "True", ""),
            ksvc("get-cart", "Unknown", "RevisionMissing"),
        ]),
        list(&[ksvc("get-user", "True", ""), ksvc("get-cart", "True", "")]),
    ];
    let waited = Waited::new(FUNCTIONS, &answers, PATIENT);
    let names = ["get-user", "get-cart"];
    waited
        .with(HOUR, async |wait| wait.functions(&names).await)
        .await
        .unwrap();
    assert_eq!(waited.recorded.calls().len(), 4);
}

#[tokio::test]
async fn each_reason_has_its_cause_and_its_cure() {
    let name = "get-user-00002";
    let ended = |code: u8, message: &str| {
        let ended = json!({"exitCode": code, "reason": "Error", "message": message});
        json!({"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
               "lastState": {"terminated": ended}})
    };
    let unscheduled = |message: &str| {
        let mut pod = pod(name, &json!({}));
        pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]);
        pod
    };
    let image = |image: &str, message: &str| {
        let mut container = waiting("ImagePullBackOff", message);
        container["image"] = json!(image);
        pod(name, &container)
    };
    let exceeded = r#"pods "get-user-1" is forbidden: exceeded quota: zerocart, requested: pods=1, used: pods=2"#;
    let mount = json!({"kind": "Event", "reason": "FailedMount", "involvedObject": {"name": "get-user-00002-deployment-1"},
                       "message": "secret \"ca\" not found"});
    let cases: Vec<(Vec<Value>, &str, &str)> = vec![
        (
            vec![image("dev.local/zerocart/x:1", "Back-off pulling image")],
            "the image dev.local/zerocart/x:1 is not on the node: Back-off pulling image",
            "no registry has this image",
        ),
        (
            vec![image("shop.example/x:1", "401 Unauthorized")],
            "shop.example/x:1",
            "kubectl create secret docker-registry",
        ),
        (
            vec![image("shop.example/x:1", "no such host")],
            "no such host",
            "look whether the nodes reach the registry",
        ),
        (
            vec![pod(name, &waiting("ErrImageNeverPull", ""))],
            "is not on the node",
            "the step `images`",
        ),
        (
            vec![pod(name, &waiting("InvalidImageName", "bad"))],
            "is not on the node: bad",
            "the step `images`",
        ),
        (
            vec![pod(
                name,
                &waiting(
                    "CreateContainerConfigError",
                    "secret \"zerocart-user\" not found",
                ),
            )],
            "secret \"zerocart-user\" not found",
            "the steps `database` and `keys`",
        ),
        (
            vec![pod(name, &ended(64, "DATABASE_URL is missing"))],
            "it exits with 64 at its start: DATABASE_URL is missing",
            "the secrets `zerocart-…`",
        ),
        (
            vec![pod(name, &ended(255, "exec /get-user: exec format error"))],
            "exec format error",
            "another kind of processor",
        ),
        (
            vec![unscheduled("0/1 nodes are available: 1 Insufficient cpu.")],
            "no node has room for it: 0/1 nodes are available: 1 Insufficient cpu.",
            "give the cluster more CPU",
        ),
        (
            vec![unscheduled("1 node(s) had untolerated taint")],
            "untolerated taint",
            "kubectl describe nodes",
        ),
        (
            vec![pod(name, &json!({})), mount],
            "secret \"ca\" not found",
            "the steps `database` and `keys`",
        ),
        (
            vec![revision(name, "FailedCreate", exceeded)],
            "exceeded quota: zerocart",
            "raise the quota",
        ),
        (
            vec![revision(
                name,
                "FailedCreate",
                "violates PodSecurity \"restricted:latest\"",
            )],
            "PodSecurity",
            "baseline",
        ),
        (
            vec![revision(
                name,
                "FailedCreate",
                "failed calling webhook \"a.example\": refused",
            )],
            "a.example",
            "does not answer",
        ),
        (
            vec![revision(
                name,
                "FailedCreate",
                "admission webhook \"a.example\" denied the request: no",
            )],
            "denied",
            "has a rule",
        ),
        (
            vec![revision(
                name,
                "ContainerMissing",
                "failed to resolve image to digest: 403 Forbidden",
            )],
            "the image shop.example/zerocart/get-user:5f1c is not on the node",
            "imagePullSecrets",
        ),
        (
            vec![revision(name, "ProgressDeadlineExceeded", "too slow")],
            "its revision get-user-00002 failed (ProgressDeadlineExceeded): too slow",
            "correct what it names",
        ),
    ];
    for (objects, cause, cure) in cases {
        let mut all = vec![ksvc("get-user", "False", "RevisionMissing")];
        all.extend(objects);
        let problem = functions(&[list(&all)], AT_ONCE, &["get-user"])
            .await
            .unwrap_err()
            .to_string();
        let (before, after) = problem.split_once("\n  cure: ").unwrap();
        assert!(
            before.starts_with("get-user does not become ready\n  because: "),
            "{problem}"
        );
        assert!(before.contains(cause) && after.contains(cure), "{problem}");
    }
    let unrouted = list(&[ksvc("get-user", "Unknown", "IngressNotConfigured")]);
    let problem = functions(&[unrouted], AT_ONCE, &["get-user"])
        .await
        .unwrap_err();
    assert!(
        problem.to_string().contains("cure: Kourier does not run"),
        "{problem}"
    );
    let problem = functions(&[list(&[])], AT_ONCE, &["get-user"])
        .await
        .unwrap_err();
    assert_eq!(problem.cause(), Some("the cluster has no ksvc get-user"));
}

#[tokio::test]
async fn a_trouble_that_heals_and_one_of_an_earlier_revision_are_none() {
    let broken = pod(
        "get-user-00002",
        &waiting("CreateContainerConfigError", "secret \"a\" not found"),
    );
    let earlier = pod("get-user-00001", &waiting("ImagePullBackOff", "gone"));
    let waits = ksvc("get-user", "Unknown", "RevisionMissing");
    let healed = [
        list(&[waits.clone(), broken]),
        list(&[ksvc("get-user", "True", "")]),
    ];
    functions(&healed, PATIENT, &["get-user"]).await.unwrap();
    let heals = [
        list(&[waits, earlier]),
        list(&[ksvc("get-user", "True", "")]),
    ];
    functions(&heals, AT_ONCE, &["get-user"]).await.unwrap();
}

#[tokio::test]
async fn those_with_the_same_trouble_are_told_together_with_the_last_lines() {
    let mut objects = Vec::new();
    for name in ["get-user", "get-cart", "get-order"] {
        objects.push(ksvc(name, "False", "RevisionMissing"));
        let ended = json!({"lastState": {"terminated": {"exitCode": 1}}, "state": {"running": {}}});
        objects.push(pod(&format!("{name}-00002"), &ended));
    }
    let waited = Waited::new(FUNCTIONS, &[list(&objects)], AT_ONCE);
    let logs = "--context prod logs get-user-00002-deployment-1 --namespace zerocart --container user-container";
    waited
        .recorded
        .refuse("kubectl", logs, "previous terminated container not found");
    waited.recorded.answer(
        "kubectl",
        &format!("{logs} --tail 6 --previous=false"),
        "no key\n",
    );
    let names = ["get-user", "get-cart", "get-order"];
    let problem = waited
        .with(HOUR, async |wait| wait.functions(&names).await)
        .await
        .unwrap_err();
    let cause = "it exits with 1 at its start:\nno key\nthe same holds for get-cart, get-order";
    assert_eq!(problem.cause(), Some(cause));
}

#[tokio::test]
async fn at_the_end_of_its_time_it_says_which_wait_and_their_last_events() {
    let event = |time: &str, message: &str| {
        json!({"kind": "Event", "reason": "Pulling", "message": message, "lastTimestamp": time,
               "involvedObject": {"name": "get-cart-00002-deployment-1"}})
    };
    let objects = [
        ksvc("get-user", "True", ""),
        ksvc("get-cart", "Unknown", "RevisionMissing"),
        event("2026-11-27T20:00:02Z", "the newer"),
        event("2026-11-27T20:00:01Z", "the older"),
    ];
    let waited = Waited::new(FUNCTIONS, &[list(&objects)], PATIENT);
    let names = ["get-user", "get-cart"];
    let late = waited
        .with(Duration::ZERO, async |wait| wait.functions(&names).await)
        .await
        .unwrap_err();
    assert_eq!(
        late.what(),
        "1 of 2 are ready after 0 s; these are not: get-cart"
    );
    assert_eq!(late.cause(), Some("get-cart: Pulling: the newer"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_again_and_then_told() {
    let waited = Waited::new(FUNCTIONS, &[list(&[ksvc("get-user", "True", "")])], PATIENT);
    waited
        .recorded
        .refuse_once("kubectl", "--context prod get", "connection refused");
    waited
        .with(HOUR, async |wait| wait.functions(&["get-user"]).await)
        .await
        .unwrap();

    let silent = Waited {
        recorded: Recorded::new(),
        pace: AT_ONCE,
    };
    silent
        .recorded
        .refuse("kubectl", "--context prod get", "connection refused");
    let problem = silent
        .with(HOUR, async |wait| wait.functions(&["get-user"]).await)
        .await
        .unwrap_err();
    assert_eq!(problem.cause(), Some("connection refused"));
}

fn workload(kind: &str, ready: u64) -> Value {
    json!({
        "kind": kind, "metadata": {"name": "postgres", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "postgres"}},
                 "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": ready},
    })
}

#[tokio::test]
async fn a_workload_is_ready_or_its_pod_its_volume_or_its_quota_says_why_not() {
    for (kind, kinds) in [
        ("Deployment", "deployments,pods"),
        ("StatefulSet", "statefulsets,pods"),
    ] {
        let answers = [list(&[workload(kind, 0)]), list(&[workload(kind, 1)])];
        let waited = Waited::new(&format!("--context prod get {kinds}"), &answers, PATIENT);
        let wait = async |wait: Wait<'_>| match kind {
            "Deployment" => wait.deployment("postgres").await,
            _ => wait.statefulset("postgres").await,
        };
        waited.with(HOUR, wait).await.unwrap();
        assert_eq!(waited.recorded.calls().len(), 2);
    }

    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let pod = json!({
        "kind": "Pod", "metadata": {"name": "postgres-0", "labels": {"app": "postgres"}},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": unbound}]},
    });
    let claim = |spec: Value| {
        json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "data-postgres-0"},
                                     "spec": spec, "status": {"phase": "Pending"}})
    };
    let failed = json!({"kind": "Event", "reason": "ProvisioningFailed", "message": "no class fast",
                        "involvedObject": {"kind": "PersistentVolumeClaim", "name": "data-postgres-0"}});
    let quota = json!({"kind": "Event", "reason": "FailedCreate", "message": "exceeded quota: small",
                       "involvedObject": {"kind": "StatefulSet", "name": "postgres"}});
    for (objects, cause, cure) in [
        (
            vec![pod.clone(), claim(json!({}))],
            "data-postgres-0 has no storage class",
            "a default storage class",
        ),
        (
            vec![
                pod.clone(),
                claim(json!({"storageClassName": "fast"})),
                failed,
            ],
            "cannot be made: no class fast",
            "storage class",
        ),
        (vec![pod], unbound, "storage class"),
        (vec![quota], "exceeded quota: small", "raise the quota"),
    ] {
        let mut all = vec![workload("StatefulSet", 0)];
        all.extend(objects);
        let waited = Waited::new("--context prod get statefulsets", &[list(&all)], AT_ONCE);
        let problem = waited
            .with(HOUR, async |wait| wait.statefulset("postgres").await)
            .await
            .unwrap_err();
        let problem = problem.to_string();
        assert!(
            problem.contains(cause) && problem.contains(cure),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_job_may_try_again_and_its_end_tells_its_last_lines() {
    let job = |of_type: &str| {
        json!({"kind": "Job", "metadata": {"name": "provision"},
               "status": {"conditions": [{"type": of_type, "status": "True", "reason": "BackoffLimitExceeded"}]}})
    };
    let run = |name: &str, made: &str| {
        json!({"kind": "Pod", "metadata": {"name": name, "creationTimestamp": made, "labels": {"job-name": "provision"}},
               "status": {"phase": "Failed", "containerStatuses": [
                   {"name": "provision", "ready": false, "state": {"terminated": {"exitCode": 1}}}]}})
    };
    let (first, second) = (
        run("provision-a", "2026-11-27T20:00:01Z"),
        run("provision-b", "2026-11-27T20:00:09Z"),
    );
    let words = "--context prod get jobs,pods,events --namespace zerocart";
    let again = [
        list(&[job("Suspended"), first.clone()]),
        list(&[job("Complete"), first.clone(), second.clone()]),
    ];
    let waited = Waited::new(words, &again, AT_ONCE);
    waited
        .with(HOUR, async |wait| wait.job("provision").await)
        .await
        .unwrap();

    let waited = Waited::new(words, &[list(&[job("Failed"), second, first])], PATIENT);
    waited.recorded.answer(
        "kubectl",
        "--context prod logs provision-b",
        "the server refuses the role\n",
    );
    let problem = waited
        .with(HOUR, async |wait| wait.job("provision").await)
        .await
        .unwrap_err();
    assert_eq!(
        problem.cause(),
        Some("it exits with 1 at its start:\nthe server refuses the role")
    );

    let waited = Waited::new(words, &[list(&[job("Failed")])], PATIENT);
    let problem = waited
        .with(HOUR, async |wait| wait.job("provision").await)
        .await
        .unwrap_err();
    assert_eq!(problem.cause(), Some("BackoffLimitExceeded:"));
}
