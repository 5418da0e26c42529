use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, QueryError, Row, Session, ToSql, Transaction, rfc3339};
use zerocart_proto::{
    cart::{BoughtItem, Cart, CartResponse, ClearCartRequest},
    rpc,
};

use crate::cart::{self, LOCK, READ, now};

/// $1 user.
const CLEAR: &str = concat!(
    "WITH gone AS (
        DELETE FROM cart_items WHERE user_id = $1 RETURNING user_id
    )
    UPDATE carts SET updated_at = ",
    now!(),
    " WHERE user_id = $1 AND EXISTS (SELECT FROM gone)"
);

/// Takes what is `bought` from the lines of the user $1, and changes the cart's time if there was any.
macro_rules! take {
    ($begin:literal, $end:literal) => {
        concat!(
            $begin,
            "bought AS MATERIALIZED (
        SELECT product_id, sum(units) AS units
        FROM first, unnest($3::uuid[], $4::integer[]) AS item (product_id, units)
        GROUP BY product_id
    ), fewer AS (
        UPDATE cart_items AS line SET quantity = line.quantity - bought.units FROM bought
        WHERE line.user_id = $1 AND line.product_id = bought.product_id
            AND line.quantity > bought.units
        RETURNING line.user_id
    ), gone AS (
        DELETE FROM cart_items AS line USING bought
        WHERE line.user_id = $1 AND line.product_id = bought.product_id
            AND line.quantity <= bought.units
        RETURNING line.user_id
    )",
            $end,
            "UPDATE carts SET updated_at = ",
            now!(),
            " WHERE user_id = $1 AND (EXISTS (SELECT FROM fewer) OR EXISTS (SELECT FROM gone))"
        )
    };
}

/// $1 user, $2 order, $3 products, $4 units of each. The order's place in the ledger and what it
/// takes away are one statement; without a new place there is nothing bought. The lines are found by $1 and not by
/// the user of the place: PostgreSQL plans before it knows that there is one user at the most, and would read all carts.
const CLEAR_FOR_ORDER: &str = take!(
    "WITH first AS (
        INSERT INTO cart_clearances (user_id, order_id) VALUES ($1, $2)
        ON CONFLICT (user_id, order_id) DO NOTHING RETURNING user_id
    ), ",
    " "
);

/// As [`CLEAR_FOR_ORDER`], with the lock before it and the look after it in one statement, for a cart that nobody
/// else is changing. A statement sees what was committed before it began. So it compares the cart's time as it sees
/// it with the time of the row that it has locked: if another call changed the cart between both, it does nothing.
/// What is left are the lines as it sees them without what it takes, because nobody else could take any.
const CLEAR_ALONE: &str = concat!(
    take!(
        "WITH seen AS MATERIALIZED (
        SELECT updated_at FROM carts WHERE user_id = $1
    ), locked AS MATERIALIZED (
        SELECT updated_at FROM carts WHERE user_id = $1 FOR NO KEY UPDATE
    ), alone AS MATERIALIZED (
        SELECT FROM locked JOIN seen USING (updated_at)
    ), first AS (
        INSERT INTO cart_clearances (user_id, order_id) SELECT $1, $2 FROM alone
        ON CONFLICT (user_id, order_id) DO NOTHING RETURNING user_id
    ), ",
        ", changed AS ("
    ),
    "
        RETURNING updated_at
    ), cart AS (
        SELECT coalesce((SELECT updated_at FROM changed), updated_at) AS updated_at FROM seen
        WHERE EXISTS (SELECT FROM alone)
    ), kept AS (
        SELECT position, line.product_id, name, price, line.quantity - coalesce(units, 0) AS quantity
        FROM cart_items AS line LEFT JOIN bought USING (product_id)
        WHERE line.user_id = $1 AND line.quantity > coalesce(units, 0)
    )
    SELECT ",
    rfc3339!("updated_at"),
    ", product_id, name, (price * 100)::bigint, quantity::integer
    FROM cart LEFT JOIN kept ON true ORDER BY position"
);

/// `clear-cart`: removes every line, or what an order bought.
#[derive(Debug)]
pub struct ClearCart {
    database: Database,
}

/// What an order bought: products and units, side by side.
struct Purchase {
    order: Uuid,
    products: Vec<Uuid>,
    units: Vec<i32>,
}

impl Function for ClearCart {
    type Rpc = rpc::ClearCart;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(
                setup,
                Options::preparing(&[CLEAR_ALONE, LOCK, CLEAR, READ]),
            )?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = request.user_id()?;
        let purchase = Purchase::of(&request)?;
        if let Some(purchase) = &purchase
            && cx.idempotency.is_none()
            && let Some(cart) = self.clear_alone(cx, user, purchase).await?
        {
            return Ok(cart::response(cart, CLEARED));
        }
        let statement = match purchase {
            None => CLEAR,
            Some(_) => CLEAR_FOR_ORDER,
        };
        // A cart that is cleared has fewer lines, and costs less: there is nothing to refuse.
        self.database
            .write_together(
                cx,
                &[LOCK, statement, READ],
                |tx: &Transaction<'_>| Box::pin(clear(tx, user, purchase.as_ref())),
                |rows: Vec<Row>| {
                    let cart = cart::within_range(user, &rows)?;
                    Ok(cart::response(cart, CLEARED))
                },
            )
            .await
    }
}

impl ClearCart {
    /// Takes what an order bought from the cart in one round trip, and gives what is left. None, and nothing done,
    /// where another call changes the cart, and where there is none.
    async fn clear_alone(
        &self,
        cx: &Call,
        user: Uuid,
        purchase: &Purchase,
    ) -> Result<Option<Cart>, Error> {
        let session = self.database.session(cx).await?;
        let Purchase {
            order,
            products,
            units,
        } = purchase;
        let rows = session
            .query(CLEAR_ALONE, &[&user, order, products, units])
            .await;
        let rows = rows.map_err(QueryError::unless_definite)?;
        if rows.is_empty() {
            return Ok(None);
        }
        cart::within_range(user, &rows).map(Some)
    }
}

/// What people are told.
const CLEARED: &str = "cart cleared";

/// Clears the cart of `user`, of everything or of the `purchase`, and gives the rows of what is left.
async fn clear(
    session: &Session,
    user: Uuid,
    purchase: Option<&Purchase>,
) -> Result<Vec<Row>, QueryError> {
    let (_, rows) = match purchase {
        None => cart::send(session, user, CLEAR, &[&user]).await?,
        Some(Purchase {
            order,
            products,
            units,
        }) => {
            let params: &[&(dyn ToSql + Sync)] = &[&user, order, products, units];
            cart::send(session, user, CLEAR_FOR_ORDER, params).await?
        }
    };
    Ok(rows)
}

impl Purchase {
    /// What a request says that an order bought; none when it speaks of no order.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for an order without a purchase, and the other way round.
    fn of(request: &ClearCartRequest) -> Result<Option<Self>, Error> {
        let bought = &request.bought;
        match request.order_id()? {
            None if bought.is_empty() => Ok(None),
            None => Err(Error::field("order_id", "is required with bought")),
            Some(_) if bought.is_empty() => {
                Err(Error::field("bought", "is required with order_id"))
            }
            Some(order) => Ok(Some(Self {
                order,
                products: bought
                    .iter()
                    .map(BoughtItem::product_id)
                    .collect::<Result<_, _>>()?,
                units: bought.iter().map(|item| item.quantity).collect(),
            })),
        }
    }
}
