//! Which crates may depend on which.

use cargo_metadata::{DependencyKind, Metadata};

/// A package of the workspace, and the packages of the workspace that it depends on.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder from the root: `functions/user`.
    pub folder: String,
    /// What it is built from.
    pub normal: Vec<String>,
    /// What its tests need besides.
    pub dev: Vec<String>,
}

impl Package {
    fn is(&self, group: &str) -> bool {
        self.folder == group || self.folder.starts_with(&format!("{group}/"))
    }
}

/// The packages of the workspace.
pub fn read(metadata: &Metadata) -> Vec<Package> {
    let members = metadata.workspace_packages();
    members
        .iter()
        .map(|package| {
            let folder = package
                .manifest_path
                .parent()
                .unwrap_or(&package.manifest_path);
            let folder = folder
                .strip_prefix(&metadata.workspace_root)
                .unwrap_or(folder);
            let names = |dev: bool| {
                let of_kind = package.dependencies.iter();
                let of_kind =
                    of_kind.filter(move |d| (d.kind == DependencyKind::Development) == dev);
                let ours = of_kind.filter(|d| members.iter().any(|m| m.name.as_str() == d.name));
                ours.map(|d| d.name.clone()).collect()
            };
            Package {
                name: package.name.to_string(),
                folder: folder.to_string().replace('\\', "/"),
                normal: names(false),
                dev: names(true),
            }
        })
        .collect()
}

/// Crates that depend on no crate of the workspace at all.
const ALONE: [&str; 10] = [
    "zerocart-api",
    "zerocart-framing",
    "zerocart-observability",
    "zerocart-pages",
    "zerocart-proto",
    "zerocart-provision",
    "zerocart-resilience",
    "zerocart-schedule",
    "zerocart-telemetry",
    "zerocart-verified",
];

/// Crates of `shared/`, and the only ones that they depend on: the contract, tokens that are known, who is
/// calling, and traces.
const ONLY: [(&str, &[&str]); 2] = [
    ("zerocart-auth", &["zerocart-proto", "zerocart-verified"]),
    (
        "zerocart-core",
        &["zerocart-auth", "zerocart-proto", "zerocart-telemetry"],
    ),
];

/// Crates of `shared/` that serve functions, and so depend on the server.
const SERVING: [&str; 2] = ["zerocart-lambda", "zerocart-main"];

/// Crates that know nothing of each other.
const STRANGERS: [(&str, &str); 10] = [
    ("zerocart-broker", "zerocart-activator"),
    ("zerocart-broker", "zerocart-gateway"),
    ("zerocart-gateway", "zerocart-activator"),
    ("zerocart-gateway", "zerocart-local-postgres"),
    ("zerocart-activator", "zerocart-local-postgres"),
    ("zerocart-activator", "zerocart-collector"),
    ("zerocart-gateway", "zerocart-collector"),
    ("zerocart-gateway", "zerocart-runtime"),
    // Where a breaker keeps its state is its owner's business, not that of calls.
    ("zerocart-client", "zerocart-postgres"),
    ("zerocart-client", "zerocart-activator"),
];

/// The folder of what the tests of all crates share.
const SUPPORT: &str = "tests/support";

/// What it is made of itself.
const TEST_WITH: [&str; 4] = [
    "conformance/wires",
    "deploy/provision",
    "local/postgres",
    "shared",
];

/// What makes databases on any server: the local engine does it in the same way.
const PROVISION: &str = "deploy/provision";

/// What is measured: the collector of the local engine counts by it.
const OBSERVABILITY: &str = "observability";

/// The rules of the design about who depends on whom.
pub fn check(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    let folder = |name: &str| packages.iter().find(|package| package.name == name);
    for package in packages {
        let mut refuse = |on: &str, why: &str| {
            wrong.push(format!("{} depends on {on}: {why}", package.name));
        };
        for on in &package.dev {
            let Some(other) = folder(on) else { continue };
            if package.is("shared") && !other.is("shared") && !other.is(SUPPORT) {
                refuse(on, "shared depends on shared");
            }
        }
        for on in &package.normal {
            let Some(other) = folder(on) else { continue };
            if package.is("shared") && !other.is("shared") {
                refuse(on, "shared depends on shared");
            } else if (other.is("bench") || other.is("tests")) && !package.is("tests") {
                refuse(on, "nothing builds on benchmarks and tests");
            } else if package.is("functions") && other.is("functions") {
                refuse(on, "domains speak gRPC");
            } else if package.is("functions") && !other.is("shared") {
                refuse(on, "functions depend on shared");
            }
            if package.is(SUPPORT) && !TEST_WITH.iter().any(|room| other.is(room)) {
                refuse(on, "the tests of every crate use it");
            }
            if package.is("conformance") && !other.is("shared") && !other.is("conformance") {
                refuse(on, "users run the suite without the rest");
            }
            if package.is("local")
                && !other.is("local")
                && !other.is("shared")
                && !other.is(PROVISION)
                && !other.is(OBSERVABILITY)
            {
                refuse(on, "the parts of the local engine know no function");
            }
            if other.is("cli") {
                refuse(on, "nothing builds on the command");
            }
            if package.is("edge") && !other.is("shared") {
                refuse(on, "the edge depends on shared");
            }
            for (name, only) in ONLY {
                if package.name == name && !only.contains(&on.as_str()) {
                    refuse(on, &format!("it needs {} and no more", only.join(", ")));
                }
            }
            if package.is("shared")
                && on == "zerocart-runtime"
                && !SERVING.contains(&package.name.as_str())
            {
                refuse(on, "only what serves functions depends on the server");
            }
            if package.name == "zerocart-runtime" && on == "zerocart-client" {
                refuse(on, "calling others is a function's own choice");
            }
            if ALONE.contains(&package.name.as_str()) {
                refuse(on, "it stands alone");
            }
        }
        for (one, other) in STRANGERS {
            for (one, other) in [(one, other), (other, one)] {
                if package.name == one && package.normal.iter().any(|on| on == other) {
                    refuse(other, "they know nothing of each other");
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::only;

    fn package(folder: &str, normal: &[&str]) -> Package {
        let name = match folder.rsplit_once('/') {
            Some(("local", "postgres")) => "zerocart-local-postgres".to_owned(),
            Some(("tests", "support")) => "zerocart-test-support".to_owned(),
            Some((_, last)) => format!("zerocart-{last}"),
            None if folder == "cli" => "zerocart".to_owned(),
            None => format!("zerocart-{folder}"),
        };
        Package {
            name,
            folder: folder.into(),
            normal: normal.iter().map(|on| (*on).to_owned()).collect(),
            dev: Vec::new(),
        }
    }

    fn workspace() -> Vec<Package> {
        vec![
            package("shared/proto", &[]),
            package("shared/auth", &["zerocart-proto"]),
            package("shared/resilience", &[]),
            package("shared/core", &["zerocart-auth"]),
            package("shared/runtime", &["zerocart-core", "zerocart-resilience"]),
            package("shared/postgres", &["zerocart-core", "zerocart-resilience"]),
            package("shared/client", &["zerocart-core"]),
            package("shared/main", &["zerocart-runtime"]),
            package("functions/user", &["zerocart-core", "zerocart-main"]),
            package(
                "functions/product",
                &["zerocart-client", "zerocart-postgres"],
            ),
            package(
                "cli",
                &["zerocart-user", "zerocart-activator", "zerocart-gateway"],
            ),
            package("edge/reflection", &["zerocart-runtime"]),
            package("conformance", &["zerocart-wires"]),
            package("conformance/wires", &["zerocart-core"]),
            package("local/activator", &[]),
            package("local/gateway", &[]),
            package("local/postgres", &["zerocart-provision"]),
            package("deploy/provision", &[]),
            package("bench", &[]),
            package("tests", &["zerocart-user", "zerocart-test-support"]),
            package(
                "tests/support",
                &["zerocart-wires", "zerocart-local-postgres"],
            ),
        ]
    }

    #[test]
    fn the_rules_hold_for_a_good_workspace() {
        assert_eq!(check(&workspace()), [""; 0]);
    }

    #[test]
    fn each_rule_can_be_broken() {
        for (package, on, why) in [
            (
                "zerocart-runtime",
                "zerocart-user",
                "shared depends on shared",
            ),
            (
                "zerocart-runtime",
                "zerocart-local-postgres",
                "shared depends on shared",
            ),
            (
                "zerocart-runtime",
                "zerocart-activator",
                "shared depends on shared",
            ),
            (
                "zerocart-runtime",
                "zerocart-test-support",
                "shared depends on shared",
            ),
            ("zerocart-user", "zerocart-product", "domains speak gRPC"),
            (
                "zerocart-user",
                "zerocart-gateway",
                "functions depend on shared",
            ),
            (
                "zerocart-user",
                "zerocart-test-support",
                "nothing builds on",
            ),
            (
                "zerocart-test-support",
                "zerocart-user",
                "the tests of every crate",
            ),
            (
                "zerocart-core",
                "zerocart-resilience",
                "needs zerocart-auth",
            ),
            (
                "zerocart-postgres",
                "zerocart-runtime",
                "only what serves functions",
            ),
            (
                "zerocart-client",
                "zerocart-runtime",
                "only what serves functions",
            ),
            ("zerocart-resilience", "zerocart-auth", "it stands alone"),
            ("zerocart-proto", "zerocart-auth", "it stands alone"),
            ("zerocart-provision", "zerocart-postgres", "it stands alone"),
            (
                "zerocart-auth",
                "zerocart-resilience",
                "needs zerocart-proto, zerocart-verified and",
            ),
            (
                "zerocart-client",
                "zerocart-postgres",
                "nothing of each other",
            ),
            (
                "zerocart-client",
                "zerocart-user",
                "shared depends on shared",
            ),
            (
                "zerocart-runtime",
                "zerocart-client",
                "a function's own choice",
            ),
            (
                "zerocart-gateway",
                "zerocart-activator",
                "nothing of each other",
            ),
            (
                "zerocart-activator",
                "zerocart-gateway",
                "nothing of each other",
            ),
            ("zerocart-gateway", "zerocart-user", "know no function"),
            (
                "zerocart-reflection",
                "zerocart-user",
                "the edge depends on",
            ),
            (
                "zerocart-bench",
                "zerocart",
                "nothing builds on the command",
            ),
            ("zerocart-conformance", "zerocart-user", "without the rest"),
            (
                "zerocart-wires",
                "zerocart-local-postgres",
                "without the rest",
            ),
            ("zerocart", "zerocart-tests", "nothing builds on"),
            ("zerocart", "zerocart-bench", "nothing builds on"),
        ] {
            let mut broken = workspace();
            let broken_one = broken.iter_mut().find(|p| p.name == package).unwrap();
            broken_one.normal.push(on.to_owned());
            let problems = check(&broken);
            only(&problems, &format!("{package} depends on {on}: "));
            only(&problems, why);
        }
    }

    #[test]
    fn shared_does_not_even_test_with_functions() {
        let mut broken = workspace();
        broken[3].dev.push("zerocart-user".to_owned());
        only(&check(&broken), "shared depends on shared");
        // Every crate may test with what tests share, a domain also with another domain.
        let mut fine = workspace();
        fine[3].dev.push("zerocart-test-support".to_owned());
        let user = fine
            .iter_mut()
            .find(|package| package.name == "zerocart-user");
        user.unwrap().dev.push("zerocart-product".to_owned());
        assert_eq!(check(&fine), [""; 0]);
    }
}
