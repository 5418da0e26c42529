use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Row, Session};
use zerocart_proto::{
    product::{ListProductsRequest, ListProductsResponse, ProductSort},
    rpc,
};

use crate::{
    database,
    page::{Key, Known, List, Place},
    product, product_columns,
    search::{Cursor, Found},
};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// The number of all products in the catalogue, kept by triggers (`migrations/product`): counting takes
/// longer the more there are.
macro_rules! total {
    () => {
        "(SELECT coalesce(sum(products), 0)::bigint FROM product_counts)"
    };
}
pub(crate) use total;

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

/// From a number of products on. The index alone passes over them, and only the page is read.
pub(crate) const OFFSET: &str = page!(
    "(SELECT created_at, id FROM products WHERE archived_at IS NULL \
      ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET $2) AS first (moment, number), LATERAL ",
    newest!("AND (created_at, id) <= (moment, number)", 101)
);

/// For a page without rows.
const TOTAL: &str = concat!("SELECT ", total!());

/// `list-products`: a page of the catalogue, or of what is searched in it.
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
        let list = List::new(request.sort(), &request.search);
        let place = last_before(&request, list)?;
        let session = self.database.session(cx).await?;
        // One more than the page, to know whether there is another.
        let wanted = limit + 1;
        let found = match list.search {
            "" => all(&session, list, place, request.offset.into(), wanted).await?,
            _ => {
                Cursor::after(&session, list, place)
                    .await?
                    .found(wanted)
                    .await?
            }
        };
        let Found {
            mut rows,
            total,
            known,
        } = found;
        let more = rows.len() as i64 == wanted;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| Place {
            key: key(list.sort, last),
            id: last.get(0),
            known,
        });
        Ok(ListProductsResponse {
            products: rows.iter().map(product).collect(),
            total: total.try_into().unwrap_or(i32::MAX),
            next_page_token: next.map(|next| next.to_token(list)).unwrap_or_default(),
            total_is_lower_bound: known.uncounted,
        })
    }
}

/// Where the page begins: after the last product of the page before; none for the first page, and with an offset.
///
/// # Errors
///
/// INVALID_ARGUMENT for a token of another list, an offset where there can be none, and a search without words.
fn last_before(request: &ListProductsRequest, list: List<'_>) -> Result<Option<Place>, Error> {
    if !list.search.is_empty() && !list.search.contains(char::is_alphanumeric) {
        return Err(Error::field("search", "must have a letter or a digit"));
    }
    if request.offset != 0 && !list.is_plain() {
        let says = "cannot be given with search or sort; use page_token instead";
        return Err(Error::field("offset", says));
    }
    match request.page_token.as_str() {
        "" => Ok(None),
        _ if request.offset != 0 => Err(Error::field("offset", "cannot be given with page_token")),
        token => Place::from_token(token, list).map(Some),
    }
}

/// Products of a list without search.
async fn all(
    session: &Session,
    list: List<'_>,
    place: Option<Place>,
    offset: i64,
    wanted: i64,
) -> Result<Found, Error> {
    let rows = match place {
        None if offset > 0 => session.query(OFFSET, &[&wanted, &offset]).await?,
        None if list.is_plain() => session.query(NEWEST, &[&wanted]).await?,
        place => {
            Cursor::after(session, list, place)
                .await?
                .all(wanted)
                .await?
        }
    };
    let total = match rows.first() {
        Some(row) => row.get(8),
        None => session.query_one(TOTAL, &[]).await?.get(0),
    };
    Ok(Found {
        rows,
        total,
        known: Known::default(),
    })
}

/// The key of a product in an order.
fn key(sort: ProductSort, row: &Row) -> Key {
    match sort {
        ProductSort::Unspecified | ProductSort::Newest => Key::CreatedAt(row.get(7)),
        ProductSort::PriceAscending | ProductSort::PriceDescending => Key::Cents(row.get(3)),
        ProductSort::Name => Key::Name,
    }
}
