//! Reading a product.

use tonic::Code;
use zerocart_product::{CreateProduct, GetProduct};
use zerocart_proto::{
    product::{CreateProductRequest, GetProductRequest},
    rpc::{CreateProduct as Create, GetProduct as Rpc},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::Authority,
};

use crate::{Domain, ME, UNKNOWN};

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

#[tokio::test]
async fn anyone_may_whatever_their_token_is() {
    let domain = Domain::new().await;
    let function = domain.start::<GetProduct>().await;
    let request = GetProductRequest {
        id: domain.add_product(1).await,
    };
    domain
        .assert_access::<Rpc>(&function, &request, [true; 4], Code::Ok)
        .await;
    let forged = Authority::generate().customer(ME);
    for token in [forged, domain.authority.expired(ME)] {
        for wire in Wire::ALL {
            let client = Client::new(wire, function.address()).bearer(&token);
            let outcome = client.call::<Rpc>(&request).await;
            assert_eq!(outcome.code, Code::Ok, "{wire:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_or_bad_id_is_told() {
    let domain = Domain::new().await;
    let function = domain.start::<GetProduct>().await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (id, code, status) in [
            (UNKNOWN, Code::NotFound, 404),
            ("7", Code::InvalidArgument, 400),
            ("\0", Code::InvalidArgument, 400),
            (&UNKNOWN.replace('-', ""), Code::InvalidArgument, 400),
            (&format!("{{{UNKNOWN}}}"), Code::InvalidArgument, 400),
            ("' OR '1' = '1", Code::InvalidArgument, 400),
        ] {
            let asked = GetProductRequest { id: id.into() };
            let outcome = client.call::<Rpc>(&asked).await;
            assert_eq!(outcome.code, code, "{wire:?} {id:?}");
            assert!(!wire.is_json() || outcome.http_status == status, "{id:?}");
            if code == Code::InvalidArgument {
                assert_eq!(outcome.field_names(), ["id"], "{wire:?} {id:?}");
            }
        }
    }
}
