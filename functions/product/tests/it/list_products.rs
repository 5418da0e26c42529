//! Paging through the catalogue.

use zerocart_product::{CreateProduct, ListProducts};
use zerocart_proto::{
    product::{CreateProductRequest, ListProductsRequest, ListProductsResponse},
    rpc::{CreateProduct as Create, ListProducts as Rpc},
};
use zerocart_test_support::clients::{Client, Wire};

use crate::Domain;

/// Adds products, three of each moment, and gives the ids of all, newest first.
async fn stocked(domain: &Domain, number: i32) -> Vec<String> {
    domain
        .sql
        .execute(
            "INSERT INTO products (id, name, description, price, inventory, created_at)
             SELECT gen_random_uuid(), 'p' || n, '', 1, 1,
                    timestamptz '2020-01-01' + n / 3 * interval '1 microsecond'
             FROM generate_series(1, $1) n",
            &[&number],
        )
        .await
        .unwrap();
    let newest = "SELECT id::text FROM products ORDER BY created_at DESC, id DESC";
    let rows = domain.sql.query(newest, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn ids(page: &ListProductsResponse) -> Vec<&str> {
    page.products.iter().map(|p| p.id.as_str()).collect()
}

fn page(limit: i32, offset: i32) -> ListProductsRequest {
    ListProductsRequest {
        limit,
        offset,
        page_token: String::new(),
    }
}

#[tokio::test]
async fn an_empty_catalogue_is_an_empty_page() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for asked in [page(0, 0), page(5, 5)] {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(answer, ListProductsResponse::default(), "{wire:?}");
        }
    }
}

#[tokio::test]
async fn the_newest_come_first() {
    let domain = Domain::new().await;
    let create = domain.start::<CreateProduct>().await;
    let function = domain.start::<ListProducts>().await;
    let mut made = Vec::new();
    for wire in Wire::ALL {
        let request = CreateProductRequest {
            name: format!("{wire:?}"),
            description: "of its own".into(),
            price: 0.1,
            inventory: 3,
        };
        let answer = domain.admin(wire, &create).call::<Create>(&request).await;
        made.insert(0, answer.ok().product.unwrap());
    }
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let answer = client.call::<Rpc>(&page(0, 0)).await.ok();
        assert_eq!(answer.products, made, "{wire:?}");
        assert_eq!((answer.total, &*answer.next_page_token), (4, ""));
    }
}

#[tokio::test]
async fn limit_and_offset_cut_a_page_out_and_total_counts_all() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let all = stocked(&domain, 45).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (asked, expected, more) in [
            (page(0, 0), 0..20, true),
            (page(1, 0), 0..1, true),
            (page(20, 20), 20..40, true),
            (page(0, 25), 25..45, false),
            (page(44, 0), 0..44, true),
            (page(45, 0), 0..45, false),
            (page(100, 0), 0..45, false),
            (page(100, 44), 44..45, false),
            (page(100, 45), 45..45, false),
            (page(0, i32::MAX), 45..45, false),
        ] {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(ids(&answer), all[expected], "{wire:?} {asked:?}");
            assert_eq!(answer.total, 45, "{wire:?} {asked:?}");
            assert_eq!(!answer.next_page_token.is_empty(), more, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn tokens_lead_through_all_of_them_once_while_others_are_added() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    let mut all = stocked(&domain, 45).await;
    // In the middle of the three of one moment, at its end, and one at a time.
    for (wire, limit) in Wire::ALL.into_iter().zip([7, 9, 1, 44]) {
        let client = Client::new(wire, function.address());
        let mut total = i32::try_from(all.len()).unwrap();
        let mut asked = page(limit, 0);
        let mut seen = Vec::new();
        let mut added = Vec::new();
        loop {
            let answer = client.call::<Rpc>(&asked).await.ok();
            assert_eq!(answer.total, total, "{wire:?}");
            assert!(!answer.products.is_empty(), "{wire:?}");
            seen.extend(answer.products.into_iter().map(|product| product.id));
            if answer.next_page_token.is_empty() {
                break;
            }
            asked.page_token = answer.next_page_token;
            added.insert(0, domain.add_product(1).await);
            total += 1;
        }
        assert_eq!(seen, all, "{wire:?}");
        all.splice(..0, added);
    }
}
