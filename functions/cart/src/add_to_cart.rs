use zerocart_postgres::{Database, ToSql, Transaction};
use zerocart_proto::{
    cart::CartResponse,
    rpc::{self, Rpc},
};
use zerocart_runtime::{Call, Error, Function, Invalid, Request, Setup, uuid};

use crate::{
    cart::{self, LOCK, READ, now, units},
    offer::{Offers, too_many},
};

/// $1 user, $2 product, $3 name, $4 cents, $5 units to add, $6 the most that the line may have.
/// Changes no line when it would have more.
const ADD: &str = concat!(
    "WITH cart AS (
        INSERT INTO carts (user_id, updated_at) VALUES ($1, clock_timestamp())
        ON CONFLICT (user_id) DO UPDATE SET updated_at = ",
    now!(),
    " RETURNING user_id
    )
    INSERT INTO cart_items AS line (user_id, product_id, name, price, quantity)
    SELECT user_id, $2::uuid, $3::text, round($4::bigint::numeric / 100, 2), $5::integer
    FROM cart WHERE $5 <= $6::integer
    ON CONFLICT (user_id, product_id) DO UPDATE SET
        name = excluded.name, price = excluded.price, quantity = line.quantity + excluded.quantity
    WHERE line.quantity + excluded.quantity <= $6"
);

/// `add-to-cart`: adds units of a product, as get-product knows it, to what is already there.
#[derive(Debug)]
pub struct AddToCart {
    database: Database,
    offers: Offers,
}

impl Function for AddToCart {
    type Rpc = rpc::AddToCart;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = cart::database(setup, &[LOCK, ADD, READ]);
        let offers = Offers::from_setup(setup, &database, &Self::Rpc::INFO);
        Ok(Self {
            database: database?,
            offers: offers?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = uuid("user_id", &request.user_id)?;
        let product = uuid("product_id", &request.product_id)?;
        let quantity = request.quantity;
        // Before the transaction: no lock and no connection is held while another function works.
        let offer = self.offers.of(cx, product).await?;
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
                    match cart::change(tx, user, ADD, params).await? {
                        (0, cart) => {
                            let there = units(&cart, product);
                            Err(too_many(there.saturating_add(quantity)))
                        }
                        (_, cart) => Ok(cart::response(cart, "added to the cart")),
                    }
                })
            })
            .await
    }
}
