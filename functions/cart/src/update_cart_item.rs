use zerocart_postgres::{Database, ToSql, Transaction};
use zerocart_proto::{cart::CartResponse, rpc};
use zerocart_runtime::{Call, Error, Function, Invalid, READY_TIMEOUT, Request, Setup, uuid};

use crate::{
    cart::{self, LOCK, READ, no_such_line, now},
    remove_from_cart::REMOVE,
};

/// $1 user, $2 product, $3 units.
const SET: &str = concat!(
    "WITH line AS (
        UPDATE cart_items SET quantity = $3 WHERE user_id = $1 AND product_id = $2
        RETURNING user_id
    )
    UPDATE carts SET updated_at = ",
    now!(),
    " FROM line WHERE carts.user_id = line.user_id"
);

/// `update-cart-item`: sets the quantity of one line, or removes it.
///
/// It asks nobody for the stock: what there is counts when the cart is ordered.
#[derive(Debug)]
pub struct UpdateCartItem {
    database: Database,
}

impl Function for UpdateCartItem {
    type Rpc = rpc::UpdateCartItem;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: cart::database(setup, &[LOCK, SET, READ, REMOVE])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = uuid("user_id", &request.user_id)?;
        let product = uuid("product_id", &request.product_id)?;
        let quantity = request.new_quantity;
        self.database
            .write(cx, |tx: &mut Transaction<'_>| {
                Box::pin(async move {
                    let (done, message) = if quantity > 0 {
                        let params: &[&(dyn ToSql + Sync)] = &[&user, &product, &quantity];
                        (cart::change(tx, user, SET, params).await?, "quantity set")
                    } else {
                        let params: &[&(dyn ToSql + Sync)] = &[&user, &product];
                        (
                            cart::change(tx, user, REMOVE, params).await?,
                            "line removed",
                        )
                    };
                    match done {
                        (0, _) => Err(no_such_line()),
                        (_, cart) => Ok(cart::response(cart, message)),
                    }
                })
            })
            .await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}
