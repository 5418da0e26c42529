//! The watch against a server that answers as the API server does, from the record.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use http_body_util::channel::Channel;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use zerocart_anatomy::{Api, ColdStart, Error, watch};

const TOLD: &str = include_str!("recorded/get-product.jsonl");
const LINE: &str = include_str!("recorded/get-product.line.json");

/// A list that is empty, or a watch that tells the record of this stream, and then stays open.
async fn objects(State(stream): State<&'static str>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if !query.contains("watch=true") {
        let list = json!({"metadata": {"resourceVersion": "7"}, "items": []});
        return Response::new(Body::from(list.to_string()));
    }
    assert!(query.contains("resourceVersion=7"), "{query}");
    let (mut lines, body) = Channel::<axum::body::Bytes, std::io::Error>::new(8);
    tokio::spawn(async move {
        for told in TOLD.lines() {
            let told: Value = serde_json::from_str(told).unwrap();
            if told["stream"] == stream {
                let line = format!(
                    "{}\n",
                    json!({"type": told["type"], "object": told["object"]})
                );
                // In two parts: a line has no length.
                let (begin, end) = line.as_bytes().split_at(line.len() / 2);
                for part in [begin, end] {
                    let part = axum::body::Bytes::copy_from_slice(part);
                    if lines.send_data(part).await.is_err() {
                        return;
                    }
                }
            }
        }
        std::future::pending::<()>().await;
    });
    Response::new(Body::new(body))
}

async fn log(RawQuery(query): RawQuery) -> String {
    let query = query.unwrap_or_default();
    assert!(query.contains("container=user%2Dcontainer"), "{query}");
    format!("{{\"level\":\"INFO\",\"message\":\"listening\"}}\n{LINE}")
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_cold_start_is_told_once_with_the_functions_line() {
    let list = |stream: &'static str| get(objects).with_state(stream);
    let router = Router::new()
        .route("/api/v1/namespaces/zerocart/pods", list("pods"))
        .route("/api/v1/namespaces/zerocart/events", list("events"))
        .route(
            "/apis/apps/v1/namespaces/zerocart/deployments",
            list("deployments"),
        )
        .route("/api/v1/namespaces/zerocart/pods/{pod}/log", get(log));
    let api = Api::at(&format!("http://{}", serve(router).await)).unwrap();
    let (tell, mut told) = mpsc::unbounded_channel::<ColdStart>();
    let watching = tokio::spawn(async move {
        watch(&api, "zerocart", || {}, |start| tell.send(start).unwrap()).await
    });
    let start = told.recv().await.unwrap();
    assert_eq!(start.function, "get-product");
    assert_eq!(start.line, LINE.trim());
    assert_eq!(start.node, "node-1");
    assert_eq!(start.call.trace_id, "aaaabbbbccccddddaaaabbbbccccdddd");
    assert!(told.try_recv().is_err());
    watching.abort();
}

#[tokio::test]
async fn a_role_that_lacks_a_right_is_an_error_that_names_it() {
    let refuse = get(|| async {
        let status = json!({"message": "deployments.apps is forbidden"});
        (StatusCode::FORBIDDEN, status.to_string())
    });
    let address = serve(Router::new().fallback(refuse)).await;
    let api = Api::at(&format!("http://{address}/")).unwrap();
    let error = watch(&api, "zerocart", || panic!("it is not ready"), |_| {}).await;
    let error = error.unwrap_err();
    assert!(error.is_final());
    assert!(matches!(error, Error::Refused { .. }));
    assert!(
        error.to_string().contains("deployments.apps is forbidden"),
        "{error}"
    );
    for wrong in ["localhost:8001", "ftp://x", ""] {
        assert!(matches!(Api::at(wrong), Err(Error::Address(_))), "{wrong}");
    }
}
