//! What the traces of an order show: each function, each statement and each step, as one tree.

use std::collections::BTreeMap;

use http::{HeaderValue, Request};
use serde_json::Value;
use zerocart_test_support::clients::Body;

use super::{
    boundary::{Crossing, Fate, Stop},
    stage::{Buyer, Stage, post_order, send},
};

/// A span, as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) function: String,
    pub(crate) name: String,
    began: u64,
    ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Trace and span.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) failed: bool,
}

/// The spans of one trace in these lines, in the order of their beginnings. Other lines are passed over.
pub(crate) fn spans_of(lines: &str, trace: &str) -> Vec<Recorded> {
    let mut spans = Vec::new();
    for line in lines
        .lines()
        .filter(|line| line.starts_with("{\"resourceSpans\""))
    {
        let line: Value = serde_json::from_str(line).expect("a line of spans is JSON");
        spans.extend(recorded_spans(&line).filter(|span| span.trace == trace));
    }
    spans.sort_by_key(|span| (span.began, span.id.clone()));
    spans
}

/// The spans of an export of OTLP.
pub(crate) fn recorded_spans(export: &Value) -> impl Iterator<Item = Recorded> {
    array(&export["resourceSpans"]).iter().flat_map(|resource| {
        let function = attributes(&resource["resource"])["service.name"].clone();
        let scopes = array(&resource["scopeSpans"]).iter();
        let all = scopes.flat_map(|scope| array(&scope["spans"]));
        all.map(move |span| recorded(span, &function))
    })
}

fn recorded(span: &Value, function: &str) -> Recorded {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let time = |key: &str| {
        text(key)
            .parse()
            .expect("a time is a number of nanoseconds")
    };
    let links = array(&span["links"]).iter().map(|link| {
        let id = |key: &str| link[key].as_str().expect("a link has ids").to_owned();
        (id("traceId"), id("spanId"))
    });
    Recorded {
        trace: text("traceId"),
        id: text("spanId"),
        parent: text("parentSpanId"),
        function: function.to_owned(),
        name: text("name"),
        began: time("startTimeUnixNano"),
        ended: time("endTimeUnixNano"),
        attributes: attributes(span),
        links: links.collect(),
        failed: span["status"]["code"] == 2,
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn attributes(of: &Value) -> BTreeMap<String, String> {
    let attributes = array(&of["attributes"]).iter().map(|attribute| {
        let key = attribute["key"].as_str().expect("an attribute has a key");
        let value = attribute["value"].as_object().expect("and a value");
        let value = value.values().next().expect("of one type");
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (key.to_owned(), value)
    });
    attributes.collect()
}

/// The tree under `parent`: `function: name`, children below. Everything in it has its parent, and begins and
/// ends within it.
fn tree(spans: &[Recorded], parent: &str) -> String {
    fn grow(spans: &[Recorded], parent: &str, depth: usize, out: &mut String, seen: &mut usize) {
        for span in spans.iter().filter(|span| span.parent == parent) {
            *seen += 1;
            let failed = if span.failed { " failed" } else { "" };
            *out += &format!(
                "{}{}: {}{failed}\n",
                "  ".repeat(depth),
                span.function,
                span.name
            );
            for child in spans.iter().filter(|child| child.parent == span.id) {
                assert!(
                    child.began >= span.began,
                    "{child:?} begins before {span:?}"
                );
            }
            assert!(span.ended >= span.began, "{span:?}");
            grow(spans, &span.id, depth + 1, out, seen);
        }
    }
    let (mut out, mut seen) = (String::new(), 0);
    grow(spans, parent, 0, &mut out, &mut seen);
    assert_eq!(
        seen,
        spans.len(),
        "a span has no parent:\n{out}\n{spans:#?}"
    );
    out
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traced(buyer: &Buyer, key: &str, trace: &str) -> Request<Body> {
    let mut request = post_order(buyer, key);
    let parent = format!("00-{trace}-{PARENT}-01");
    let parent = HeaderValue::try_from(parent).expect("hexadecimal digits are a header");
    request.headers_mut().insert("traceparent", parent);
    request
}

/// A buyer with one unit of tea in the cart.
async fn buyer(stage: &Stage) -> Buyer {
    let product = stage.shop.product(450, 10).await;
    let buyer = stage.shop.buyer();
    stage.add(&buyer, product, 1).await;
    buyer
}

#[tokio::test]
async fn a_checkout_is_one_trace_through_five_functions_and_their_sql() {
    let stage = Stage::new().await;
    let spans = [("LOG_FORMAT", "otlp")];
    let (process, address) = stage.start("create-order", stage.order_env(&spans)).await;
    // The first one has the starts, too.
    for (key, trace) in [
        ("first", "11111111111111111111111111111111"),
        ("second", TRACE),
    ] {
        let buyer = buyer(&stage).await;
        let reply = send(address, traced(&buyer, key, trace)).await;
        assert_eq!(reply.expect("it lives").status, 201);
    }
    // SIGKILL right after the answer: all was written before it.
    process.kill().await;
    let mut spans = stage.trace(TRACE);
    // On a busy machine a call can wait for its connection.
    spans.retain(|span| span.name != "database session");
    assert_eq!(
        tree(&spans, PARENT),
        "\
create-order: POST /orders
  create-order: SELECT orders
  create-order: cart.CartService/GetCart
    get-cart: cart.CartService/GetCart
      get-cart: SELECT carts SELECT cart_items
  create-order: DELETE idempotency_keys INSERT idempotency_keys INSERT orders INSERT order_items INSERT order_steps SELECT orders SELECT idempotency_keys
  create-order: drive order
    create-order: reserve stock
      create-order: product.ProductService/UpdateInventory
        update-inventory: product.ProductService/UpdateInventory
          update-inventory: INSERT reservations UPDATE products SELECT products SELECT reservations
    create-order: check provider
    create-order: charge
      create-order: payment.PaymentService/ProcessPayment
        process-payment: payment.PaymentService/ProcessPayment
          process-payment: INSERT payments INSERT payment_attempts
          process-payment: payment provider
            process-payment: INSERT simulator_charges SELECT simulator_settings
          process-payment: UPDATE payments UPDATE payment_attempts
    create-order: clear cart
      create-order: cart.CartService/ClearCart
        clear-cart: cart.CartService/ClearCart
          clear-cart: INSERT cart_clearances UPDATE cart_items DELETE cart_items UPDATE carts SELECT carts SELECT cart_items
    create-order: UPDATE orders UPDATE order_steps INSERT order_steps
",
        "{spans:#?}"
    );
}

#[tokio::test]
async fn an_order_that_a_crash_interrupted_shows_both_drivers_linked() {
    let stage = Stage::new().await;
    let charge = Crossing::Answer("process-payment".into());
    let tap = stage.tap(Stop::At(charge, 0), Fate::Lost).await;
    let mut env = stage.tapped_env(&tap);
    env.push(("LOG_FORMAT".into(), "otlp".into()));
    let (process, address) = stage.start("create-order", env).await;
    let buyer = buyer(&stage).await;
    tap.boundaries.arm();
    let answer = tokio::spawn(send(address, traced(&buyer, "key", TRACE)));
    tap.boundaries.stopped().await;
    process.kill().await;
    tap.boundaries.quiet().await;
    drop(answer);
    stage.shop.lapse().await;
    stage.recover().await;
    stage.shop.check("the crash").await;

    let first = stage.trace(TRACE);
    let steps: Vec<_> = first
        .iter()
        .filter(|span| span.attributes.contains_key("zerocart.saga.step"))
        .collect();
    let names: Vec<_> = steps.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["reserve stock", "check provider"], "{first:#?}");
    // The driver that died has left the steps that it had done.
    let driver = &steps[0].parent;
    assert!(steps.iter().all(|step| step.parent == *driver));

    let log = std::fs::read_to_string(stage.shop.log("recover-orders")).expect("there is a log");
    let heir = log
        .lines()
        .filter(|line| line.contains("drive order"))
        .collect::<Vec<_>>();
    assert_eq!(heir.len(), 1, "{log}");
    let id: Value = serde_json::from_str(heir[0]).expect("it is JSON");
    let id = array(&id["resourceSpans"][0]["scopeSpans"][0]["spans"])[0]["traceId"].clone();
    let second = stage.trace(id.as_str().expect("it has a trace"));
    let drive: Vec<_> = second
        .iter()
        .filter(|span| span.name == "drive order")
        .collect();
    // Its driver had recorded nothing but that the order was placed: that is of the call itself.
    let call = first.iter().find(|span| span.name == "SELECT orders");
    let call = call.map(|span| span.parent.clone()).unwrap_or_default();
    assert_eq!(drive[0].links, [(TRACE.to_owned(), call)], "{second:#?}");
    assert_eq!(drive[0].attributes["zerocart.order.status"], "PAID");
}
