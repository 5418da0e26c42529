use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::Database;
use zerocart_proto::{product::RecordVoidInProductResponse, rpc};

use crate::database;

/// `record-void-in-product`: records that tokens of a user are void for the functions of this domain.
#[derive(Debug)]
pub struct RecordVoidInProduct {
    database: Database,
}

impl Function for RecordVoidInProduct {
    type Rpc = rpc::RecordVoidInProduct;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: database(setup, &[])?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<RecordVoidInProductResponse, Error> {
        let user_id = request.user_id()?;
        let answer = |generation| RecordVoidInProductResponse {
            generation,
            message: "earlier tokens of the user are void".into(),
        };
        self.database
            .record_void(cx, user_id, request.generation, answer)
            .await
    }
}
