//! New instances for running functions, and a new try for what failed.

use serde_json::{Value, json};
use zerocart_cluster::{Progress, restart};

use crate::{kubectl, recorded::Recorded};

const PODS: &str =
    "--context prod get pods --namespace zerocart --selector serving.knative.dev/service ";

fn pods(all: &[(&str, &str, bool, bool)]) -> String {
    let all = all.iter().map(|(name, function, ready, leaves)| {
        json!({
            "kind": "Pod",
            "metadata": {
                "name": name, "labels": {"serving.knative.dev/service": function},
                "deletionTimestamp": leaves.then_some("2026-11-27T20:00:00Z"),
            },
            "status": {"conditions": [{"type": "Ready", "status": if *ready { "True" } else { "False" }}]},
        })
    });
    json!({"items": all.collect::<Vec<_>>()}).to_string()
}

fn deleted(recorded: &Recorded) -> Vec<String> {
    let calls = recorded.calls().into_iter();
    let mut calls = calls.filter_map(|call| {
        Some(
            call.strip_prefix("kubectl --context prod delete ")?
                .to_owned(),
        )
    });
    calls
        .by_ref()
        .map(|call| call.split(" --").next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_roll_replaces_one_instance_of_each_function_at_a_time_and_waits_for_the_drain() {
    let recorded = Recorded::new();
    let (user, cart) = ("get-user", "get-cart");
    let looks = [
        pods(&[
            ("u1", user, true, false),
            ("u2", user, true, false),
            ("c1", cart, true, false),
            ("o1", "get-order", true, false),
        ]),
        // The first round: u3 comes for u1.
        pods(&[
            ("u1", user, true, true),
            ("u2", user, true, false),
            ("u3", user, false, false),
            ("c1", cart, true, true),
        ]),
        pods(&[
            ("u1", user, true, true),
            ("u2", user, true, false),
            ("u3", user, true, false),
            ("c1", cart, true, true),
        ]),
        // The drain: of those that were there before.
        pods(&[
            ("u2", user, true, true),
            ("u3", user, true, false),
            ("c2", cart, true, false),
        ]),
        pods(&[
            ("u3", user, true, false),
            ("u4", user, true, false),
            ("c2", cart, true, false),
            ("o1", "get-order", true, false),
        ]),
    ];
    recorded.answers("kubectl", PODS, &looks.each_ref().map(String::as_str));
    recorded.answer("kubectl", "--context prod delete pods", "");
    let progress = Progress::new(std::io::sink(), false);
    let count = restart::roll(&kubectl(&recorded), &progress, "zerocart", &[user, cart]).await;
    assert_eq!(count, Ok(3));
    assert_eq!(deleted(&recorded), ["pods u1 c1", "pods u2"]);
    let looks = recorded
        .calls()
        .into_iter()
        .filter(|call| call.contains(" get pods "))
        .count();
    assert_eq!(looks, 5);
}

#[tokio::test]
async fn functions_at_zero_are_not_rolled() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", PODS, &pods(&[("o1", "get-order", true, false)]));
    let progress = Progress::new(std::io::sink(), false);
    let count = restart::roll(&kubectl(&recorded), &progress, "zerocart", &["get-user"]).await;
    assert_eq!(count, Ok(0));
    assert!(deleted(&recorded).is_empty());
}

#[tokio::test]
async fn only_what_failed_and_gets_no_traffic_is_tried_again() {
    let ksvc = |name: &str, routed: &str| {
        json!({
            "kind": "Service", "metadata": {"name": name, "generation": 1},
            "status": {"observedGeneration": 1, "latestCreatedRevisionName": format!("{name}-00002"),
                       "traffic": [{"revisionName": routed, "percent": 100}]},
        })
    };
    let revision = |name: &str, ready: &str| json!({"kind": "Revision", "metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
    let pod = |name: &str, owner: &str, revision: &str, reason: &str| -> Value {
        json!({
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"serving.knative.dev/revision": revision}, "ownerReferences": [{"kind": owner}]},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": reason}}}]},
        })
    };
    let recorded = Recorded::new();
    let knative = json!({"items": [
        ksvc("failed", "failed-00001"), revision("failed-00002", "False"), revision("failed-00001", "False"),
        ksvc("routed", "routed-00002"), revision("routed-00002", "False"),
        ksvc("starts", "starts-00001"), revision("starts-00002", "Unknown"),
    ]});
    let pods = json!({"items": [
        pod("failed-pod", "ReplicaSet", "failed-00002", "CrashLoopBackOff"),
        pod("starts-pod", "ReplicaSet", "starts-00002", "ImagePullBackOff"),
        pod("new-pod", "ReplicaSet", "starts-00002", "ContainerCreating"),
        pod("postgres-0", "StatefulSet", "", "ImagePullBackOff"),
        pod("provision-x", "Job", "", "ImagePullBackOff"),
    ]});
    let knative_kinds = "--context prod get services.serving.knative.dev,revisions.serving.knative.dev --namespace zerocart";
    recorded.answer("kubectl", knative_kinds, &knative.to_string());
    recorded.answer(
        "kubectl",
        "--context prod get pods --namespace zerocart",
        &pods.to_string(),
    );
    recorded.answer("kubectl", "--context prod delete", "");
    let again = restart::retry_failed(&kubectl(&recorded), "zerocart")
        .await
        .unwrap();
    assert_eq!(again, ["failed-00002", "starts-pod", "postgres-0"]);
    assert_eq!(
        deleted(&recorded),
        [
            "revisions.serving.knative.dev failed-00002",
            "pods starts-pod postgres-0"
        ]
    );
}
