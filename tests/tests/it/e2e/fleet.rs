//! What list-functions says is true: it equals the processes that run and the requests that were made, and to ask
//! wakes nothing but itself.

use std::collections::BTreeMap;

use http::Method;
use rustix::process::Signal;
use zerocart_proto::ops::{FleetFunction, FleetKind, ListFunctionsResponse};
use zerocart_tests::functions;

use super::{
    engine::{Data, Engine, PATIENCE},
    until,
};

const OWN: &str = "list-functions";

/// The answer, by name.
async fn ask(engine: &Engine, admin: &str) -> BTreeMap<String, FleetFunction> {
    let asked = [("authorization", admin)];
    let reply = engine
        .http()
        .call(Method::GET, "/admin/fleet", "", &asked)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer: ListFunctionsResponse = reply.json();
    assert_eq!(answer.engine, "local");
    assert!(answer.missing.is_empty(), "{:?}", answer.missing);
    let functions = answer.functions.into_iter();
    functions.map(|f| (f.name.clone(), f)).collect()
}

/// The instances that run, or start.
fn running(function: &FleetFunction) -> usize {
    let instances = function.instances.unwrap_or_default();
    usize::try_from(instances.starting + instances.ready + instances.draining).expect("a count")
}

/// Compares with the processes of the engine.
fn compare(engine: &Engine, fleet: &BTreeMap<String, FleetFunction>) {
    let processes = engine.processes();
    for function in fleet.values().filter(|f| f.kind() != FleetKind::Job) {
        // The kernel keeps 15 characters of a name.
        let name = &function.name[..function.name.len().min(15)];
        let found = processes.iter().filter(|process| process.name == name);
        assert_eq!(running(function), found.count(), "{}", function.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_functions_equals_what_runs() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let http = engine.http();
    let admin = engine.sign_in_admin().await;
    for _ in 0..3 {
        assert_eq!(http.get("/products").await.status, 200);
    }
    assert_eq!(http.get("/products/nonsense").await.status, 400);

    let fleet = ask(&engine, &admin).await;
    compare(&engine, &fleet);
    for info in functions::all() {
        let known = &fleet[info.name];
        assert_eq!(
            (known.domain.as_str(), known.kind()),
            (info.domain, FleetKind::Function)
        );
        let status = engine.status(info.name).await;
        let woke = ["authenticate-user", "list-products", "get-product", OWN].contains(&info.name);
        assert_eq!(running(known), usize::from(woke), "{}", info.name);
        assert_eq!(known.cold_starts, Some(i32::from(woke)), "{}", info.name);
        assert_eq!(known.max_scale, i32::try_from(status.max_instances).ok());
        assert_eq!(known.last_start_ms.is_some(), woke, "{}", info.name);
        assert_eq!(!known.last_started_at.is_empty(), woke, "{}", info.name);
        assert_eq!(known.errors, Some(0), "{}", info.name);
    }
    assert_eq!(fleet["list-products"].requests, Some(3));
    assert_eq!(fleet["get-product"].requests, Some(1));
    for name in functions::EDGE {
        assert_eq!(
            (fleet[name].kind(), fleet[name].errors),
            (FleetKind::Edge, None)
        );
    }
    for job in functions::jobs() {
        let known = &fleet[job.name];
        assert_eq!(
            (known.domain.as_str(), known.kind()),
            (job.domain, FleetKind::Job)
        );
        let runs = known.job.clone().expect("the runs of a job");
        assert_eq!(runs.schedule, "* * * * *");
        assert!(runs.running || !runs.next_run_at.is_empty(), "{runs:?}");
    }

    // An instance that is killed is gone from the list, and counted.
    let victims = engine.processes();
    let victim = victims.iter().find(|process| process.name == "get-product");
    victim.expect("it runs").signal(Signal::KILL);
    until("the engine has seen it", PATIENCE, || async {
        let status = engine.status("get-product").await;
        (status.crashes == 1).then_some(())
    })
    .await;
    let later = ask(&engine, &admin).await;
    compare(&engine, &later);
    assert_eq!(
        (running(&later["get-product"]), later["get-product"].crashes),
        (0, Some(1))
    );
    assert_eq!(later[OWN].requests, Some(2));
    // To ask twice has woken nothing.
    for (name, function) in &later {
        assert_eq!(function.cold_starts, fleet[name].cold_starts, "{name}");
    }
    engine.stop().await;
}

/// All functions have been called, and are at zero.
pub(crate) async fn is_at_zero(engine: &Engine, admin: &str) {
    let fleet = ask(engine, admin).await;
    compare(engine, &fleet);
    for function in fleet.values().filter(|f| f.kind() != FleetKind::Job) {
        let (name, own) = (&function.name, function.name == OWN);
        assert_eq!(running(function), usize::from(own), "{name}");
        if function.kind() == FleetKind::Function {
            assert_eq!(function.cold_starts, Some(1 + i32::from(own)), "{name}");
            assert!(
                function.requests > Some(0) && function.last_start_ms.is_some(),
                "{name}"
            );
        }
    }
}
