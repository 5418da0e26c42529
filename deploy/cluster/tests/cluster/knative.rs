//! Knative: installed in its order, found again, used as others installed it, and each failure of it.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use zerocart_cluster::{
    Kubectl, Mode, Patience, Progress, Result,
    knative::{self, VERSION, Wanted},
};

use crate::recorded::Recorded;

const CLASS: &str = "kourier.ingress.networking.knative.dev";

/// A cluster on which an installation goes well, and the folder of the release.
struct World {
    recorded: Recorded,
    folder: TempDir,
    mode: Mode,
}

fn deployment(name: &str, available: u64) -> Value {
    json!({
        "metadata": {"name": name, "generation": 2},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": {
            "observedGeneration": 2,
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": available,
        },
    })
}

fn list(items: &[Value]) -> String {
    json!({"items": items}).to_string()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["serving-crds.yaml", "serving-core.yaml", "kourier.yaml"] {
            fs::write(folder.path().join(name), "a: 1\n").unwrap();
        }
        let world = Self {
            recorded: Recorded::new(),
            folder,
            mode: Mode::Change,
        };
        world.answer("get namespace knative-serving", "");
        world.answer("kustomize", "rendered: true\n");
        world.answer("apply --filename -", "a/b created\nc/d unchanged\n");
        world.answer(
            "wait --for=condition=Established --timeout=60s --filename -",
            "",
        );
        world.deployments(1);
        let ready = json!({"endpoints": [{"conditions": {"ready": true}}]});
        world.answer("get endpointslices", &list(&[ready]));
        world.answer(
            "get configmap config-network",
            r#"{"data": {"_example": "…"}}"#,
        );
        world.answer(
            "get configmap config-domain",
            r#"{"data": {"_example": "…"}}"#,
        );
        world.answer("get service kourier-internal", &service(&[]));
        world.answer("patch", "");
        world.answer("get pods", &list(&[]));
        world.answer("get events", &list(&[]));
        world
    }

    /// Knative as a deployment has installed it.
    fn installed() -> Self {
        let world = Self::new();
        let annotations =
            json!({"zerocart/knative": VERSION, "zerocart/knative-complete": VERSION});
        let namespace = json!({"metadata": {"annotations": annotations}});
        world.answer("get namespace knative-serving", &namespace.to_string());
        let network = json!({"data": {"ingress-class": CLASS}});
        world.answer("get configmap config-network", &network.to_string());
        let grpc = json!({"name": "grpc", "port": 8082, "targetPort": 8081});
        world.answer("get service kourier-internal", &service(&[grpc]));
        world
    }

    /// Knative as somebody else has installed it.
    fn others(version: Option<&str>) -> Self {
        let world = Self::new();
        let labels = json!({"app.kubernetes.io/version": version});
        let namespace = json!({"metadata": {"labels": labels}});
        world.answer("get namespace knative-serving", &namespace.to_string());
        let network = json!({"data": {"ingress-class": CLASS}});
        world.answer("get configmap config-network", &network.to_string());
        world
    }

    fn answer(&self, words: &str, out: &str) {
        self.recorded
            .answer("kubectl", &format!("--context prod {words}"), out);
    }

    fn refuse(&self, words: &str, err: &str) {
        self.recorded
            .refuse("kubectl", &format!("--context prod {words}"), err);
    }

    /// The controller has this many pods, all else has its own.
    fn deployments(&self, controller: u64) {
        let names = [
            "autoscaler",
            "activator",
            "webhook",
            "net-kourier-controller",
        ];
        let mut serving: Vec<_> = names.iter().map(|name| deployment(name, 1)).collect();
        serving.insert(0, deployment("controller", controller));
        self.answer(
            "get deployments --namespace knative-serving",
            &list(&serving),
        );
        let gateway = deployment("3scale-kourier-gateway", 1);
        self.answer(
            "get deployments --namespace kourier-system",
            &list(&[gateway]),
        );
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.recorded.programs(), "prod", None, self.mode)
    }

    async fn ensure(&self) -> Result<String> {
        self.ensure_from(Some(self.folder.path().to_owned())).await
    }

    async fn ensure_from(&self, folder: Option<PathBuf>) -> Result<String> {
        let wanted = Wanted {
            folder,
            small: false,
            patience: Patience {
                limit: Duration::ZERO,
                pause: Duration::from_millis(1),
            },
        };
        let progress = Progress::new(std::io::sink(), false);
        let done = knative::ensure(&self.kubectl(), &wanted, &progress).await;
        done.map(|((), done)| done)
    }

    /// The calls that change something or wait, by their first words.
    fn changes(&self) -> Vec<String> {
        let calls = self.recorded.calls();
        let calls = calls
            .iter()
            .map(|call| call.trim_start_matches("kubectl --context prod "));
        let changes =
            calls.filter(|call| !call.starts_with("get ") && !call.starts_with("kustomize"));
        let first = |call: &str| call.split(' ').take(3).collect::<Vec<_>>().join(" ");
        changes.map(first).collect()
    }
}

fn service(more: &[Value]) -> String {
    let mut ports = vec![json!({"name": "http2", "port": 80, "targetPort": 8081})];
    ports.extend_from_slice(more);
    json!({"spec": {"ports": ports}}).to_string()
}

#[tokio::test]
async fn an_empty_cluster_gets_everything_in_the_order_that_works() {
    let world = World::new();
    assert_eq!(
        world.ensure().await.unwrap(),
        "1.23.0, installed, ingress class set, gRPC port added"
    );
    assert_eq!(
        world.changes(),
        [
            "apply --filename -",
            "wait --for=condition=Established --timeout=60s",
            "apply --filename -",
            "apply --filename -",
            "patch configmap config-network",
            "patch service kourier-internal",
            "patch namespace knative-serving",
        ]
    );
    // Between Serving and Kourier the webhook is waited for.
    let calls = world.recorded.calls();
    let place = |words: &str| calls.iter().rposition(|call| call.contains(words)).unwrap();
    let endpoint = place("get endpointslices --namespace knative-serving");
    assert!(endpoint < place("apply --filename -") && endpoint > place("condition=Established"));
    let patched = &calls[place("patch service")];
    assert!(
        patched.contains("--type json") && patched.contains(r#""port":8082"#),
        "{patched}"
    );
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let world = World::installed();
    assert_eq!(world.ensure().await.unwrap(), "1.23.0, unchanged");
    assert_eq!(world.changes(), [""; 0]);
    let calls = world.recorded.calls();
    assert!(calls.len() <= 8, "{calls:#?}");
}

#[tokio::test]
async fn a_run_that_failed_half_way_goes_on() {
    for (what, annotations) in [
        ("not complete", json!({"zerocart/knative": VERSION})),
        (
            "an earlier release",
            json!({"zerocart/knative": "1.22.0", "zerocart/knative-complete": "1.22.0"}),
        ),
    ] {
        let world = World::installed();
        let namespace = json!({"metadata": {"annotations": annotations}});
        world.answer("get namespace knative-serving", &namespace.to_string());
        assert_eq!(world.ensure().await.unwrap(), "1.23.0, installed", "{what}");
    }
    let world = World::installed();
    world.answer("get deployments --namespace kourier-system", &list(&[]));
    let problem = world.ensure().await.unwrap_err().to_string();
    assert!(world.changes().contains(&"apply --filename -".to_owned()));
    assert!(
        problem.contains("3scale-kourier-gateway does not exist"),
        "{problem}"
    );
}

#[tokio::test]
async fn what_others_installed_gets_one_more_port_and_nothing_else() {
    for version in [Some("1.23.1"), Some("1.19.0"), Some("devel"), None] {
        let world = World::others(version);
        let done = world.ensure().await.unwrap();
        assert!(
            done.ends_with("installed by others; gRPC port added"),
            "{done}"
        );
        assert_eq!(world.changes(), ["patch service kourier-internal"]);
    }
    let world = World::others(Some("1.23.0"));
    world.answer(
        "get configmap config-network",
        r#"{"data": {"ingress-class": "istio"}}"#,
    );
    let problem = world.ensure().await.unwrap_err().to_string();
    assert!(
        problem.contains("because: the ingress class of this cluster is istio"),
        "{problem}"
    );
    assert!(problem.contains("cure: use another cluster"), "{problem}");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_a_printed_one_asks_nobody() {
    let mut world = World::new();
    world.mode = Mode::DryRun;
    let done = world.ensure().await.unwrap();
    assert!(done.starts_with("1.23.0 would be installed"), "{done}");
    assert_eq!(world.changes(), ["apply --filename -"]);
    assert!(
        world
            .recorded
            .calls()
            .last()
            .unwrap()
            .ends_with("--dry-run=server")
    );

    let mut world = World::new();
    world.mode = Mode::Print;
    let done = world.ensure_from(None).await.unwrap();
    assert!(
        done.contains("/knative-v1.23.0/serving-core.yaml"),
        "{done}"
    );
    assert_eq!(world.recorded.calls(), [""; 0]);
}

#[tokio::test]
async fn a_webhook_that_is_late_is_waited_for() {
    let world = World::new();
    let told = "Internal error occurred: failed calling webhook \"config.webhook\": refused";
    let words = "--context prod patch configmap config-network";
    world.recorded.refuse_once("kubectl", words, told);
    let wanted = Wanted {
        folder: Some(world.folder.path().to_owned()),
        small: false,
        patience: Patience {
            limit: Duration::from_secs(60),
            pause: Duration::from_millis(1),
        },
    };
    let progress = Progress::new(std::io::sink(), false);
    knative::ensure(&world.kubectl(), &wanted, &progress)
        .await
        .unwrap();
    let patches = world.changes();
    let patches = patches
        .iter()
        .filter(|call| call.starts_with("patch configmap"));
    assert_eq!(patches.count(), 2);
}

/// The pods of the controller, of which one is so.
fn pod(status: &Value) -> String {
    list(&[json!({"metadata": {"name": "controller-1"}, "status": status})])
}

fn waiting(reason: &str, message: &str) -> String {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    pod(&json!({"containerStatuses": [{"image": "gcr.io/knative/controller", "state": state}]}))
}

#[tokio::test]
async fn each_failure_is_told_with_its_cause_and_its_cure() {
    type Provoke = fn(&World);
    let failures: [(&str, Provoke, &[&str]); 13] = [
        (
            "no internet",
            |world| world.refuse("kustomize", "dial tcp: lookup github.com: no such host"),
            &[
                "serving-crds.yaml is not what Knative releases",
                "no such host",
                "cure: put",
            ],
        ),
        (
            "a refusal of the server",
            |world| world.refuse("apply", "customresourcedefinitions is forbidden"),
            &[
                "Knative's custom resources cannot be applied",
                "is forbidden",
            ],
        ),
        (
            "custom resources that are not established",
            |world| {
                world.refuse(
                    "wait",
                    "timed out waiting for the condition on crd/services",
                )
            },
            &[
                "were not established within 60 s",
                "crd/services",
                "cure: kubectl --context prod",
            ],
        ),
        (
            "an image that cannot be pulled",
            |world| {
                world.deployments(0);
                world.answer(
                    "get pods",
                    &waiting("ImagePullBackOff", "Back-off pulling image"),
                );
            },
            &[
                "the rollout in namespace knative-serving: not done within 0 s",
                "controller has 0 of 1 pods",
                "image gcr.io/knative/controller cannot be pulled: Back-off",
                "cure: a node without internet needs the image loaded",
            ],
        ),
        (
            "too little CPU",
            |world| {
                world.deployments(0);
                let condition = json!({
                    "type": "PodScheduled",
                    "status": "False",
                    "message": "0/1 nodes are available: 1 Insufficient cpu.",
                });
                world.answer("get pods", &pod(&json!({"conditions": [condition]})));
            },
            &[
                "controller-1 finds no node",
                "Insufficient cpu",
                "cure: give the cluster more CPUs",
            ],
        ),
        (
            "a quota that is too small",
            |world| {
                let mut controller = deployment("controller", 0);
                controller["status"]["conditions"] = json!([{
                    "type": "ReplicaFailure",
                    "status": "True",
                    "message": "pods \"controller-1\" is forbidden: exceeded quota: small",
                }]);
                world.answer(
                    "get deployments --namespace knative-serving",
                    &list(&[controller]),
                );
            },
            &["exceeded quota: small", "cure: raise the quota"],
        ),
        (
            "a program that ends",
            |world| {
                world.deployments(0);
                world.answer("get pods", &waiting("CrashLoopBackOff", "back-off 40s"));
            },
            &[
                "controller-1 ends again and again",
                "cure: kubectl --context prod logs controller-1",
            ],
        ),
        (
            "a warning among the events",
            |world| {
                world.deployments(0);
                let event = |time: &str, kind: &str, message: &str| {
                    json!({
                        "type": "Warning",
                        "lastTimestamp": time,
                        "involvedObject": {"kind": kind, "name": "controller-1"},
                        "message": message,
                    })
                };
                world.answer(
                    "get events",
                    &list(&[
                        event("2026-11-27T10:00:02Z", "Pod", "FailedMount: no token"),
                        event("2026-11-27T10:00:01Z", "Pod", "an older one"),
                        event(
                            "2026-11-27T10:00:03Z",
                            "HorizontalPodAutoscaler",
                            "no metrics",
                        ),
                    ]),
                );
            },
            &["Pod controller-1: FailedMount: no token", "describe pods"],
        ),
        (
            "a webhook without an endpoint",
            |world| {
                let late = json!({"endpoints": [{"conditions": {"ready": false}}]});
                world.answer("get endpointslices", &list(&[late]));
            },
            &[
                "the endpoint of Knative's webhook: not done",
                "has no endpoint that is ready",
            ],
        ),
        (
            "a webhook that is not called",
            |world| {
                let told = "failed calling webhook \"config.webhook\": context deadline exceeded";
                world.refuse("patch configmap", told);
            },
            &[
                "a change that Knative's webhook checks",
                "the webhook cannot be called",
                "firewall",
            ],
        ),
        (
            "no Service of Kourier",
            |world| world.answer("get service kourier-internal", ""),
            &[
                "kourier-internal is not in namespace kourier-system",
                "net-kourier/releases",
            ],
        ),
        (
            "a port that is used for something else",
            |world| {
                let port = json!({"name": "other", "port": 8082, "targetPort": 9000});
                world.answer("get service kourier-internal", &service(&[port]));
            },
            &["port 8082", "it leads to 9000, not to 8081"],
        ),
        (
            "no cluster",
            |world| world.refuse("get namespace", "The connection to the server was refused"),
            &["`kubectl --context prod get namespace", "was refused"],
        ),
    ];
    for (what, provoke, texts) in failures {
        let world = World::new();
        provoke(&world);
        let problem = world.ensure().await.unwrap_err().to_string();
        for text in texts {
            assert!(problem.contains(text), "{what}: {problem}");
        }
    }
    let world = World::new();
    world.refuse("kustomize", "no such host");
    let problem = world.ensure_from(None).await.unwrap_err().to_string();
    assert!(
        problem.contains("serving-crds.yaml of Knative 1.23.0 cannot be fetched"),
        "{problem}"
    );
    assert!(
        problem.contains("cure: fetch these where there is internet"),
        "{problem}"
    );
    let problem = world
        .ensure_from(Some("/nowhere".into()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("/nowhere/serving-crds.yaml cannot be read"),
        "{problem}"
    );
}

#[tokio::test]
async fn only_what_a_deployment_installed_is_removed() {
    let services = "get services.serving.knative.dev --all-namespaces";
    let world = World::others(None);
    assert_eq!(knative::remove(&world.kubectl()).await, Ok(None));
    assert_eq!(world.changes(), [""; 0]);

    let world = World::installed();
    world.answer(services, "shop/hello ");
    let problem = knative::remove(&world.kubectl())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("services still use it: shop/hello"),
        "{problem}"
    );
    assert_eq!(world.changes(), [""; 0]);

    world.refuse(
        services,
        "error: the server doesn't have a resource type \"services\"",
    );
    world.answer("delete", "a \"b\" deleted\n");
    assert_eq!(knative::remove(&world.kubectl()).await, Ok(Some(4)));
    for call in world
        .recorded
        .calls()
        .iter()
        .filter(|call| call.contains(" delete "))
    {
        assert!(
            call.contains("--selector zerocart/installed=knative"),
            "{call}"
        );
    }
    assert_eq!(
        world.changes().last().unwrap(),
        "delete namespaces --selector"
    );
}
