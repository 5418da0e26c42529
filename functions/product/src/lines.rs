//! The units of several products, reserved or released together: all or nothing, in one statement.
//!
//! A statement looks first, without any lock. A line that cannot be done makes it change nothing, and
//! it names all such lines. Otherwise it goes on as the statements of `reservation` do: the ledger's
//! rows first, then the products' rows, each in the order of products. So two of them wait for each
//! other, and never for ever. The products come last, because others wait for their rows.
//!
//! What others changed since the look shows when the rows are locked. Then one product gets a stock
//! of -1, which the check refuses, and with it the whole statement. It is tried again: it then sees
//! what the others did.

use std::time::Duration;

use uuid::Uuid;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, ErrorExt, QueryError, Row, RowExt};
use zerocart_proto::product::InventoryResponse;

use crate::reservation::{
    Line, RELEASED, RESERVED, Refusal, STOCK_CHECK, answer_lines, refuse_lines,
};

/// How often a statement is tried that others got ahead of. Each time, one of them has taken stock.
const TRIES: usize = 8;

/// When a call is worth trying again that others got ahead of as often.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// $1 products, $2 reservation, $3 units of each, $4 this call.
pub(crate) const RESERVE: &str = "
    WITH line AS MATERIALIZED (
        SELECT asked.n, asked.id, asked.units, product.inventory,
            product.id IS NOT NULL AND product.archived_at IS NULL AS sold,
            kept.quantity AS held, kept.released_by IS NOT NULL AS released
        FROM unnest($1::uuid[], $3::integer[]) WITH ORDINALITY AS asked (id, units, n)
        LEFT JOIN products AS product ON product.id = asked.id
        LEFT JOIN reservations AS kept
            ON kept.reservation_id = $2::uuid AND kept.product_id = asked.id
    ), refused AS (
        SELECT FROM line WHERE CASE
            WHEN held IS NULL THEN NOT sold OR inventory < units
            ELSE released OR held <> units
        END
    ), ledger AS (
        INSERT INTO reservations AS kept (product_id, reservation_id, quantity, reserved_by)
        SELECT id, $2::uuid, units, $4::uuid FROM line
        WHERE NOT EXISTS (SELECT FROM refused) ORDER BY id
        ON CONFLICT (reservation_id, product_id) DO UPDATE SET quantity = kept.quantity
        RETURNING product_id, quantity, released_by IS NOT NULL AS released,
            reserved_by IS NOT DISTINCT FROM $4 AS first
    ), taken AS (
        SELECT product.id, CASE
            WHEN ledger.released OR ledger.quantity <> line.units THEN NULL
            WHEN ledger.first THEN line.units
            ELSE 0
        END AS units
        FROM products AS product
        JOIN ledger ON ledger.product_id = product.id
        JOIN line ON line.id = product.id
        ORDER BY product.id FOR NO KEY UPDATE OF product
    ), stock AS (
        UPDATE products AS product SET inventory = coalesce(product.inventory - taken.units, -1)
        FROM taken WHERE product.id = taken.id
        RETURNING product.id, product.inventory
    )
    SELECT line.sold, line.inventory, line.held, line.released, stock.inventory AS stock
    FROM line LEFT JOIN stock USING (id) ORDER BY n";

/// $1 products, $2 reservation, $3 units of each, $4 this call.
///
/// The stock of what was never reserved does not change, so its row is not locked.
pub(crate) const RELEASE: &str = "
    WITH line AS MATERIALIZED (
        SELECT asked.n, asked.id, asked.units, product.inventory,
            kept.quantity AS held, kept.released_by IS NOT NULL AS released
        FROM unnest($1::uuid[], $3::integer[]) WITH ORDINALITY AS asked (id, units, n)
        LEFT JOIN products AS product ON product.id = asked.id
        LEFT JOIN reservations AS kept
            ON kept.reservation_id = $2::uuid AND kept.product_id = asked.id
    ), refused AS (
        SELECT FROM line WHERE inventory IS NULL OR held NOT IN (0, units)
            OR NOT released AND inventory::bigint + held > 2147483647
    ), ledger AS (
        INSERT INTO reservations AS kept (product_id, reservation_id, quantity, released_by)
        SELECT id, $2::uuid, 0, $4::uuid FROM line
        WHERE NOT EXISTS (SELECT FROM refused) ORDER BY id
        ON CONFLICT (reservation_id, product_id)
            DO UPDATE SET released_by = coalesce(kept.released_by, excluded.released_by)
        RETURNING product_id, quantity, released_by IS NOT DISTINCT FROM $4 AS first
    ), given AS (
        SELECT product.id, CASE
            WHEN ledger.quantity NOT IN (0, line.units) THEN NULL
            WHEN ledger.first THEN ledger.quantity
            ELSE 0
        END AS units
        FROM products AS product
        JOIN ledger ON ledger.product_id = product.id
        JOIN line ON line.id = product.id
        WHERE NOT ledger.first OR ledger.quantity > 0
        ORDER BY product.id FOR NO KEY UPDATE OF product
    ), stock AS (
        UPDATE products AS product SET inventory = CASE
            WHEN product.inventory::bigint + given.units <= 2147483647
                THEN product.inventory + given.units
            ELSE -1
        END
        FROM given WHERE product.id = given.id
        RETURNING product.id, product.inventory
    )
    SELECT line.inventory, line.held, line.released,
        EXISTS (SELECT FROM ledger) AS done, coalesce(stock.inventory, line.inventory) AS stock
    FROM line LEFT JOIN stock USING (id) ORDER BY n";

/// Takes the units of all lines for `reservation`, once, or of none.
///
/// # Errors
///
/// Those of [`reservation::reserve`](crate::reservation::reserve), with the lines that they are about;
/// ABORTED when others changed the same products again and again.
pub(crate) async fn reserve(
    database: &Database,
    cx: &Call,
    lines: &[Line],
    reservation: Uuid,
) -> Result<InventoryResponse, Error> {
    write(database, cx, RESERVE, lines, reservation, |rows| {
        let mut refused = Vec::new();
        let mut stock = Vec::with_capacity(rows.len());
        for (number, (row, line)) in rows.iter().zip(lines).enumerate() {
            let held: Option<i32> = row.column("held")?;
            let why = match held {
                Some(_) if row.column("released")? => Some(Refusal::Released),
                Some(held) if held != line.quantity => Some(Refusal::AnotherQuantity(held)),
                Some(_) => None,
                None if !row.column::<bool>("sold")? => Some(Refusal::Unknown),
                None if row.column::<i32>("inventory")? < line.quantity => Some(Refusal::NotEnough),
                None => None,
            };
            refused.extend(why.map(|why| (number, why)));
            stock.push((line.product, row.column::<Option<i32>>("stock")?));
        }
        answer(refused, stock, RESERVED)
    })
    .await
}

/// Gives back the units of all lines that `reservation` took, once. What was never reserved cannot be
/// any more.
///
/// # Errors
///
/// Those of [`reservation::release`](crate::reservation::release), with the lines that they are about;
/// ABORTED when others changed the same products again and again.
pub(crate) async fn release(
    database: &Database,
    cx: &Call,
    lines: &[Line],
    reservation: Uuid,
) -> Result<InventoryResponse, Error> {
    write(database, cx, RELEASE, lines, reservation, |rows| {
        let mut refused = Vec::new();
        let mut stock = Vec::with_capacity(rows.len());
        for (number, (row, line)) in rows.iter().zip(lines).enumerate() {
            let held: Option<i32> = row.column("held")?;
            let over = row.column::<bool>("done")? || row.column("released")?;
            let why = match (row.column::<Option<i32>>("inventory")?, held) {
                (None, _) => Some(Refusal::Unknown),
                (Some(_), Some(held)) if held != 0 && held != line.quantity => {
                    Some(Refusal::AnotherQuantity(held))
                }
                (Some(stock), Some(held)) if !over && stock.checked_add(held).is_none() => {
                    Some(Refusal::TooMany)
                }
                _ => None,
            };
            refused.extend(why.map(|why| (number, why)));
            stock.push((line.product, row.column::<Option<i32>>("stock")?));
        }
        answer(refused, stock, RELEASED)
    })
    .await
}

/// Runs a statement until nobody has got ahead of it.
async fn write(
    database: &Database,
    cx: &Call,
    statement: &str,
    lines: &[Line],
    reservation: Uuid,
    answer: impl Fn(&[Row]) -> Result<InventoryResponse, Error> + Send + Sync,
) -> Result<InventoryResponse, Error> {
    let products: Vec<_> = lines.iter().map(|line| line.product).collect();
    let units: Vec<_> = lines.iter().map(|line| line.quantity).collect();
    let call = Uuid::now_v7();
    let mut tries = 0;
    loop {
        tries += 1;
        let mut overtaken = false;
        let result = database
            .write_rows(
                cx,
                statement,
                &[&products, &reservation, &units, &call],
                |rows: Result<Vec<Row>, QueryError>| {
                    let rows = rows.on_constraint(STOCK_CHECK, || {
                        overtaken = true;
                        busy()
                    })?;
                    answer(&rows)
                },
            )
            .await;
        if !overtaken || tries == TRIES {
            return result;
        }
    }
}

fn answer(
    refused: Vec<(usize, Refusal)>,
    stock: Vec<(Uuid, Option<i32>)>,
    message: &str,
) -> Result<InventoryResponse, Error> {
    if !refused.is_empty() {
        return Err(refuse_lines(refused));
    }
    let stock: Option<Vec<_>> = stock
        .into_iter()
        .map(|(product, stock)| Some((product, stock?)))
        .collect();
    let stock = stock.ok_or_else(|| Error::internal("lines that were changed have no stock"))?;
    Ok(answer_lines(stock, message))
}

/// Others have changed the same products each time.
fn busy() -> Error {
    Error::new(
        Kind::Aborted,
        "others change the stock of the same products; try again",
    )
    .with_retry_after(RETRY_AFTER)
}
