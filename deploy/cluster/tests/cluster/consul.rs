//! Consul, installed and removed: in which order, and what is said when it goes wrong.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use zerocart_cluster::{
    Patience, Progress,
    consul::{self, Files},
};

use crate::{kubectl, recorded::Recorded};

const PROD: &str = "--context prod";

fn silent() -> Progress {
    Progress::new(std::io::sink(), false)
}

fn soon() -> Patience {
    Patience {
        limit: Duration::ZERO,
        pause: Duration::from_millis(1),
    }
}

/// A look more than [`soon`].
fn again() -> Patience {
    Patience {
        limit: Duration::from_secs(20),
        ..soon()
    }
}

/// The files of a project with one function that is called.
fn project() -> (TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "consul.yaml",
        "kind: Namespace\nmetadata: {name: zerocart-consul}\n",
    );
    write(
        "consul-kourier.yaml",
        "kind: NetworkPolicy\nmetadata: {name: zerocart-mesh}\n",
    );
    let files = Files {
        manifests: folder.path().to_owned(),
        folder: folder.path().to_owned(),
        values: "values-kind.yaml",
        more_values: vec!["mine.yaml".into()],
        chart: None,
    };
    (folder, files)
}

fn entry(kind: &str, name: &str, synced: &str) -> Value {
    json!({
        "kind": kind,
        "metadata": {"name": name, "namespace": "zerocart-consul"},
        "status": {"conditions": [{"type": "Synced", "status": synced, "message": "the server said no"}]},
    })
}

fn list(items: &[Value]) -> String {
    json!({"kind": "List", "items": items}).to_string()
}

fn ready(kind: &str, name: &str) -> Value {
    json!({
        "kind": kind,
        "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1},
    })
}

/// A cluster on which everything goes well, with these entries in Consul.
fn good(entries: &[Value]) -> Recorded {
    let recorded = Recorded::new();
    let answer = |words: &str, out: &str| {
        recorded.answer("kubectl", &format!("{PROD} {words}"), out);
    };
    answer("get --filename -", "");
    answer("apply --filename -", &list(&[]));
    answer("delete", "");
    answer(
        "get statefulsets,pods,events,persistentvolumeclaims --namespace zerocart-consul",
        &list(&[ready("StatefulSet", "consul-server")]),
    );
    answer(
        "get deployments,pods,events --namespace zerocart-consul",
        &list(&[
            ready("Deployment", "consul-connect-injector"),
            ready("Deployment", "consul-terminating-gateway"),
        ]),
    );
    let (registrations, others): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|entry| entry["kind"] == "Registration");
    answer(
        "get serviceintentions.consul.hashicorp.com,",
        &list(&others),
    );
    answer(
        "get registrations.consul.hashicorp.com",
        &list(&registrations),
    );
    answer("get customresourcedefinition", "{}");
    recorded.answer(
        "kubectl",
        "kustomize",
        "kind: ServiceIntentions\nmetadata: {name: get-cart}\n---\n\
         kind: Registration\nmetadata: {name: zerocart-get-cart}\n",
    );
    recorded.answer(
        "helm",
        "--kube-context prod upgrade --install zerocart-consul",
        "",
    );
    recorded.answer("helm", "--kube-context prod uninstall zerocart-consul", "");
    recorded
}

fn in_consul() -> [Value; 2] {
    [
        entry("ServiceIntentions", "get-cart", "True"),
        entry("Registration", "zerocart-get-cart", "True"),
    ]
}

/// The place of the first call that contains these words.
fn place(calls: &[String], words: &str) -> usize {
    let found = calls.iter().position(|call| call.contains(words));
    found.unwrap_or_else(|| panic!("{words} in {calls:#?}"))
}

#[tokio::test]
async fn it_is_installed_before_its_configuration() {
    let recorded = good(&in_consul());
    let (_folder, files) = project();
    consul::install(&kubectl(&recorded), &silent(), &files, soon())
        .await
        .unwrap();
    let calls = recorded.calls();
    let places = [
        "apply --filename -",
        "helm --kube-context prod upgrade --install zerocart-consul consul --repo \
         https://helm.releases.hashicorp.com --version 2.0.3 --namespace zerocart-consul",
        "get statefulsets",
        "get deployments",
        "kustomize",
        "get serviceintentions",
    ]
    .map(|words| place(&calls, words));
    assert!(places.is_sorted(), "{places:?} {calls:#?}");
    // The environment's values count more than those of all, and the user's more than both.
    let helm = &calls[places[1]];
    let values = ["/values.yaml", "/values-kind.yaml", "mine.yaml"].map(|file| helm.find(file));
    assert!(values.is_sorted() && values[0].is_some(), "{helm}");
    assert!(recorded.input().contains("zerocart-consul"));
}

#[tokio::test]
async fn what_consul_does_not_take_is_named() {
    let refused = [
        entry("ServiceIntentions", "get-cart", "False"),
        entry("Registration", "zerocart-get-cart", "True"),
    ];
    let recorded = good(&refused);
    let (_folder, files) = project();
    let problem = consul::install(&kubectl(&recorded), &silent(), &files, soon())
        .await
        .unwrap_err()
        .to_string();
    for words in [
        "1 of 2 entries are not in Consul, such as ServiceIntentions get-cart",
        "the server said no",
        "kubectl --context prod logs deployment/consul-connect-injector",
    ] {
        assert!(problem.contains(words), "{words}: {problem}");
    }
}

#[tokio::test]
async fn a_chart_that_cannot_be_had_has_a_cure() {
    let recorded = good(&in_consul());
    recorded.refuse("helm", "--kube-context prod upgrade", "no route to host");
    let (_folder, files) = project();
    let problem = consul::install(&kubectl(&recorded), &silent(), &files, soon())
        .await
        .unwrap_err()
        .to_string();
    assert!(problem.contains("Consul cannot be installed"), "{problem}");
    assert!(problem.contains("--consul-chart CHART"), "{problem}");
}

#[tokio::test]
async fn a_webhook_that_is_not_reached_yet_is_tried_again() {
    let recorded = good(&in_consul());
    let told = "Internal error occurred: failed calling webhook \"mutate-serviceintentions\"";
    // The first apply is of the namespace, the second of the configuration.
    recorded.refuse_once("kubectl", &format!("{PROD} apply --filename -"), told);
    recorded.answer_once("kubectl", &format!("{PROD} apply --filename -"), &list(&[]));
    let (_folder, files) = project();
    consul::install(&kubectl(&recorded), &silent(), &files, again())
        .await
        .unwrap();
    let applied = recorded.calls();
    let applied = applied.iter().filter(|call| call.contains(" apply "));
    assert_eq!(applied.count(), 3);
}

#[tokio::test]
async fn configuration_of_a_function_that_is_no_more_is_deleted() {
    let mut entries = in_consul().to_vec();
    entries.push(entry("ServiceIntentions", "get-basket", "True"));
    entries.push(entry("Registration", "zerocart-get-basket", "True"));
    let recorded = good(&entries);
    let (_folder, files) = project();
    consul::install(&kubectl(&recorded), &silent(), &files, soon())
        .await
        .unwrap();
    let calls = recorded.calls();
    let deleted: Vec<_> = calls
        .iter()
        .filter_map(|call| call.strip_prefix("kubectl --context prod delete "))
        .collect();
    assert_eq!(
        deleted,
        [
            "serviceintentions.consul.hashicorp.com/get-basket --namespace zerocart-consul --ignore-not-found",
            "registration.consul.hashicorp.com/zerocart-get-basket --ignore-not-found",
        ]
    );
}

#[tokio::test]
async fn it_is_removed_from_the_outside_in() {
    let recorded = good(&[]);
    let ours = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "zerocart"}}});
    recorded.answer(
        "kubectl",
        &format!("{PROD} get namespace zerocart-consul"),
        &ours.to_string(),
    );
    consul::remove(&kubectl(&recorded), &silent())
        .await
        .unwrap();
    let calls = recorded.calls();
    let places = [
        // First the way past the gateway is open, and last the controllers go, which take finalizers off.
        "delete networkpolicy/zerocart-mesh --namespace kourier-system",
        "delete serviceintentions.consul.hashicorp.com --selector app.kubernetes.io/managed-by=zerocart \
         --namespace zerocart-consul",
        "delete registrations.consul.hashicorp.com --selector app.kubernetes.io/managed-by=zerocart --ignore",
        "delete serviceaccounts --selector zerocart/mesh --namespace zerocart",
        "uninstall zerocart-consul",
        "delete namespace/zerocart-consul",
    ]
    .map(|words| place(&calls, words));
    assert!(places.is_sorted(), "{places:?} {calls:#?}");
}

#[tokio::test]
async fn nothing_of_somebody_else_is_removed() {
    let recorded = good(&[]);
    recorded.answer(
        "kubectl",
        &format!("{PROD} get namespace zerocart-consul"),
        r#"{"metadata": {}}"#,
    );
    let problem = consul::remove(&kubectl(&recorded), &silent())
        .await
        .unwrap_err();
    assert!(problem.what().contains("somebody else's"), "{problem}");
    let calls = recorded.calls();
    let harmless = |call: &String| !call.contains("delete") && !call.contains("uninstall");
    assert!(calls.iter().all(harmless), "{calls:#?}");
}

#[tokio::test]
async fn without_helm_nothing_is_half_removed() {
    let recorded = good(&[]);
    recorded.remove("helm");
    let ours = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "zerocart"}}});
    recorded.answer(
        "kubectl",
        &format!("{PROD} get namespace zerocart-consul"),
        &ours.to_string(),
    );
    let problem = consul::remove(&kubectl(&recorded), &silent())
        .await
        .unwrap_err();
    assert!(
        problem.to_string().contains("helm is not installed"),
        "{problem}"
    );
    assert!(!recorded.calls().iter().any(|call| call.contains("delete")));
}

#[tokio::test]
async fn the_way_past_the_gateway_is_closed_at_the_end() {
    let policy = |name: &str| json!({"kind": "NetworkPolicy", "metadata": {"name": name}});
    let mut objects = vec![policy("deny"), policy("names-and-calls"), policy("mesh")];
    let held = consul::held_back(&mut objects).unwrap();
    assert_eq!(held, policy("names-and-calls"));
    assert_eq!(objects, [policy("deny"), policy("mesh")]);
    assert!(consul::held_back(&mut objects).is_err());

    let (_folder, files) = project();
    for (annotations, closed) in [
        (json!({"zerocart/knative": "1.23.0"}), true),
        // Somebody else's Kourier may have other callers.
        (json!({}), false),
    ] {
        let recorded = good(&[]);
        let serving = json!({"metadata": {"annotations": annotations}});
        recorded.answer(
            "kubectl",
            &format!("{PROD} get namespace knative-serving"),
            &serving.to_string(),
        );
        let said = consul::tighten(&kubectl(&recorded), &files, held.clone())
            .await
            .unwrap();
        assert!(recorded.input().contains("names-and-calls"));
        assert_eq!(recorded.input().contains("zerocart-mesh"), closed, "{said}");
        assert_eq!(said.contains("somebody else's"), !closed, "{said}");
    }
}

#[test]
fn a_file_of_values_may_name_where_its_volumes_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let images = file(
        "images.yaml",
        "global: {image: registry.example.com/consul}\n",
    );
    let none = file("none.yaml", "server: {storageClass: \"\"}\n");
    let named = file("named.yaml", "server:\n  storageClass: fast\n");
    assert!(!consul::names_storage(&[]).unwrap());
    assert!(!consul::names_storage(&[images.clone(), none]).unwrap());
    assert!(consul::names_storage(&[images, named]).unwrap());
    assert!(consul::names_storage(&[folder.path().join("missing.yaml")]).is_err());
}
