use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{cart::CartResponse, rpc};

use crate::{
    cart::{self, LOCK, READ, now},
    line::no_such_line,
};

/// $1 user, $2 product.
pub(crate) const REMOVE: &str = concat!(
    "WITH gone AS (
        DELETE FROM cart_items WHERE user_id = $1 AND product_id = $2 RETURNING user_id
    )
    UPDATE carts SET updated_at = ",
    now!(),
    " FROM gone WHERE carts.user_id = gone.user_id"
);

/// `remove-from-cart`: removes one line.
#[derive(Debug)]
pub struct RemoveFromCart {
    database: Database,
}

impl Function for RemoveFromCart {
    type Rpc = rpc::RemoveFromCart;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[LOCK, REMOVE, READ]))?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = request.user_id()?;
        let product = request.product_id()?;
        remove(&self.database, cx, user, product).await
    }
}

/// Removes the line of a product from the cart of a user.
///
/// # Errors
///
/// NOT_FOUND when there is no such line.
pub(crate) async fn remove(
    database: &Database,
    cx: &Call,
    user: Uuid,
    product: Uuid,
) -> Result<CartResponse, Error> {
    database
        .write(cx, |tx: &mut Transaction<'_>| {
            Box::pin(async move {
                match cart::change(tx, user, REMOVE, &[&user, &product]).await? {
                    (0, _) => Err(no_such_line()),
                    (_, cart) => Ok(cart::response(cart, "line removed")),
                }
            })
        })
        .await
}
