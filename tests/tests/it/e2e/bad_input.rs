//! A table of bad inputs: each is refused by the name of its field, and nothing is written.

use bytes::{BufMut, BytesMut};
use http::{HeaderValue, Method, Request, header};
use serde_json::Value;
use tonic::Code;
use zerocart_proto::{
    product::{
        CreateProductRequest, GetProductRequest, ListProductsRequest, UpdateInventoryRequest,
    },
    rpc::{self, Rpc},
    user::{AuthRequest, CreateUserRequest, GetUserRequest},
};
use zerocart_test_support::clients::{Body, Client, Wire, request};

use super::engine::{Data, Engine};

/// The ways into the gateway.
const WIRES: [Wire; 3] = [Wire::Http1, Wire::Http2, Wire::Grpc];

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_its_field_and_writes_nothing() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let admin = engine.sign_in_admin().await;
    let product = product(&engine, &admin).await;
    let before = rows(&engine).await;

    for wire in WIRES {
        let client = engine.client(wire).header("authorization", &admin);
        bad_products(&client).await;
        bad_users(&client).await;
        bad_changes(&client, &product).await;
        bad_reads(&client).await;
    }
    bad_json(&engine, &admin, &product).await;
    bad_protobuf(&engine, &admin).await;

    assert_eq!(rows(&engine).await, before);
    engine.stop().await;
}

async fn product(engine: &Engine, admin: &str) -> String {
    let client = engine.client(Wire::Http1).header("authorization", admin);
    let good = client.call::<rpc::CreateProduct>(&tea()).await.ok();
    good.product.expect("a product is made").id
}

/// How many rows there are, and all that is in stock.
async fn rows(engine: &Engine) -> [i64; 4] {
    // Each needs a function of its domain to be awake, for its URL.
    let http = engine.http();
    http.call(Method::POST, "/users", "{}", &[]).await;
    http.get("/products").await;
    let (user, product) = (
        engine.database("user").await,
        engine.database("product").await,
    );
    let counts = [
        (&user, "SELECT count(*) FROM users"),
        (&user, "SELECT count(*) FROM idempotency_keys"),
        (&product, "SELECT count(*) FROM products"),
        (&product, "SELECT sum(inventory) FROM products"),
    ];
    let mut rows = [0; 4];
    for (row, (database, query)) in rows.iter_mut().zip(counts) {
        *row = database
            .query_one(query, &[])
            .await
            .expect("it may be read")
            .get(0);
    }
    rows
}

fn tea() -> CreateProductRequest {
    CreateProductRequest {
        name: "Tea".into(),
        description: "Green".into(),
        price: 4.75,
        inventory: 3,
    }
}

fn ada() -> CreateUserRequest {
    CreateUserRequest {
        email: "ada@example.com".into(),
        name: "Ada".into(),
        password: "correct horse".into(),
    }
}

/// Calls `R`, and expects exactly these fields to be refused.
#[track_caller]
fn refused<R: Rpc>(
    client: &Client,
    message: R::Request,
    fields: &[&str],
) -> impl Future<Output = ()> {
    let what = format!("{} of {fields:?} by {:?}", R::INFO.name, client.wire());
    let client = client.clone().header("idempotency-key", "bad-input");
    async move {
        let outcome = client.call::<R>(&message).await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{what}");
        assert_eq!(outcome.field_names(), fields, "{what}");
        assert!(
            outcome
                .fields
                .iter()
                .all(|field| !field.description.is_empty()),
            "{what}"
        );
        if client.wire().is_json() {
            assert_eq!(outcome.http_status, 400, "{what}");
        }
    }
}

async fn bad_products(client: &Client) {
    let refused = |message, field| refused::<rpc::CreateProduct>(client, message, field);
    // Negative, three decimals, too large, no number, no finite number.
    for price in [-0.01, 4.755, 10_000_000.01, f64::NAN, f64::INFINITY] {
        refused(CreateProductRequest { price, ..tea() }, &["price"]).await;
    }
    for name in ["", " ", "a\0b", "\u{202e}", "a\nb", &"é".repeat(201)] {
        refused(
            CreateProductRequest {
                name: name.into(),
                ..tea()
            },
            &["name"],
        )
        .await;
    }
    for description in ["a\0b", "a\u{1b}b", &"é".repeat(4001)] {
        let bad = CreateProductRequest {
            description: description.into(),
            ..tea()
        };
        refused(bad, &["description"]).await;
    }
    for inventory in [-1, 1_000_000_001] {
        refused(CreateProductRequest { inventory, ..tea() }, &["inventory"]).await;
    }
    // All of them at once, so that a form can show all.
    let all = CreateProductRequest {
        price: -1.0,
        inventory: -1,
        ..Default::default()
    };
    refused(all, &["name", "price", "inventory"]).await;
}

async fn bad_users(client: &Client) {
    let refused = |message, field| refused::<rpc::CreateUser>(client, message, field);
    let long = format!("{}@example.com", "a".repeat(243));
    for email in [
        "",
        "ada",
        "ada@",
        "@example.com",
        "a da@example.com",
        "a@b\0.co",
        "a\u{200b}@b.co",
        "\u{1f600}@b.co",
        "a@xn--a.co",
        &long,
    ] {
        refused(
            CreateUserRequest {
                email: email.into(),
                ..ada()
            },
            &["email"],
        )
        .await;
    }
    for name in [
        "",
        "a\0b",
        "\u{200b}",
        "a\u{1b}b",
        "a\u{202e}b",
        &"a".repeat(201),
    ] {
        refused(
            CreateUserRequest {
                name: name.into(),
                ..ada()
            },
            &["name"],
        )
        .await;
    }
    for password in ["", "1234567", "nul\0 in it", &"a".repeat(129)] {
        refused(
            CreateUserRequest {
                password: password.into(),
                ..ada()
            },
            &["password"],
        )
        .await;
    }
    let sign_in = AuthRequest {
        email: "a\0@b.co".into(),
        password: "a".repeat(513),
    };
    self::refused::<rpc::AuthenticateUser>(client, sign_in, &["email", "password"]).await;
}

async fn bad_changes(client: &Client, product: &str) {
    let change = |product_id: &str, quantity_change| UpdateInventoryRequest {
        product_id: product_id.into(),
        quantity_change,
        ..Default::default()
    };
    let refused = |message, field| refused::<rpc::UpdateInventory>(client, message, field);
    for id in [
        "nope",
        "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f6",
        "' OR true --",
    ] {
        refused(change(id, 1), &["product_id"]).await;
    }
    refused(change(product, 0), &["quantity_change"]).await;
    refused(change(product, -1_000_000_001), &["quantity_change"]).await;
}

async fn bad_reads(client: &Client) {
    let long = "a".repeat(37);
    for id in ["nope", &long] {
        refused::<rpc::GetUser>(client, GetUserRequest { id: id.into() }, &["id"]).await;
        refused::<rpc::GetProduct>(client, GetProductRequest { id: id.into() }, &["id"]).await;
    }
    let list = |limit, offset, page_token: &str| ListProductsRequest {
        limit,
        offset,
        page_token: page_token.into(),
    };
    for (message, field) in [
        (list(-1, 0, ""), "limit"),
        (list(101, 0, ""), "limit"),
        (list(0, -1, ""), "offset"),
        (list(0, 0, "nope"), "page_token"),
        (list(0, 0, &"a".repeat(65)), "page_token"),
    ] {
        refused::<rpc::ListProducts>(client, message, &[field]).await;
    }
}

/// What only JSON can get wrong.
async fn bad_json(engine: &Engine, admin: &str, product: &str) {
    let other = "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60";
    let inventory = format!("/products/{product}/inventory");
    let contradiction = format!(r#"{{"product_id": "{other}", "quantity_change": 1}}"#);
    let deep = format!(
        r#"{{"description": {}1{}}}"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    let deep_objects = format!(
        r#"{{"name": {}1{}}}"#,
        r#"{"a":"#.repeat(10_000),
        "}".repeat(10_000)
    );
    let large = format!(r#"{{"name": "{}"}}"#, "a".repeat(100_000));
    let post = |body: &str| {
        (
            Method::POST,
            "/products".to_owned(),
            body.as_bytes().to_vec(),
        )
    };
    let get = |path: &str| (Method::GET, path.to_owned(), Vec::new());
    let patch = |path: &str, body: &str| (Method::PATCH, path.to_owned(), body.as_bytes().to_vec());
    let table = [
        (post(r#"{"name": "Tea", "price": "#), 400, "body"),
        (post("name=Tea"), 400, "body"),
        (post(r#"{"name": "Tea"} {}"#), 400, "body"),
        (post(r#"[{"name": "Tea"}]"#), 400, "body"),
        (post("null"), 400, "body"),
        (post(r#"{"name": 5}"#), 400, "name"),
        (post(r#"{"name": {"first": "Tea"}}"#), 400, "name"),
        (post(r#"{"name": "Tea", "price": "much"}"#), 400, "price"),
        (post(r#"{"name": "Tea", "price": true}"#), 400, "price"),
        (post(r#"{"name": "Tea", "price": 1e999}"#), 400, "price"),
        (
            post(r#"{"name": "Tea", "inventory": 1.5}"#),
            400,
            "inventory",
        ),
        (
            post(r#"{"name": "Tea", "inventory": 3000000000}"#),
            400,
            "inventory",
        ),
        (post(r#"{"name": "Tea", "name": "Coffee"}"#), 400, "name"),
        (post(r#"{"name": "Tea", "colour": "green"}"#), 400, "colour"),
        (post(r#"{"name": "a\u0000b", "price": 1}"#), 400, "name"),
        (post(r#"{"name": "Tea"}"#), 400, "price"),
        (post(r#"{"name": "Tea", "price": 1e-400}"#), 400, "price"),
        (post(r#"{"name": "\ud800"}"#), 400, "body"),
        (post(&deep), 400, "description"),
        (post(&deep_objects), 400, "name"),
        (post(&large), 413, "body"),
        (
            (
                Method::POST,
                "/products".into(),
                b"{\"name\": \"\xff\"}".to_vec(),
            ),
            400,
            "body",
        ),
        (
            (
                Method::POST,
                "/users".into(),
                b"{\"email\": [\"a@b.co\"]}".to_vec(),
            ),
            400,
            "email",
        ),
        (
            (Method::POST, "/products?name=Tea".into(), b"{}".to_vec()),
            400,
            "name",
        ),
        (patch(&inventory, &contradiction), 400, "product_id"),
        (
            patch(&inventory, r#"{"quantity_change": "some"}"#),
            400,
            "quantity_change",
        ),
        (
            patch("/products/nope/inventory", r#"{"quantity_change": 1}"#),
            400,
            "product_id",
        ),
        (get("/products/nope"), 400, "id"),
        (get("/users/nope"), 400, "id"),
        (get("/products?limit=many"), 400, "limit"),
        (get("/products?limit=1&limit=2"), 400, "limit"),
        (get("/products?limit=99999999999"), 400, "limit"),
        (get("/products?colour=green&limit=1&limit=1"), 400, "limit"),
        (get("/products?page_token=%00"), 400, "page_token"),
    ];
    let http = engine.http();
    for ((method, path, body), status, field) in table {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let what = format!("{method} {path} {shown}");
        let reply = http
            .call(method, &path, body, &[("authorization", admin)])
            .await;
        let outcome = reply.outcome::<Value>();
        let code = match status {
            413 => Code::ResourceExhausted,
            _ => Code::InvalidArgument,
        };
        assert_eq!(
            (outcome.http_status, outcome.code),
            (status, code),
            "{what}"
        );
        assert_eq!(outcome.field_names(), [field], "{what}: {outcome:?}");
    }

    let mut form = request(Method::POST, "/products", "name=Tea");
    let urlencoded = HeaderValue::from_static("application/x-www-form-urlencoded");
    form.headers_mut().insert(header::CONTENT_TYPE, urlencoded);
    let admin_value = HeaderValue::try_from(admin).expect("a token is a header");
    form.headers_mut()
        .insert(header::AUTHORIZATION, admin_value);
    let outcome = http.send(form).await.outcome::<Value>();
    assert_eq!(
        (outcome.http_status, outcome.field_names()),
        (415, vec!["content-type"])
    );

    // The edge refuses this one, in its own words, before it wakes anything.
    let huge = vec![b'a'; 10 * 1024 * 1024];
    let reply = http
        .call(Method::POST, "/products", huge, &[("authorization", admin)])
        .await;
    assert_eq!(reply.status, 413);
}

/// What only gRPC can get wrong. Protobuf takes a field that is there twice, the last one wins.
async fn bad_protobuf(engine: &Engine, admin: &str) {
    let client = engine.client(Wire::Grpc).header("authorization", admin);
    let table: [(&str, Vec<u8>, &str); 6] = [
        ("a message that breaks off", vec![0x0a, 0x05, b'T'], "name"),
        ("a number where a string belongs", vec![0x08, 0x01], "name"),
        ("a string that is not UTF-8", vec![0x0a, 0x01, 0xff], "name"),
        ("field number 0", vec![0x02, 0x00], "body"),
        ("groups in groups", vec![0x7b; 10_000], "body"),
        (
            "100 KB",
            [&[0x0a, 0xa0, 0x8d, 0x06][..], &[b'a'; 100_000][..]].concat(),
            "body",
        ),
    ];
    for (what, message, field) in table {
        let outcome = client.send(frame(&message)).await.grpc::<()>();
        let (code, says) = (outcome.code, &outcome.message);
        let expected = match message.len() > 64 * 1024 {
            true => Code::ResourceExhausted,
            false => Code::InvalidArgument,
        };
        assert_eq!(code, expected, "{what}: {says}");
        assert_eq!(outcome.field_names(), [field], "{what}: {says}");
    }
    let huge = client
        .send(frame(&vec![b'a'; 10 * 1024 * 1024]))
        .await
        .grpc::<()>();
    // Kong's code for 413, which is the gateway's answer above 1 MB.
    assert_eq!(huge.code, Code::InvalidArgument, "10 MB: {huge:?}");
}

/// A request of create-product over gRPC with these bytes as its message.
fn frame(message: &[u8]) -> Request<Body> {
    let mut body = BytesMut::with_capacity(message.len() + 5);
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("a small message"));
    body.put_slice(message);
    let mut request = request(
        Method::POST,
        rpc::CreateProduct::INFO.grpc_path,
        body.freeze(),
    );
    let headers = request.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    request
}
