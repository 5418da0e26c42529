//! Time and load: when a call ends, and when it does not begin.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, header};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, timeout},
};
use tonic::Code;
use tower::ServiceExt;
use zerocart_core::Env;
use zerocart_proto::rpc::{CreateUser, GetProduct};
use zerocart_runtime::build;
use zerocart_test_support::{
    clients::{Body, Client, Wire},
    functions::{PATIENCE, Running, Script, Scripted},
};

use crate::{TEA, env, get_tea, tea};

/// Says so when it is dropped.
struct Dropped(mpsc::UnboundedSender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// A script that never ends, and what it tells: "began", and "dropped" once its future is.
fn endless() -> (Script<GetProduct>, mpsc::UnboundedReceiver<&'static str>) {
    let (tell, told) = mpsc::unbounded_channel();
    let script = Script::new(move |_, _| {
        let dropped = Dropped(tell.clone());
        async move {
            dropped.0.send("began").unwrap();
            std::future::pending::<()>().await;
            drop(dropped);
            Ok(tea())
        }
    });
    (script, told)
}

async fn next(told: &mut mpsc::UnboundedReceiver<&'static str>) -> &'static str {
    let told = timeout(PATIENCE, told.recv()).await;
    told.unwrap_or(Some("nothing"))
        .expect("the handler is there")
}

/// Calls until a call began before its deadline, which on a busy machine may take several.
async fn out_of_time(client: &Client, told: &mut mpsc::UnboundedReceiver<&'static str>) {
    let wire = client.wire();
    for _ in 0..100 {
        let outcome = client.call::<GetProduct>(&get_tea()).await;
        assert_eq!(outcome.code, Code::DeadlineExceeded, "{wire:?}");
        assert_eq!(outcome.message, "no answer within 30 ms", "{wire:?}");
        if wire.is_json() {
            assert_eq!(outcome.http_status, 504, "{wire:?}");
        }
        if let Ok(first) = told.try_recv() {
            assert_eq!(first, "began", "{wire:?}");
            assert_eq!(next(told).await, "dropped", "{wire:?}");
            return;
        }
    }
    panic!("no call began within 30 ms, {wire:?}");
}

#[tokio::test]
async fn the_callers_deadline_ends_the_call_and_drops_the_handler() {
    let (script, mut told) = endless();
    let function = Running::scripted(env(&[]), script).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).header("grpc-timeout", "30m");
        out_of_time(&client, &mut told).await;
    }
}

#[tokio::test]
async fn the_functions_own_limit_ends_the_call() {
    let (script, mut told) = endless();
    let function = Running::scripted(env(&[("CALL_TIMEOUT_MS", "30")]), script).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).header("grpc-timeout", "1H");
        out_of_time(&client, &mut told).await;
    }
}

#[tokio::test]
async fn a_call_whose_client_goes_away_is_counted() {
    let (script, mut told) = endless();
    let function = Running::scripted(env(&[]), script).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let request = get_tea();
        tokio::select! {
            _ = client.call::<GetProduct>(&request) => panic!("a call that never ends did, {wire:?}"),
            began = next(&mut told) => assert_eq!(began, "began", "{wire:?}"),
        }
        drop(client);
        assert_eq!(next(&mut told).await, "dropped", "{wire:?}");
    }
    let client = Client::new(Wire::Http1, function.address());
    let metrics = client.get("/metrics").await.text();
    for protocol in ["json", "grpc"] {
        let sample = format!(
            "zerocart_calls_total{{function=\"get-product\",protocol=\"{protocol}\",code=\"CANCELLED\"}} 2"
        );
        assert!(metrics.contains(&sample), "{sample} is not in:\n{metrics}");
    }
}

/// As large as a proxy may let through: the connection that it shares goes on for all others.
#[tokio::test]
async fn a_large_head_ends_no_call_of_others() {
    let (begin, mut began) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&gate);
    let script = Script::<GetProduct>::new(move |_, _| {
        let (begin, inside) = (begin.clone(), Arc::clone(&inside));
        async move {
            begin.send("began").unwrap();
            inside.acquire().await.unwrap().forget();
            Ok(tea())
        }
    });
    let function = Running::scripted(env(&[]), script).await;
    for wire in [Wire::Http2, Wire::Grpc] {
        // Its clones share one connection.
        let client = Client::new(wire, function.address());
        let held = client.clone();
        let held = tokio::spawn(async move { held.call::<GetProduct>(&get_tea()).await });
        assert_eq!(next(&mut began).await, "began", "{wire:?}");
        let large = client.header("x-large", &"x".repeat(72 * 1024));
        gate.add_permits(2);
        assert_eq!(large.call::<GetProduct>(&get_tea()).await.ok(), tea());
        assert_eq!(next(&mut began).await, "began", "{wire:?}");
        assert_eq!(held.await.unwrap().ok(), tea(), "{wire:?}");
    }
}

/// The time after which a call that never ends is answered, without a socket, so that the clock
/// can be a paused one.
async fn limit(variables: &[(&str, &str)], headers: &[(&str, &str)]) -> Duration {
    let (script, _told) = endless();
    let variables = env(variables).into_iter().chain([script.into_env()]);
    let built = build::<Scripted<GetProduct>>(Env::from_iter(variables)).unwrap();
    let mut request = Request::get(format!("/products/{TEA}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let began = Instant::now();
    let request = request.body(AxumBody::empty()).unwrap();
    let response = built.router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 504);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_shortest_limit_wins_and_none_is_above_the_contracts() {
    const CONTRACT: u64 = 5_000;
    for (variables, headers, limit_ms) in [
        (&[][..], &[][..], CONTRACT),
        (&[], &[("grpc-timeout", "1H")], CONTRACT),
        (&[], &[("grpc-timeout", "99999999H")], CONTRACT),
        (&[], &[("grpc-timeout", "2S")], 2_000),
        (&[("CALL_TIMEOUT_MS", "60000")], &[], CONTRACT),
        (&[("CALL_TIMEOUT_MS", "300")], &[], 300),
        (
            &[("CALL_TIMEOUT_MS", "300")],
            &[("grpc-timeout", "2S")],
            300,
        ),
        (
            &[("CALL_TIMEOUT_MS", "3000")],
            &[("grpc-timeout", "2S")],
            2_000,
        ),
        (&[], &[("grpc-timeout", "0m")], 0),
    ] {
        let took = limit(variables, headers).await;
        // tokio's timers have a millisecond's resolution, and round up.
        let expected = Duration::from_millis(limit_ms);
        assert!(
            took >= expected && took <= expected + Duration::from_millis(2),
            "{variables:?} {headers:?}: {took:?}"
        );
    }
}

#[tokio::test]
async fn the_handler_knows_its_deadline() {
    let script = Script::<GetProduct>::new(|cx, _| async move {
        assert!(cx.remaining() > Duration::from_secs(1), "{cx:?}");
        assert!(cx.remaining() <= Duration::from_secs(3), "{cx:?}");
        Ok(tea())
    });
    let function = Running::scripted(env(&[]), script).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).header("grpc-timeout", "3S");
        client.call::<GetProduct>(&get_tea()).await.ok();
    }
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    let script = Script::<GetProduct>::answers(tea());
    let function = Running::scripted(env(&[]), script).await;
    for wire in Wire::ALL {
        for bad in ["", "5", "5x", "-5S", "123456789S", "S"] {
            let outcome = Client::new(wire, function.address())
                .header("grpc-timeout", bad)
                .call::<GetProduct>(&get_tea())
                .await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {bad:?}");
            assert_eq!(outcome.field_names(), ["grpc-timeout"], "{wire:?} {bad:?}");
        }
    }
}

/// A client that sends half a body holds a place for as long as a call may take, and no longer.
#[tokio::test]
async fn a_body_that_never_ends_is_out_of_time() {
    let script = Script::<CreateUser>::new(|_, _| async { panic!("the handler was called") });
    let function = Running::scripted(env(&[("CALL_TIMEOUT_MS", "20")]), script).await;
    let half = || {
        use futures_util::StreamExt;
        let first = Frame::data(Bytes::from_static(b"{\"email\": "));
        let first = stream::iter([Ok::<_, Infallible>(first)]);
        Body::new(StreamBody::new(first.chain(stream::pending())))
    };
    for wire in [Wire::Http1, Wire::Http2] {
        let request = Request::post("/users")
            .header(header::CONTENT_TYPE, "application/json")
            .body(half())
            .unwrap();
        let client = Client::new(wire, function.address());
        let outcome = client.send(request).await.outcome::<()>();
        assert_eq!(outcome.code, Code::DeadlineExceeded, "{wire:?}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_drops_the_handler() {
    let (script, mut told) = endless();
    let function = Running::scripted(env(&[]), script).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let call = tokio::spawn(async move { client.call::<GetProduct>(&get_tea()).await.code });
        assert_eq!(next(&mut told).await, "began", "{wire:?}");
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(next(&mut told).await, "dropped", "{wire:?}");
    }
}

#[tokio::test]
async fn more_calls_than_fit_are_shed_and_the_others_go_on() {
    let gate = Arc::new(Semaphore::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let inside = Arc::clone(&gate);
    let script = Script::<GetProduct>::new(move |_, _| {
        let (tell, inside) = (tell.clone(), Arc::clone(&inside));
        async move {
            tell.send("began").unwrap();
            inside.acquire().await.unwrap().forget();
            Ok(tea())
        }
    });
    let function = Running::scripted(env(&[("MAX_IN_FLIGHT", "2")]), script).await;
    let address = function.address();
    for wire in Wire::ALL {
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let client = Client::new(wire, address);
                tokio::spawn(async move { client.call::<GetProduct>(&get_tea()).await })
            })
            .collect();
        for _ in &calls {
            assert_eq!(next(&mut told).await, "began");
        }
        for other in Wire::ALL {
            let client = Client::new(other, address);
            let outcome = client.call::<GetProduct>(&get_tea()).await;
            assert_eq!(outcome.code, Code::Unavailable, "{other:?}");
            assert_eq!(outcome.retry_after, Some(Duration::from_secs(1)));
            if other.is_json() {
                assert_eq!(outcome.http_status, 503, "{other:?}");
            }
        }
        // A health check still gets an answer.
        let client = Client::new(Wire::Http1, address);
        assert_eq!(client.get("/health").await.status, 200);
        gate.add_permits(calls.len());
        for call in calls {
            call.await.unwrap().ok();
        }
    }
}
