//! The steps of a deployment, with recorded programs in place of kubectl, helm, kind and docker.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod consul;
mod doctor;
mod fleet;
mod kind;
mod knative;
mod ready;
mod recorded;
mod restart;
mod secrets;
mod traffic;
mod undeploy;

use recorded::Recorded;
use zerocart_cluster::{Kubectl, Mode};

fn kubectl(recorded: &Recorded) -> Kubectl {
    Kubectl::new(recorded.programs(), "prod", None, Mode::Change)
}

#[tokio::test]
async fn every_call_names_its_context_and_a_refusal_is_told() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", "--context prod get", r#"{"kind": "Node"}"#);
    recorded.refuse("kubectl", "--context prod apply", "no right to do so");
    let cluster = kubectl(&recorded);
    let found = cluster.get("node", "", "a").await.unwrap().unwrap();
    assert_eq!(found["kind"], "Node");
    let problem = cluster.apply_text("{}".to_owned()).await.unwrap_err();
    assert!(
        problem.to_string().contains("because: no right to do so"),
        "{problem}"
    );

    let nothing = Kubectl::new(
        zerocart_cluster::Programs::at("/nowhere"),
        "prod",
        None,
        Mode::Change,
    );
    let problem = nothing.get("node", "", "a").await.unwrap_err().to_string();
    assert!(
        problem.starts_with("kubectl is not installed\n  cure: install kubectl: https://"),
        "{problem}"
    );
}
