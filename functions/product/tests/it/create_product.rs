//! Adding to the catalogue.

use futures_util::future::join_all;
use http::Method;
use tonic::Code;
use uuid::Uuid;
use zerocart_product::{CreateProduct, UpdateInventory};
use zerocart_proto::{
    product::{CreateProductRequest, ProductResponse, UpdateInventoryRequest},
    rpc::{CreateProduct as Rpc, UpdateInventory as Update},
};
use zerocart_test_support::clients::{Wire, request};

use crate::{Domain, JSON_WIRES, answer};

fn tea() -> CreateProductRequest {
    CreateProductRequest {
        name: "Grüner Tee".into(),
        description: "100 g".into(),
        price: 19.99,
        inventory: 7,
    }
}

#[tokio::test]
async fn prices_are_kept_to_the_cent() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateProduct>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for (price, kept) in [
            (0.0, "0.00"),
            (-0.0, "0.00"),
            (0.01, "0.01"),
            (0.1, "0.10"),
            (0.29, "0.29"),
            (1.15, "1.15"),
            (4.35, "4.35"),
            (19.99, "19.99"),
            (1_000_000.55, "1000000.55"),
            (9_999_999.99, "9999999.99"),
            (10_000_000.0, "10000000.00"),
        ] {
            let request = CreateProductRequest { price, ..tea() };
            let outcome = client.call::<Rpc>(&request).await;
            let location = outcome.header("location").map(str::to_owned);
            let status = outcome.http_status;
            let product = outcome.ok().product.unwrap();
            if wire.is_json() {
                assert_eq!(status, 201);
                assert_eq!(location, Some(format!("/products/{}", product.id)));
            }
            assert_eq!(product.price, price, "{wire:?}");
            assert!(product.price.is_sign_positive());
            assert_eq!(
                (&product.name, &product.description, product.inventory),
                (&request.name, &request.description, request.inventory)
            );
            let id = Uuid::try_parse(&product.id).unwrap();
            assert_eq!(id.get_version_num(), 7);
            let row = domain
                .sql
                .query_one(
                    "SELECT price::text, created_at = $2::text::timestamptz
                     FROM products WHERE id = $1",
                    &[&id, &product.created_at],
                )
                .await
                .unwrap();
            assert_eq!(row.get::<_, &str>(0), kept, "{wire:?}");
            assert!(row.get::<_, bool>(1), "{}", product.created_at);
        }
    }
}

#[tokio::test]
async fn every_limit_itself_is_good() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateProduct>().await;
    let largest = CreateProductRequest {
        name: "é".repeat(200),
        description: "é".repeat(4000),
        price: 10_000_000.0,
        inventory: 1_000_000_000,
    };
    let smallest = CreateProductRequest {
        name: "é".into(),
        ..Default::default()
    };
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for request in [&largest, &smallest] {
            let product = client.call::<Rpc>(request).await.ok().product.unwrap();
            assert_eq!(product.name, request.name);
            assert_eq!(product.description, request.description);
            assert_eq!(product.inventory, request.inventory);
        }
    }
}

#[tokio::test]
async fn only_an_admin_may() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateProduct>().await;
    let may = [false, false, true, false];
    domain
        .assert_access::<Rpc>(&function, &tea(), may, Code::Ok)
        .await;
    assert_eq!(domain.products().await, 4);
}

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_written() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateProduct>().await;
    let named = |name: &str| CreateProductRequest {
        name: name.into(),
        ..tea()
    };
    let described = |description: &str| CreateProductRequest {
        description: description.into(),
        ..tea()
    };
    let priced = |price| CreateProductRequest { price, ..tea() };
    let stocked = |inventory| CreateProductRequest { inventory, ..tea() };
    let all = CreateProductRequest {
        name: String::new(),
        description: "\0".into(),
        price: 0.001,
        inventory: -1,
    };
    let table: Vec<(CreateProductRequest, &[&str])> = vec![
        (all, &["name", "description", "price", "inventory"]),
        (named(""), &["name"]),
        (named("  "), &["name"]),
        (named("a\0b"), &["name"]),
        (named(&"é".repeat(201)), &["name"]),
        (described("a\0b"), &["description"]),
        (described(&"é".repeat(4001)), &["description"]),
        (priced(-0.01), &["price"]),
        (priced(0.001), &["price"]),
        (priced(19.999), &["price"]),
        (priced(9_999_999.999), &["price"]),
        (priced(10_000_000.01), &["price"]),
        (priced(1e300), &["price"]),
        (priced(f64::NAN), &["price"]),
        (priced(f64::INFINITY), &["price"]),
        (priced(f64::NEG_INFINITY), &["price"]),
        (stocked(-1), &["inventory"]),
        (stocked(1_000_000_001), &["inventory"]),
    ];
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for (request, fields) in &table {
            let outcome = client.call::<Rpc>(request).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {request:?}");
            assert_eq!(outcome.field_names(), *fields, "{wire:?} {request:?}");
        }
    }
    for (body, field) in [
        (r#"{"name": "Tea", "price": "much"}"#, "price"),
        (r#"{"name": "Tea", "price": 1e999}"#, "price"),
        (r#"{"name": "Tea", "price": "1e999"}"#, "price"),
        (r#"{"name": "Tea", "inventory": 1.5}"#, "inventory"),
        (r#"{"name": "Tea", "inventory": 3000000000}"#, "inventory"),
        (r#"{"name": "Tea", "inventory": true}"#, "inventory"),
        (r#"{"name": 5}"#, "name"),
        (r#"{"name": "Tea", "name": "Tea"}"#, "name"),
        (r#"{"name": "Tea", "price_cents": 1999}"#, "price_cents"),
        (r#"{"name": "Tea", "id": "1"}"#, "id"),
        (r#"{"name": "Tea""#, "body"),
    ] {
        for wire in JSON_WIRES {
            let client = domain.admin(wire, &function);
            let reply = client.send(request(Method::POST, "/products", body)).await;
            let outcome = reply.outcome::<ProductResponse>();
            assert_eq!(outcome.http_status, 400, "{body}");
            assert_eq!(outcome.field_names(), [field], "{body}");
        }
    }
    assert_eq!(domain.products().await, 0);
}

#[tokio::test]
async fn one_key_makes_one_product() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateProduct>().await;
    let keyed = |wire| domain.admin(wire, &function).header("idempotency-key", "k");
    let request = &tea();
    let calls = (0..8).map(|n| {
        let client = keyed(Wire::ALL[n % 4]);
        async move { answer::<Rpc>(&client, request).await.ok() }
    });
    let mut answers = join_all(calls).await;
    for wire in Wire::ALL {
        answers.push(keyed(wire).call::<Rpc>(request).await.ok());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(domain.products().await, 1);

    let dearer = CreateProductRequest {
        price: 20.0,
        ..tea()
    };
    for wire in Wire::ALL {
        let outcome = keyed(wire).call::<Rpc>(&dearer).await;
        assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
        assert_eq!(outcome.field_names(), ["idempotency-key"], "{wire:?}");
        assert!(!wire.is_json() || outcome.http_status == 422);
    }
    assert_eq!(domain.products().await, 1);

    // Another function has other keys, also in the same database.
    let update = domain.start::<UpdateInventory>().await;
    let product = answers.remove(0).product.unwrap();
    let changed = domain
        .admin(Wire::Grpc, &update)
        .header("idempotency-key", "k")
        .call::<Update>(&UpdateInventoryRequest {
            product_id: product.id,
            quantity_change: 1,
            ..Default::default()
        })
        .await;
    assert_eq!(changed.ok().new_inventory, product.inventory + 1);
}
