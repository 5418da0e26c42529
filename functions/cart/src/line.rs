//! One line of a cart, as a request wants it.

use uuid::Uuid;
use zerocart_core::Error;
use zerocart_postgres::{ToSql, Transaction};
use zerocart_proto::cart::Cart;

use crate::{cart, offer::Offer};

/// Units of a product in the cart of a user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) user: Uuid,
    pub(crate) product: Uuid,
    pub(crate) units: i32,
}

impl Line {
    /// Changes the cart by `statement`, at the name and price of `offer`: see [`cart::change`].
    ///
    /// The parameters are $1 user, $2 product, $3 name, $4 cents, $5 units, $6 the most that the line
    /// may have.
    pub(crate) async fn write(
        &self,
        tx: &Transaction<'_>,
        statement: &str,
        offer: &Offer,
    ) -> Result<(u64, Cart), Error> {
        let params: &[&(dyn ToSql + Sync)] = &[
            &self.user,
            &self.product,
            &offer.name,
            &offer.cents,
            &self.units,
            &offer.most,
        ];
        cart::change(tx, self.user, statement, params).await
    }

    /// The units of its product that a cart has.
    pub(crate) fn units_in(&self, cart: &Cart) -> i32 {
        let product = self.product.to_string();
        let line = cart.items.iter().find(|line| line.product_id == product);
        line.map_or(0, |line| line.quantity)
    }
}

/// The answer for a line that the cart does not have.
pub(crate) fn no_such_line() -> Error {
    Error::not_found("this product is not in the cart")
}
