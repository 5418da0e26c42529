use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{product::ProductResponse, rpc};

use crate::{cents, database, product, product_columns};

const INSERT: &str = concat!(
    "INSERT INTO products (id, name, description, price, inventory)
     VALUES ($1, $2, $3, round($4::bigint::numeric / 100, 2), $5) RETURNING ",
    product_columns!()
);

/// `create-product`: adds a product to the catalogue.
#[derive(Debug)]
pub struct CreateProduct {
    database: Database,
}

impl Function for CreateProduct {
    type Rpc = rpc::CreateProduct;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[INSERT])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ProductResponse, Error> {
        let cents = cents(request.price)?;
        self.database
            .write_one(
                cx,
                INSERT,
                &[
                    &Uuid::now_v7(),
                    &request.name,
                    &request.description,
                    &cents,
                    &request.inventory,
                ],
                |inserted| {
                    Ok(ProductResponse {
                        product: Some(product(&inserted?)),
                        message: "product created".into(),
                    })
                },
            )
            .await
    }
}
