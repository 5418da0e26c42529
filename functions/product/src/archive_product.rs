use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{product::ProductResponse, rpc};

use crate::{database, product, product_columns, unknown_product};

const ARCHIVE: &str = concat!(
    "UPDATE products SET archived_at = coalesce(archived_at, clock_timestamp())
     WHERE id = $1 RETURNING ",
    product_columns!()
);

/// `archive-product`: takes a product out of the catalogue, for good.
#[derive(Debug)]
pub struct ArchiveProduct {
    database: Database,
}

impl Function for ArchiveProduct {
    type Rpc = rpc::ArchiveProduct;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[ARCHIVE])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ProductResponse, Error> {
        self.database
            .write_opt(cx, ARCHIVE, &[&request.id()?], |archived| {
                let row = archived?.ok_or_else(unknown_product)?;
                Ok(ProductResponse {
                    product: Some(product(&row)),
                    message: "product archived".into(),
                })
            })
            .await
    }
}
