use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, rfc3339};
use zerocart_proto::{money::Cents, payment::PaymentStatusResponse, rpc};

use crate::{cashier::Cashier, ledger::abandoned, simulator::Simulator, status};

/// Should an order bear the id of another's payment, the payment of that id is meant.
const SELECT: &str = concat!(
    "SELECT id, order_id, user_id, (amount * 100)::bigint, status, ",
    rfc3339!("created_at"),
    ", ",
    abandoned!(),
    " FROM payments WHERE id = $1 OR order_id = $1 ORDER BY id = $1 DESC LIMIT 1"
);

/// `get-payment-status`: reads a payment, by its own id or by its order. One that nobody drives is
/// settled first, as far as the provider knows what became of it.
///
/// Its variables are those of [`ProcessPayment`](crate::ProcessPayment).
#[derive(Debug)]
pub struct GetPaymentStatus {
    database: Database,
    cashier: Cashier<Simulator>,
}

impl Function for GetPaymentStatus {
    type Rpc = rpc::GetPaymentStatus;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::preparing(&[SELECT]));
        Ok(Self {
            cashier: Cashier::from_setup(setup, &database)?,
            database: database?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<PaymentStatusResponse, Error> {
        let id = request.payment_id()?;
        let row = self
            .database
            .session(cx)
            .await?
            .query_opt(SELECT, &[&id])
            .await?
            .ok_or_else(|| Error::not_found("there is no such payment"))?;
        cx.authorize_owner(&row.get::<_, Uuid>(2).to_string())?;
        let (order_id, mut status) = (row.get::<_, Uuid>(1), status(row.get(4))?);
        if row.get(6) {
            // On the heap, because it is seldom needed. A payment that cannot be settled now is answered as it is.
            let settling = Box::pin(self.cashier.settle(cx, order_id));
            status = settling.await.unwrap_or(status);
        }
        let amount = row.get::<_, Option<i64>>(3).map_or(Cents::ZERO, Cents::new);
        Ok(PaymentStatusResponse {
            payment_id: row.get::<_, Uuid>(0).to_string(),
            status: status.into(),
            amount: amount.to_wire(),
            created_at: row.get(5),
            order_id: order_id.to_string(),
        })
    }
}
