//! What passes through: bodies, trailers, host names, the environment.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use zerocart_activator::Ksvc;

use super::harness::{Bed, eventually, text};

#[tokio::test]
async fn grpc_streams_both_ways_and_trailers_pass() {
    let bed = Bed::new([Ksvc::new("f")]);
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let request = Request::post("/test.Echo/Echo")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(body))
        .unwrap();
    let response = bed.activator.handle("f", request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let mut body = response.into_body();
    // Each message comes back before the next one is sent.
    for message in ["one", "two"] {
        sender.send_data(Bytes::from(message)).await.unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), message);
    }
    assert_eq!(bed.status("f").instances[0].in_flight, 1);
    drop(sender);
    let trailers = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["echo-te"], "trailers");
    assert!(body.frame().await.is_none());
    assert_eq!(bed.status("f").instances[0].in_flight, 0);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn a_head_that_no_function_takes_wakes_none() {
    let bed = Bed::new([Ksvc::new("f")]);
    for (name, status, grpc) in [("x", 431, None), ("content-type", 200, Some("8"))] {
        let large = format!("application/grpc{}", "x".repeat(64 * 1024));
        let request = Request::get("/pid").header(name, large);
        let request = request.body(Body::empty()).unwrap();
        let response = bed.activator.handle("f", request).await;
        assert_eq!(response.status(), status);
        let code = response.headers().get("grpc-status");
        assert_eq!(code.and_then(|code| code.to_str().ok()), grpc);
    }
    // A path may be long, too; together they count.
    let long = format!("/{}", "p".repeat(60 * 1024));
    let request = Request::get(long).header("x", "x".repeat(4 * 1024));
    let request = request.body(Body::empty()).unwrap();
    let response = bed.activator.handle("f", request).await;
    assert_eq!(response.status(), 431);
    assert_eq!(bed.status("f").cold_starts, 0);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn the_listener_dispatches_by_host_in_both_versions() {
    let bed = Bed::new([Ksvc::new("first"), Ksvc::new("second")]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let activator = bed.activator.clone();
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        activator.serve(listener, stopped).await
    });

    let http1 = async |host: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /pid HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = http1("first.zerocart.svc.cluster.local").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let first = bed.status("first").instances[0].pid.unwrap();
    assert!(answer.ends_with(&format!("\r\n\r\n{first}")), "{answer}");
    let answer = http1("third.zerocart.svc.cluster.local").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(
        answer.contains("there is no function \\\"third\\\""),
        "{answer}"
    );

    let stream = TcpStream::connect(address).await.unwrap();
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("http://second.anywhere.svc:80/test.Echo/Echo")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from("hello"))
        .unwrap();
    let response = http2.send_request(request).await.unwrap();
    let answer = response.into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(answer.to_bytes(), "hello");
    assert_eq!(bed.status("second").requests, 1);

    drop(http2);
    connection.await.unwrap().unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    bed.activator.shutdown().await;
}

/// A listener of the activator, and a connection to it by h2c.
async fn connected(
    bed: &Bed,
) -> (
    hyper::client::conn::http2::SendRequest<Body>,
    tokio::task::JoinHandle<std::io::Result<()>>,
) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let activator = bed.activator.clone();
    let serving =
        tokio::spawn(async move { activator.serve(listener, std::future::pending()).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let (http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    (http2, serving)
}

#[tokio::test]
async fn one_connection_carries_many_calls_at_once() {
    const CALLS: usize = 150;
    let bed = Bed::new([Ksvc::new("f")]);
    let (http2, serving) = connected(&bed).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let mut http2 = http2.clone();
            tokio::spawn(async move {
                let request = Request::get("http://f.localhost/hold/gate");
                let request = request.body(Body::empty()).unwrap();
                http2.send_request(request).await.unwrap().status()
            })
        })
        .collect();
    // All of them are at the instance before the first one is answered.
    bed.until("f", |status| {
        status.instances.first().map_or(0, |one| one.in_flight) == CALLS
    })
    .await;
    bed.open("gate");
    for call in calls {
        assert_eq!(call.await.unwrap(), StatusCode::OK);
    }
    serving.abort();
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn a_call_that_its_caller_gives_up_is_given_up_at_the_function() {
    let bed = Bed::new([Ksvc::new("f")]);
    let (http2, serving) = connected(&bed).await;
    let call = |mark: &str| {
        let mut http2 = http2.clone();
        let request = Request::get(format!("http://f.localhost/cancelled/{mark}"));
        let request = request.body(Body::empty()).unwrap();
        tokio::spawn(async move { http2.send_request(request).await })
    };
    let made = async |file: &str| {
        let path = bed.folder.path().join(file);
        eventually(|| path.exists(), || file.to_owned()).await;
    };
    let (one, other) = (call("one"), call("other"));
    made("one.began").await;
    made("other.began").await;
    // One stream is reset; the connection and the other stream go on.
    one.abort();
    made("one.dropped").await;
    bed.until("f", |status| status.instances[0].in_flight == 1)
        .await;
    assert!(!bed.folder.path().join("other.dropped").exists());
    assert!(!other.is_finished());
    other.abort();
    made("other.dropped").await;

    // The same for a caller inside this process, which is what the gateway is.
    let mut held = Box::pin(
        bed.activator
            .handle("f", super::harness::get("/cancelled/third")),
    );
    tokio::select! {
        _ = &mut held => panic!("it never answers"),
        () = made("third.began") => {}
    }
    drop(held);
    made("third.dropped").await;
    bed.until("f", |status| status.instances[0].in_flight == 0)
        .await;
    serving.abort();
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn the_environment_is_clean_and_the_log_is_kept() {
    let mut function = Ksvc::new("f");
    function.env = vec![
        ("FROM_MANIFEST".to_owned(), "yes".to_owned()),
        ("GATES".to_owned(), "overridden by the launcher".to_owned()),
    ];
    let bed = Bed::new([function]);
    let (_, body) = bed.get("f", "/env").await;
    let env: BTreeMap<String, String> = serde_json::from_str(&body).unwrap();
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    let expected = [
        "FROM_MANIFEST",
        "GATES",
        "K_CONFIGURATION",
        "K_REVISION",
        "K_SERVICE",
        "LISTEN",
        "NEEDS",
        "PORT",
        "START_GATE",
    ];
    assert_eq!(names, expected, "nothing of the test's own environment");
    assert_eq!(env["K_SERVICE"], "f");
    assert_eq!(env["K_REVISION"], "f-00001");
    assert_eq!(env["GATES"], bed.folder.path().to_str().unwrap());
    assert!(env["PORT"].parse::<u16>().unwrap() > 0);
    bed.activator.shutdown().await;
    let log = std::fs::read_to_string(bed.folder.path().join("f.log")).unwrap();
    assert_eq!(log, "starting\n");
}

#[tokio::test]
async fn the_status_survives_json() {
    let bed = Bed::new([Ksvc::new("f")]);
    assert_eq!(bed.get("f", "/pid").await.0, StatusCode::OK);
    let status = bed.activator.status();
    let json = serde_json::to_string(&status).unwrap();
    assert!(json.contains(r#""state":"ready""#), "{json}");
    let read: Vec<zerocart_activator::FunctionStatus> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, status);
    let unknown = bed.activator.handle("g", super::harness::get("/")).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(text(unknown).await.contains(r#""code":"NOT_FOUND""#));
    bed.activator.shutdown().await;
}

/// The starts that an answer tells: the names of functions, in order.
fn told(headers: &http::HeaderMap) -> Vec<String> {
    let value = headers
        .get("server-timing")
        .map_or("", |value| value.to_str().unwrap());
    let starts = value.split(", ").filter(|start| !start.is_empty());
    let name = |start: &str| {
        let (name, took) = start
            .strip_prefix("cold-start;desc=\"")
            .and_then(|rest| rest.split_once("\";dur="))
            .unwrap();
        assert!(took.parse::<f64>().unwrap() > 0.0, "{start}");
        name.to_owned()
    };
    starts.map(name).collect()
}

#[tokio::test]
async fn an_answer_tells_the_starts_that_its_request_caused() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let bed = Bed::new(["first", "called", "woken", "stranger"].map(Ksvc::new));
    let (http2, serving) = connected(&bed).await;
    // What a function calls, and what it only wakes, comes by the listener.
    let call = async |url: &str, trace: Option<&str>| {
        let mut request = Request::get(url);
        if let Some(trace) = trace {
            request = request.header("traceparent", trace);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = http2.clone().send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(told(response.headers()), [""; 0], "{url}");
    };
    let from_outside = async |function: &str, path: &str, trace: &str| {
        let request = Request::get(path).header("traceparent", trace);
        let request = request.body(Body::empty()).unwrap();
        let response = bed.activator.handle(function, request).await;
        assert_eq!(response.status(), StatusCode::OK);
        told(response.headers())
    };
    let calls = async {
        bed.until("first", |status| {
            status.instances.iter().any(|one| one.in_flight == 1)
        })
        .await;
        call("http://called.localhost/pid", Some(TRACE)).await;
        call("http://called.localhost/pid", Some(TRACE)).await;
        call("http://woken.localhost/health", None).await;
        call("http://woken.localhost/pid", Some(TRACE)).await;
        call("http://stranger.localhost/pid", Some(OTHER)).await;
        bed.open("gate");
    };
    let (starts, ()) = tokio::join!(from_outside("first", "/hold/gate", TRACE), calls);
    assert_eq!(starts, ["first", "called", "woken"]);
    // All are up: these wait for no start.
    for function in ["first", "called", "stranger"] {
        assert_eq!(from_outside(function, "/pid", TRACE).await, [""; 0]);
    }
    serving.abort();
    bed.activator.shutdown().await;
}
