//! ListProducts as the catalogue grows: the first page, a page in the middle by its token, the other orders, and
//! searches of words that few or many products have, in each order.
//!
//! Each time, half of the products are there before the token is taken, and the newer half comes after it. So
//! the token points to the middle, and its form is not known here.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    client::{Caller, Job},
    drive::Until,
    figures::Measured,
    rounds::{Bench, Load},
};
use crate::cases::{Case, text};

/// Products of each size.
const SIZES: [u64; 2] = [1_000, 1_000_000];

/// Requests of a round: a page can take a second.
const REQUESTS: usize = 20;

/// The first of the pages, with which the others are compared.
pub(super) const FIRST: &str = "first page";

/// The other pages without a search, and their paths.
const PAGES: [(&str, &str); 3] = [
    ("page_token in the middle", "/products?page_token={token}"),
    ("by price", "/products?sort=PRICE_ASCENDING"),
    ("by name", "/products?sort=NAME"),
];

/// What is searched, and which products have it. See [`add`].
const SEARCHES: [(&str, &str); 10] = [
    ("no product", "coffee"),
    ("one product", "number 777"),
    ("0.001 %", "jasmine"),
    ("0.1 %", "oolong"),
    ("0.5 %", "darjeeling"),
    ("1 %", "sencha"),
    ("10 %", "assam"),
    ("50 %", "green"),
    ("two words of 10 % and 100 %, together 10 %", "leaves assam"),
    ("two words of 10 % and 50 %, together none", "green assam"),
];

/// The orders of a search.
const SORTS: [(&str, &str); 4] = [
    ("newest", "NEWEST"),
    ("cheapest", "PRICE_ASCENDING"),
    ("dearest", "PRICE_DESCENDING"),
    ("by name", "NAME"),
];

/// All pages, and their paths.
fn pages() -> Vec<(String, String)> {
    let mut pages = vec![(FIRST.to_owned(), "/products".to_owned())];
    pages.extend(PAGES.map(|(page, path)| (page.to_owned(), path.to_owned())));
    for (found, words) in SEARCHES {
        for (order, sort) in SORTS {
            let words = words.replace(' ', "%20");
            pages.push((
                format!("search, {found}, {order}"),
                format!("/products?search={words}&sort={sort}"),
            ));
        }
    }
    pages
}

/// A page at a size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    /// [`FIRST`], or another page.
    pub(crate) page: String,
    pub(crate) products: u64,
    pub(crate) measured: Measured,
}

/// Measures each page at each size, of one buyer.
pub(super) async fn measure(bench: &Bench) -> Result<Vec<Page>> {
    let mut all = Vec::new();
    let mut there = vec![0; bench.sides.len()];
    for size in SIZES {
        let mut tokens = Vec::new();
        for (n, side) in bench.sides.iter().enumerate() {
            let url = side.engine.database_url("product")?;
            if there[n] == 0 {
                there[n] = side.shop.products.len() as u64;
            }
            let half = (size - there[n]) / 2;
            add(&url, there[n], half).await?;
            let mut caller = Caller::new(side.engine.address);
            let answer = caller
                .rest(&Case::get("/products").request())?
                .with_status(200)?;
            let token = text(&answer.body, "/next_page_token")?;
            add(&url, there[n] + half, size - there[n] - half).await?;
            there[n] = size;
            tokens.push(token);
        }
        let load = Load::Closed {
            buyers: 1,
            until: Until::Done,
        };
        for (page, path) in pages() {
            let jobs = |n: usize, _: usize| {
                let path = path.replace("{token}", &tokens[n]);
                let request = Case::get(&path).request();
                Ok(vec![Job::Rest(request, 200); REQUESTS])
            };
            let name = format!("{page}, {size} products");
            let measured = bench.measure_jobs(&name, load, jobs).await?;
            all.push(Page {
                page,
                products: size,
                measured,
            });
        }
    }
    Ok(all)
}

/// Adds so many products, each newer than all before. `first` is how many there are.
///
/// The words of the searches are spread over all of them, and so are the prices.
async fn add(url: &str, first: u64, n: u64) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let (from, to) = (i64::try_from(first)?, i64::try_from(first + n)?);
    client
        .execute(
            "INSERT INTO products (id, name, description, price, inventory, created_at) \
             SELECT gen_random_uuid(), 'Tea number ' || n, \
             CASE n % 2 WHEN 0 THEN 'Green leaves' ELSE 'Leaves' END || ' of a hill, 250 g, with a tin.' \
             || CASE n % 10 WHEN 7 THEN ' Assam' ELSE '' END \
             || CASE n % 100 WHEN 8 THEN ' Sencha' ELSE '' END \
             || CASE n % 200 WHEN 10 THEN ' Darjeeling' ELSE '' END \
             || CASE n % 1000 WHEN 9 THEN ' Oolong' ELSE '' END \
             || CASE n % 100000 WHEN 11 THEN ' Jasmine' ELSE '' END, \
             1 + n % 977 / 100.0, 100, \
             now() + n * interval '1 microsecond' \
             FROM generate_series($1::bigint + 1, $2::bigint) AS n",
            &[&from, &to],
        )
        .await
        .context("cannot add products")?;
    // As autovacuum does after a while.
    client.batch_execute("VACUUM ANALYZE products").await?;
    drop(client);
    connection.await??;
    Ok(())
}
