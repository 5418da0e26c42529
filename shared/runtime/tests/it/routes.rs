//! What a function does not answer, it refuses cleanly.

use http::Method;
use tonic::Code;
use zerocart_proto::rpc::{ClearCart, GetProduct, UpdateInventory};
use zerocart_test_support::{
    clients::{Client, Wire, request},
    functions::Script,
};

use crate::{TEA, serve, tea};

const JSON_WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

#[tokio::test]
async fn an_unknown_path_is_404() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    let tail = format!("/products/{TEA}/");
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        for path in [
            "/",
            "/products",
            "/products/",
            &tail,
            "/users",
            "/Health",
            "//health",
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let reply = client.send(request(method.clone(), path, "")).await;
                let outcome = reply.outcome::<()>();
                assert_eq!(outcome.http_status, 404, "{method} {path}");
                assert_eq!(outcome.code, Code::NotFound, "{method} {path}");
                assert_eq!(outcome.trace_id.map(|id| id.len()), Some(32));
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_says_the_right_one() {
    let get_product = serve(Script::<GetProduct>::answers(tea())).await;
    let update = serve(Script::<UpdateInventory>::answers(Default::default())).await;
    let clear = serve(Script::<ClearCart>::answers(Default::default())).await;
    let (product, inventory) = (
        format!("/products/{TEA}"),
        format!("/products/{TEA}/inventory"),
    );
    let table = [
        // Other functions change a product: these are the methods of the product.
        (
            &get_product,
            product.as_str(),
            Method::POST,
            "GET, HEAD, PATCH, DELETE",
        ),
        (&get_product, "/health", Method::POST, "GET, HEAD"),
        (&get_product, "/ready", Method::PUT, "GET, HEAD"),
        (&get_product, "/metrics", Method::DELETE, "GET, HEAD"),
        (&update, &inventory, Method::GET, "PATCH"),
        (&update, &inventory, Method::POST, "PATCH"),
        // Another function reads the cart: these are the methods of the cart.
        (&clear, "/carts/1", Method::OPTIONS, "GET, HEAD, DELETE"),
        (
            &update,
            "/product.ProductService/UpdateInventory",
            Method::PATCH,
            "POST",
        ),
    ];
    for wire in JSON_WIRES {
        for (function, path, method, allow) in &table {
            let client = Client::new(wire, function.address());
            let reply = client.send(request(method.clone(), path, "")).await;
            let outcome = reply.outcome::<()>();
            assert_eq!(outcome.http_status, 405, "{method} {path}");
            assert_eq!(outcome.header("allow"), Some(*allow), "{method} {path}");
            assert_eq!(outcome.code, Code::Unimplemented, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_browser_keeps_and_guesses_nothing() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    let product = format!("/products/{TEA}");
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        for (method, path, status) in [
            (Method::GET, product.as_str(), 200),
            (Method::GET, "/products/nonsense", 400),
            (Method::POST, &product, 405),
            (Method::GET, "/nowhere", 404),
            (Method::GET, "/health", 200),
            (Method::GET, "/metrics", 200),
        ] {
            let reply = client.send(request(method.clone(), path, "")).await;
            assert_eq!(reply.status, status, "{method} {path}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("cache-control", "no-store"),
                ("referrer-policy", "no-referrer"),
                (
                    "content-security-policy",
                    "default-src 'none'; frame-ancestors 'none'",
                ),
            ] {
                let values: Vec<_> = reply.headers.get_all(name).iter().collect();
                assert_eq!(values, [value], "{method} {path}: {name}");
            }
            assert!(!reply.headers.contains_key("server"), "{method} {path}");
        }
    }
}
