use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Row, Session};
use zerocart_proto::{
    product::{ListProductsRequest, ListProductsResponse},
    rpc,
};

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
            ", created_at, (SELECT count(*) FROM products WHERE archived_at IS NULL) \
             FROM products WHERE archived_at IS NULL ",
            $after,
            " ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2"
        )
    };
}

/// From the newest on.
const NEWEST: &str = page!("");

/// From a position on. It is a separate statement, so that the index finds any depth.
const AFTER: &str = page!("AND (created_at, id) < ($3, $4)");

/// For a page without rows.
const COUNT: &str = "SELECT count(*) FROM products WHERE archived_at IS NULL";

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
        let after = last_before(&request)?;
        let session = self.database.session(cx).await?;
        // One more than the page, to know whether there is another.
        let rows = rows(&session, limit + 1, request.offset.into(), after).await?;
        let total: i64 = match rows.first() {
            Some(row) => row.get(8),
            None => session.query_one(COUNT, &[]).await?.get(0),
        };
        let page = &rows[..rows.len().min(limit as usize)];
        let next_page_token = match page.last() {
            Some(last) if rows.len() > page.len() => Place {
                created_at: last.get(7),
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

/// The last product of the page before; none for the first page, and with an offset.
fn last_before(request: &ListProductsRequest) -> Result<Option<Place>, Error> {
    match request.page_token.as_str() {
        "" => Ok(None),
        _ if request.offset != 0 => Err(Error::field("offset", "cannot be given with page_token")),
        token => Place::from_token(token).map(Some),
    }
}

async fn rows(
    session: &Session,
    limit: i64,
    offset: i64,
    after: Option<Place>,
) -> Result<Vec<Row>, Error> {
    let rows = match after {
        None => session.query(NEWEST, &[&limit, &offset]).await?,
        Some(Place { created_at, id }) => {
            session
                .query(AFTER, &[&limit, &offset, &created_at, &id])
                .await?
        }
    };
    Ok(rows)
}
