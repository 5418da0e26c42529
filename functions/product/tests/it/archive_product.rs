//! Taking a product out of the catalogue.

use tonic::Code;
use uuid::Uuid;
use zerocart_product::{ArchiveProduct, GetProduct, ListProducts, UpdateInventory};
use zerocart_proto::{
    product::{
        ArchiveProductRequest, GetProductRequest, ListProductsRequest, UpdateInventoryRequest,
    },
    rpc,
};
use zerocart_test_support::clients::{Client, Wire};

use crate::{Domain, ME};

fn archive(id: &str) -> ArchiveProductRequest {
    ArchiveProductRequest { id: id.to_owned() }
}

#[tokio::test]
async fn it_leaves_the_catalogue_and_stays_for_admins() {
    let domain = Domain::new().await;
    let function = domain.start::<ArchiveProduct>().await;
    let get = domain.start::<GetProduct>().await;
    let list = domain.start::<ListProducts>().await;
    for wire in Wire::ALL {
        let (kept, gone) = (domain.add_product(1).await, domain.add_product(2).await);
        let admin = domain.admin(wire, &function);
        let archived = admin
            .call::<rpc::ArchiveProduct>(&archive(&gone))
            .await
            .ok();
        let product = archived.product.clone().unwrap();
        assert_eq!((&product.id, product.inventory), (&gone, 2), "{wire:?}");
        assert!(product.archived_at.is_some(), "{wire:?}");
        // Again: as it was, and at the same time.
        let again = admin
            .call::<rpc::ArchiveProduct>(&archive(&gone))
            .await
            .ok();
        assert_eq!(again, archived, "{wire:?}");

        let nobody = Client::new(wire, list.address());
        let page = ListProductsRequest::default();
        let page = nobody.call::<rpc::ListProducts>(&page).await.ok();
        let ids: Vec<_> = page.products.iter().map(|product| &product.id).collect();
        assert!(ids.contains(&&kept) && !ids.contains(&&gone), "{wire:?}");
        assert_eq!(usize::try_from(page.total), Ok(ids.len()), "{wire:?}");

        let read = GetProductRequest { id: gone };
        let tokens = [
            (None, Code::NotFound),
            (Some(domain.authority.customer(ME)), Code::NotFound),
            (
                Some(domain.authority.service("create-order")),
                Code::NotFound,
            ),
            (Some(domain.authority.expired(ME)), Code::NotFound),
            (Some(domain.authority.admin(ME)), Code::Ok),
        ];
        for (token, code) in tokens {
            let mut client = Client::new(wire, get.address());
            if let Some(token) = &token {
                client = client.bearer(token);
            }
            let outcome = client.call::<rpc::GetProduct>(&read).await;
            assert_eq!(outcome.code, code, "{wire:?} {token:?}");
            if code == Code::Ok {
                assert_eq!(outcome.ok().product.as_ref(), Some(&product), "{wire:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_new_is_reserved_and_what_was_is_given_back() {
    let domain = Domain::new().await;
    let function = domain.start::<ArchiveProduct>().await;
    let inventory = domain.start::<UpdateInventory>().await;
    let id = domain.add_product(10).await;
    let admin = domain.admin(Wire::Grpc, &inventory);
    let change = async |reservation: &str, quantity_change| {
        let request = UpdateInventoryRequest {
            product_id: id.clone(),
            quantity_change,
            reservation_id: reservation.to_owned(),
            ..Default::default()
        };
        admin.call::<rpc::UpdateInventory>(&request).await
    };
    let [before, after] = [(); 2].map(|()| Uuid::now_v7().to_string());
    assert_eq!(change(&before, -3).await.ok().new_inventory, 7);
    let archiving = domain.admin(Wire::Grpc, &function);
    archiving
        .call::<rpc::ArchiveProduct>(&archive(&id))
        .await
        .ok();

    let refused = change(&after, -3).await;
    assert_eq!(refused.code, Code::NotFound, "{refused:?}");
    // A call that is repeated is answered as before.
    assert_eq!(change(&before, -3).await.ok().new_inventory, 7);
    for _ in 0..2 {
        assert_eq!(change(&before, 3).await.ok().new_inventory, 10);
    }
    assert_eq!(domain.stock(&id).await, 10);
}
