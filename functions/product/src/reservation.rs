//! Units held for something, such as an order: taken once and given back once, even if calls are
//! repeated, lost or overtaken.
//!
//! Each statement first locks the ledger's row. `ON CONFLICT DO UPDATE` waits for the transaction
//! that holds the row, and then sees its result; a plain read would see the state before. After
//! that, it changes the stock in the product's row. Both statements lock in this order, so they
//! cannot deadlock. A negative stock violates `products_inventory_not_negative`, which also undoes
//! the ledger's row.

use uuid::Uuid;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, ErrorExt, Row, RowExt};
use zerocart_proto::product::InventoryResponse;

use crate::unknown_product;

/// $1 product, $2 reservation, $3 units, $4 this call.
///
/// What was sold out when the statement began, with nothing reserved, is refused without any lock:
/// most of those who come for the last unit. So is what was archived: it is not known any more.
pub(crate) const RESERVE: &str = "
    WITH ledger AS (
        INSERT INTO reservations AS kept (product_id, reservation_id, quantity, reserved_by)
        SELECT id, $2::uuid, $3::integer, $4::uuid FROM products
        WHERE id = $1 AND (archived_at IS NULL AND inventory >= $3 OR EXISTS (
            SELECT FROM reservations WHERE reservation_id = $2 AND product_id = $1
        ))
        ON CONFLICT (reservation_id, product_id) DO UPDATE SET quantity = kept.quantity
        RETURNING quantity, released_by IS NOT NULL AS released,
            reserved_by IS NOT DISTINCT FROM $4 AS first
    ), stock AS (
        UPDATE products SET inventory = inventory - CASE WHEN first THEN quantity ELSE 0 END
        FROM ledger WHERE id = $1 AND NOT released
        RETURNING inventory
    )
    SELECT EXISTS (SELECT FROM products WHERE id = $1 AND archived_at IS NULL) AS known,
        (SELECT inventory FROM stock) AS inventory,
        (SELECT quantity FROM ledger) AS quantity,
        (SELECT released FROM ledger) AS released";

/// $1 product, $2 reservation, $3 units, $4 this call.
///
/// A stock that would be too large to count becomes -1, which the check refuses.
pub(crate) const RELEASE: &str = "
    WITH ledger AS (
        INSERT INTO reservations AS kept (product_id, reservation_id, quantity, released_by)
        SELECT id, $2::uuid, 0, $4::uuid FROM products WHERE id = $1
        ON CONFLICT (reservation_id, product_id) DO UPDATE SET released_by = CASE
            WHEN kept.quantity = $3::integer THEN coalesce(kept.released_by, excluded.released_by)
            ELSE kept.released_by
        END
        RETURNING quantity, released_by IS NOT DISTINCT FROM $4 AS first
    ), stock AS (
        UPDATE products SET inventory = CASE
            WHEN NOT first THEN inventory
            WHEN inventory::bigint + quantity > 2147483647 THEN -1
            ELSE inventory + quantity
        END
        FROM ledger WHERE id = $1
        RETURNING inventory
    )
    SELECT EXISTS (SELECT FROM products WHERE id = $1) AS known,
        (SELECT inventory FROM stock) AS inventory,
        (SELECT quantity FROM ledger) AS quantity";

const STOCK_CHECK: &str = "products_inventory_not_negative";

/// Takes `quantity` units of a product for `reservation`, once.
///
/// # Errors
///
/// NOT_FOUND for an unknown product; FAILED_PRECONDITION when there is not enough, which may be
/// tried again, when the reservation was released, and when it is of another quantity.
pub(crate) async fn reserve(
    database: &Database,
    cx: &Call,
    product: Uuid,
    reservation: Uuid,
    quantity: i32,
) -> Result<InventoryResponse, Error> {
    let call = Uuid::now_v7();
    database
        .write_one(
            cx,
            RESERVE,
            &[&product, &reservation, &quantity, &call],
            |reserved| {
                let row = reserved.on_constraint(STOCK_CHECK, not_enough)?;
                match row.column("quantity")? {
                    None if row.column("known")? => Err(not_enough()),
                    None => Err(unknown_product()),
                    Some(_) if row.column("released")? => Err(Error::new(
                        Kind::FailedPrecondition,
                        "this reservation was released, and cannot be made any more",
                    )),
                    Some(held) if held != quantity => Err(another_quantity(held)),
                    Some(_) => answer(&row, "units reserved"),
                }
            },
        )
        .await
}

/// Gives back the `quantity` units of a product that `reservation` took, once. What was never
/// reserved cannot be any more.
///
/// # Errors
///
/// NOT_FOUND for an unknown product; FAILED_PRECONDITION when the reservation is of another
/// quantity, and when the stock would be too large to count.
pub(crate) async fn release(
    database: &Database,
    cx: &Call,
    product: Uuid,
    reservation: Uuid,
    quantity: i32,
) -> Result<InventoryResponse, Error> {
    let call = Uuid::now_v7();
    database
        .write_one(
            cx,
            RELEASE,
            &[&product, &reservation, &quantity, &call],
            |released| {
                let row = released.on_constraint(STOCK_CHECK, too_many)?;
                match row.column("quantity")? {
                    None => Err(unknown_product()),
                    Some(held) if held != 0 && held != quantity => Err(another_quantity(held)),
                    Some(_) => answer(&row, "units released"),
                }
            },
        )
        .await
}

fn answer(row: &Row, message: &str) -> Result<InventoryResponse, Error> {
    Ok(InventoryResponse {
        success: true,
        new_inventory: row.column("inventory")?,
        message: message.into(),
    })
}

pub(crate) fn not_enough() -> Error {
    Error::new(
        Kind::FailedPrecondition,
        "there is not enough of this product in stock",
    )
}

pub(crate) fn too_many() -> Error {
    Error::new(
        Kind::FailedPrecondition,
        "the stock of this product would be too large to count",
    )
}

fn another_quantity(held: i32) -> Error {
    Error::new(
        Kind::FailedPrecondition,
        format!("quantity_change is not that of the reservation, which is of {held} units"),
    )
}
