use std::collections::BTreeSet;

use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{
    product::{InventoryResponse, UpdateInventoryRequest},
    rpc,
    validate::Violations,
};

use crate::{
    database, lines,
    reservation::{self, Form, Line, Refusal},
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

/// `update-inventory`: adds to or takes from the stock of one product, for good or for a reservation,
/// or of the products of a reservation.
#[derive(Debug)]
pub struct UpdateInventory {
    database: Database,
}

/// What a request asks for.
enum Asked {
    /// A plain change of stock.
    Change { product: Uuid, by: i32 },
    /// Lines are reserved, or released.
    Hold {
        form: Form,
        lines: Vec<Line>,
        reservation: Uuid,
        reserves: bool,
    },
}

impl Function for UpdateInventory {
    type Rpc = rpc::UpdateInventory;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        // Not what is seldom the first call of a process: each statement delays the start.
        let prepare = &[reservation::RESERVE, lines::RESERVE, UPDATE];
        Ok(Self {
            database: database(setup, prepare)?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<InventoryResponse, Error> {
        let database = &self.database;
        match Asked::of(&request)? {
            Asked::Change { product, by } => self.change(cx, product, by).await,
            Asked::Hold {
                form,
                lines,
                reservation,
                reserves,
            } => match (lines.as_slice(), reserves) {
                // One statement that waits less: most orders have one line.
                (&[line], true) => {
                    reservation::reserve(database, cx, form, line, reservation).await
                }
                (&[line], false) => {
                    reservation::release(database, cx, form, line, reservation).await
                }
                (lines, true) => lines::reserve(database, cx, lines, reservation).await,
                (lines, false) => lines::release(database, cx, lines, reservation).await,
            },
        }
    }
}

impl UpdateInventory {
    /// A plain change of stock.
    async fn change(&self, cx: &Call, id: Uuid, change: i32) -> Result<InventoryResponse, Error> {
        self.database
            .write_one(cx, UPDATE, &[&id, &change], |updated| {
                let row = updated?;
                let refused = |why| Err(Form::Product.refuse(why));
                match row.get(0) {
                    Some(new_inventory) => Ok(InventoryResponse {
                        success: true,
                        new_inventory,
                        message: "inventory updated".into(),
                        lines: Vec::new(),
                    }),
                    None if !row.get::<_, bool>(1) => refused(Refusal::Unknown),
                    None if change > 0 => refused(Refusal::TooMany),
                    None => refused(Refusal::NotEnough),
                }
            })
            .await
    }
}

impl Asked {
    /// What a request asks for, in one of its two forms.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a mixture of both, and for lines that are no reservation.
    fn of(request: &UpdateInventoryRequest) -> Result<Self, Error> {
        let (product, by) = (request.product_id()?, request.quantity_change);
        let reservation = request.reservation_id()?;
        if !request.lines.is_empty() {
            if product.is_some() || by != 0 {
                let says = "must be empty with product_id or quantity_change";
                return Err(Error::field("lines", says));
            }
            let missing = || Error::field("reservation_id", "is required with lines");
            let lines = lines_of(request)?;
            return Ok(Self::Hold {
                form: Form::Lines,
                lines,
                reservation: reservation.ok_or_else(missing)?,
                reserves: request.lines[0].quantity_change < 0,
            });
        }
        let product = product.ok_or_else(|| Error::field("product_id", "is required"))?;
        Ok(match reservation {
            None => Self::Change { product, by },
            Some(reservation) => Self::Hold {
                form: Form::Product,
                lines: vec![line(product, by)],
                reservation,
                reserves: by < 0,
            },
        })
    }
}

/// The lines of a request.
///
/// # Errors
///
/// INVALID_ARGUMENT for a product that two lines name, and for lines of which some are taken and some
/// are added.
fn lines_of(request: &UpdateInventoryRequest) -> Result<Vec<Line>, Error> {
    let mut wrong = Violations::default();
    let mut products = BTreeSet::new();
    let mut lines = Vec::with_capacity(request.lines.len());
    let sign = request.lines[0].quantity_change.signum();
    for (number, asked) in request.lines.iter().enumerate() {
        let product = asked.product_id()?;
        if !products.insert(product) {
            let says = "is the product of an earlier line; make one line of both";
            wrong.add(format!("lines[{number}].product_id"), says);
        }
        if asked.quantity_change.signum() != sign {
            let says = "must have the sign of lines[0].quantity_change: all lines are taken, or all \
                        are added";
            wrong.add(format!("lines[{number}].quantity_change"), says);
        }
        lines.push(line(product, asked.quantity_change));
    }
    match wrong.is_empty() {
        true => Ok(lines),
        false => Err(Error::invalid(wrong)),
    }
}

fn line(product: Uuid, change: i32) -> Line {
    Line {
        product,
        quantity: change.saturating_abs(),
    }
}
