//! Changing what is said of a product.

use http::Method;
use serde_json::{Value, json};
use tonic::Code;
use zerocart_product::UpdateProduct;
use zerocart_proto::{
    product::{Product, UpdateProductRequest},
    rpc::UpdateProduct as Rpc,
};
use zerocart_test_support::clients::{Client, Wire, request};

use crate::{Domain, UNKNOWN};

async fn change(client: &Client, request: UpdateProductRequest) -> Product {
    let answer = client.call::<Rpc>(&request).await.ok();
    answer.product.unwrap()
}

#[tokio::test]
async fn only_what_is_present_changes() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateProduct>().await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let id = domain.add_product(5).await;
        let nothing = UpdateProductRequest {
            id: id.to_uppercase(),
            ..Default::default()
        };
        let mut now = change(&client, nothing.clone()).await;
        let was = (now.name.as_str(), now.description.as_str(), now.price);
        assert_eq!(was, ("Tea", "Green", 19.99), "{wire:?}");
        assert_eq!((&now.id, now.inventory), (&id, 5));

        let name = Some("Grüner Tee".to_owned());
        now.name = "Grüner Tee".to_owned();
        let named = UpdateProductRequest {
            name,
            ..nothing.clone()
        };
        assert_eq!(change(&client, named).await, now, "{wire:?}");

        // Empty and 0 are values, and not absent.
        let description = Some(String::new());
        now.description.clear();
        let described = UpdateProductRequest {
            description,
            ..nothing.clone()
        };
        assert_eq!(change(&client, described).await, now, "{wire:?}");
        for price in [0.0, 0.29] {
            now.price = price;
            let priced = UpdateProductRequest {
                price: Some(price),
                ..nothing.clone()
            };
            assert_eq!(change(&client, priced).await, now, "{wire:?}");
        }
    }
}

#[tokio::test]
async fn null_is_absent() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateProduct>().await;
    let path = format!("/products/{}", domain.add_product(5).await);
    for wire in Wire::ALL.into_iter().filter(|wire| wire.is_json()) {
        let client = domain.admin(wire, &function);
        let body = json!({"name": null, "description": "Black", "price": null}).to_string();
        let reply = client.send(request(Method::PATCH, &path, body)).await;
        let answer: Value = reply.outcome().ok();
        let product = &answer["product"];
        let is = (&product["name"], &product["description"], &product["price"]);
        assert_eq!(is, (&json!("Tea"), &json!("Black"), &json!(19.99)));
    }
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let domain = Domain::new().await;
    let function = domain.start::<UpdateProduct>().await;
    let id = domain.add_product(5).await;
    let rename = |id: &str, price| UpdateProductRequest {
        id: id.to_owned(),
        name: Some("Coffee".into()),
        price: Some(price),
        ..Default::default()
    };
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        let unknown = client.call::<Rpc>(&rename(UNKNOWN, 1.0)).await;
        assert_eq!(unknown.code, Code::NotFound, "{wire:?}");
        let exact = client.call::<Rpc>(&rename(&id, 0.001)).await;
        assert_eq!(exact.field_names(), ["price"], "{wire:?}");
        let nothing = UpdateProductRequest {
            id: id.clone(),
            ..Default::default()
        };
        assert_eq!(change(&client, nothing).await.name, "Tea", "{wire:?}");
    }
}
