//! The methods of a path over HTTP.

use std::collections::BTreeSet;

use http::Method;
use zerocart_proto::rpc;

use super::{
    answer::Failed,
    inputs::Rest,
    schema::Request,
    shop::{Shop, Who},
    tokens::{allowed, things},
    wire::Input,
};

/// Every path that GET reads has HEAD, and every path says which methods it has to who tries another.
pub(super) async fn methods(shop: &Shop) -> Result<(), Failed> {
    if !shop.is_rest() {
        shop.note("--   a call by gRPC is a POST");
        return Ok(());
    }
    let things = things(shop).await?;
    let nobody = Who::nobody();
    let mut paths = BTreeSet::new();
    for info in shop.edge().functions() {
        let rest = Rest::of(info, &Request::good(info, &things));
        if info.http_method == "GET" {
            let who = allowed(shop, info, &nobody);
            shop.has_head(info, who, rest.clone()).await?;
        }
        if !paths.insert(info.http_path) {
            continue;
        }
        let methods = rpc::methods(rpc::ALL, info.http_path);
        let refusal = shop.edge().refuses_method(&methods.join(", "));
        for other in [Method::GET, Method::POST, Method::PUT, Method::PATCH] {
            if methods.contains(&other.as_str()) {
                continue;
            }
            let what = format!("{other} of {}", info.http_path);
            let mut rest = rest.clone();
            rest.method = other;
            let input = (what.as_str(), Input::Rest(&rest));
            shop.refuses(info, &nobody, None, input, &refusal).await?;
        }
    }
    Ok(())
}
