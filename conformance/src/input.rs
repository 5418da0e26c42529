//! Bad inputs, of every field of every RPC.

use super::{
    answer::Failed,
    inputs::{self, Rest, Way},
    schema::Request,
    shop::{Shop, Who},
    tokens::{allowed, things},
    wire::Input,
};

/// More than an edge lets through: in bytes.
const HUGE: usize = 2 << 20;

/// Every function names the field that is wrong, and says what it must be.
pub(super) async fn input(shop: &Shop) -> Result<(), Failed> {
    let things = things(shop).await?;
    let nobody = Who::nobody();
    for info in shop.edge().functions() {
        let who = allowed(shop, info, &nobody);
        for case in inputs::cases(info, &things) {
            let what = case.what.as_str();
            let (input, refusal) = match (shop.is_rest(), &case.rest, &case.grpc) {
                (true, Way::Sent(rest, refusal), _) => (Input::Rest(rest), refusal),
                (false, _, Way::Sent(message, refusal)) => (Input::Grpc(message), refusal),
                (true, Way::Impossible(why), _) | (false, _, Way::Impossible(why)) => {
                    shop.note(&format!("--   {} ({what}): {why}", info.name));
                    continue;
                }
            };
            if shop.edge().only_text && !input.is_text() {
                let edge = shop.edge();
                shop.note(&format!(
                    "--   {} ({what}): {edge} carries text only",
                    info.name
                ));
                continue;
            }
            shop.refuses(info, who, None, (what, input), refusal)
                .await?;
        }
        // Over gRPC a message has no length in front of it that an edge could look at.
        if shop.is_rest() && info.http_body {
            let mut huge = Rest::of(info, &Request::good(info, &things));
            huge.body = vec![b' '; HUGE].into();
            let refusal = shop.edge().refuses_large();
            let what = format!("{HUGE} bytes");
            let input = (what.as_str(), Input::Rest(&huge));
            shop.refuses(info, who, None, input, &refusal).await?;
        }
    }
    // Of all these orders and products nothing is made.
    let orders = shop.orders(&shop.buyer).await?;
    let last = things.order.clone();
    orders
        .holds("the last order is the one before", |r| {
            r.orders.first().is_some_and(|order| order.id == last)
        })
        .end()
}
