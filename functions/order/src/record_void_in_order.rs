use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{order::RecordVoidInOrderResponse, rpc};

/// `record-void-in-order`: records that tokens of a user are void for the functions of this domain.
#[derive(Debug)]
pub struct RecordVoidInOrder {
    database: Database,
}

impl Function for RecordVoidInOrder {
    type Rpc = rpc::RecordVoidInOrder;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::default())?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<RecordVoidInOrderResponse, Error> {
        let user_id = request.user_id()?;
        let answer = |generation| RecordVoidInOrderResponse {
            generation,
            message: "earlier tokens of the user are void".into(),
        };
        self.database
            .record_void(cx, user_id, request.generation, answer)
            .await
    }
}
