use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Row};
use zerocart_proto::{order::OrderPageResponse, rpc};

use crate::{
    order::{LINES_OF_PAGE, Order, leased_until, order_columns, orders},
    saga::Status,
};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: i64 = 20;

/// Orders that are older than the one of the time $1 with the id $2.
macro_rules! older {
    () => {
        "(created_at, id) < ($1::timestamptz, $2::uuid)"
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
            ", created_at AS moment FROM (",
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
const STUCK: &str = page!(unfinished!(concat!(
    "(",
    leased_until!(),
    " <= clock_timestamp() OR tries > 0) \
     AND ($4::uuid IS NULL OR user_id = $4) AND ($5::text IS NULL OR status = $5)"
)));

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
        let Place { created_at, id } = match request.page_token.as_str() {
            "" => Place::start(),
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
                    .query(STUCK, &[&created_at, &id, &more, &user_id, &status])
                    .await?
            }
            (false, Some(user_id), status) => {
                session
                    .query(OF_USER, &[&created_at, &id, &more, &user_id, &status])
                    .await?
            }
            (false, None, Some(status)) => {
                session
                    .query(OF_STATUS, &[&created_at, &id, &more, &status])
                    .await?
            }
            (false, None, None) => session.query(ALL, &[&created_at, &id, &more]).await?,
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
    /// To the microsecond.
    created_at: SystemTime,
    id: Uuid,
}

/// The greatest time of a place, in microseconds since 1970: the year 2255, which PostgreSQL can hold.
const MAX_US: u64 = 1 << 53;

impl Place {
    /// Before the newest order.
    fn start() -> Self {
        Self {
            created_at: UNIX_EPOCH + Duration::from_micros(MAX_US),
            id: Uuid::max(),
        }
    }

    fn of_row(row: &Row) -> Self {
        Self {
            created_at: row.get("moment"),
            id: row.get(0),
        }
    }

    fn to_token(self) -> String {
        let since_1970 = self.created_at.duration_since(UNIX_EPOCH);
        let created_us = since_1970.map_or(0, |since| since.as_micros() as u64);
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&created_us.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn of_token(token: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (created, id) = bytes.split_at(8);
        let created_us = u64::from_be_bytes(created.try_into().ok()?);
        (created_us <= MAX_US).then_some(Self {
            created_at: UNIX_EPOCH + Duration::from_micros(created_us),
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_no_other_text_is() {
        let place = |created_us| Place {
            created_at: UNIX_EPOCH + Duration::from_micros(created_us),
            id: Uuid::now_v7(),
        };
        let order = place(1_795_863_107_000_001);
        assert_eq!(Place::of_token(&order.to_token()), Some(order));
        let too_late = place(MAX_US + 1).to_token();
        for bad in ["x", "AAAA", "!!", &order.id.to_string(), &too_late] {
            assert_eq!(Place::of_token(bad), None, "{bad}");
        }
    }
}
