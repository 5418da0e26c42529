//! Status and logs.

use std::{cell::RefCell, time::Duration};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zerocart_cluster::{
    Namespaces, Problem,
    fleet::Fleet,
    logs::{self, Lines},
};

use crate::{kubectl, recorded::Recorded};

fn list(items: &[Value]) -> String {
    json!({"kind": "List", "items": items}).to_string()
}

fn pod(name: &str, labels: Value, made: &str, ready: &str) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "creationTimestamp": made},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ready}],
            "containerStatuses": [
                {"name": "queue-proxy", "state": {"running": {}}},
                {"name": "user-container", "state": {"running": {}}},
            ],
        },
    })
}

fn cluster() -> Recorded {
    let recorded = Recorded::new();
    let knative = [
        json!({
            "kind": "Service", "metadata": {"name": "get-user", "generation": 2},
            "status": {
                "observedGeneration": 2, "latestCreatedRevisionName": "get-user-00002",
                "conditions": [{"type": "Ready", "status": "True"}],
                "traffic": [
                    {"revisionName": "get-user-00001", "percent": 90},
                    {"revisionName": "get-user-00002", "percent": 10, "tag": "canary"},
                ],
            },
        }),
        json!({
            "kind": "Revision",
            "metadata": {"name": "get-user-00001", "creationTimestamp": "2026-11-27T20:00:00Z"},
            "spec": {"containers": [{"image": "shop.example:5000/zerocart/get-user:5f1c"}]},
        }),
        json!({
            "kind": "Service", "metadata": {"name": "get-cart", "generation": 1},
            "status": {
                "observedGeneration": 1, "latestCreatedRevisionName": "get-cart-00001",
                "conditions": [{"type": "Ready", "status": "False", "message": "no ready revision"}],
            },
        }),
        json!({
            "kind": "Revision", "metadata": {"name": "get-cart-00001"},
            "status": {"conditions": [{"type": "Ready", "status": "False", "message": "a secret is missing"}]},
        }),
    ];
    let of = |function: &str| json!({"serving.knative.dev/service": function});
    let others = [
        pod(
            "u1",
            of("get-user"),
            "2026-11-27T20:09:00Z",
            "2026-11-27T20:09:09Z",
        ),
        pod(
            "u2",
            of("get-user"),
            "2026-11-27T20:09:30Z",
            "2026-11-27T20:09:31Z",
        ),
        json!({"kind": "CronJob", "metadata": {"name": "recover-orders"}, "spec": {"schedule": "* * * * *"}}),
        run("recover-orders-1", "2026-11-27T20:08:00Z", "Complete"),
        run("recover-orders-2", "2026-11-27T20:09:00Z", "Failed"),
        json!({"kind": "CronJob", "metadata": {"name": "settle-payments"}, "spec": {"schedule": "* * * * *", "suspend": true}}),
    ];
    let gateway = json!({
        "kind": "Deployment", "metadata": {"name": "gateway"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "gateway"}},
                 "template": {"spec": {"containers": [{"image": "dev.local/zerocart/zerocart:9"}]}}},
        "status": {"readyReplicas": 1},
    });
    let controller = json!({
        "kind": "Deployment",
        "metadata": {"name": "controller", "labels": {"app.kubernetes.io/version": "1.23.0"}},
    });
    let functions = [knative[0].clone(), knative[2].clone()];
    for (words, items) in [
        (
            "services.serving.knative.dev,revisions.serving.knative.dev --namespace zerocart",
            &knative[..],
        ),
        (
            "services.serving.knative.dev --namespace zerocart",
            &functions[..],
        ),
        ("pods,cronjobs,jobs --namespace zerocart", &others[..]),
        ("cronjobs --namespace zerocart", &others[2..3]),
        (
            "deployments,statefulsets --namespace zerocart-edge",
            std::slice::from_ref(&gateway),
        ),
        (
            "deployments --namespace zerocart-edge",
            std::slice::from_ref(&gateway),
        ),
        ("deployments,statefulsets --namespace zerocart-system", &[]),
        (
            "deployments --namespace knative-serving",
            std::slice::from_ref(&controller),
        ),
    ] {
        recorded.answer(
            "kubectl",
            &format!("--context prod get {words}"),
            &list(items),
        );
    }
    recorded
}

fn run(name: &str, made: &str, ended: &str) -> Value {
    json!({
        "kind": "Job",
        "metadata": {"name": name, "creationTimestamp": made, "ownerReferences": [{"kind": "CronJob", "name": "recover-orders"}]},
        "status": {"conditions": [{"type": ended, "status": "True", "reason": "DeadlineExceeded"}]},
    })
}

#[tokio::test]
async fn status_shows_functions_jobs_and_what_is_around_them() {
    let recorded = cluster();
    let now = OffsetDateTime::parse("2026-11-27T20:10:00Z", &Rfc3339).unwrap();
    let fleet = Fleet::look_at(&kubectl(&recorded), &Namespaces::default(), now)
        .await
        .unwrap();
    assert_eq!(
        serde_json::to_value(&fleet).unwrap(),
        json!({
            "context": "prod",
            "knative": "1.23.0",
            "functions": [
                {
                    "name": "get-cart", "ready": false, "reason": "a secret is missing", "instances": 0,
                    "revision": null, "revision_age_s": null, "image_tag": "", "traffic": [], "trial": null,
                    "last_start_s": null,
                },
                {
                    "name": "get-user", "ready": true, "reason": null, "instances": 2,
                    "revision": "get-user-00001", "revision_age_s": 600, "image_tag": "5f1c",
                    "traffic": [
                        {"revision": "get-user-00001", "percent": 90, "tag": null},
                        {"revision": "get-user-00002", "percent": 10, "tag": "canary"},
                    ],
                    "trial": "canary get-user-00002 with 10 %",
                    "last_start_s": 1,
                },
            ],
            "jobs": [
                {"name": "recover-orders", "schedule": "* * * * *", "last_run_s_ago": 60, "last_result": "failed: DeadlineExceeded"},
                {"name": "settle-payments", "schedule": "suspended", "last_run_s_ago": null, "last_result": null},
            ],
            "edge": [{"name": "gateway", "ready": 1, "wanted": 2, "image": "dev.local/zerocart/zerocart:9"}],
            "system": [],
        })
    );
    // Not one for each function.
    assert_eq!(recorded.calls().len(), 5);
}

#[tokio::test]
async fn a_function_says_that_its_newest_revision_is_awaited() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", "--context prod get", &list(&[]));
    let ksvc = json!({
        "kind": "Service", "metadata": {"name": "get-user", "generation": 1},
        "status": {
            "observedGeneration": 1, "latestCreatedRevisionName": "get-user-00002",
            "conditions": [{"type": "Ready", "status": "Unknown"}],
        },
    });
    let words = "--context prod get services.serving.knative.dev";
    recorded.answer("kubectl", words, &list(&[ksvc]));
    let fleet = Fleet::look(&kubectl(&recorded), &Namespaces::default())
        .await
        .unwrap();
    let reason = fleet.functions[0].reason.as_deref();
    assert_eq!(
        reason,
        Some("its newest revision get-user-00002 is not ready yet")
    );
}

#[tokio::test]
async fn a_cluster_without_a_deployment_says_so() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", "--context prod get", &list(&[]));
    let refused = "error: the server doesn't have a resource type \"services\"";
    recorded.refuse(
        "kubectl",
        "--context prod get services.serving.knative.dev",
        refused,
    );
    let problem = Fleet::look(&kubectl(&recorded), &Namespaces::default())
        .await
        .unwrap_err();
    assert_eq!(problem.what(), "nothing is deployed on prod");
}

async fn show(recorded: &Recorded, name: &str, lines: Lines) -> Result<String, Problem> {
    let said = RefCell::new(String::new());
    let say = |line: &str| said.borrow_mut().push_str(line);
    logs::show(
        &kubectl(recorded),
        &Namespaces::default(),
        name,
        &lines,
        say,
    )
    .await?;
    let call = recorded.calls().pop().unwrap();
    Ok(call.replace("kubectl --context prod ", ""))
}

#[tokio::test]
async fn logs_come_from_the_pods_of_a_function_a_job_and_the_edge() {
    let recorded = cluster();
    recorded.answer("kubectl", "--context prod logs", "");
    let pods = |selector: &str, all: &[Value]| {
        let words = format!("--context prod get pods --namespace {selector} --output");
        recorded.answer("kubectl", &words, &list(all));
    };
    let at = "2026-11-27T20:09:00Z";
    let user = |name: &str| pod(name, json!({}), at, at);
    pods(
        "zerocart --selector serving.knative.dev/service=get-user",
        &[user("u1")],
    );
    let shown = show(&recorded, "get-user", Lines::default()).await;
    assert_eq!(
        shown.unwrap(),
        "logs u1 --namespace zerocart --tail -1 --container user-container"
    );

    pods(
        "zerocart --selector serving.knative.dev/service=get-user",
        &[user("u1"), user("u2")],
    );
    let lines = Lines {
        follow: false,
        since: Some("1h".to_owned()),
        tail: Some(7),
    };
    assert_eq!(
        show(&recorded, "get-user", lines).await.unwrap(),
        "logs --selector serving.knative.dev/service=get-user --prefix --max-log-requests 50 \
         --ignore-errors --namespace zerocart --tail 7 --container user-container --since 1h"
    );

    // The last run, and not the run of a job whose name only begins so.
    let job = |name: &str, made: &str| {
        pod(
            &format!("{name}-x"),
            json!({"batch.kubernetes.io/job-name": name}),
            made,
            made,
        )
    };
    pods(
        "zerocart --selector batch.kubernetes.io/job-name",
        &[
            job("recover-orders-2", "2026-11-27T20:02:00Z"),
            job("recover-orders-1", "2026-11-27T20:01:00Z"),
            job("recover-orders-now-3", "2026-11-27T20:03:00Z"),
        ],
    );
    let shown = show(&recorded, "recover-orders", Lines::default())
        .await
        .unwrap();
    assert_eq!(
        shown,
        "logs recover-orders-2-x --namespace zerocart --tail -1"
    );

    pods("zerocart-edge --selector app=gateway", &[user("g1")]);
    let follow = Lines {
        follow: true,
        ..Lines::default()
    };
    let shown = show(&recorded, "gateway", follow).await.unwrap();
    assert_eq!(
        shown,
        "logs g1 --namespace zerocart-edge --tail -1 --follow"
    );
}

#[tokio::test]
async fn logs_say_that_a_function_is_at_zero_or_not_there() {
    let recorded = cluster();
    recorded.answer("kubectl", "--context prod get pods", &list(&[]));
    let problem = show(&recorded, "get-user", Lines::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        problem.starts_with("get-user has no instance at the moment"),
        "{problem}"
    );
    assert!(
        problem.contains("log collector has older lines"),
        "{problem}"
    );
    let mut starts = pod(
        "u1",
        json!({}),
        "2026-11-27T20:09:00Z",
        "2026-11-27T20:09:01Z",
    );
    starts["status"]["containerStatuses"][1]["state"] =
        json!({"waiting": {"reason": "ContainerCreating"}});
    let words = "--context prod get pods";
    recorded.answers("kubectl", words, &[&list(&[starts]), &list(&[])]);
    let problem = show(&recorded, "get-user", Lines::default())
        .await
        .unwrap_err();
    assert_eq!(problem.what(), "get-user has written nothing");
    let problem = show(&recorded, "nothing", Lines::default())
        .await
        .unwrap_err();
    assert_eq!(
        problem.cause(),
        Some("it has get-user, get-cart, recover-orders")
    );
    let problem = show(&recorded, "kong", Lines::default()).await.unwrap_err();
    assert_eq!(problem.what(), "the cluster has no kong");
}

#[tokio::test]
async fn following_goes_on_with_the_next_instance() {
    let recorded = cluster();
    let at = "2026-11-27T20:09:00Z";
    let first = list(&[pod("u1", json!({}), at, at)]);
    let later = list(&[pod("u2", json!({}), "2026-11-27T20:12:00Z", at)]);
    recorded.answers("kubectl", "--context prod get pods", &[&first, &later]);
    recorded.answer("kubectl", "--context prod logs u1", "");
    recorded.refuse("kubectl", "--context prod logs u2", "the end of this test");
    let lines = Lines {
        follow: true,
        ..Lines::default()
    };
    let shown = tokio::time::timeout(Duration::from_secs(60), show(&recorded, "get-user", lines))
        .await
        .unwrap();
    shown.unwrap_err();
    let last = recorded.calls().pop().unwrap();
    assert!(
        last.ends_with("--follow --since-time=2026-11-27T20:12:00Z"),
        "{last}"
    );
}
