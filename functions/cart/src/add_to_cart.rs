use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{
    cart::CartResponse,
    rpc::{self, Rpc},
};

use crate::{
    cart::{self, LOCK, READ, now},
    line::Line,
    offer::{Offers, too_many},
};

/// The parameters of [`Line::write`]; $5 are units to add. Changes no line that would have more than
/// it may.
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
        let database = Database::from_setup(setup, Options::preparing(&[LOCK, ADD, READ]));
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
            units: request.quantity,
        };
        let offer = self.offers.of(cx, line.product);
        self.database
            .write_after(cx, offer, move |tx: &mut Transaction<'_>, offer| {
                Box::pin(async move {
                    match line.write(tx, ADD, &offer).await? {
                        (0, cart) => {
                            let wanted = line.units_in(&cart).saturating_add(line.units);
                            Err(too_many(wanted))
                        }
                        (_, cart) => Ok(cart::response(cart, "added to the cart")),
                    }
                })
            })
            .await
    }
}
