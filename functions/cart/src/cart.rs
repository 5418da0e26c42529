//! A cart in the database: changed by one at a time, read as a message.

use futures_util::future::join3;
use uuid::Uuid;
use zerocart_core::{Error, Kind};
use zerocart_postgres::{QueryError, Row, RowExt, Session, ToSql, Transaction, rfc3339};
use zerocart_proto::{
    cart::{Cart, CartItem, CartResponse},
    money::Cents,
};

/// Units of one product in one cart.
pub(crate) const MAX_UNITS: i32 = 10_000;

/// Different products in one cart: as many as clear-cart takes away for an order.
const MAX_LINES: usize = 1000;

/// The largest total, in cents: from 2^46 on, the double on the wire does not tell one cent from
/// the next.
const MAX_TOTAL_CENTS: i64 = 100 << 46;

/// Every change of a cart locks its row first. A cart that does not exist yet has no row to lock.
pub(crate) const LOCK: &str = "SELECT 1 FROM carts WHERE user_id = $1 FOR NO KEY UPDATE";

/// The lines in the order in which they were first added; for a cart without lines one row of
/// nulls, for no cart none.
pub(crate) const READ: &str = concat!(
    "SELECT ",
    rfc3339!("updated_at"),
    ",
        product_id, name, (price * 100)::bigint, quantity
    FROM carts LEFT JOIN cart_items USING (user_id)
    WHERE user_id = $1 ORDER BY position"
);

/// The time of a change of a cart: always later than the change before, even if the clock was set
/// back.
macro_rules! now {
    () => {
        "greatest(clock_timestamp(), carts.updated_at + interval '1 microsecond')"
    };
}
pub(crate) use now;

/// Changes the cart of `user`, and gives the number of rows that `statement` changed and the cart
/// as it is then.
///
/// The lock, the change and the look are three statements, because each sees what was committed
/// before it began: what another call did until it let go of the lock. They share one round trip,
/// in this order: all are prepared, and [`join3`] asks in order (`tokio::join!` would not).
///
/// # Errors
///
/// FAILED_PRECONDITION when the cart would have too many lines, or be too dear to count.
pub(crate) async fn change(
    tx: &Transaction<'_>,
    user: Uuid,
    statement: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<(u64, Cart), Error> {
    tx.prepare(&[LOCK, statement, READ]).await?;
    let (changed, rows) = send(tx, user, statement, params).await?;
    let refused = |why| Error::new(Kind::FailedPrecondition, why);
    if rows.len() > MAX_LINES {
        return Err(refused("a cart holds at most 1,000 different products"));
    }
    let cart = of_rows(user, &rows)?;
    let cart = cart.ok_or_else(|| refused("the total of this cart would be too large to count"))?;
    Ok((changed, cart))
}

/// Sends the lock, the change and the look of [`change`], all of which are prepared, and gives the
/// number of rows that were changed, and the rows of [`READ`].
pub(crate) async fn send(
    session: &Session,
    user: Uuid,
    statement: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<(u64, Vec<Row>), QueryError> {
    let id: &[&(dyn ToSql + Sync)] = &[&user];
    // Boxed: three statements on their way are large.
    let (locked, changed, rows) = Box::pin(join3(
        session.execute(LOCK, id),
        session.execute(statement, params),
        session.query(READ, id),
    ))
    .await;
    locked?;
    Ok((changed?, rows?))
}

/// The cart of `user`; empty, and never updated, when there is none.
pub(crate) async fn read(session: &Session, user: Uuid) -> Result<Cart, Error> {
    let rows = session.query(READ, &[&user]).await?;
    within_range(user, &rows)
}

/// The cart in rows of [`READ`], of which no change has made the total too large.
pub(crate) fn within_range(user: Uuid, rows: &[Row]) -> Result<Cart, Error> {
    let cart = of_rows(user, rows)?;
    cart.ok_or_else(|| Error::internal("a cart whose total is out of range"))
}

/// Rows of [`READ`] as a message; none when the total is above [`MAX_TOTAL_CENTS`].
fn of_rows(user: Uuid, rows: &[Row]) -> Result<Option<Cart>, Error> {
    let mut cart = Cart {
        user_id: user.to_string(),
        ..Default::default()
    };
    let Some(first) = rows.first() else {
        return Ok(Some(cart));
    };
    cart.updated_at = first.column(0)?;
    let mut total_cents: i64 = 0;
    for row in rows {
        let Some(product_id) = row.column::<Option<Uuid>>(1)? else {
            continue;
        };
        let (price, quantity) = (Cents::new(row.column(3)?), row.column(4)?);
        let sum = price.times(quantity).and_then(|line| {
            total_cents = total_cents.checked_add(line.get())?;
            Some(line)
        });
        let Some(line) = sum else {
            return Ok(None);
        };
        cart.items.push(CartItem {
            product_id: product_id.to_string(),
            product_name: row.column(2)?,
            product_price: price.to_wire(),
            quantity,
            total_price: line.to_wire(),
        });
    }
    let total = Cents::new(total_cents);
    cart.total_amount = total.to_wire();
    // No line is dearer than the total.
    Ok((total_cents <= MAX_TOTAL_CENTS).then_some(cart))
}

/// The answer of each function.
pub(crate) fn response(cart: Cart, message: &str) -> CartResponse {
    CartResponse {
        cart: Some(cart),
        success: true,
        message: message.into(),
    }
}
