use zerocart_postgres::Database;
use zerocart_proto::{product::ListProductsResponse, rpc};
use zerocart_runtime::{Call, Error, Function, Invalid, Request, Setup};

use crate::{database, page::Place, product, product_columns};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// A page and, in each row, the number of all products: both of one snapshot, so that `total` never
/// contradicts the page.
macro_rules! page {
    ($after:literal) => {
        concat!(
            "SELECT ",
            product_columns!(),
            ", created_at, (SELECT count(*) FROM products) FROM products ",
            $after,
            " ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2"
        )
    };
}

/// From the newest on.
const NEWEST: &str = page!("");

/// From a place on: a statement of its own, so that the index leads there however deep it is.
const AFTER: &str = page!("WHERE (created_at, id) < ($3, $4)");

/// For a page without rows.
const COUNT: &str = "SELECT count(*) FROM products";

/// `list-products`: a page of the catalogue, newest first.
#[derive(Debug)]
pub struct ListProducts {
    database: Database,
}

impl Function for ListProducts {
    type Rpc = rpc::ListProducts;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[NEWEST])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ListProductsResponse, Error> {
        let limit = match request.limit {
            0 => DEFAULT_LIMIT,
            limit => i64::from(limit),
        };
        let after = match request.page_token.as_str() {
            "" => None,
            _ if request.offset != 0 => {
                return Err(Error::field("offset", "cannot be given with page_token"));
            }
            token => Some(Place::from_token(token)?),
        };
        let session = self.database.session(cx).await?;
        // One more than the page, to know whether there is another.
        let (limit_and_one, offset) = (limit + 1, i64::from(request.offset));
        let rows = match after {
            None => session.query(NEWEST, &[&limit_and_one, &offset]).await?,
            Some(place) => {
                session
                    .query(
                        AFTER,
                        &[&limit_and_one, &offset, &place.created_at, &place.id],
                    )
                    .await?
            }
        };
        let total: i64 = match rows.first() {
            Some(row) => row.get(7),
            None => session.query_one(COUNT, &[]).await?.get(0),
        };
        let page = &rows[..rows.len().min(limit as usize)];
        let next_page_token = match page.last() {
            Some(last) if rows.len() > page.len() => Place {
                created_at: last.get(6),
                id: last.get(0),
            }
            .to_token(),
            _ => String::new(),
        };
        Ok(ListProductsResponse {
            products: page.iter().map(product).collect(),
            total: total.try_into().unwrap_or(i32::MAX),
            next_page_token,
        })
    }
}
