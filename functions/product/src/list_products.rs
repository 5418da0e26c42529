use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Row, Session};
use zerocart_proto::{
    product::{ListProductsRequest, ListProductsResponse},
    rpc,
};

use crate::{database, page::Place, product, product_columns};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// The number of all products in the catalogue, kept by triggers (`migrations/product`): counting takes
/// longer the more there are.
macro_rules! total {
    () => {
        "(SELECT coalesce(sum(products), 0)::bigint FROM product_counts)"
    };
}

/// The rows of a page, in their order.
macro_rules! newest {
    ($where:literal, $limit:literal) => {
        concat!(
            "(SELECT * FROM products WHERE archived_at IS NULL ",
            $where,
            " ORDER BY created_at DESC, id DESC LIMIT ",
            $limit,
            ")"
        )
    };
}

/// A page and, in each row, the number of all products: both of one snapshot, so that `total` never
/// contradicts the page.
///
/// The server keeps one plan of a statement for all parameters. For that plan, a limit that is a parameter
/// may be a tenth of all products, which it would rather sort. So each `FROM` also has a limit that is
/// written out: the longest page and one more, by the rules of `proto/`.
macro_rules! page {
    ($($from:expr),+) => {
        concat!(
            "SELECT ",
            product_columns!(),
            ", created_at, ",
            total!(),
            " FROM ",
            $($from,)+
            " AS listed ORDER BY created_at DESC, id DESC LIMIT $1"
        )
    };
}

/// From the newest on.
pub(crate) const NEWEST: &str = page!(newest!("", 101));

/// From a position on.
pub(crate) const AFTER: &str = page!(newest!("AND (created_at, id) < ($2, $3)", 101));

/// From a number of products on. The index alone passes over them, and only the page is read.
pub(crate) const OFFSET: &str = page!(
    "(SELECT created_at, id FROM products WHERE archived_at IS NULL \
      ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET $2) AS first (moment, number), LATERAL ",
    newest!("AND (created_at, id) <= (moment, number)", 101)
);

/// For a page without rows.
const TOTAL: &str = concat!("SELECT ", total!());

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
            None => session.query_one(TOTAL, &[]).await?.get(0),
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
        Some(Place { created_at, id }) => session.query(AFTER, &[&limit, &created_at, &id]).await?,
        None if offset > 0 => session.query(OFFSET, &[&limit, &offset]).await?,
        None => session.query(NEWEST, &[&limit]).await?,
    };
    Ok(rows)
}
