use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{product::InventoryResponse, rpc};

use crate::{
    database,
    reservation::{self, RELEASE, RESERVE, not_enough, too_many},
    unknown_product,
};

/// One conditional statement: the row is locked, looked at and changed at once. The second column
/// tells an unknown product from one without enough stock.
const UPDATE: &str = "
    WITH changed AS (
        UPDATE products SET inventory = inventory + $2::integer
        WHERE id = $1 AND inventory::bigint + $2::integer BETWEEN 0 AND 2147483647
        RETURNING inventory
    )
    SELECT (SELECT inventory FROM changed), EXISTS (SELECT FROM products WHERE id = $1)";

/// `update-inventory`: adds to or takes from the stock of one product, for good or for a
/// reservation.
#[derive(Debug)]
pub struct UpdateInventory {
    database: Database,
}

impl Function for UpdateInventory {
    type Rpc = rpc::UpdateInventory;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[RESERVE, RELEASE, UPDATE])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<InventoryResponse, Error> {
        let id = request.product_id()?;
        let change = request.quantity_change;
        let Some(reservation) = request.reservation_id()? else {
            return self.change(cx, id, change).await;
        };
        let quantity = change.saturating_abs();
        if change < 0 {
            reservation::reserve(&self.database, cx, id, reservation, quantity).await
        } else {
            reservation::release(&self.database, cx, id, reservation, quantity).await
        }
    }
}

impl UpdateInventory {
    /// A plain change of stock.
    async fn change(&self, cx: &Call, id: Uuid, change: i32) -> Result<InventoryResponse, Error> {
        self.database
            .write_one(cx, UPDATE, &[&id, &change], |updated| {
                let row = updated?;
                match row.get(0) {
                    Some(new_inventory) => Ok(InventoryResponse {
                        success: true,
                        new_inventory,
                        message: "inventory updated".into(),
                    }),
                    None if !row.get::<_, bool>(1) => Err(unknown_product()),
                    None if change > 0 => Err(too_many()),
                    None => Err(not_enough()),
                }
            })
            .await
    }
}
