use uuid::Uuid;
use zerocart_postgres::{Database, ToSql, Transaction};
use zerocart_proto::{
    cart::CartResponse,
    rpc::{self, Rpc},
};
use zerocart_runtime::{Call, Error, Function, Invalid, Request, Setup, uuid};

use crate::{
    cart::{self, LOCK, READ, no_such_line, now, units},
    offer::{Offer, Offers, too_many},
    remove_from_cart::REMOVE,
};

/// $1 user, $2 product, $3 name, $4 cents, $5 units, $6 the most that the line may have. Changes no
/// line when it would have more.
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
        let database = cart::database(setup, &[LOCK, SET, READ, REMOVE]);
        let offers = Offers::from_setup(setup, &database, &Self::Rpc::INFO);
        Ok(Self {
            database: database?,
            offers: offers?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = uuid("user_id", &request.user_id)?;
        let product = uuid("product_id", &request.product_id)?;
        let quantity = request.new_quantity;
        if quantity <= 0 {
            return self.remove(cx, user, product).await;
        }
        // Before the transaction: no lock and no connection is held while another function works.
        let offer = self.offers.of(cx, product).await?;
        self.set(cx, user, product, quantity, offer).await
    }
}

impl UpdateCartItem {
    async fn set(
        &self,
        cx: &Call,
        user: Uuid,
        product: Uuid,
        quantity: i32,
        offer: Result<Offer, Error>,
    ) -> Result<CartResponse, Error> {
        self.database
            .write(cx, |tx: &mut Transaction<'_>| {
                Box::pin(async move {
                    let offer = offer?;
                    let params: &[&(dyn ToSql + Sync)] = &[
                        &user,
                        &product,
                        &offer.name,
                        &offer.cents,
                        &quantity,
                        &offer.most,
                    ];
                    match cart::change(tx, user, SET, params).await? {
                        (0, cart) if units(&cart, product) > 0 => Err(too_many(quantity)),
                        (0, _) => Err(no_such_line()),
                        (_, cart) => Ok(cart::response(cart, "quantity set")),
                    }
                })
            })
            .await
    }

    /// Asks nobody: what goes need not be in stock.
    async fn remove(&self, cx: &Call, user: Uuid, product: Uuid) -> Result<CartResponse, Error> {
        self.database
            .write(cx, |tx: &mut Transaction<'_>| {
                Box::pin(async move {
                    let params: &[&(dyn ToSql + Sync)] = &[&user, &product];
                    match cart::change(tx, user, REMOVE, params).await? {
                        (0, _) => Err(no_such_line()),
                        (_, cart) => Ok(cart::response(cart, "line removed")),
                    }
                })
            })
            .await
    }
}
