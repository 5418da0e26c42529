//! What runs the shop.

use zerocart_proto::{
    ops::{FleetFunction, FleetKind, ListFunctionsRequest, ListFunctionsResponse},
    rpc,
};

use super::{answer::Failed, shop::Shop};

/// An admin sees all functions, jobs and services of the edge.
pub(super) async fn fleet(shop: &Shop) -> Result<(), Failed> {
    if !shop.edge().fleet {
        shop.note("--   this engine does not know its functions");
        return Ok(());
    }
    let of_kind = |kind: FleetKind| {
        move |answer: &ListFunctionsResponse| {
            let functions = answer.functions.iter().filter(|f| f.kind() == kind);
            functions.map(|f| f.name.clone()).collect::<Vec<_>>()
        }
    };
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let functions = sorted(rpc::ALL.iter().map(|info| info.name).collect());
    let jobs = sorted(rpc::JOBS.iter().map(|job| job.name).collect());
    let own = |answer: &ListFunctionsResponse| {
        let is_own = |f: &&FleetFunction| f.name == "list-functions";
        let own = answer.functions.iter().find(is_own);
        let instances = own.and_then(|f| f.instances).unwrap_or_default();
        // It runs, as it answers; an engine may not have seen yet that it is ready.
        instances.starting + instances.ready > 0
    };
    let answer = shop.ask::<rpc::ListFunctions>(&shop.admin, ListFunctionsRequest {});
    answer
        .await?
        .ok()
        .is("functions", of_kind(FleetKind::Function), functions)
        .is("jobs", of_kind(FleetKind::Job), jobs)
        .is("list-functions runs", own, true)
        .end()
}
