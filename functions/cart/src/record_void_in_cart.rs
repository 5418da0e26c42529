use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{cart::RecordVoidInCartResponse, rpc};

/// `record-void-in-cart`: records that tokens of a user are void for the functions of this domain.
#[derive(Debug)]
pub struct RecordVoidInCart {
    database: Database,
}

impl Function for RecordVoidInCart {
    type Rpc = rpc::RecordVoidInCart;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::default())?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<RecordVoidInCartResponse, Error> {
        let user_id = request.user_id()?;
        let answer = |generation| RecordVoidInCartResponse {
            generation,
            message: "earlier tokens of the user are void".into(),
        };
        self.database
            .record_void(cx, user_id, request.generation, answer)
            .await
    }
}
