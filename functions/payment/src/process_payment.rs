use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{
    money::Cents,
    payment::{PaymentResponse, ProcessPaymentRequest},
    rpc,
};

use crate::{
    cashier::Cashier,
    ledger::{BEGIN, FINISH, Order},
    payment::Purpose,
    simulator::{CHARGE_AT_ONCE, Simulator},
};

/// The statements of a charge that nothing stands in the way of.
const PREPARE: &[&str] = &[BEGIN, CHARGE_AT_ONCE, FINISH];

/// `process-payment`: charges an order, at most once, or undoes that.
///
/// | variable | default |
/// |---|---|
/// | `PAYMENT_PROVIDER_TIMEOUT_MS` | 4000: the longest that one request to the provider may take |
/// | `PAYMENT_LEASE_MS` | 6000: how long others leave such a request alone |
/// | `PAYMENT_SEED` | random; a number makes the simulated provider's choices repeat |
#[derive(Debug)]
pub struct ProcessPayment {
    database: Database,
    cashier: Cashier<Simulator>,
}

impl Function for ProcessPayment {
    type Rpc = rpc::ProcessPayment;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::preparing(PREPARE));
        Ok(Self {
            cashier: Cashier::from_setup(setup, &database)?,
            database: database?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<PaymentResponse, Error> {
        let role = cx
            .identity
            .as_ref()
            .map_or("", |caller| caller.role.as_str());
        let order = order(request, role)?;
        // On the heap: a conversation with a provider is a large future.
        let work = Box::pin(self.cashier.process(cx, &order));
        self.database.once(cx, work).await
    }
}

/// What a request asks for.
fn order(request: ProcessPaymentRequest, role: &'static str) -> Result<Order, Error> {
    let (order_id, user_id) = (request.order_id()?, request.user_id()?);
    if request.refund {
        return Ok(Order {
            order_id,
            user_id,
            amount: Cents::ZERO,
            method: String::new(),
            purpose: Purpose::Refund,
            role,
        });
    }
    Ok(Order {
        order_id,
        user_id,
        amount: Cents::from_wire(request.amount)
            .ok_or_else(|| Error::field("amount", "must have at most 2 decimal places"))?,
        method: request.payment_method,
        purpose: Purpose::Charge,
        role,
    })
}
