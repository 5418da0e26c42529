//! Each finding of the doctor, provoked.

mod cases;
mod world;

use serde_json::json;
use zerocart_cluster::{
    Programs,
    doctor::{Level, examine, obstacle, report},
};

use cases::{of_the_cluster, of_the_machine};
use world::{World, new_kind, prod};

#[tokio::test]
async fn a_machine_and_a_cluster_that_are_as_they_should_be_are_good() {
    let existing = World::new(new_kind());
    existing
        .recorded
        .answer("kind", "get clusters", "other\nzerocart\n");
    for (what, world, names) in [
        ("a context", World::new(prod()), 9),
        ("a new kind cluster", World::new(new_kind()), 12),
        ("a kind cluster that exists", existing, 17),
    ] {
        let findings = examine(&world.machine, &world.asked).await;
        let text = report(&findings);
        assert!(obstacle(&findings).is_none(), "{what}:\n{text}");
        let good = findings
            .iter()
            .filter(|finding| finding.level == Level::Good);
        assert_eq!(good.count(), findings.len(), "{what}:\n{text}");
        assert_eq!(findings.len(), names, "{what}:\n{text}");
    }
}

#[tokio::test]
async fn what_stands_against_a_deployment_is_named_with_its_cure() {
    for case in of_the_machine().into_iter().chain(of_the_cluster()) {
        let mut world = World::new((case.target)());
        (case.provoke)(&mut world);
        let findings = examine(&world.machine, &world.asked).await;
        let text = report(&findings);
        let mut wrong = findings
            .iter()
            .filter(|finding| finding.level != Level::Good);
        let first = wrong
            .next()
            .unwrap_or_else(|| panic!("{}:\n{text}", case.what));
        let cure = first.cure.as_deref().unwrap_or_default();
        assert_eq!(
            (first.name, first.level),
            (case.name, case.level),
            "{}:\n{text}",
            case.what
        );
        assert!(first.found.contains(case.found), "{}:\n{text}", case.what);
        assert!(cure.contains(case.cure), "{}:\n{text}", case.what);
        assert_eq!(wrong.next(), None, "{}:\n{text}", case.what);
        let problem = obstacle(&findings).map(|problem| problem.to_string());
        let told = |text: String| text.contains(case.found) && text.contains("cure: ");
        assert_eq!(
            problem.map(told),
            (case.level == Level::Bad).then_some(true),
            "{}",
            case.what
        );
    }
}

#[tokio::test]
async fn podman_alone_is_taken_also_under_dockers_name() {
    let podman = json!({
        "host": {"memTotal": 8_u64 << 30, "cpus": 4, "cgroupVersion": "v2"},
        "store": {"graphRoot": "/"},
        "version": {"Version": "5.6.0"},
    });
    for names in [&["podman"][..], &["docker"], &["docker", "podman"]] {
        let world = World::new(new_kind());
        world.recorded.remove("docker");
        for name in names {
            world.recorded.answer(name, "info", &podman.to_string());
        }
        let findings = examine(&world.machine, &world.asked).await;
        let text = report(&findings);
        assert!(obstacle(&findings).is_none(), "{names:?}:\n{text}");
        assert!(
            text.contains("podman 5.6.0, 4 CPUs, 8.0 GiB"),
            "{names:?}:\n{text}"
        );
    }
}

#[tokio::test]
async fn the_current_context_is_never_asked() {
    for target in [new_kind(), prod()] {
        let world = World::new(target);
        world.recorded.answer("kind", "get clusters", "zerocart\n");
        examine(&world.machine, &world.asked).await;
        for call in world.recorded.calls() {
            let harmless = ["kubectl version --client", "kubectl config get-contexts"];
            let harmless = harmless.iter().any(|words| call.starts_with(words));
            let named = call.starts_with("kubectl --context ");
            assert!(!call.starts_with("kubectl ") || named || harmless, "{call}");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_missing_program_is_asked() {
    let mut world = World::new(prod());
    world.machine.programs = Programs::at("/nowhere");
    let findings = examine(&world.machine, &world.asked).await;
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["kubectl", "helm"]);
}
