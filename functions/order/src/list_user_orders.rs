use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Session};
use zerocart_proto::{order::ListOrdersResponse, rpc};

use crate::order::{LINES_OF_PAGE, Order, order_columns, orders};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// A page, newest first; in each row the number of all orders of the user, of the same snapshot.
///
/// The server keeps one plan of a statement for all parameters. For that plan, a limit that is a parameter
/// may be a tenth of the orders, which it would rather sort. So the inner query also has a limit that is
/// written out: the longest page and one more, by the rules of `proto/`.
macro_rules! page {
    ($place:literal, $where:literal) => {
        concat!(
            "SELECT ",
            order_columns!(),
            ", (SELECT count(*) FROM orders WHERE user_id = $1) FROM ",
            $place,
            "(SELECT * FROM orders WHERE user_id = $1 ",
            $where,
            " ORDER BY created_at DESC, id DESC LIMIT 101) AS listed \
             ORDER BY created_at DESC, id DESC LIMIT $2"
        )
    };
}

/// From the newest on.
const NEWEST: &str = page!("", "");

/// From the order of the page token on, if it is the user's. It is looked up by its id alone: by user and
/// id, the server may read all orders of the user.
const AFTER: &str = page!(
    "(SELECT created_at, id, user_id FROM orders WHERE id = $3 LIMIT 1) AS after (moment, number, buyer), \
     LATERAL ",
    "AND buyer = $1 AND (created_at, id) < (moment, number)"
);

/// For a page without rows: the number of the user's orders, and whether the token is of this list.
const EMPTY: &str =
    "SELECT count(*), coalesce(bool_or(id = $2), false) FROM orders WHERE user_id = $1";

/// `list-user-orders`: a page of a user's orders, newest first.
#[derive(Debug)]
pub struct ListUserOrders {
    database: Database,
}

impl Function for ListUserOrders {
    type Rpc = rpc::ListUserOrders;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[NEWEST, LINES_OF_PAGE]))?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ListOrdersResponse, Error> {
        let user_id = request.user_id()?;
        let after = last_before(&request.page_token)?;
        let limit = match request.limit {
            0 => DEFAULT_LIMIT,
            limit => i64::from(limit),
        };
        let session = self.database.session(cx).await?;
        // One more than the page, to know whether there is another.
        let limit_and_one = limit + 1;
        let rows = match &after {
            None => session.query(NEWEST, &[&user_id, &limit_and_one]).await?,
            Some(after) => {
                session
                    .query(AFTER, &[&user_id, &limit_and_one, after])
                    .await?
            }
        };
        let total: i64 = match rows.first() {
            Some(row) => row.get("count"),
            None => total(&session, user_id, after).await?,
        };
        let page = &rows[..rows.len().min(limit as usize)];
        let orders = orders(&session, page).await?;
        let next_page_token = match orders.last() {
            Some(last) if rows.len() > page.len() => last.id.to_string(),
            _ => String::new(),
        };
        Ok(ListOrdersResponse {
            orders: orders.iter().map(Order::to_message).collect(),
            total: total.try_into().unwrap_or(i32::MAX),
            next_page_token,
        })
    }
}

/// The last order of the page before, which is its token; none for the first page.
fn last_before(page_token: &str) -> Result<Option<Uuid>, Error> {
    match page_token {
        "" => Ok(None),
        token => Uuid::try_parse(token).map(Some).map_err(|_| not_ours()),
    }
}

fn not_ours() -> Error {
    Error::field("page_token", "is not a page token of this list")
}

/// The number of the user's orders, for a page without rows.
///
/// # Errors
///
/// INVALID_ARGUMENT when the token is of another list.
async fn total(session: &Session, user_id: Uuid, after: Option<Uuid>) -> Result<i64, Error> {
    let row = session.query_one(EMPTY, &[&user_id, &after]).await?;
    if after.is_some() && !row.get::<_, bool>(1) {
        return Err(not_ours());
    }
    Ok(row.get(0))
}
