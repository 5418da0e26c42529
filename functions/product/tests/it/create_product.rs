//! Adding to the catalogue.

use uuid::Uuid;
use zerocart_product::CreateProduct;
use zerocart_proto::{product::CreateProductRequest, rpc::CreateProduct as Rpc};
use zerocart_test_support::clients::Wire;

use crate::Domain;

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
