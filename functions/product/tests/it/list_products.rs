//! Paging through the catalogue.

use tonic::Code;
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
    let may = [true; 4];
    domain
        .assert_access::<Rpc>(&function, &page(0, 0), may, Code::Ok)
        .await;
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

#[tokio::test]
async fn a_bad_field_is_named() {
    let domain = Domain::new().await;
    let function = domain.start::<ListProducts>().await;
    stocked(&domain, 3).await;
    let token = |page_token: &str| ListProductsRequest {
        page_token: page_token.into(),
        ..Default::default()
    };
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let good = client.call::<Rpc>(&page(1, 0)).await.ok().next_page_token;
        let with_offset = ListProductsRequest {
            offset: 1,
            ..token(&good)
        };
        let mut cut = good.clone();
        cut.pop();
        for (asked, field) in [
            (page(101, 0), "limit"),
            (page(-1, 0), "limit"),
            (page(i32::MIN, 0), "limit"),
            (page(0, -1), "offset"),
            (with_offset, "offset"),
            (token("x"), "page_token"),
            (token("!!"), "page_token"),
            (token("\0"), "page_token"),
            (token(&cut), "page_token"),
            (token(&format!("{good}AAAA")), "page_token"),
            (token(&format!(" {good}")), "page_token"),
            // A moment after the end of PostgreSQL's time.
            (token(&"_".repeat(32)), "page_token"),
            (token(&format!("f{}", "_".repeat(31))), "page_token"),
            (token(&"A".repeat(65)), "page_token"),
        ] {
            let outcome = client.call::<Rpc>(&asked).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {asked:?}");
            assert_eq!(outcome.field_names(), [field], "{wire:?} {asked:?}");
            assert!(!wire.is_json() || outcome.http_status == 400);
        }
    }
    let client = Client::new(Wire::Http1, function.address());
    for (query, field) in [
        ("limit=many", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=99999999999", "offset"),
        ("limit=%2B5", "limit"),
        ("limit=05", "limit"),
        ("utm_source=x&offset=-1", "offset"),
    ] {
        let reply = client.get(&format!("/products?{query}")).await;
        let outcome = reply.outcome::<ListProductsResponse>();
        assert_eq!(outcome.http_status, 400, "{query}");
        assert_eq!(outcome.field_names(), [field], "{query}");
    }
}
