//! Everything that names functions names the same ones.

use std::fs;

use zerocart_gateway::Config;
use zerocart_proto::rpc;
use zerocart_tests::{
    binaries, consul, functions, knative, kong, lambda, limits, openapi, root, source,
};

use crate::{none, rules::metadata};

fn manifests() -> knative::Manifests {
    knative::read(&root()).unwrap_or_else(|error| panic!("{error:#}"))
}

fn kong() -> Config {
    Config::load(&root().join("kong/kong.yml")).unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn functions_are_the_rpcs_of_their_domains() {
    let folders = fs::read_dir(root().join("functions")).expect("functions/ can be listed");
    let folders: Vec<_> = folders
        .map(|entry| entry.expect("functions/ can be listed").path())
        .filter(|path| path.join("Cargo.toml").exists())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    none(&functions::check(&functions::all(), rpc::ALL, &folders));
    none(&functions::check_jobs(&functions::jobs(), rpc::JOBS));
}

#[test]
fn binaries_are_the_functions() {
    let binaries = binaries::read(&metadata()).expect("sources can be read");
    none(&binaries::check(
        &functions::all(),
        &functions::jobs(),
        &binaries,
    ));
}

#[test]
fn every_function_has_its_module() {
    let functions = functions::all().into_iter().map(|f| (f.name, f.domain));
    let jobs = functions::jobs()
        .into_iter()
        .map(|job| (job.name, job.domain));
    for (name, domain) in functions.chain(jobs) {
        let module = name.replace('-', "_");
        let path = format!("functions/{domain}/src/{module}.rs");
        assert!(root().join(&path).is_file(), "{path} does not exist");
    }
}

#[test]
fn knative_services_are_the_functions() {
    none(&knative::check(
        &functions::all(),
        &functions::jobs(),
        &functions::EDGE,
        &manifests(),
    ));
}

#[test]
fn kong_routes_are_the_functions() {
    none(&kong::check(
        &functions::all(),
        manifests().namespace(),
        kong().routes(),
    ));
}

#[test]
fn the_openapi_document_is_the_descriptors() {
    let document = zerocart_openapi::document().unwrap_or_else(|error| panic!("{error:#}"));
    none(&openapi::check(
        &functions::all(),
        zerocart_proto::DESCRIPTORS,
        &document,
    ));
}

#[test]
fn consul_intentions_are_the_calls() {
    let documents = consul::read(&root()).unwrap_or_else(|error| panic!("{error:#}"));
    none(&consul::check(
        &functions::all(),
        &functions::jobs(),
        &documents,
    ));
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
fn lambda_functions_are_the_functions() {
    let deployments = lambda::read(&metadata());
    none(&lambda::check(
        &functions::all(),
        &functions::jobs(),
        &deployments,
    ));
}

#[test]
fn connections_fit() {
    let engine =
        fs::read_to_string(root().join("local/src/foundation.rs")).expect("the engine's source");
    let max = source::constant(&engine, "MAX_CONNECTIONS").expect("the engine says how many");
    let manifests = manifests();
    none(&limits::connections(
        &manifests.functions,
        &manifests.jobs,
        max,
    ));
}
