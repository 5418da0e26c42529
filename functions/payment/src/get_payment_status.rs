use uuid::Uuid;
use zerocart_postgres::{Database, Options};
use zerocart_proto::{money::Cents, payment::PaymentStatusResponse, rpc};
use zerocart_runtime::{Call, Error, Function, Invalid, READY_TIMEOUT, Request, Setup, uuid};

use crate::status;

/// Should an order bear the id of another's payment, the payment of that id is meant.
const SELECT: &str = "
    SELECT id, order_id, user_id, (amount * 100)::bigint, status,
           to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
    FROM payments WHERE id = $1 OR order_id = $1 ORDER BY id = $1 DESC LIMIT 1";

/// `get-payment-status`: reads a payment, by its own id or by its order.
#[derive(Debug)]
pub struct GetPaymentStatus {
    database: Database,
}

impl Function for GetPaymentStatus {
    type Rpc = rpc::GetPaymentStatus;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let options = Options {
            prepare: &[SELECT],
            ..Default::default()
        };
        Ok(Self {
            database: Database::from_setup(setup, options)?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<PaymentStatusResponse, Error> {
        let id = uuid("payment_id", &request.payment_id)?;
        let row = self
            .database
            .read(cx)
            .await?
            .query_opt(SELECT, &[&id])
            .await?
            .ok_or_else(|| Error::not_found("there is no such payment"))?;
        cx.authorize_owner(&row.get::<_, Uuid>(2).to_string())?;
        let amount = row.get::<_, Option<i64>>(3).map_or(Cents::ZERO, Cents::new);
        Ok(PaymentStatusResponse {
            payment_id: row.get::<_, Uuid>(0).to_string(),
            status: status(row.get(4))?.into(),
            amount: amount.to_wire(),
            created_at: row.get(5),
            order_id: row.get::<_, Uuid>(1).to_string(),
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}
