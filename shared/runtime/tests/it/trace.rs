//! Trace context and the mark of a cold start.

use std::sync::{Arc, Mutex};

use http::Method;
use tonic::Code;
use zerocart_core::Error;
use zerocart_proto::rpc::GetProduct;
use zerocart_test_support::{
    clients::{Client, Wire, request},
    functions::Script,
};

use crate::{get_tea, serve, tea};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn a_trace_is_continued() {
    let seen = Arc::new(Mutex::new(None));
    let keeps = Arc::clone(&seen);
    let function = serve(Script::<GetProduct>::new(move |cx, _| {
        *keeps.lock().unwrap() = Some(cx.trace.context());
        async { Err(Error::not_found("no such product")) }
    }))
    .await;
    for wire in Wire::ALL {
        for flags in ["00", "01"] {
            let outcome = Client::new(wire, function.address())
                .header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
                .call::<GetProduct>(&get_tea())
                .await;
            assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
            assert_eq!(outcome.trace_id.as_deref(), Some(TRACE), "{wire:?}");
            let trace = seen.lock().unwrap().take().unwrap();
            let span = trace.span_id();
            assert_ne!(span, PARENT, "{wire:?}");
            assert_eq!(trace.parent_id().as_deref(), Some(PARENT), "{wire:?}");
            let expected = format!("00-{TRACE}-{span}-{flags}");
            assert_eq!(outcome.header("traceresponse"), Some(expected.as_str()));
            // What the handler sends on with its own calls.
            assert_eq!(trace.to_string(), expected, "{wire:?}");
        }
    }
}

#[tokio::test]
async fn a_bad_trace_begins_a_new_one() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).header("traceparent", "00-nonsense");
        let one = client.call::<GetProduct>(&get_tea()).await;
        let two = client.call::<GetProduct>(&get_tea()).await;
        let id = |text: Option<&str>| text.unwrap().split('-').nth(1).unwrap().to_owned();
        let (one, two) = (
            id(one.header("traceresponse")),
            id(two.header("traceresponse")),
        );
        assert_eq!((one.len(), two.len()), (32, 32), "{wire:?}");
        assert_ne!(one, two, "{wire:?}");
    }
}

#[tokio::test]
async fn the_first_answer_alone_is_cold() {
    for wire in Wire::ALL {
        for fails in [false, true] {
            let script = if fails {
                Script::<GetProduct>::fails(|| Error::not_found("no such product"))
            } else {
                Script::answers(tea())
            };
            let function = serve(script).await;
            // A probe is no first call.
            let http = Client::new(Wire::Http1, function.address());
            for path in ["/health", "/ready", "/metrics", "/nothing"] {
                let probe = http.send(request(Method::GET, path, "")).await;
                assert!(!probe.headers.contains_key("x-cold-start"), "{path}");
            }
            let client = Client::new(wire, function.address());
            let first = client.call::<GetProduct>(&get_tea()).await;
            assert_eq!(first.header("x-cold-start"), Some("true"), "{wire:?}");
            for other in Wire::ALL {
                let client = Client::new(other, function.address());
                let later = client.call::<GetProduct>(&get_tea()).await;
                assert_eq!(later.header("x-cold-start"), None, "{wire:?} {other:?}");
            }
        }
    }
}
