//! Reading a product.

use zerocart_product::{CreateProduct, GetProduct};
use zerocart_proto::{
    product::{CreateProductRequest, GetProductRequest},
    rpc::{CreateProduct as Create, GetProduct as Rpc},
};
use zerocart_test_support::clients::{Client, Wire};

use crate::Domain;

#[tokio::test]
async fn a_product_is_read_as_it_was_made() {
    let domain = Domain::new().await;
    let create = domain.start::<CreateProduct>().await;
    let function = domain.start::<GetProduct>().await;
    for wire in Wire::ALL {
        let made = CreateProductRequest {
            name: "Grüner Tee \u{1f375}".into(),
            description: "line 1\nline 2; DROP TABLE products".into(),
            price: 0.29,
            inventory: 3,
        };
        let made = domain.admin(wire, &create).call::<Create>(&made).await;
        let made = made.ok().product.unwrap();
        for id in [made.id.clone(), made.id.to_uppercase()] {
            let client = Client::new(wire, function.address());
            let outcome = client.call::<Rpc>(&GetProductRequest { id }).await;
            assert_eq!(outcome.http_status, 200);
            assert_eq!(outcome.ok().product.as_ref(), Some(&made), "{wire:?}");
        }
    }
}
