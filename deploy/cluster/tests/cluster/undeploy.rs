//! Undeploy: only what a deployment made, in the right order, and the data only when it is asked for.

use serde_json::{Value, json};
use zerocart_cluster::{Kubectl, Mode, Namespaces, Problem, Progress, undeploy::Plan};

use crate::{kubectl, recorded::Recorded};

const OTHERS: &str = "get cronjobs,jobs,deployments,statefulsets,pods,services,configmaps,serviceaccounts,roles,rolebindings,\
                      networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,resourcequotas,limitranges,\
                      persistentvolumeclaims";
const NO_SECRETS: &str = "";

fn object(kind: &str, name: &str, ours: bool) -> Value {
    let labels = match ours {
        true => json!({"app.kubernetes.io/managed-by": "zerocart"}),
        false => json!({}),
    };
    json!({"kind": kind, "metadata": {"name": name, "labels": labels}})
}

fn list(items: &[Value]) -> String {
    json!({"kind": "List", "items": items}).to_string()
}

/// A cluster with everything that a deployment makes, and with what the platform makes beside it.
fn deployed() -> Recorded {
    let recorded = Recorded::new();
    let namespaces = ["zerocart", "zerocart-system", "zerocart-edge"]
        .map(|name| object("Namespace", name, true));
    recorded.answer(
        "kubectl",
        "--context prod get namespaces zerocart zerocart-system zerocart-edge",
        &list(&namespaces),
    );
    let ksvcs = list(&[
        object("Service", "get-user", true),
        object("Service", "create-user", true),
    ]);
    in_namespace(
        &recorded,
        "services.serving.knative.dev",
        "zerocart",
        &ksvcs,
    );
    for namespace in ["zerocart-system", "zerocart-edge"] {
        in_namespace(
            &recorded,
            "services.serving.knative.dev",
            namespace,
            &list(&[]),
        );
    }
    let mut owned = object("Job", "recover-orders-1", true);
    owned["metadata"]["ownerReferences"] = json!([{"kind": "CronJob"}]);
    let mut kong = object("Deployment", "zerocart-kong", false);
    kong["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("zerocart-kong");
    let mut postgres = object("StatefulSet", "postgres", true);
    postgres["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}}]);
    others(
        &recorded,
        "zerocart",
        &[
            object("ConfigMap", "kube-root-ca.crt", false),
            object("ServiceAccount", "default", false),
            object("CronJob", "recover-orders", true),
            owned,
            object("NetworkPolicy", "deny", true),
            object("ResourceQuota", "zerocart", true),
        ],
    );
    others(
        &recorded,
        "zerocart-system",
        &[
            postgres,
            object("Service", "postgres", true),
            object("Job", "provision", true),
            object("NetworkPolicy", "postgres", true),
            object("PersistentVolumeClaim", "data-postgres-0", false),
        ],
    );
    others(
        &recorded,
        "zerocart-edge",
        &[
            kong,
            object("Deployment", "gateway", true),
            object("Service", "gateway", true),
        ],
    );
    for namespace in ["zerocart", "zerocart-system", "zerocart-edge"] {
        secrets(&recorded, namespace, "=", "secret/zerocart-auth\n");
        secrets(&recorded, namespace, "!=", NO_SECRETS);
    }
    recorded.answer("helm", "--kube-context prod list", "[]");
    recorded.answer("helm", "--kube-context prod uninstall", "");
    recorded.answer("kubectl", "--context prod delete", "");
    recorded.answer(
        "kubectl",
        "--context prod get pods --namespace zerocart --selector serving.knative.dev/service in (get-user,create-user) ",
        &list(&[]),
    );
    recorded
}

fn in_namespace(recorded: &Recorded, kinds: &str, namespace: &str, answer: &str) {
    recorded.answer(
        "kubectl",
        &format!("--context prod get {kinds} --namespace {namespace} "),
        answer,
    );
}

fn others(recorded: &Recorded, namespace: &str, objects: &[Value]) {
    let words = format!("--context prod {OTHERS} --namespace {namespace} ");
    recorded.answer("kubectl", &words, &list(objects));
}

fn secrets(recorded: &Recorded, namespace: &str, operator: &str, names: &str) {
    let words = format!(
        "--context prod get secrets --namespace {namespace} --selector app.kubernetes.io/managed-by{operator}zerocart"
    );
    recorded.answer("kubectl", &words, names);
}

async fn plan(recorded: &Recorded, data: bool) -> Result<Plan, Problem> {
    Plan::make(&kubectl(recorded), &Namespaces::default(), data).await
}

/// Carries it out, and returns what was removed, in its order.
async fn removed(recorded: &Recorded, data: bool) -> Vec<String> {
    let plan = plan(recorded, data).await.unwrap();
    let progress = Progress::new(std::io::sink(), false);
    plan.carry_out(&kubectl(recorded), &progress).await.unwrap();
    let calls = recorded.calls().into_iter();
    let calls = calls.filter(|call| call.contains(" delete ") || call.contains(" uninstall "));
    let short = |call: String| {
        let call = call
            .replace("kubectl --context prod delete ", "")
            .replace("helm --kube-context prod ", "helm ");
        call.replace(" --ignore-not-found", "")
    };
    calls.map(short).collect()
}

#[tokio::test]
async fn the_edge_goes_first_then_jobs_then_functions_and_the_data_stays() {
    let recorded = deployed();
    assert_eq!(
        removed(&recorded, false).await,
        [
            "deployment/gateway service/gateway --namespace zerocart-edge",
            "cronjob/recover-orders --namespace zerocart",
            "services.serving.knative.dev/get-user services.serving.knative.dev/create-user --namespace zerocart",
            "networkpolicy/deny resourcequota/zerocart --namespace zerocart",
        ]
    );
    assert!(!recorded.calls().iter().any(|call| call.contains("secrets")));
    assert!(
        plan(&recorded, false)
            .await
            .unwrap()
            .left_alone()
            .is_empty()
    );
}

#[tokio::test]
async fn the_release_of_kong_is_removed_by_helm() {
    let recorded = deployed();
    recorded.answer(
        "helm",
        "--kube-context prod list",
        r#"[{"name": "zerocart-kong"}]"#,
    );
    let removed = removed(&recorded, false).await;
    assert_eq!(
        removed[0],
        "helm uninstall zerocart-kong --namespace zerocart-edge --wait --timeout 120s"
    );
}

#[tokio::test]
async fn instances_drain_before_the_end() {
    let recorded = deployed();
    let pod = list(&[object("Pod", "get-user-1", false)]);
    let words = "--context prod get pods --namespace zerocart --selector serving.knative.dev/service in (get-user,create-user) ";
    recorded.answers("kubectl", words, &[&pod, &list(&[])]);
    removed(&recorded, false).await;
    let looks = recorded
        .calls()
        .into_iter()
        .filter(|call| call.contains(words))
        .count();
    assert_eq!(looks, 2);
}

#[tokio::test]
async fn with_the_data_the_namespaces_go() {
    let recorded = deployed();
    let last = removed(&recorded, true).await.pop().unwrap();
    assert_eq!(last, "namespaces zerocart-edge zerocart zerocart-system");
    let lines = plan(&recorded, true).await.unwrap().removed();
    assert!(
        lines.contains(&"the namespace zerocart-system with all that is in it".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_somebody_else_made_is_left_alone_and_so_is_its_namespace() {
    let recorded = deployed();
    others(
        &recorded,
        "zerocart-system",
        &[
            object("PersistentVolumeClaim", "data-postgres-0", true),
            object("Deployment", "pgadmin", false),
        ],
    );
    secrets(&recorded, "zerocart", "!=", "secret/theirs\n");
    let ksvcs = list(&[object("Service", "get-user", false)]);
    in_namespace(
        &recorded,
        "services.serving.knative.dev",
        "zerocart",
        &ksvcs,
    );
    let made = plan(&recorded, true).await.unwrap();
    assert_eq!(
        made.left_alone(),
        [
            "in zerocart: services.serving.knative.dev/get-user, secret/theirs (without the label \
             app.kubernetes.io/managed-by: zerocart)",
            "in zerocart-system: deployment/pgadmin (without the label app.kubernetes.io/managed-by: zerocart)",
        ]
    );
    assert_eq!(
        removed(&recorded, true).await[2..],
        [
            "networkpolicy/deny resourcequota/zerocart --namespace zerocart",
            "secret/zerocart-auth --namespace zerocart",
            "persistentvolumeclaim/data-postgres-0 --namespace zerocart-system",
            "secret/zerocart-auth --namespace zerocart-system",
            "namespaces zerocart-edge",
        ]
    );
}

#[tokio::test]
async fn a_second_run_has_nothing_to_remove() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", "--context prod get namespaces", "");
    assert!(plan(&recorded, true).await.unwrap().is_empty());

    // The data was kept.
    let recorded = deployed();
    in_namespace(
        &recorded,
        "services.serving.knative.dev",
        "zerocart",
        &list(&[]),
    );
    others(&recorded, "zerocart", &[]);
    others(&recorded, "zerocart-edge", &[]);
    assert!(plan(&recorded, false).await.unwrap().is_empty());
    assert!(!plan(&recorded, true).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_does_not_wait() {
    let recorded = deployed();
    recorded.answer(
        "helm",
        "--kube-context prod list",
        r#"[{"name": "zerocart-kong"}]"#,
    );
    let dry = Kubectl::new(recorded.programs(), "prod", None, Mode::DryRun);
    let plan = Plan::make(&dry, &Namespaces::default(), true)
        .await
        .unwrap();
    plan.carry_out(&dry, &Progress::new(std::io::sink(), false))
        .await
        .unwrap();
    let changes = recorded
        .calls()
        .into_iter()
        .filter(|call| call.contains(" delete ") || call.contains(" uninstall "));
    for call in changes {
        assert!(call.contains("--dry-run"), "{call}");
    }
    assert!(
        !recorded
            .calls()
            .iter()
            .any(|call| call.contains("get pods --namespace"))
    );
}
