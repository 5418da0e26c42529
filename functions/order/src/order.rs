//! An order as its row, and as its message.

use std::collections::HashMap;

use uuid::Uuid;
use zerocart_core::{Error, trace::TraceContext};
use zerocart_postgres::{Row, Session};
use zerocart_proto::{
    money::Cents,
    order::{Order as Message, OrderItem},
};

use crate::cancel::By;
use crate::saga::{Cause, Earlier, Saga, Status, Step};

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) payment_method: String,
    pub(crate) total: Cents,
    pub(crate) saga: Saga,
    pub(crate) reason: String,
    pub(crate) payment_id: Option<Uuid>,
    /// Times are RFC 3339 in UTC, microseconds.
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) paid_at: Option<String>,
    pub(crate) steps: i32,
    pub(crate) fence: i64,
    /// Nobody drives it, though it has not ended.
    pub(crate) lapsed: bool,
    /// How often drivers have put it off since the last step that was done.
    pub(crate) tries: i32,
    /// Until then its driver has it, or the next try waits.
    pub(crate) lease_until: String,
    /// The span of the driver before this one, for one that took over.
    pub(crate) driven_by: Option<TraceContext>,
    /// Who wanted to call it off when it was taken up.
    pub(crate) cancel_by: Option<By>,
    /// In the order of product ids.
    pub(crate) lines: Vec<Line>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product_id: Uuid,
    pub(crate) name: String,
    pub(crate) price: Cents,
    pub(crate) quantity: i32,
}

/// Until when the order has its driver, or the next try waits. While a new order has only its first record,
/// functions of the version before must leave it alone, because it may have been charged: they see the year 9999.
macro_rules! leased_until {
    () => {
        "coalesce(open_until, lease_until)"
    };
}
pub(crate) use leased_until;

/// The columns of [`Order::of_row`], in its order.
macro_rules! order_columns {
    () => {
        concat!(
            "id, user_id, payment_method, (total * 100)::bigint, status, step, asked, cause, \
             reason, payment_id, ",
            zerocart_postgres::rfc3339!("created_at"),
            ", ",
            zerocart_postgres::rfc3339!("updated_at"),
            ", ",
            zerocart_postgres::rfc3339!("paid_at"),
            ", steps, fence, step <> 'ended' AND ",
            $crate::order::leased_until!(),
            " <= clock_timestamp(), tries, ",
            zerocart_postgres::rfc3339!("coalesce(open_until, lease_until)"),
            ", open_until IS NOT NULL"
        )
    };
}
pub(crate) use order_columns;

/// The columns of [`Line::of_row`], in its order.
macro_rules! line_columns {
    () => {
        "product_id, name, (price * 100)::bigint, quantity, order_id"
    };
}
pub(crate) use line_columns;

/// The lines of a page of orders.
pub(crate) const LINES_OF_PAGE: &str = concat!(
    "SELECT ",
    line_columns!(),
    " FROM order_items WHERE order_id = ANY($1) ORDER BY order_id, line"
);

impl Order {
    /// A row of [`order_columns`], without its lines.
    pub(crate) fn of_row(row: &Row) -> Self {
        let (status, step, cause): (&str, &str, Option<&str>) =
            (row.get(4), row.get(5), row.get(7));
        Self {
            id: row.get(0),
            user_id: row.get(1),
            payment_method: row.get(2),
            total: Cents::new(row.get(3)),
            saga: Saga {
                // The table's constraints name exactly these words.
                status: Status::ALL
                    .into_iter()
                    .find(|known| known.name() == status)
                    .expect("orders_status names no other"),
                step: match step {
                    // Its driver is another: its own one keeps the order in memory.
                    "reserving" => Step::Reserving {
                        earlier: match row.get(18) {
                            true => Earlier::All,
                            false => Earlier::Stock,
                        },
                    },
                    "charging" => Step::Charging { asked: row.get(6) },
                    "clearing" => Step::Clearing,
                    "refunding" => Step::Refunding,
                    "releasing" => Step::Releasing,
                    _ => Step::Ended,
                },
                cause: cause
                    .and_then(|cause| Cause::ALL.into_iter().find(|known| known.name() == cause)),
            },
            reason: row.get(8),
            payment_id: row.get(9),
            created_at: row.get(10),
            updated_at: row.get(11),
            paid_at: row.get(12),
            steps: row.get(13),
            fence: row.get(14),
            lapsed: row.get(15),
            tries: row.get(16),
            lease_until: row.get(17),
            driven_by: None,
            cancel_by: None,
            lines: Vec::new(),
        }
    }

    /// It has not ended, and nobody drives it or a driver has put it off. list-orders has the same rule in SQL.
    pub(crate) fn is_stuck(&self) -> bool {
        self.lapsed || (self.saga.step != Step::Ended && self.tries > 0)
    }

    /// As clients see it now.
    pub(crate) fn to_message(&self) -> Message {
        Message {
            id: self.id.to_string(),
            user_id: self.user_id.to_string(),
            items: self.lines.iter().map(Line::to_message).collect(),
            total_amount: self.total.to_wire(),
            status: self.saga.status.to_wire().into(),
            created_at: self.created_at.clone(),
            updated_at: self.updated_at.clone(),
            payment_id: self
                .payment_id
                .map_or_else(String::new, |id| id.to_string()),
            reason: if self.saga.cause.is_some() {
                self.reason.clone()
            } else {
                String::new()
            },
        }
    }
}

impl Line {
    /// A row of [`line_columns`].
    pub(crate) fn of_row(row: &Row) -> Self {
        Self {
            product_id: row.get(0),
            name: row.get(1),
            price: Cents::new(row.get(2)),
            quantity: row.get(3),
        }
    }

    /// Price times quantity: at most 10^7 × 10^4 × 100 cents.
    pub(crate) fn total(&self) -> Option<Cents> {
        self.price.times(self.quantity)
    }

    fn to_message(&self) -> OrderItem {
        OrderItem {
            product_id: self.product_id.to_string(),
            product_name: self.name.clone(),
            product_price: self.price.to_wire(),
            quantity: self.quantity,
            total_price: self.total().unwrap_or_default().to_wire(),
        }
    }
}

/// The orders of a page, with their lines.
pub(crate) async fn orders(session: &Session, page: &[Row]) -> Result<Vec<Order>, Error> {
    let mut orders: Vec<_> = page.iter().map(Order::of_row).collect();
    let ids: Vec<_> = orders.iter().map(|order| order.id).collect();
    let mut lines = HashMap::<Uuid, Vec<Line>>::new();
    for row in session.query(LINES_OF_PAGE, &[&ids]).await? {
        let line = Line::of_row(&row);
        lines.entry(row.get(4)).or_default().push(line);
    }
    for order in &mut orders {
        order.lines = lines.remove(&order.id).unwrap_or_default();
    }
    Ok(orders)
}

impl Step {
    /// Its name, place and `asked` in the database, for an order of `lines` lines.
    ///
    /// The place is for drivers of the version before, which go line by line: they begin with the
    /// first line to reserve, and release so many lines.
    pub(crate) fn to_columns(self, lines: usize) -> (&'static str, i32, bool) {
        match self {
            Self::Reserving { .. } => ("reserving", 0, false),
            Self::Charging { asked } => ("charging", 0, asked),
            Self::Clearing => ("clearing", 0, true),
            Self::Refunding => ("refunding", 0, true),
            Self::Releasing => ("releasing", i32::try_from(lines).unwrap_or(i32::MAX), false),
            Self::Ended => ("ended", 0, false),
        }
    }
}
