//! The product domain: the catalogue and its stock.
//!
//! One module per function; what they share is here: how a row becomes a message, and the circuit
//! breaker around the database.

mod lines;
mod page;
mod reservation;
mod search;
mod sorted;

// generated: functions (cargo zerocart generate)
mod archive_product;
mod create_product;
mod get_product;
mod list_products;
mod record_void_in_product;
mod update_inventory;
mod update_product;

pub use archive_product::ArchiveProduct;
pub use create_product::CreateProduct;
pub use get_product::GetProduct;
pub use list_products::ListProducts;
pub use record_void_in_product::RecordVoidInProduct;
pub use update_inventory::UpdateInventory;
pub use update_product::UpdateProduct;

/// The functions of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<CreateProduct>(),
    zerocart_runtime::Entry::of::<GetProduct>(),
    zerocart_runtime::Entry::of::<ListProducts>(),
    zerocart_runtime::Entry::of::<UpdateProduct>(),
    zerocart_runtime::Entry::of::<ArchiveProduct>(),
    zerocart_runtime::Entry::of::<UpdateInventory>(),
    zerocart_runtime::Entry::of::<RecordVoidInProduct>(),
];

/// The jobs of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static JOBS: &[zerocart_runtime::JobEntry] = &[
];
// end of generated: functions

use zerocart_core::{Error, Invalid, Setup};
use zerocart_postgres::{Database, Options, Row, breaker_rules};
use zerocart_proto::{money::Cents, product::Product};

/// The product database, behind the contract's breaker, with the function's statements.
fn database(setup: &mut Setup, prepare: &'static [&'static str]) -> Result<Database, Invalid> {
    let breaker = Some(breaker_rules(setup)?);
    Database::from_setup(setup, Options { breaker, prepare })
}

fn unknown_product() -> Error {
    Error::not_found("there is no such product")
}

/// A price from the wire, in cents.
fn cents(price: f64) -> Result<i64, Error> {
    let cents = Cents::from_wire(price).map(Cents::get);
    cents.ok_or_else(|| Error::field("price", "must have at most 2 decimal places"))
}

/// The columns of [`product`], in its order.
macro_rules! product_columns {
    () => {
        concat!(
            "id, name, description, (price * 100)::bigint, inventory, ",
            zerocart_postgres::rfc3339!("created_at"),
            ", ",
            zerocart_postgres::rfc3339!("archived_at")
        )
    };
}
pub(crate) use product_columns;

/// A row of [`product_columns`] as a message.
fn product(row: &Row) -> Product {
    Product {
        id: row.get::<_, uuid::Uuid>(0).to_string(),
        name: row.get(1),
        description: row.get(2),
        price: Cents::new(row.get(3)).to_wire(),
        inventory: row.get(4),
        created_at: row.get(5),
        archived_at: row.get(6),
    }
}
