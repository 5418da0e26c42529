//! Traffic: what a deployment writes for each strategy, promote, and rollback.

use serde_json::{Value, json};
use zerocart_cluster::{Problem, Progress, traffic};

use crate::{kubectl, recorded::Recorded};

const KSVC: &str = "--context prod get services.serving.knative.dev get-user --namespace zerocart";
const REVISIONS: &str = "--context prod get revisions.serving.knative.dev --namespace zerocart --selector \
                         serving.knative.dev/service=get-user";
const PATCH: &str = "--context prod patch services.serving.knative.dev get-user --namespace zerocart --type merge \
                     --patch ";

/// A function whose newest revision is ready, with this traffic: revision, percent and tag.
fn ksvc(newest: u64, traffic: &[(u64, u64, Option<&str>)]) -> Value {
    let routes = traffic.iter().map(|(revision, percent, tag)| {
        json!({"revisionName": name(*revision), "percent": percent, "tag": tag})
    });
    json!({
        "metadata": {"name": "get-user", "generation": 7},
        "spec": {"traffic": [{"latestRevision": true, "percent": 100}]},
        "status": {
            "observedGeneration": 7,
            "latestCreatedRevisionName": name(newest),
            "latestReadyRevisionName": name(newest),
            "conditions": [{"type": "RoutesReady", "status": "True"}],
            "traffic": routes.collect::<Vec<_>>(),
        },
    })
}

fn name(revision: u64) -> String {
    format!("get-user-0000{revision}")
}

/// Revisions, and whether each is ready.
fn revisions(all: &[(u64, bool)]) -> String {
    let all = all.iter().map(|(revision, ready)| {
        json!({
            "metadata": {
                "name": name(*revision),
                "labels": {"serving.knative.dev/configurationGeneration": revision.to_string()},
            },
            "spec": {"containers": [{"image": format!("dev.local/zerocart/get-user:v{revision}")}]},
            "status": {"conditions": [{"type": "Ready", "status": if *ready { "True" } else { "False" }}]},
        })
    });
    json!({"items": all.collect::<Vec<_>>()}).to_string()
}

#[test]
fn each_strategy_starts_from_the_revision_that_people_use() {
    let to_newest = json!([{"latestRevision": true, "percent": 100}]);
    let split = |current: u64, percent: u64, tag: &str| {
        json!([
            {"revisionName": name(current), "percent": 100 - percent},
            {"latestRevision": true, "percent": percent, "tag": tag},
        ])
    };
    let canary = |live: Option<&Value>| json!(traffic::canary(live, 10).unwrap());
    assert_eq!(json!(traffic::rolling()), to_newest);
    // The first deployment, also where the first revision never became ready.
    assert_eq!(canary(None), to_newest);
    assert_eq!(canary(Some(&ksvc(1, &[]))), to_newest);
    assert_eq!(json!(traffic::blue_green(None, "green")), to_newest);
    assert_eq!(
        canary(Some(&ksvc(3, &[(3, 100, None)]))),
        split(3, 10, "canary")
    );
    // A canary on a canary, even on one that has most of the traffic.
    for percent in [20, 80] {
        let live = ksvc(4, &[(3, 100 - percent, None), (4, percent, Some("canary"))]);
        assert_eq!(canary(Some(&live)), split(3, 10, "canary"));
        assert_eq!(
            json!(traffic::blue_green(Some(&live), "green")),
            split(3, 0, "green")
        );
    }
    // A green one that got all traffic by hand.
    let live = ksvc(4, &[(3, 0, None), (4, 100, Some("green"))]);
    assert_eq!(canary(Some(&live)), split(4, 10, "canary"));
    for percent in [0, 100] {
        let refused = traffic::canary(None, percent).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("a canary cannot have {percent} % of the traffic")),
            "{refused}"
        );
    }
}

#[test]
fn a_trial_is_told_unless_it_is_the_current_revision() {
    let on_trial = |traffic: &[_]| traffic::in_words(&ksvc(4, traffic));
    assert_eq!(on_trial(&[(4, 100, None)]), None);
    assert_eq!(on_trial(&[(4, 90, None), (4, 10, Some("canary"))]), None);
    let words = on_trial(&[(3, 90, None), (4, 10, Some("canary"))]);
    assert_eq!(words.as_deref(), Some("canary get-user-00004 with 10 %"));
    let words = on_trial(&[(3, 100, None), (4, 0, Some("green"))]);
    assert_eq!(
        words.as_deref(),
        Some("green get-user-00004 without traffic")
    );
}

/// A cluster with this function, whose route changes at once.
fn cluster(ksvc: &Value, all: &[(u64, bool)]) -> Recorded {
    let recorded = Recorded::new();
    recorded.answer("kubectl", KSVC, &ksvc.to_string());
    recorded.answer("kubectl", REVISIONS, &revisions(all));
    recorded.answer("kubectl", PATCH, "patched");
    recorded
}

/// The traffic that was written, if any was.
fn written(recorded: &Recorded) -> Vec<String> {
    let calls = recorded.calls().into_iter();
    calls
        .filter_map(|call| {
            Some(
                call.strip_prefix("kubectl ")?
                    .strip_prefix(PATCH)?
                    .to_owned(),
            )
        })
        .collect()
}

async fn rollback(recorded: &Recorded, to: Option<&str>) -> Result<String, Problem> {
    let progress = Progress::new(std::io::sink(), false);
    traffic::rollback(&kubectl(recorded), &progress, "zerocart", "get-user", to).await
}

#[tokio::test]
async fn rollback_goes_to_the_newest_ready_revision_before_the_current_one() {
    let all = [(1, true), (4, true), (2, true), (3, false)];
    let pinned = |revision: u64| {
        format!(
            r#"{{"spec":{{"traffic":[{{"percent":100,"revisionName":"{}"}}]}}}}"#,
            name(revision)
        )
    };
    let (newest, canary) = (
        json!({"latestRevision": true}),
        json!({"latestRevision": true, "tag": "canary"}),
    );
    for (traffic, declared, to, target) in [
        (vec![(4, 100, None)], &newest, None, 2),
        (vec![(4, 100, None)], &newest, Some(1), 1),
        // It ends a trial: back to the revision that people use.
        (
            vec![(2, 90, None), (4, 10, Some("canary"))],
            &canary,
            None,
            2,
        ),
        (
            vec![(2, 100, None), (4, 0, Some("green"))],
            &canary,
            None,
            2,
        ),
        // The newest revision failed, so all traffic is where it was.
        (vec![(2, 100, None)], &newest, None, 2),
        (
            vec![(2, 90, None), (2, 10, Some("canary"))],
            &canary,
            None,
            2,
        ),
        // A trial without a new revision.
        (
            vec![(4, 90, None), (4, 10, Some("canary"))],
            &canary,
            None,
            4,
        ),
        // A second rollback goes on from the first one.
        (
            vec![(2, 100, None)],
            &json!({"revisionName": name(2)}),
            None,
            1,
        ),
    ] {
        let mut live = ksvc(4, &traffic);
        live["spec"]["traffic"] = json!([declared]);
        let recorded = cluster(&live, &all);
        let said = rollback(&recorded, to.map(name).as_deref()).await.unwrap();
        assert!(
            said.starts_with(&format!("get-user: {} gets all traffic", name(target))),
            "{said}"
        );
        assert!(said.contains("until the next `zerocart deploy`"), "{said}");
        assert_eq!(written(&recorded), [pinned(target)]);
    }
}

#[tokio::test]
async fn the_route_is_waited_for() {
    let live = ksvc(4, &[(4, 100, None)]);
    let recorded = cluster(&live, &[(3, true), (4, true)]);
    let mut behind = live.clone();
    behind["status"]["observedGeneration"] = json!(6);
    let mut unrouted = live.clone();
    unrouted["status"]["conditions"] = json!([{"type": "RoutesReady", "status": "Unknown"}]);
    let looks = [live.clone(), behind, unrouted, live].map(|look| look.to_string());
    recorded.answers("kubectl", KSVC, &looks.each_ref().map(String::as_str));
    rollback(&recorded, None).await.unwrap();
    let calls = recorded.calls().into_iter();
    assert_eq!(calls.filter(|call| call.contains(KSVC)).count(), 4);
}

#[tokio::test]
async fn rollback_and_promote_refuse_what_cannot_be() {
    let all = [(3, false), (4, true)];
    let only = ksvc(4, &[(4, 100, None)]);
    let progress = Progress::new(std::io::sink(), false);
    for (to, refusal) in [
        (None, "get-user has no earlier revision"),
        (Some("get-user-00003"), "get-user-00003 cannot get traffic"),
        (
            Some("get-user-00009"),
            "get-user has no revision get-user-00009",
        ),
    ] {
        let recorded = cluster(&only, &all);
        assert_eq!(rollback(&recorded, to).await.unwrap_err().what(), refusal);
        assert!(written(&recorded).is_empty());
    }

    let mut failing = ksvc(4, &[(4, 100, None)]);
    failing["status"]["latestCreatedRevisionName"] = json!("get-user-00005");
    for (live, refusal) in [
        (
            only,
            "nothing to promote: get-user has no revision on trial",
        ),
        (failing, "the newest revision of get-user is not ready"),
    ] {
        let recorded = cluster(&live, &all);
        let problem =
            traffic::promote(&kubectl(&recorded), &progress, "zerocart", "get-user").await;
        assert_eq!(problem.unwrap_err().what(), refusal);
        assert!(written(&recorded).is_empty());
    }

    let empty = Recorded::new();
    empty.answer("kubectl", KSVC, "");
    let problem = traffic::promote(&kubectl(&empty), &progress, "zerocart", "get-user").await;
    assert_eq!(
        problem.unwrap_err().what(),
        "the cluster has no function get-user"
    );
}

#[tokio::test]
async fn promote_ends_a_canary_and_a_rollback() {
    let progress = Progress::new(std::io::sink(), false);
    let mut rolled_back = ksvc(4, &[(3, 100, None)]);
    rolled_back["spec"]["traffic"] = json!([{"revisionName": name(3), "percent": 100}]);
    for live in [
        ksvc(4, &[(3, 90, None), (4, 10, Some("canary"))]),
        rolled_back,
    ] {
        let recorded = cluster(&live, &[]);
        let said = traffic::promote(&kubectl(&recorded), &progress, "zerocart", "get-user")
            .await
            .unwrap();
        assert_eq!(
            said,
            "get-user: get-user-00004 gets all traffic; `zerocart rollback get-user` goes back to get-user-00003"
        );
        assert_eq!(
            written(&recorded),
            [r#"{"spec":{"traffic":[{"latestRevision":true,"percent":100}]}}"#]
        );
    }
}
