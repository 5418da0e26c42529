use zerocart_postgres::Database;
use zerocart_proto::{product::ListProductsResponse, rpc};
use zerocart_runtime::{Call, Error, Function, Invalid, READY_TIMEOUT, Request, Setup};

use crate::{database, page::Place, product, product_columns};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// A page and, in each row, the number of all products: both of one snapshot, so that `total` never
/// contradicts the page.
const SELECT: &str = concat!(
    "SELECT ",
    product_columns!(),
    ", (extract(epoch FROM created_at) * 1000000)::bigint, (SELECT count(*) FROM products)
     FROM products
     WHERE $3::bigint IS NULL
        OR (created_at, id) < (timestamptz 'epoch' + $3 * interval '1 microsecond', $4)
     ORDER BY created_at DESC, id DESC
     LIMIT $1 OFFSET $2"
);

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
            database: database(setup, &[SELECT])?,
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
        let session = self.database.read(cx).await?;
        let rows = session
            .query(
                SELECT,
                &[
                    // One more than the page, to know whether there is another.
                    &(limit + 1),
                    &i64::from(request.offset),
                    &after.map(|place| place.created_us),
                    &after.map(|place| place.id),
                ],
            )
            .await?;
        let total: i64 = match rows.first() {
            Some(row) => row.get(7),
            None => session.query_one(COUNT, &[]).await?.get(0),
        };
        let page = &rows[..rows.len().min(limit as usize)];
        let next_page_token = match page.last() {
            Some(last) if rows.len() > page.len() => Place {
                created_us: last.get(6),
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

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}
