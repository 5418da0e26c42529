//! What get-product says of a product that is to be in a cart.

use std::time::Duration;

use uuid::Uuid;
use zerocart_client::{Caller, Client, Functions, Options};
use zerocart_core::{Call, Error, Invalid, Kind, Setup};
use zerocart_postgres::{Database, shared_breaker};
use zerocart_proto::{
    money::Cents,
    product::{GetProductRequest, ProductResponse},
    rpc::{self, Info, Rpc},
};

use crate::cart::MAX_UNITS;

/// A product, as get-product says.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) name: String,
    /// The price.
    pub(crate) cents: i64,
    /// The most units that a cart may have of it.
    pub(crate) most: i32,
}

/// Asks get-product.
#[derive(Debug)]
pub(crate) struct Offers {
    get_product: Client<rpc::GetProduct>,
}

/// How long a probe of get-product may block others: as long as a whole call of these functions may
/// take.
const PROBE_LEASE: Duration = rpc::AddToCart::INFO.timeout();

impl Offers {
    /// A client of get-product from the environment, for `caller`, behind the breaker that all
    /// functions of carts share.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        database: &Result<Database, Invalid>,
        caller: &Info,
    ) -> Result<Self, Invalid> {
        let breaker = shared_breaker(setup, database, rpc::GetProduct::INFO.name, PROBE_LEASE);
        // Made without the breaker too, so that start-up reports its mistakes as well.
        let options = Options {
            breaker: breaker.as_ref().ok().cloned(),
            ..Default::default()
        };
        let functions = Functions::from_setup(setup, Caller::from(caller));
        let get_product = functions.and_then(|functions| functions.client(setup, options));
        breaker?;
        Ok(Self {
            get_product: get_product?,
        })
    }

    /// What get-product says of a product.
    ///
    /// # Errors
    ///
    /// NOT_FOUND for a product that it does not know; why it gave no answer.
    pub(crate) async fn of(&self, cx: &Call, product: Uuid) -> Result<Offer, Error> {
        let asked = GetProductRequest {
            id: product.to_string(),
        };
        match self.get_product.call(cx, &asked).await {
            Ok(response) => offer(response).ok_or_else(|| {
                Error::internal("get-product answered without a product, or without its price")
            }),
            Err(failure) if failure.kind == Kind::NotFound => {
                Err(Error::not_found("there is no such product"))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

/// An answer of get-product; none when it is not as the contract says.
fn offer(response: ProductResponse) -> Option<Offer> {
    let product = response.product?;
    let price = Cents::from_wire(product.price).filter(|price| *price >= Cents::ZERO)?;
    Some(Offer {
        name: product.name,
        cents: price.get(),
        most: product.inventory.min(MAX_UNITS),
    })
}

/// Why a line may not have `units`.
pub(crate) fn too_many(units: i32) -> Error {
    Error::new(
        Kind::FailedPrecondition,
        if units > MAX_UNITS {
            "a cart holds at most 10,000 units of one product"
        } else {
            "there is not enough of this product in stock"
        },
    )
}
