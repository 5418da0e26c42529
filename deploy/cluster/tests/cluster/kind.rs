//! The kind cluster: made, found again, refused, deleted.

use serde_json::{Value, json};
use zerocart_cluster::{
    Engine, Problem, Progress,
    kind::{Cluster, Kind, NODE_IMAGE},
};

use crate::recorded::Recorded;

fn kind(recorded: &Recorded) -> Kind {
    Kind::new(recorded.programs(), Engine::Podman, None)
}

fn quiet() -> Progress {
    Progress::new(std::io::sink(), false)
}

/// What an engine says about a node of kind with these ports.
fn node(ports: &Value, running: bool) -> String {
    json!([{"State": {"Running": running}, "HostConfig": {"PortBindings": ports}}]).to_string()
}

fn mapped(http: &str, https: &str) -> Value {
    let port = |port: &str| json!([{"HostIp": "127.0.0.1", "HostPort": port}]);
    json!({"6443/tcp": port("40001"), "30080/tcp": port(http), "30443/tcp": port(https)})
}

/// A machine with a cluster.
fn with_cluster(node: &str) -> Recorded {
    let recorded = Recorded::new();
    recorded.answer("kind", "get clusters", "zerocart\nzerocart-2\n");
    recorded.answer("podman", "inspect zerocart-control-plane", node);
    recorded.answer("kubectl", "config get-contexts", "prod\nkind-zerocart\n");
    recorded.answer("kubectl", "config current-context", "prod\n");
    recorded
}

#[tokio::test]
async fn a_cluster_is_made_and_the_current_context_stays() {
    let recorded = Recorded::new();
    recorded.answer("kind", "get clusters", "zerocart-2\n");
    recorded.answer(
        "kind",
        "create cluster --name zerocart --config - --wait 120s",
        "",
    );
    recorded.answer("kubectl", "config get-contexts", "prod\nkind-zerocart\n");
    recorded.answer("kubectl", "config current-context", "kind-zerocart\n");
    recorded.answer_once("kubectl", "config current-context", "prod\n");
    recorded.answer("kubectl", "config use-context prod", "");
    recorded.answer(
        "kubectl",
        "--context kind-zerocart wait --for=condition=Ready nodes",
        "",
    );
    let cluster = Cluster {
        http_port: 8081,
        ..Cluster::default()
    };
    let ((), done) = kind(&recorded).ensure(&cluster, &quiet()).await.unwrap();
    assert_eq!(done, "kind-zerocart made, port 8081");
    assert!(
        recorded
            .calls()
            .contains(&"kubectl config use-context prod".to_owned())
    );

    let config: Value = serde_json::from_str(&recorded.input()).unwrap();
    let node = &config["nodes"][0];
    assert_eq!(node["image"], NODE_IMAGE);
    assert!(
        NODE_IMAGE.starts_with("kindest/node:v1.36.1@sha256:"),
        "{NODE_IMAGE}"
    );
    assert_eq!(NODE_IMAGE.len(), "kindest/node:v1.36.1@sha256:".len() + 64);
    let ports = &node["extraPortMappings"];
    assert_eq!(
        (&ports[0]["containerPort"], &ports[0]["hostPort"]),
        (&json!(30080), &json!(8081))
    );
    assert_eq!(
        (&ports[1]["containerPort"], &ports[1]["hostPort"]),
        (&json!(30443), &json!(8443))
    );
    assert_eq!(ports[0]["listenAddress"], "127.0.0.1");
}

#[tokio::test]
async fn a_first_kubeconfig_has_no_current_context_after_it() {
    let recorded = Recorded::new();
    recorded.answer("kind", "get clusters", "");
    recorded.answer("kind", "create cluster", "");
    recorded.answer("kubectl", "config get-contexts", "kind-zerocart\n");
    recorded.answer("kubectl", "config current-context", "kind-zerocart\n");
    recorded.refuse_once(
        "kubectl",
        "config current-context",
        "current-context is not set",
    );
    recorded.answer("kubectl", "config unset current-context", "");
    recorded.answer("kubectl", "--context kind-zerocart wait", "");
    kind(&recorded)
        .ensure(&Cluster::default(), &quiet())
        .await
        .unwrap();
    assert!(
        recorded
            .calls()
            .contains(&"kubectl config unset current-context".to_owned())
    );
}

#[tokio::test]
async fn a_cluster_that_is_there_is_not_changed() {
    let recorded = with_cluster(&node(&mapped("8080", "8443"), true));
    let ((), done) = kind(&recorded)
        .ensure(&Cluster::default(), &quiet())
        .await
        .unwrap();
    assert_eq!(done, "kind-zerocart, unchanged");

    recorded.answer("kubectl", "config get-contexts", "prod\n");
    recorded.answer("kind", "export kubeconfig --name zerocart", "");
    let ((), done) = kind(&recorded)
        .ensure(&Cluster::default(), &quiet())
        .await
        .unwrap();
    assert_eq!(done, "kind-zerocart: entered into the kubeconfig again");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_cure() {
    type Provoke = fn(&Recorded);
    let refusals: [(&str, Provoke, &[&str]); 8] = [
        (
            "another HTTP port",
            |recorded| {
                let node = node(&mapped("8081", "8443"), true);
                recorded.answer("podman", "inspect", &node);
            },
            &[
                "serves HTTP on port 8081, and port 8080 is asked for",
                "cure: give --port 8081, or remove",
            ],
        ),
        (
            "another HTTPS port",
            |recorded| {
                let node = node(&mapped("8080", "8444"), true);
                recorded.answer("podman", "inspect", &node);
            },
            &["serves HTTPS on port 8444", "cure: give --https-port 8444"],
        ),
        (
            "no port",
            |recorded| recorded.answer("podman", "inspect", &node(&json!({}), true)),
            &[
                "maps no port to 30080",
                "was not made by zerocart",
                "cure: choose another name",
            ],
        ),
        (
            "a node that is stopped",
            |recorded| recorded.answer("podman", "inspect", &node(&json!({}), false)),
            &["does not run", "cure: podman start zerocart-control-plane"],
        ),
        (
            "a node that is gone",
            |recorded| recorded.refuse("podman", "inspect", "no such object"),
            &[
                "no such object",
                "cure: remove what is left of it: kind delete cluster",
            ],
        ),
        (
            "a port that is taken",
            |recorded| {
                recorded.answer("kind", "get clusters", "");
                let told = "Error response from daemon: Bind for 127.0.0.1:8080 failed: \
                            port is already allocated";
                recorded.refuse("kind", "create", told);
            },
            &[
                "kind cannot make the cluster zerocart",
                "cure: port 8080 or 8443 is taken",
            ],
        ),
        (
            "no internet",
            |recorded| {
                recorded.answer("kind", "get clusters", "");
                recorded.refuse(
                    "kind",
                    "create",
                    "ERROR: failed to pull image \"kindest/node\"",
                );
            },
            &[
                "failed to pull image",
                "cure: the machine cannot fetch the node image",
            ],
        ),
        (
            "a node that does not come up",
            |recorded| {
                recorded.answer("kind", "get clusters", "");
                recorded.answer("kind", "create", "");
                let told = "timed out waiting for the condition on nodes/zerocart-control-plane";
                recorded.refuse("kubectl", "--context kind-zerocart wait", told);
            },
            &[
                "the node of the kind cluster zerocart is not ready",
                "timed out",
                "describe nodes",
            ],
        ),
    ];
    for (what, provoke, texts) in refusals {
        let recorded = with_cluster(&node(&mapped("8080", "8443"), true));
        provoke(&recorded);
        let ensured = kind(&recorded).ensure(&Cluster::default(), &quiet()).await;
        let problem = ensured.unwrap_err().to_string();
        for text in texts {
            assert!(problem.contains(text), "{what}: {problem}");
        }
    }
}

#[tokio::test]
async fn only_a_cluster_of_ours_is_deleted() {
    let deleted = |calls: Vec<String>| calls.iter().any(|call| call.starts_with("kind delete"));
    let nodes = "--context kind-zerocart get nodes --selector zerocart/managed-by=zerocart";

    let recorded = with_cluster("");
    recorded.answer("kubectl", nodes, "");
    let problem: Problem = kind(&recorded).delete("zerocart").await.unwrap_err();
    assert!(
        problem.to_string().contains("zerocart did not make it"),
        "{problem}"
    );
    assert!(!deleted(recorded.calls()));

    recorded.refuse("kubectl", nodes, "connection refused");
    let problem = kind(&recorded).delete("zerocart").await.unwrap_err();
    assert!(
        problem.to_string().contains("cannot be found out"),
        "{problem}"
    );
    assert!(!deleted(recorded.calls()));

    // What was current is gone with the cluster, and stays so.
    recorded.answer("kubectl", nodes, "node/zerocart-control-plane\n");
    recorded.answer("kind", "delete cluster --name zerocart", "");
    recorded.answer("kubectl", "config get-contexts", "prod\n");
    recorded.refuse(
        "kubectl",
        "config current-context",
        "current-context is not set",
    );
    recorded.answer_once("kubectl", "config current-context", "kind-zerocart\n");
    assert_eq!(kind(&recorded).delete("zerocart").await, Ok(true));
    assert!(deleted(recorded.calls()));

    recorded.answer("kind", "get clusters", "other\n");
    assert_eq!(kind(&recorded).delete("zerocart").await, Ok(false));
}
