//! gRPC over HTTP/2 in the clear, on the port that serves HTTP/1.1 too.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Channel, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use zerocart_gateway::Consumers;

use crate::support::{Answer, DEADLINE, Echo, Running, Signer};

fn config(port: u16, plugins: &str) -> String {
    format!(
        "_format_version: \"3.0\"\n\
         services:\n\
         - name: f-grpc\n  host: 127.0.0.1\n  port: {port}\n  protocol: grpc\n\
         \x20 routes:\n  - {{name: f-grpc, protocols: [grpc, grpcs], paths: [/grpc.Echo/Call]}}\n\
         - name: f\n  host: 127.0.0.1\n  port: {port}\n\
         \x20 routes:\n  - {{name: f, paths: [/f], strip_path: false}}\n\
         plugins: [{plugins}]\n"
    )
}

async fn connect<B>(running: &Running) -> http2::SendRequest<B>
where
    B: hyper::body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn call(running: &Running, request: http::request::Builder, body: &'static str) -> Answer {
    let request = request
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap();
    let mut sender = connect(running).await;
    let response = tokio::time::timeout(DEADLINE, sender.send_request(request))
        .await
        .unwrap();
    Answer::read(response.unwrap()).await
}

fn grpc(path: &str) -> http::request::Builder {
    Request::post(format!("http://shop.example{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

#[tokio::test]
async fn messages_and_trailers_pass() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, ""), Consumers::none()).await;
    let answer = call(
        &running,
        grpc("/grpc.Echo/Call").header("user-key", "v"),
        "\0\0\0\0\u{3}abc",
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert_eq!(answer.body, "\0\0\0\0\u{3}abc");
    let trailers = answer.trailers.unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["saw-te"], "trailers");
    assert_eq!(trailers["saw-user-key"], "v");
}

/// nginx's grpc_pass sends the path as the client wrote it. The route is found by its normal form.
#[tokio::test]
async fn a_path_goes_upstream_as_it_was_written() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, ""), Consumers::none()).await;
    for path in [
        "/grpc.Echo/Call",
        "/grpc.Echo//%43all?a=%20",
        "/grpc.Echo/x/../Call",
    ] {
        let trailers = call(&running, grpc(path), "").await.trailers.unwrap();
        assert_eq!(trailers["saw-path"], path);
    }
    let refused = call(&running, grpc("/grpc.Echo/%zz"), "").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn json_and_grpc_share_an_address_and_no_connection() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, ""), Consumers::none()).await;
    for _ in 0..3 {
        assert_eq!(running.get("/f").await.json()["version"], "HTTP/1.1");
        let answer = call(&running, grpc("/grpc.Echo/Call"), "").await;
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    }
}

#[tokio::test]
async fn both_directions_stream() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, ""), Consumers::none()).await;
    let (mut client, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
    let mut sender = connect(&running).await;
    let request = grpc("/grpc.Echo/Call").body(body).unwrap();
    let exchange = async {
        let mut response = sender.send_request(request).await.unwrap().into_body();
        for message in ["one", "two"] {
            // The answer to a message comes before the next one is sent: nothing is buffered.
            client
                .send_data(Bytes::from_static(message.as_bytes()))
                .await
                .unwrap();
            let frame = response.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), message);
        }
        drop(client);
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap()["grpc-status"], "0");
    };
    tokio::time::timeout(DEADLINE, exchange).await.unwrap();
}

#[tokio::test]
async fn refusals_are_grpc_statuses() {
    let echo = Echo::start().await;
    let signer = Signer::new("key-1");
    let plugins = "{name: jwt, config: {key_claim_name: kid, claims_to_verify: [exp]}}, \
                   {name: rate-limiting, config: {hour: 1, limit_by: ip}}";
    let running = Running::start(&config(echo.port, plugins), signer.consumers()).await;
    let status = |answer: &Answer| {
        assert!(answer.body.is_empty());
        (
            answer.status,
            answer.header("grpc-status").to_owned(),
            answer.header("grpc-message").to_owned(),
        )
    };
    let unauthorized = call(&running, grpc("/grpc.Echo/Call"), "x").await;
    assert_eq!(
        status(&unauthorized),
        (401, "16".to_owned(), "Unauthorized".to_owned())
    );
    let unknown = call(&running, grpc("/grpc.Echo/Other"), "x").await;
    assert_eq!(
        status(&unknown),
        (404, "5".to_owned(), "NotFound".to_owned())
    );

    let authorized =
        || grpc("/grpc.Echo/Call").header("authorization", format!("Bearer {}", signer.token(60)));
    // The hour may begin anew once; then there are two calls in one.
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(call(&running, authorized(), "x").await);
    }
    let trailers = answers[0].trailers.as_ref().unwrap();
    assert_eq!(trailers["saw-x-consumer-username"], "zerocart-users");
    let limited = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(
        status(limited),
        (429, "8".to_owned(), "ResourceExhausted".to_owned())
    );
    limited.header("retry-after");
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, ""), Consumers::none()).await;
    let answer = running.send(Request::post("/grpc.Echo/Call"), "{}").await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (415, "Non-gRPC request matched gRPC route")
    );
    let old = Request::post("/grpc.Echo/Call").header("content-type", "application/grpc");
    let answer = running.send(old, "{}").await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (426, "Please use HTTP2 protocol")
    );
    assert_eq!(answer.header("upgrade"), "HTTP/2");
    assert_eq!(echo.seen(), 0);
}

#[tokio::test]
async fn json_over_http2_reaches_an_http1_upstream() {
    let echo = Echo::start().await;
    let running = Running::start(&config(echo.port, ""), Consumers::none()).await;
    let request = Request::get("http://shop.example/f?x=1");
    let saw = call(&running, request, "").await.json();
    assert_eq!(
        (saw["version"].as_str(), saw["uri"].as_str()),
        (Some("HTTP/1.1"), Some("/f?x=1"))
    );
    assert_eq!(saw["headers"]["x-forwarded-host"], "shop.example");
}
