use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{product::ProductResponse, rpc};

use crate::{cents, database, product, product_columns, unknown_product};

/// $1 product; $2 name, $3 description, $4 cents, each NULL for what stays as it is.
const UPDATE: &str = concat!(
    "UPDATE products SET
        name = coalesce($2, name),
        description = coalesce($3, description),
        price = coalesce(round($4::bigint::numeric / 100, 2), price)
     WHERE id = $1 RETURNING ",
    product_columns!()
);

/// `update-product`: changes what is said of a product.
#[derive(Debug)]
pub struct UpdateProduct {
    database: Database,
}

impl Function for UpdateProduct {
    type Rpc = rpc::UpdateProduct;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[UPDATE])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ProductResponse, Error> {
        let id = request.id()?;
        let cents = request.price.map(cents).transpose()?;
        self.database
            .write_opt(
                cx,
                UPDATE,
                &[&id, &request.name, &request.description, &cents],
                |updated| {
                    let row = updated?.ok_or_else(unknown_product)?;
                    Ok(ProductResponse {
                        product: Some(product(&row)),
                        message: "product updated".into(),
                    })
                },
            )
            .await
    }
}
