//! Everything that names functions names the same ones.

use zerocart_gateway::Config;
use zerocart_proto::rpc;
use zerocart_tests::{functions, knative, kong, limits, root};

use crate::none;

fn manifests() -> knative::Manifests {
    knative::read(&root()).unwrap_or_else(|error| panic!("{error:#}"))
}

fn kong() -> Config {
    Config::load(&root().join("kong/kong.yml")).unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn generated_files_are_current() {
    let changes = zerocart_deploy::files::changes(&root());
    let changes = changes.unwrap_or_else(|error| panic!("{error}"));
    let diffs = changes.iter().map(zerocart_deploy::files::Change::diff);
    none(&diffs.collect::<Vec<_>>());
}

#[test]
fn each_path_meets_one_route() {
    none(&kong::check(
        &functions::all(),
        zerocart_deploy::NAMESPACE,
        kong().routes(),
    ));
}

/// The conformance suite knows no function's crate, so that it says the address of the first admin again.
#[test]
fn the_first_admin_has_one_address() {
    assert_eq!(
        zerocart_conformance::FIRST_ADMIN,
        zerocart_user::bootstrap::EMAIL
    );
}

#[test]
fn times_are_ordered() {
    none(&limits::times(
        &functions::all(),
        &manifests().functions,
        kong().routes(),
    ));
    none(&limits::job_times(&functions::jobs(), &manifests().jobs));
    none(&limits::callers(rpc::ALL, rpc::JOBS));
}

#[test]
fn connections_fit() {
    let manifests = manifests();
    none(&limits::connections(
        &manifests.functions,
        &manifests.jobs,
        zerocart_registry::CONNECTIONS.into(),
    ));
}
