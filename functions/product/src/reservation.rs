//! Units held for something, such as an order: taken once and given back once, even if calls are
//! repeated, lost or overtaken.
//!
//! Each statement first locks the ledger's row. `ON CONFLICT DO UPDATE` waits for the transaction
//! that holds the row, and then sees its result; a plain read would see the state before. After
//! that, it changes the stock in the product's row. Both statements lock in this order, so they
//! cannot deadlock. A negative stock violates `products_inventory_not_negative`, which also undoes
//! the ledger's row. `lines` does the same for several products at once.

use uuid::Uuid;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, ErrorExt, RowExt};
use zerocart_proto::{
    product::{InventoryResponse, LineInventory},
    validate::Violations,
};

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

/// The check that no stock is negative.
pub(crate) const STOCK_CHECK: &str = "products_inventory_not_negative";

/// Units of one product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) product: Uuid,
    /// Above 0.
    pub(crate) quantity: i32,
}

/// How a request asks, and so how it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// By `product_id` and `quantity_change`.
    Product,
    /// By `lines`.
    Lines,
}

/// Why units are not reserved or not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The product is unknown, or not sold any more.
    Unknown,
    /// There is too little in stock.
    NotEnough,
    /// The reservation was released.
    Released,
    /// The reservation is of so many units.
    AnotherQuantity(i32),
    /// The stock would be too large.
    TooMany,
}

impl Refusal {
    /// What is said of a line, after its name.
    fn of_line(self) -> String {
        match self {
            Self::Unknown => "is of a product that is not there".to_owned(),
            Self::NotEnough => "is of more units than are in stock".to_owned(),
            Self::Released => {
                "is of a reservation that was released, and cannot be made any more".to_owned()
            }
            Self::AnotherQuantity(held) => {
                format!("is not of the units that are reserved, which are {held}")
            }
            Self::TooMany => "would make the stock too large to count".to_owned(),
        }
    }

    fn of_product(self) -> Error {
        let refused = |why: String| Error::new(Kind::FailedPrecondition, why);
        match self {
            Self::Unknown => unknown_product(),
            Self::NotEnough => refused("there is not enough of this product in stock".to_owned()),
            Self::Released => {
                refused("this reservation was released, and cannot be made any more".to_owned())
            }
            Self::AnotherQuantity(held) => refused(format!(
                "quantity_change is not that of the reservation, which is of {held} units"
            )),
            Self::TooMany => {
                refused("the stock of this product would be too large to count".to_owned())
            }
        }
    }
}

impl Form {
    /// The error for one product.
    pub(crate) fn refuse(self, why: Refusal) -> Error {
        match self {
            Self::Product => why.of_product(),
            Self::Lines => refuse_lines([(0, why)]),
        }
    }

    fn answer(self, line: Line, inventory: i32, message: &str) -> InventoryResponse {
        match self {
            Self::Product => InventoryResponse {
                success: true,
                new_inventory: inventory,
                message: message.into(),
                lines: Vec::new(),
            },
            Self::Lines => answer_lines([(line.product, inventory)], message),
        }
    }
}

/// The error for lines, by their numbers. NOT_FOUND names unknown products and nothing else.
pub(crate) fn refuse_lines(lines: impl IntoIterator<Item = (usize, Refusal)>) -> Error {
    let lines: Vec<_> = lines.into_iter().collect();
    let unknown = lines.iter().any(|(_, why)| *why == Refusal::Unknown);
    let mut named = Violations::default();
    for (number, why) in lines {
        if (why == Refusal::Unknown) == unknown {
            named.add(format!("lines[{number}]"), why.of_line());
        }
    }
    Error::invalid(named).with_kind(match unknown {
        true => Kind::NotFound,
        false => Kind::FailedPrecondition,
    })
}

/// The answer for lines: products, and units in stock.
pub(crate) fn answer_lines(
    lines: impl IntoIterator<Item = (Uuid, i32)>,
    message: &str,
) -> InventoryResponse {
    let lines = lines.into_iter().map(|(product, inventory)| LineInventory {
        product_id: product.to_string(),
        new_inventory: inventory,
    });
    InventoryResponse {
        success: true,
        new_inventory: 0,
        message: message.into(),
        lines: lines.collect(),
    }
}

/// Takes the units of a product for `reservation`, once.
///
/// # Errors
///
/// NOT_FOUND for an unknown product; FAILED_PRECONDITION when there is not enough, which may be
/// tried again, when the reservation was released, and when it is of another quantity.
pub(crate) async fn reserve(
    database: &Database,
    cx: &Call,
    form: Form,
    line: Line,
    reservation: Uuid,
) -> Result<InventoryResponse, Error> {
    let Line { product, quantity } = line;
    let call = Uuid::now_v7();
    database
        .write_one(
            cx,
            RESERVE,
            &[&product, &reservation, &quantity, &call],
            |reserved| {
                let short = || form.refuse(Refusal::NotEnough);
                let row = reserved.on_constraint(STOCK_CHECK, short)?;
                match row.column("quantity")? {
                    None if row.column("known")? => Err(form.refuse(Refusal::NotEnough)),
                    None => Err(form.refuse(Refusal::Unknown)),
                    Some(_) if row.column("released")? => Err(form.refuse(Refusal::Released)),
                    Some(held) if held != quantity => {
                        Err(form.refuse(Refusal::AnotherQuantity(held)))
                    }
                    Some(_) => Ok(form.answer(line, row.column("inventory")?, RESERVED)),
                }
            },
        )
        .await
}

/// Gives back the units of a product that `reservation` took, once. What was never reserved cannot
/// be any more.
///
/// # Errors
///
/// NOT_FOUND for an unknown product; FAILED_PRECONDITION when the reservation is of another
/// quantity, and when the stock would be too large to count.
pub(crate) async fn release(
    database: &Database,
    cx: &Call,
    form: Form,
    line: Line,
    reservation: Uuid,
) -> Result<InventoryResponse, Error> {
    let Line { product, quantity } = line;
    let call = Uuid::now_v7();
    database
        .write_one(
            cx,
            RELEASE,
            &[&product, &reservation, &quantity, &call],
            |released| {
                let large = || form.refuse(Refusal::TooMany);
                let row = released.on_constraint(STOCK_CHECK, large)?;
                match row.column("quantity")? {
                    None => Err(form.refuse(Refusal::Unknown)),
                    Some(held) if held != 0 && held != quantity => {
                        Err(form.refuse(Refusal::AnotherQuantity(held)))
                    }
                    Some(_) => Ok(form.answer(line, row.column("inventory")?, RELEASED)),
                }
            },
        )
        .await
}

/// What people are told.
pub(crate) const RESERVED: &str = "units reserved";
pub(crate) const RELEASED: &str = "units released";
