use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{product::ProductResponse, rpc};

use crate::{database, product, product_columns, unknown_product};

const SELECT: &str = concat!(
    "SELECT ",
    product_columns!(),
    " FROM products WHERE id = $1"
);

/// `get-product`: reads one product, or for admins one that is archived.
#[derive(Debug)]
pub struct GetProduct {
    database: Database,
}

impl Function for GetProduct {
    type Rpc = rpc::GetProduct;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[SELECT])?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ProductResponse, Error> {
        let id = request.id()?;
        let row = self
            .database
            .read_opt(cx, SELECT, &[&id])
            .await?
            .ok_or_else(unknown_product)?;
        let product = product(&row);
        // Who may see it: proto/ names admins alone as callers that are known.
        if product.archived_at.is_some() && cx.identity.is_none() {
            return Err(unknown_product());
        }
        Ok(ProductResponse {
            product: Some(product),
            message: String::new(),
        })
    }
}
