//! What a gRPC client can get wrong on the wire.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request, header};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use prost::Message;
use tonic::Code;
use zerocart_core::Error;
use zerocart_proto::rpc::{CreateUser, GetProduct, ListProducts, Rpc};
use zerocart_test_support::{
    clients::{Body, Client, Outcome, Reply, Wire, request},
    functions::{Running, Script},
};

use crate::{get_tea, serve, tea};

/// A length-prefixed message: the compressed flag, the length, the bytes.
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

/// POSTs `body` to the RPC `R`, with more headers.
async fn post<R: Rpc>(function: &Running, body: Body, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::post(R::INFO.grpc_path)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::new(Wire::Grpc, function.address());
    client.send(request.body(body).unwrap()).await
}

async fn post_bytes<R: Rpc>(function: &Running, bytes: Vec<u8>) -> Outcome<()> {
    let body = Body::new(Full::from(bytes));
    post::<R>(function, body, &[]).await.grpc()
}

async fn create_user() -> Running {
    serve(Script::<CreateUser>::new(|_, request| async move {
        panic!("the handler got {request:?}")
    }))
    .await
}

#[tokio::test]
async fn a_message_that_is_none_is_an_invalid_argument() {
    let function = create_user().await;
    let table: &[(&str, &[u8], &str)] = &[
        ("e-mail that is no UTF-8", b"\x0a\x01\xff", "email"),
        ("password of another wire type", b"\x18\x05", "password"),
        ("a field longer than the message", b"\x12\x7f", "name"),
        ("no protobuf", &[0xff; 12], "body"),
    ];
    for (what, bytes, field) in table {
        let outcome = post_bytes::<CreateUser>(&function, frame(0, bytes)).await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{what}: {outcome:?}");
        assert_eq!(outcome.field_names(), [*field], "{what}: {outcome:?}");
        assert!(outcome.trace_id.is_some(), "{what}");
    }
    // An empty message is a message; its fields are missing.
    let outcome = post_bytes::<CreateUser>(&function, frame(0, b"")).await;
    assert_eq!(outcome.field_names(), ["email", "name", "password"]);
}

/// A request that is not one message in one frame, and gRPC's code for it. The handler never sees
/// it, with any content and in pieces of any size.
fn not_one_message() -> Vec<(&'static str, Vec<u8>, Code)> {
    let good = || frame(0, &get_tea().encode_to_vec());
    let and = |rest: &[u8]| [&good()[..], rest].concat();
    vec![
        ("nothing", vec![], Code::Unimplemented),
        ("two messages", and(&good()), Code::Unimplemented),
        (
            "an empty message behind it",
            and(&frame(0, b"")),
            Code::Unimplemented,
        ),
        ("a byte behind it", and(&[0]), Code::Unimplemented),
        (
            "half a message behind it",
            and(&good()[..9]),
            Code::Unimplemented,
        ),
        ("half a head", vec![0, 0, 0], Code::Internal),
        ("a cut off message", good()[..9].to_vec(), Code::Internal),
        (
            "a flag that says compressed",
            frame(1, &get_tea().encode_to_vec()),
            Code::Internal,
        ),
        (
            "a flag that says nonsense",
            frame(7, &get_tea().encode_to_vec()),
            Code::Internal,
        ),
    ]
}

/// A body that comes in pieces of so many bytes, perhaps with trailers behind it.
fn in_pieces(bytes: &[u8], size: usize, trailers: bool) -> Body {
    let pieces: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let mut frames: Vec<_> = pieces.into_iter().map(Frame::data).collect();
    if trailers {
        let trailer = (header::ETAG, header::HeaderValue::from_static("x"));
        frames.push(Frame::trailers([trailer].into_iter().collect()));
    }
    let frames = frames.into_iter().map(Ok::<_, Infallible>);
    Body::new(StreamBody::new(stream::iter(frames)))
}

#[tokio::test]
async fn a_request_is_one_message() {
    let function = serve(Script::<GetProduct>::new(|_, request| async move {
        panic!("the handler got {request:?}")
    }))
    .await;
    let encodings: [&[(&str, &str)]; 2] = [&[], &[("grpc-encoding", "identity")]];
    for (what, bytes, code) in not_one_message() {
        for (size, trailers) in [(1, false), (1, true), (100, false), (100, true)] {
            for headers in encodings {
                let body = in_pieces(&bytes, size, trailers);
                let reply = post::<GetProduct>(&function, body, headers).await;
                let outcome = reply.grpc::<()>();
                assert_eq!(outcome.code, code, "{what}, by {size}: {outcome:?}");
                assert!(outcome.trace_id.is_some(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_of_grpc_web_is_one_message() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let function = serve(Script::<GetProduct>::new(|_, request| async move {
        panic!("the handler got {request:?}")
    }))
    .await;
    let good = frame(0, &get_tea().encode_to_vec());
    let broken = [
        ("no base64", b"!!!!".to_vec()),
        (
            "half a group of base64",
            STANDARD.encode(&good).into_bytes()[..9].to_vec(),
        ),
    ];
    let mut requests = Vec::new();
    for (what, bytes, code) in not_one_message() {
        let text = STANDARD.encode(&bytes).into_bytes();
        requests.push(("application/grpc-web-text+proto", what, text, code));
        requests.push(("application/grpc-web+proto", what, bytes, code));
    }
    for (what, bytes) in broken {
        requests.push(("application/grpc-web-text", what, bytes, Code::Internal));
    }
    for wire in [Wire::Http1, Wire::Http2] {
        for (kind, what, bytes, code) in &requests {
            let request = Request::post(GetProduct::INFO.grpc_path)
                .header(header::CONTENT_TYPE, *kind)
                .body(Body::new(Full::from(bytes.clone())))
                .unwrap();
            let reply = Client::new(wire, function.address()).send(request).await;
            let status = reply.headers["grpc-status"].to_str().unwrap();
            let status: i32 = status.parse().unwrap();
            assert_eq!(Code::from(status), *code, "{what} as {kind}");
        }
    }
}

#[tokio::test]
async fn too_large_a_message_is_refused_unread() {
    let function = create_user().await;
    for size in [64 * 1024 + 1, 10 * 1024 * 1024] {
        let outcome = post_bytes::<CreateUser>(&function, frame(0, &vec![0; size])).await;
        assert_eq!(outcome.code, Code::ResourceExhausted, "{size}");
        assert_eq!(outcome.field_names(), ["body"], "{size}");
        assert!(outcome.message.contains("65536"), "{}", outcome.message);
    }
    // The length alone is enough: nobody waits for 4 GiB, and nobody makes room for them.
    let prefix = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]);
    let endless = stream::iter([Ok::<_, Infallible>(Frame::data(prefix))]).chain(stream::pending());
    let body = Body::new(StreamBody::new(endless));
    let outcome = post::<CreateUser>(&function, body, &[]).await.grpc::<()>();
    assert_eq!(outcome.code, Code::ResourceExhausted);
    assert_eq!(outcome.field_names(), ["body"]);
    // The largest message that is read: its rest is a field that nobody knows (number 1000).
    let size = 64 * 1024;
    let mut largest = vec![0xc2, 0x3e];
    prost::encoding::encode_varint(size - 5, &mut largest);
    largest.resize(size as usize, b'a');
    let outcome = post_bytes::<CreateUser>(&function, frame(0, &largest)).await;
    assert_eq!(outcome.field_names(), ["email", "name", "password"]);
}

#[tokio::test]
async fn compression_is_refused_by_name() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    for (flag, encoding) in [(0, "gzip"), (1, "gzip"), (1, "snappy")] {
        let message = frame(flag, &get_tea().encode_to_vec());
        let body = Body::new(Full::from(message));
        let reply = post::<GetProduct>(&function, body, &[("grpc-encoding", encoding)]).await;
        assert_eq!(reply.headers["grpc-accept-encoding"], "identity");
        assert_eq!(reply.grpc::<()>().code, Code::Unimplemented);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_as_protobuf_does() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    let mut message = get_tea().encode_to_vec();
    // Field 100, length-delimited: what a newer client may send.
    message.extend(b"\xa2\x06\x03new");
    let outcome = post_bytes::<GetProduct>(&function, frame(0, &message)).await;
    assert_eq!(outcome.code, Code::Ok);
}

#[tokio::test]
async fn the_path_of_another_rpc_is_unimplemented() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    for wire in [Wire::Grpc, Wire::GrpcWeb] {
        let client = Client::new(wire, function.address());
        let outcome = client.call::<ListProducts>(&Default::default()).await;
        assert_eq!(outcome.code, Code::Unimplemented, "{wire:?}");
        assert_eq!(outcome.message, "this function serves another RPC");
    }
}

#[tokio::test]
async fn the_grpc_path_takes_grpc_alone() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    let path = GetProduct::INFO.grpc_path;
    for wire in [Wire::Http1, Wire::Http2] {
        let client = Client::new(wire, function.address());
        let reply = client.send(request(Method::POST, path, "{}")).await;
        let outcome = reply.outcome::<()>();
        assert_eq!(outcome.http_status, 415, "{wire:?}");
        assert_eq!(outcome.field_names(), ["content-type"], "{wire:?}");
        let reply = client.get(path).await;
        let outcome = reply.outcome::<()>();
        assert_eq!(outcome.http_status, 405, "{wire:?}");
        assert_eq!(outcome.header("allow"), Some("POST"), "{wire:?}");
    }
}

/// A failed call is one block of headers: no message, no body.
#[tokio::test]
async fn an_error_has_no_message() {
    let error = || Error::not_found("no such product");
    let function = serve(Script::<GetProduct>::fails(error)).await;
    let body = Body::new(Full::from(frame(0, &get_tea().encode_to_vec())));
    let reply = post::<GetProduct>(&function, body, &[]).await;
    assert!(reply.body.is_empty());
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/grpc");
    assert_eq!(reply.grpc::<()>().code, Code::NotFound);
}

/// gRPC-Web keeps its trailers in the body, so that they pass where HTTP trailers do not.
#[tokio::test]
async fn grpc_web_keeps_its_trailers_in_the_body() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    for wire in [Wire::Http1, Wire::Http2] {
        let request = Request::post(GetProduct::INFO.grpc_path)
            .header(header::CONTENT_TYPE, "application/grpc-web+proto")
            .body(Body::new(Full::from(frame(0, &get_tea().encode_to_vec()))))
            .unwrap();
        let reply = Client::new(wire, function.address()).send(request).await;
        assert_eq!(reply.status, 200, "{wire:?}");
        assert_eq!(
            reply.headers[header::CONTENT_TYPE],
            "application/grpc-web+proto"
        );
        assert!(reply.trailers.is_none(), "{wire:?}");
        let message = frame(0, &tea().encode_to_vec());
        let (first, last) = reply.body.split_at(message.len());
        assert_eq!(first, message, "{wire:?}");
        assert_eq!(last[0], 0x80, "{wire:?}: the flag of a frame of trailers");
        let trailers = String::from_utf8_lossy(&last[5..]);
        assert!(trailers.contains("grpc-status:0"), "{trailers}");
    }
}
