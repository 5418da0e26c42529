//! What HTTP says of a request beside its method, path and body.

use http::{Method, Request, header};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;
use zerocart_core::Error;
use zerocart_proto::{
    product::InventoryResponse,
    rpc::{CreateProduct, GetProduct, UpdateInventory},
};
use zerocart_test_support::{
    clients::{Body, Client, Wire, request},
    functions::{Authority, Running, Script},
};

use crate::{ME, TEA, create_tea, serve, tea};

const JSON_WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

/// create-product, whose handler must not be reached.
async fn untouched(authority: &Authority) -> Running {
    let script =
        Script::<CreateProduct>::new(
            |_, request| async move { panic!("the handler got {request:?}") },
        );
    Running::scripted(authority.env(), script).await
}

#[tokio::test]
async fn a_coded_body_is_415_and_says_what_is_taken() {
    let authority = Authority::generate();
    let function = untouched(&authority).await;
    let tea = serde_json::to_vec(&create_tea()).unwrap();
    let gzipped = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0].to_vec();
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        for (codings, body) in [
            (&["gzip"][..], gzipped.clone()),
            (&["br"], tea.clone()),
            (&["identity, gzip"], tea.clone()),
            (&["identity", "DEFLATE"], tea.clone()),
            (&["x"], Vec::new()),
            // Its sender is still sending when it is refused.
            (&["zstd"], vec![b' '; 10 << 20]),
        ] {
            let mut request = Request::post("/products").header("content-type", "application/json");
            for coding in codings {
                request = request.header(header::CONTENT_ENCODING, *coding);
            }
            let request = request.body(Body::new(Full::from(body))).unwrap();
            let outcome = client.send(request).await.outcome::<()>();
            assert_eq!(outcome.http_status, 415, "{codings:?} {wire:?}");
            assert_eq!(outcome.code, Code::InvalidArgument, "{codings:?}");
            assert_eq!(outcome.field_names(), ["content-encoding"], "{codings:?}");
            assert_eq!(outcome.header("accept-encoding"), Some("identity"));
        }
        // Another media type is another 415.
        let request = Request::post("/products").header("content-type", "text/plain");
        let request = request.body(Body::new(Full::from("{}"))).unwrap();
        let outcome = client.send(request).await.outcome::<()>();
        assert_eq!(outcome.http_status, 415);
        assert_eq!(outcome.header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn an_uncoded_body_may_say_so() {
    let authority = Authority::generate();
    let script = Script::<CreateProduct>::answers(tea());
    let function = Running::scripted(authority.env(), script).await;
    let read = serve(Script::<GetProduct>::answers(tea())).await;
    for wire in JSON_WIRES {
        for coding in ["identity", "IDENTITY", "", "identity,"] {
            let tea = serde_json::to_vec(&create_tea()).unwrap();
            let mut request = request(Method::POST, "/products", tea);
            let coding = coding.parse().unwrap();
            request
                .headers_mut()
                .insert(header::CONTENT_ENCODING, coding);
            let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
            assert_eq!(client.send(request).await.status, 201);
        }
        // A function that reads no body has none to decode.
        let client = Client::new(wire, read.address()).header("content-encoding", "gzip");
        assert_eq!(client.get(&format!("/products/{TEA}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_precondition_that_cannot_hold_is_412() {
    let authority = Authority::generate();
    let script = Script::<UpdateInventory>::new(|_, request| async move {
        match request.product_id == TEA {
            true => Ok(InventoryResponse::default()),
            false => Err(Error::not_found("there is no such product")),
        }
    });
    let update = Running::scripted(authority.env(), script).await;
    let get = serve(Script::<GetProduct>::answers(tea())).await;
    let path = format!("/products/{TEA}/inventory");
    let product = format!("/products/{TEA}");
    let send = async |wire, writes: bool, who: bool, headers: &[(&'static str, &str)]| {
        let function = if writes { &update } else { &get };
        let mut client = Client::new(wire, function.address());
        if writes && who {
            client = client.bearer(&authority.admin(ME));
        }
        for (name, value) in headers {
            client = client.header(name, value);
        }
        let body = r#"{"quantity_change": 1}"#;
        let reply = match writes {
            true => client.send(request(Method::PATCH, &path, body)).await,
            false => client.get(&product).await,
        };
        let failed = (reply.status == 412).then(|| {
            let outcome = reply.outcome::<()>();
            assert_eq!(outcome.code, Code::FailedPrecondition);
            outcome.field_names().join(" ")
        });
        (reply.status.as_u16(), failed.unwrap_or_default())
    };
    for wire in JSON_WIRES {
        for (headers, written, read) in [
            (&[("if-match", "\"1\"")][..], "if-match", "if-match"),
            (&[("if-match", "W/\"1\", \"2\"")], "if-match", "if-match"),
            (&[("if-match", "")], "if-match", "if-match"),
            (
                &[("if-match", "*"), ("if-match", "\"1\"")],
                "if-match",
                "if-match",
            ),
            (&[("if-none-match", "*")], "if-none-match", ""),
            // These are true, or are not looked at.
            (&[("if-match", "*")], "", ""),
            (&[("if-none-match", "\"1\"")], "", ""),
            (
                &[("if-unmodified-since", "Mon, 01 Jan 2001 00:00:00 GMT")],
                "",
                "",
            ),
        ] {
            for (writes, field) in [(true, written), (false, read)] {
                let status = if field.is_empty() { 200 } else { 412 };
                let got = send(wire, writes, true, headers).await;
                assert_eq!(got, (status, field.into()), "{headers:?} {writes}");
            }
        }
        // What is refused without it is refused so.
        let got = send(wire, true, false, &[("if-match", "\"1\"")]).await;
        assert_eq!(got.0, 401);
    }
    // gRPC has no such header.
    let client = Client::new(Wire::Grpc, get.address()).header("if-match", "\"1\"");
    let request = zerocart_proto::product::GetProductRequest { id: TEA.into() };
    assert_eq!(client.call::<GetProduct>(&request).await.code, Code::Ok);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    let product = format!("/products/{TEA}");
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        for (path, status) in [
            (product.as_str(), 200),
            ("/products/nonsense", 400),
            ("/nowhere", 404),
            ("/health", 200),
            ("/ready", 200),
            ("/metrics", 200),
        ] {
            let get = client.get(path).await;
            let head = client.send(request(Method::HEAD, path, "")).await;
            assert_eq!(
                (get.status.as_u16(), head.status),
                (status, get.status),
                "{path}"
            );
            assert!(head.body.is_empty(), "{path} {wire:?}");
            // Of the same length where each answer has the same, and with the same names.
            let names = |headers: &http::HeaderMap| -> std::collections::HashSet<_> {
                let first = |name: &&http::HeaderName| *name != "x-cold-start";
                headers.keys().filter(first).cloned().collect()
            };
            assert_eq!(names(&head.headers), names(&get.headers), "{path} {wire:?}");
            assert_eq!(head.headers["content-type"], get.headers["content-type"]);
            if path != "/metrics" {
                let length = get.body.len().to_string();
                assert_eq!(head.headers["content-length"], *length, "{path} {wire:?}");
            }
        }
    }
}

/// Sends these bytes, and reads until the function ends the connection.
async fn raw(function: &Running, bytes: &str) -> String {
    let mut stream = TcpStream::connect(function.address()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that was reset after its answer has answered.
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_length_that_can_be_read_in_two_ways_is_refused_and_ends_the_connection() {
    let authority = Authority::generate();
    let function = untouched(&authority).await;
    let token = authority.admin(ME).to_authorization();
    let body = serde_json::to_string(&create_tea()).unwrap();
    let head = format!(
        "POST /products HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\
         Content-Type: application/json\r\n"
    );
    let good = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = body.len();
    let both = format!("Content-Length: {length}\r\nTransfer-Encoding: chunked");
    let reversed = format!("Transfer-Encoding: chunked\r\nContent-Length: {length}");
    let other = format!("Content-Length: {length}\r\nContent-Length: 1");
    for (lengths, status, field) in [
        (both.as_str(), 400, "content-length"),
        (&reversed, 400, "content-length"),
        ("Transfer-Encoding: gzip, chunked", 501, "transfer-encoding"),
        (
            "Transfer-Encoding: chunked, chunked",
            501,
            "transfer-encoding",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
            "transfer-encoding",
        ),
        // hyper says these, before there is a request.
        ("Transfer-Encoding: gzip", 400, ""),
        (&other, 400, ""),
        ("X: y\r\n Transfer-Encoding: chunked", 400, ""),
        ("Transfer-Encoding : chunked", 400, ""),
    ] {
        // Behind another request, which is answered, and in front of a good one, which is not.
        let before = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
        let all = format!("{before}{head}{lengths}\r\n\r\n{chunks}{good}");
        let answer = raw(&function, &all).await;
        let (health, refused) = answer[9..].split_once("HTTP/1.1 ").unwrap();
        assert!(health.starts_with("200 "), "{answer}");
        assert!(
            refused.starts_with(&format!("{status} ")),
            "{lengths}: {answer}"
        );
        assert!(!refused.contains("HTTP/1.1"), "{lengths}: {answer}");
        assert!(refused.contains("connection: close"), "{lengths}: {answer}");
        if !field.is_empty() {
            let named = format!("\"field\":\"{field}\"");
            assert!(refused.contains(&named), "{lengths}: {answer}");
            assert!(refused.contains("x-content-type-options"), "{lengths}");
        }
    }
}

#[tokio::test]
async fn the_name_of_a_scheme_has_no_case() {
    let authority = Authority::generate();
    let script = Script::<CreateProduct>::answers(tea());
    let function = Running::scripted(authority.env(), script).await;
    let token = authority.admin(ME).to_authorization();
    let token = token.trim_start_matches("Bearer ");
    for wire in JSON_WIRES {
        for (scheme, status) in [
            ("Bearer ", 201),
            ("bearer ", 201),
            ("BEARER ", 201),
            ("bEaReR   ", 201),
            ("Bearer\t", 401),
            ("Token ", 401),
        ] {
            let client = Client::new(wire, function.address());
            let client = client.header("authorization", &format!("{scheme}{token}"));
            let body = serde_json::to_vec(&create_tea()).unwrap();
            let reply = client.send(request(Method::POST, "/products", body)).await;
            assert_eq!(reply.status, status, "{scheme:?}");
        }
    }
}
