use uuid::Uuid;
use zerocart_postgres::Database;
use zerocart_proto::{product::InventoryResponse, rpc};
use zerocart_runtime::{Call, Error, Function, Invalid, Kind, READY_TIMEOUT, Request, Setup};

use crate::database;

/// One conditional statement: the row is locked, looked at and changed at once. The second column
/// tells an unknown product from one without enough stock.
const UPDATE: &str = "
    WITH changed AS (
        UPDATE products SET inventory = inventory + $2::integer
        WHERE id = $1 AND inventory::bigint + $2::integer BETWEEN 0 AND 2147483647
        RETURNING inventory
    )
    SELECT (SELECT inventory FROM changed), EXISTS (SELECT FROM products WHERE id = $1)";

/// `update-inventory`: adds to or takes from the stock of one product.
#[derive(Debug)]
pub struct UpdateInventory {
    database: Database,
}

impl Function for UpdateInventory {
    type Rpc = rpc::UpdateInventory;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[UPDATE])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<InventoryResponse, Error> {
        let id = Uuid::try_parse(&request.product_id)
            .map_err(|_| Error::field("product_id", "must be a UUID"))?;
        let change = request.quantity_change;
        self.database
            .write_one(cx, UPDATE, &[&id, &change], |updated| {
                let row = updated?;
                let existed = row.as_ref().is_some_and(|row| row.get(1));
                match row.and_then(|row| row.get(0)) {
                    Some(new_inventory) => Ok(InventoryResponse {
                        success: true,
                        new_inventory,
                        message: "inventory updated".into(),
                    }),
                    None if !existed => Err(Error::not_found("there is no such product")),
                    None if change > 0 => Err(Error::new(
                        Kind::FailedPrecondition,
                        "the stock of this product would be too large to count",
                    )),
                    None => Err(Error::new(
                        Kind::FailedPrecondition,
                        "there is not enough of this product in stock",
                    )),
                }
            })
            .await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}
