use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{payment::RecordVoidInPaymentResponse, rpc};

/// `record-void-in-payment`: records that tokens of a user are void for the functions of this domain.
#[derive(Debug)]
pub struct RecordVoidInPayment {
    database: Database,
}

impl Function for RecordVoidInPayment {
    type Rpc = rpc::RecordVoidInPayment;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::default())?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<RecordVoidInPaymentResponse, Error> {
        let user_id = request.user_id()?;
        let answer = |generation| RecordVoidInPaymentResponse {
            generation,
            message: "earlier tokens of the user are void".into(),
        };
        self.database
            .record_void(cx, user_id, request.generation, answer)
            .await
    }
}
