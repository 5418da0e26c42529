use std::time::Duration;

use uuid::Uuid;
use zerocart_client::{Caller, Client, Functions, Options};
use zerocart_postgres::{Database, ToSql, Transaction, shared_breaker};
use zerocart_proto::{
    cart::{Cart, CartResponse},
    money::Cents,
    product::GetProductRequest,
    rpc::{self, Rpc},
};
use zerocart_resilience::breaker;
use zerocart_runtime::{Call, Error, Function, Invalid, Kind, READY_TIMEOUT, Request, Setup, uuid};

use crate::cart::{self, LOCK, MAX_UNITS, READ, now};

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
    get_product: Client<rpc::GetProduct>,
}

/// A product, as get-product says.
struct Offer {
    name: String,
    price: Cents,
    stock: i32,
}

/// The breaker around get-product: 3 failures in a row, of whichever instance, open it for 30 s,
/// then one call at a time probes, and 2 successes close it.
const BREAKER: breaker::Config = breaker::Config {
    failure_threshold: 3,
    success_threshold: 2,
    open_for: Duration::from_secs(30),
    half_open_probes: 1,
    // As long as the whole call may take: a probe of an instance that died blocks no longer.
    probe_lease: Some(rpc::AddToCart::INFO.timeout()),
};

impl Function for AddToCart {
    type Rpc = rpc::AddToCart;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = cart::database(setup, &[LOCK, ADD, READ]);
        // Shortened by tests.
        let open_for = setup.millis("BREAKER_OPEN_MS", BREAKER.open_for);
        let breaker = match (&database, open_for) {
            (Ok(database), Ok(open_for)) => {
                let rules = breaker::Config {
                    open_for,
                    ..BREAKER
                };
                shared_breaker(setup, database, rpc::GetProduct::INFO.name, rules)
            }
            _ => Err(Invalid),
        };
        // Made without the breaker too, so that what is wrong with it is told as well.
        let options = Options {
            breaker: breaker.as_ref().ok().cloned(),
            ..Default::default()
        };
        let functions = Functions::from_setup(setup, Caller::from(&Self::Rpc::INFO));
        let get_product = functions.and_then(|functions| functions.client(setup, options));
        breaker?;
        Ok(Self {
            database: database?,
            get_product: get_product?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = uuid("user_id", &request.user_id)?;
        let product = uuid("product_id", &request.product_id)?;
        let quantity = request.quantity;
        // Before the transaction: no lock and no connection is held while another function works.
        let offer = match self.offer(cx, product).await {
            Err(error) if cx.idempotency.is_none() => return Err(error),
            offer => offer,
        };
        self.database
            .write(cx, |tx: &mut Transaction<'_>| {
                Box::pin(async move {
                    // Only here: under a key that was answered before, that answer stands, whatever
                    // get-product says by now.
                    let offer = offer?;
                    let most = offer.stock.min(MAX_UNITS);
                    let cents = offer.price.get();
                    let params: &[&(dyn ToSql + Sync)] =
                        &[&user, &product, &offer.name, &cents, &quantity, &most];
                    match cart::change(tx, user, ADD, params).await? {
                        (0, cart) => Err(refused(&cart, product, quantity)),
                        (_, cart) => Ok(cart::response(cart, "added to the cart")),
                    }
                })
            })
            .await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}

impl AddToCart {
    /// Asks get-product.
    async fn offer(&self, cx: &Call, product: Uuid) -> Result<Offer, Error> {
        let asked = GetProductRequest {
            id: product.to_string(),
        };
        match self.get_product.call(cx, &asked).await {
            Ok(response) => {
                let product = response.product.ok_or_else(unreadable)?;
                let price = Cents::from_wire(product.price).filter(|price| *price >= Cents::ZERO);
                Ok(Offer {
                    name: product.name,
                    price: price.ok_or_else(unreadable)?,
                    stock: product.inventory,
                })
            }
            Err(failure) if failure.kind == Kind::NotFound => {
                Err(Error::not_found("there is no such product"))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

/// The answer of get-product is not as the contract says.
fn unreadable() -> Error {
    Error::internal("get-product answered without a product, or without its price")
}

/// Why `quantity` units more are too many for what is in the cart.
fn refused(cart: &Cart, product: Uuid, quantity: i32) -> Error {
    let product = product.to_string();
    let line = cart.items.iter().find(|line| line.product_id == product);
    let there = line.map_or(0, |line| line.quantity);
    Error::new(
        Kind::FailedPrecondition,
        if there.saturating_add(quantity) > MAX_UNITS {
            "a cart holds at most 10,000 units of one product"
        } else {
            "there is not enough of this product in stock"
        },
    )
}
