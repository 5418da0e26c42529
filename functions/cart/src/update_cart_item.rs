use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{
    cart::CartResponse,
    rpc::{self, Rpc},
};

use crate::{
    cart::{self, LOCK, READ, now},
    line::{Line, no_such_line},
    offer::{Offers, too_many},
    remove_from_cart::{REMOVE, remove},
};

/// The parameters of [`Line::write`]. Changes no line that would have more than it may.
const SET: &str = concat!(
    "WITH line AS (
        UPDATE cart_items SET
            name = $3, price = round($4::bigint::numeric / 100, 2), quantity = $5::integer
        WHERE user_id = $1 AND product_id = $2 AND $5 <= $6::integer
        RETURNING user_id
    )
    UPDATE carts SET updated_at = ",
    now!(),
    " FROM line WHERE carts.user_id = line.user_id"
);

/// `update-cart-item`: sets the quantity of one line, as far as get-product knows that there is so
/// much, or removes it.
#[derive(Debug)]
pub struct UpdateCartItem {
    database: Database,
    offers: Offers,
}

impl Function for UpdateCartItem {
    type Rpc = rpc::UpdateCartItem;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::preparing(&[LOCK, SET, READ, REMOVE]));
        let offers = Offers::from_setup(setup, &database, &Self::Rpc::INFO);
        Ok(Self {
            database: database?,
            offers: offers?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let line = Line {
            user: request.user_id()?,
            product: request.product_id()?,
            units: request.new_quantity,
        };
        if line.units <= 0 {
            // Asks nobody: what goes need not be in stock.
            return remove(&self.database, cx, line.user, line.product).await;
        }
        let offer = self.offers.of(cx, line.product);
        self.database
            .write_after(cx, offer, move |tx: &mut Transaction<'_>, offer| {
                Box::pin(async move {
                    match line.write(tx, SET, &offer).await? {
                        // Another call may have added the line since.
                        (0, cart) if line.units > offer.most && line.units_in(&cart) > 0 => {
                            Err(too_many(line.units))
                        }
                        (0, _) => Err(no_such_line()),
                        (_, cart) => Ok(cart::response(cart, "quantity set")),
                    }
                })
            })
            .await
    }
}
