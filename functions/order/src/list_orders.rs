use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Row};
use zerocart_proto::{order::OrderPageResponse, rpc};

use crate::{
    order::{LINES_OF_PAGE, Order, order_columns, orders},
    saga::Status,
};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// Orders that are older than the one at $1 (microseconds since 1970) with the id $2.
macro_rules! older {
    () => {
        "(created_at, id) < ('epoch'::timestamptz + $1::bigint * interval '1 microsecond', $2::uuid)"
    };
}

/// Orders of a condition, in the order of an index that begins with its columns.
///
/// The server keeps one plan of a statement for all parameters. For that plan, a limit that is a parameter
/// may be a tenth of the orders, which it would rather sort. So this has a limit that is written out: the
/// longest page and one more, by the rules of `proto/`. The server reads no more of them than the page needs.
macro_rules! newest {
    ($where:expr) => {
        concat!(
            "(SELECT * FROM orders WHERE ",
            $where,
            " AND ",
            older!(),
            " ORDER BY created_at DESC, id DESC LIMIT 101)"
        )
    };
}

/// A page of at most $3 orders, newest first, out of those that these queries give.
macro_rules! page {
    ($($orders:expr),+) => {
        concat!(
            "SELECT ",
            order_columns!(),
            ", (extract(epoch FROM created_at) * 1000000)::bigint AS micros FROM (",
            page!(@ $($orders),+),
            ") AS listed ORDER BY created_at DESC, id DESC LIMIT $3"
        )
    };
    (@ $orders:expr) => { $orders };
    (@ $orders:expr, $($more:expr),+) => { concat!($orders, " UNION ALL ", page!(@ $($more),+)) };
}

/// Orders that have not ended. They are few, and have an index; materialized, because the server would
/// otherwise look for them among all orders, in the order of the page.
macro_rules! unfinished {
    ($where:expr) => {
        concat!(
            "(WITH unfinished AS MATERIALIZED (SELECT * FROM orders WHERE step <> 'ended') \
             SELECT * FROM unfinished WHERE ",
            $where,
            " AND ",
            older!(),
            ")"
        )
    };
}

macro_rules! ended {
    ($status:literal) => {
        newest!(concat!("step = 'ended' AND status = ", $status))
    };
}

/// All orders: those that have ended, merged out of the statuses in which orders end.
const ALL: &str = page!(
    ended!("'PAID'"),
    ended!("'SHIPPED'"),
    ended!("'DELIVERED'"),
    ended!("'CANCELLED'"),
    ended!("'FAILED'"),
    unfinished!("true")
);

const OF_STATUS: &str = page!(ended!("$4"), unfinished!("status = $4"));

/// The orders of a user, in the order of orders_newest_first.
const OF_USER: &str = page!(newest!(
    "user_id = $4 AND ($5::text IS NULL OR status = $5)"
));

/// `Order::is_stuck` has the same rule.
const STUCK: &str = page!(unfinished!(
    "(lease_until <= clock_timestamp() OR tries > 0) \
     AND ($4::uuid IS NULL OR user_id = $4) AND ($5::text IS NULL OR status = $5)"
));

/// `list-orders`: a page of the orders of all users, newest first.
#[derive(Debug)]
pub struct ListOrders {
    database: Database,
}

impl Function for ListOrders {
    type Rpc = rpc::ListOrders;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[ALL, LINES_OF_PAGE]))?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<OrderPageResponse, Error> {
        let user_id = match request.user_id.as_str() {
            "" => None,
            _ => Some(request.user_id()?),
        };
        let status = Status::of_wire(request.status).map(Status::name);
        let Place { micros, id } = match request.page_token.as_str() {
            "" => Place::START,
            token => Place::of_token(token)
                .ok_or_else(|| Error::field("page_token", "is not a page token of this list"))?,
        };
        let limit = match request.limit {
            0 => DEFAULT_LIMIT,
            limit => i64::from(limit),
        };
        // One more than the page, to know whether there is another.
        let more = limit + 1;
        let session = self.database.session(cx).await?;
        let rows = match (request.stuck, user_id, status) {
            (true, user_id, status) => {
                session
                    .query(STUCK, &[&micros, &id, &more, &user_id, &status])
                    .await?
            }
            (false, Some(user_id), status) => {
                session
                    .query(OF_USER, &[&micros, &id, &more, &user_id, &status])
                    .await?
            }
            (false, None, Some(status)) => {
                session
                    .query(OF_STATUS, &[&micros, &id, &more, &status])
                    .await?
            }
            (false, None, None) => session.query(ALL, &[&micros, &id, &more]).await?,
        };
        let page = &rows[..rows.len().min(limit as usize)];
        let next_page_token = match page.last() {
            Some(last) if rows.len() > page.len() => Place::of_row(last).to_token(),
            _ => String::new(),
        };
        let orders = orders(&session, page).await?;
        Ok(OrderPageResponse {
            orders: orders.iter().map(Order::to_message).collect(),
            next_page_token,
        })
    }
}

/// A place in the list: that of the last order of a page. It is complete, so the next page needs no look at that
/// order, which may have left the list since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// When the order was placed, in microseconds since 1970.
    micros: i64,
    id: Uuid,
}

impl Place {
    /// Before the newest order: the end of the year 9999.
    const START: Self = Self {
        micros: 253_402_300_799_999_999,
        id: Uuid::max(),
    };

    fn of_row(row: &Row) -> Self {
        Self {
            micros: row.get("micros"),
            id: row.get(0),
        }
    }

    fn to_token(self) -> String {
        format!("{}.{}", self.micros, self.id.simple())
    }

    fn of_token(token: &str) -> Option<Self> {
        let (micros, id) = token.split_once('.')?;
        let place = Self {
            micros: micros.parse().ok()?,
            id: Uuid::try_parse(id).ok()?,
        };
        (0..=Self::START.micros)
            .contains(&place.micros)
            .then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_no_other_text_is() {
        let place = Place {
            micros: 1_795_863_107_000_001,
            id: Uuid::now_v7(),
        };
        let token = place.to_token();
        assert!(token.len() <= 64, "{token}");
        assert_eq!(Place::of_token(&token), Some(place));
        let id = place.id;
        for bad in [
            "nonsense".to_owned(),
            id.to_string(),
            format!(".{id}"),
            format!("-1.{id}"),
            format!("253402300800000000.{id}"),
            format!("99999999999999999999.{id}"),
            "1.2".to_owned(),
        ] {
            assert_eq!(Place::of_token(&bad), None, "{bad}");
        }
    }
}
