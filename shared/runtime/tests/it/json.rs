//! Path, query and body become one request; what is wrong with them is a 4xx that names the field.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, header};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;
use zerocart_proto::{
    product::{InventoryResponse, ListProductsResponse},
    rpc::{CreateProduct, GetProduct, ListProducts, UpdateInventory},
};
use zerocart_test_support::{
    clients::{Body, Client, Outcome, Wire, request},
    functions::{Authority, Running, Script},
};

use crate::{ME, OTHER, TEA, serve, tea};

const JSON_WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

/// update-inventory, which answers with the change that it was asked for.
async fn inventory(authority: &Authority) -> Running {
    let script = Script::<UpdateInventory>::new(|_, request| async move {
        Ok(InventoryResponse {
            success: true,
            new_inventory: request.quantity_change,
            message: request.product_id,
            lines: Vec::new(),
        })
    });
    Running::scripted(authority.env(), script).await
}

#[tokio::test]
async fn path_and_body_become_one_request() {
    let authority = Authority::generate();
    let function = inventory(&authority).await;
    let path = format!("/products/{TEA}/inventory");
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        for body in [
            r#"{"quantity_change": -3}"#.to_owned(),
            // proto3 JSON: either name, and numbers as strings.
            r#"{"quantityChange": "-3"}"#.to_owned(),
            format!(r#"{{"quantity_change": -3, "product_id": "{TEA}"}}"#),
            // A null is absent, and an id is the same in capitals.
            r#"{"quantity_change": -3.0, "product_id": null, "reservation_id": null}"#.to_owned(),
            format!(
                r#"{{"quantity_change": -3, "productId": "{}"}}"#,
                TEA.to_uppercase()
            ),
        ] {
            let reply = client
                .send(request(Method::PATCH, &path, body.clone()))
                .await;
            let answer = reply.outcome::<InventoryResponse>().ok();
            assert_eq!(
                (answer.new_inventory, answer.message.as_str()),
                (-3, TEA),
                "{body}"
            );
        }

        let body = format!(r#"{{"quantity_change": -3, "product_id": "{OTHER}"}}"#);
        let reply = client.send(request(Method::PATCH, &path, body)).await;
        let outcome = reply.outcome::<InventoryResponse>();
        assert_eq!(
            (outcome.http_status, outcome.code),
            (400, Code::InvalidArgument)
        );
        assert_eq!(outcome.field_names(), ["product_id"]);

        // Without a body the path alone is the request, and what is missing is told by name.
        let reply = client.send(request(Method::PATCH, &path, "")).await;
        let outcome = reply.outcome::<InventoryResponse>();
        assert_eq!(outcome.field_names(), ["quantity_change"]);

        let twice = format!(r#"{{"product_id": "{TEA}", "product_id": "{TEA}"}}"#);
        let reply = client.send(request(Method::PATCH, &path, twice)).await;
        let outcome = reply.outcome::<InventoryResponse>();
        assert_eq!(outcome.field_names(), ["product_id"]);

        let queried = async |query: &str| {
            let path = format!("{path}?{query}");
            let body = r#"{"quantity_change": 1}"#;
            let reply = client.send(request(Method::PATCH, &path, body)).await;
            reply.outcome::<InventoryResponse>()
        };
        for (query, field) in [
            ("quantity_change=5", "quantity_change"),
            ("what=1&quantityChange=5", "quantityChange"),
            ("product_id=%ff", "product_id"),
        ] {
            let outcome = queried(query).await;
            assert_eq!(outcome.http_status, 400, "{query}");
            assert_eq!(outcome.field_names(), [field], "{query}");
        }
        // What names no field is passed over.
        queried("utm_source=x&utm_source=y&what=%ff&%ff").await.ok();
    }
}

/// `text` as the units of an encoding that is not UTF-8.
fn encoded<const N: usize>(text: &str, unit: impl Fn(u32) -> [u8; N]) -> Vec<u8> {
    text.chars().flat_map(|c| unit(u32::from(c))).collect()
}

#[tokio::test]
async fn a_body_is_utf_8_with_or_without_a_byte_order_mark() {
    let authority = Authority::generate();
    let function = inventory(&authority).await;
    let path = format!("/products/{TEA}/inventory");
    let body = r#"{"quantity_change": -3}"#;
    let marked = format!("\u{feff}{body}");
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        let send = async |body: Vec<u8>| {
            let reply = client.send(request(Method::PATCH, &path, body)).await;
            reply.outcome::<InventoryResponse>()
        };
        let answer = send(marked.clone().into_bytes()).await.ok();
        assert_eq!(answer.new_inventory, -3);
        for text in [body, &marked] {
            for body in [
                encoded(text, |c| (c as u16).to_le_bytes()),
                encoded(text, |c| (c as u16).to_be_bytes()),
                encoded(text, u32::to_le_bytes),
                encoded(text, u32::to_be_bytes),
            ] {
                let outcome = send(body).await;
                assert_eq!(outcome.http_status, 400);
                assert_eq!(outcome.message, "body must be UTF-8");
            }
        }
        // One is enough, and alone it is no JSON.
        for bad in [format!("\u{feff}{marked}"), "\u{feff}".into()] {
            let outcome = send(bad.into_bytes()).await;
            assert_eq!(
                (outcome.http_status, outcome.field_names()),
                (400, vec!["body"])
            );
        }
    }
}

#[tokio::test]
async fn path_and_query_become_one_request() {
    let function = serve(Script::<GetProduct>::new(|_, request| async move {
        assert_eq!(request.id, TEA);
        Ok(tea())
    }))
    .await;
    let client = Client::new(Wire::Http1, function.address());
    let escaped = TEA.replace('-', "%2D");
    for path in [
        format!("/products/{TEA}"),
        format!("/products/{TEA}?"),
        format!("/products/{TEA}?id={TEA}"),
        format!("/products/{escaped}"),
        format!("/products/{}", TEA.to_uppercase()),
        format!("/products/{TEA}?id={}", TEA.to_uppercase()),
        // What names no field is passed over.
        format!("/products/{TEA}?utm_source=x&utm_source=y&ID=1&__proto__=1&=&&%ff=%ff&what=%ff"),
    ] {
        let reply = client.get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    for (path, field) in [
        (format!("/products/{TEA}?id={OTHER}"), "id"),
        (format!("/products/{TEA}?id={TEA}&id={TEA}"), "id"),
        (format!("/products/urn:uuid:{TEA}"), "id"),
        (format!("/products/%7B{TEA}%7D"), "id"),
        (format!("/products/{}", TEA.replace('-', "")), "id"),
        ("/products/7".into(), "id"),
        ("/products/%00".into(), "id"),
        ("/products/a%2Fb".into(), "id"),
        ("/products/%ff".into(), "path"),
        (format!("/products/{TEA}0"), "id"),
    ] {
        let outcome = client.get(&path).await.outcome::<Value>();
        assert_eq!(outcome.http_status, 400, "{path}");
        assert_eq!(outcome.field_names(), [field], "{path}");
    }
}

#[tokio::test]
async fn queries_name_what_is_wrong() {
    let function = serve(Script::<ListProducts>::new(|_, request| async move {
        Ok(ListProductsResponse {
            total: request.limit,
            next_page_token: request.page_token,
            ..Default::default()
        })
    }))
    .await;
    let client = Client::new(Wire::Http1, function.address());
    for query in [
        "&limit=5&&page_token=a%2Bb+c",
        "limit=5.0&pageToken=a%2Bb+c",
        "limit=50e-1&page%5Ftoken=a%2Bb+c&what=1&what=2",
    ] {
        let reply = client.get(&format!("/products?{query}")).await;
        let page = reply.outcome::<ListProductsResponse>().ok();
        let found = (page.total, page.next_page_token.as_str());
        assert_eq!(found, (5, "a+b c"), "{query}");
    }
    for (query, field) in [
        ("limit=many", "limit"),
        ("limit", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=05", "limit"),
        ("limit=+5", "limit"),
        ("limit=null", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=2147483648", "limit"),
        ("offset=-1", "offset"),
        ("limit=1&limit=1", "limit"),
        ("page_token=%00", "page_token"),
        ("page_token=%ff", "page_token"),
        ("pageToken=a&page_token=b", "page_token"),
    ] {
        let reply = client.get(&format!("/products?{query}")).await;
        let outcome = reply.outcome::<Value>();
        assert_eq!(outcome.http_status, 400, "{query}");
        assert_eq!(outcome.field_names(), [field], "{query}");
    }
}

/// create-product, which counts its calls.
struct Counted {
    authority: Authority,
    function: Running,
    calls: Arc<AtomicUsize>,
}

async fn counted() -> Counted {
    let authority = Authority::generate();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let script = Script::<CreateProduct>::new(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok(tea()) }
    });
    let function = Running::scripted(authority.env(), script).await;
    Counted {
        authority,
        function,
        calls,
    }
}

#[tokio::test]
async fn bad_bodies_name_the_field_and_never_reach_the_handler() {
    let Counted {
        authority,
        function,
        calls,
    } = counted().await;
    let deep = format!(
        r#"{{"name": {}1{}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let unknown_deep = format!(r#"{{"what": {}1{}}}"#, "[".repeat(500), "]".repeat(500));
    let table: &[(&[u8], &str)] = &[
        (br#"{"name": "Tea", "price": "#, "body"),
        (br#"{"name": "Tea",}"#, "body"),
        (br#"{name: "Tea"}"#, "body"),
        (br#"{"name": "Tea"} {"name": "Tea"}"#, "body"),
        (b"[]", "body"),
        (b"5", "body"),
        (b"\"Tea\"", "body"),
        (b"{\"name\": \"T\xffa\"}", "body"),
        (br#"{"name": "a", "name": "b"}"#, "name"),
        (br#"{"name": "Tea", "color": "green"}"#, "color"),
        (br#"{"name": ["Tea"]}"#, "name"),
        (br#"{"name": 5}"#, "name"),
        (br#"{"name": "Tea", "price": "much"}"#, "price"),
        (br#"{"name": "Tea", "price": true}"#, "price"),
        (br#"{"name": "Tea", "price": 1e999}"#, "price"),
        (br#"{"name": "Tea", "price": "NaN"}"#, "price"),
        (br#"{"name": "Tea", "price": "Infinity"}"#, "price"),
        (br#"{"name": "Tea", "inventory": 1.5}"#, "inventory"),
        (br#"{"name": "Tea", "inventory": 3000000000}"#, "inventory"),
        (br#"{"name": "T\u0000a", "price": 1}"#, "name"),
        (br#"{"name": "\ud800"}"#, "body"),
        (b"{\"name\": \"T\0a\"}", "body"),
        (br#"{"price": 1}"#, "name"),
        (br#"{"name": null, "price": 1}"#, "name"),
        (br#"{"name": "Tea"}"#, "price"),
        (br#"{"name": "Tea", "price": null}"#, "price"),
        (br#"{"name": "Tea", "price": 1, "price": null}"#, "price"),
        (br#"{"name": "Tea", "price": 1e-400}"#, "price"),
        (
            br#"{"name": "Tea", "price": 19.999999999999999999}"#,
            "price",
        ),
        (
            br#"{"name": "Tea", "price": 1, "inventory": "+5"}"#,
            "inventory",
        ),
        (
            br#"{"name": "Tea", "price": 1, "inventory": "05"}"#,
            "inventory",
        ),
        (
            br#"{"name": "Tea", "price": 1, "inventory": ""}"#,
            "inventory",
        ),
        (deep.as_bytes(), "name"),
        (unknown_deep.as_bytes(), "what"),
    ];
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        for (body, field) in table {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
            let body = Bytes::copy_from_slice(body);
            let reply = client.send(request(Method::POST, "/products", body)).await;
            let outcome = reply.outcome::<Value>();
            assert_eq!(outcome.http_status, 400, "{shown}");
            assert_eq!(outcome.code, Code::InvalidArgument, "{shown}");
            assert_eq!(outcome.field_names(), [*field], "{shown}: {outcome:?}");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        // And the function goes on.
        let body = r#"{"name": "Tea", "price": 19.99}"#;
        let reply = client.send(request(Method::POST, "/products", body)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        calls.store(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn only_json_is_json() {
    let Counted {
        authority,
        function,
        calls,
    } = counted().await;
    let body = r#"{"name": "Tea", "price": 1}"#;
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        let send = async |media_type: Option<&str>| {
            let mut request = request(Method::POST, "/products", body);
            match media_type {
                Some(text) => request
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, text.parse().unwrap()),
                None => request.headers_mut().remove(header::CONTENT_TYPE),
            };
            client.send(request).await
        };
        for bad in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonp"),
            Some("multipart/form-data; boundary=application/json"),
        ] {
            let outcome = send(bad).await.outcome::<Value>();
            assert_eq!(outcome.http_status, 415, "{bad:?}");
            assert_eq!(outcome.code, Code::InvalidArgument, "{bad:?}");
            assert_eq!(outcome.field_names(), ["content-type"], "{bad:?}");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        for good in ["application/json", "Application/JSON ; charset=utf-8"] {
            assert_eq!(send(Some(good)).await.status, 201, "{good}");
        }
        calls.store(0, Ordering::SeqCst);
    }
}

/// A body without a length: chunked over HTTP/1.1.
fn streamed(size: usize) -> Body {
    let chunk = Bytes::from(vec![b' '; 16 * 1024]);
    let chunks = (0..size.div_ceil(chunk.len()))
        .map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone())));
    Body::new(StreamBody::new(stream::iter(chunks)))
}

#[tokio::test]
async fn too_large_a_body_is_413() {
    let Counted {
        authority,
        function,
        calls,
    } = counted().await;
    let assert_refused = |outcome: Outcome<Value>| {
        assert_eq!(outcome.http_status, 413);
        assert_eq!(outcome.code, Code::ResourceExhausted);
        assert_eq!(outcome.field_names(), ["body"]);
    };
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        for size in [64 * 1024 + 1, 10 * 1024 * 1024] {
            let whole = Body::new(Full::from(vec![b' '; size]));
            for body in [whole, streamed(size)] {
                let request = Request::post("/products")
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body)
                    .unwrap();
                assert_refused(client.send(request).await.outcome());
            }
        }
        // The largest one: white space is JSON too.
        let mut largest = br#"{"name": "Tea", "price": 1}"#.to_vec();
        largest.resize(64 * 1024, b' ');
        let reply = client
            .send(request(Method::POST, "/products", largest))
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// Many a client reads only after it has sent everything; a reset would hide the 413 from it.
#[tokio::test]
async fn a_client_that_sends_everything_first_gets_its_413() {
    let function = counted().await;
    let token = function.authority.admin(ME).to_authorization();
    let body = vec![b' '; 10 * 1024 * 1024];
    let head = format!(
        "POST /products HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(function.function.address())
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");

    // So does one that announces as much and goes silent, well before its time is over (504).
    let mut stream = TcpStream::connect(function.function.address())
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..1000]).await.unwrap();
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}
