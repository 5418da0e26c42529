use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{
    money::Cents,
    payment::{
        PaymentResponse,
        PaymentStatus::{Cancelled, Pending, Success},
        ProcessPaymentRequest,
    },
    rpc,
};
use zerocart_runtime::{Call, Error, Function, Invalid, Kind, READY_TIMEOUT, Request, Setup, uuid};

use crate::{
    gateway::{Gateway, GatewayError},
    ledger::{Ledger, Order, PREPARE, Step},
    payment::{Asked, Payment, Progress, Purpose, Question, Reply, Verdict},
    simulator::Simulator,
};

/// The longest that one request to the gateway may take. A call makes three at most, of which two
/// may take that long (a charge, and the question what became of it), and has 10 s.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(4);

/// How long others leave a request to the gateway alone. A little longer than it may take, so that
/// its sender has the time to record the answer; others who come earlier would do no harm.
const LEASE: Duration = Duration::from_secs(6);

/// When it is worth trying again: the least that HTTP can say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `process-payment`: charges an order, at most once, or undoes that.
///
/// | variable | default |
/// |---|---|
/// | `PAYMENT_GATEWAY_TIMEOUT_MS` | 4000: the longest that one request to the gateway may take |
/// | `PAYMENT_LEASE_MS` | 6000: how long others leave such a request alone |
/// | `PAYMENT_SEED` | random; a number makes the simulated gateway's choices repeat |
#[derive(Debug)]
pub struct ProcessPayment {
    database: Database,
    cashier: Cashier<Simulator>,
}

impl Function for ProcessPayment {
    type Rpc = rpc::ProcessPayment;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let options = Options {
            prepare: PREPARE,
            ..Default::default()
        };
        let database = Database::from_setup(setup, options);
        let timeout = setup.millis("PAYMENT_GATEWAY_TIMEOUT_MS", GATEWAY_TIMEOUT);
        let lease = setup.millis("PAYMENT_LEASE_MS", LEASE);
        let seed = setup.optional("PAYMENT_SEED");
        let database = database?;
        Ok(Self {
            cashier: Cashier {
                gateway: Simulator::new(database.clone(), seed?),
                ledger: Ledger::new(database.clone(), lease?),
                timeout: timeout?,
            },
            database,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<PaymentResponse, Error> {
        let order = order(request)?;
        // The key's record is written at the end; the transactions before it have none.
        let inner = Call {
            idempotency: None,
            ..cx.clone()
        };
        // On the heap: a conversation with a gateway is a large future.
        let work = Box::pin(self.cashier.process(&inner, &order));
        self.database.once(cx, work).await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}

/// Drives payments: asks the gateway, and records before and after.
#[derive(Debug)]
struct Cashier<G> {
    gateway: G,
    ledger: Ledger,
    timeout: Duration,
}

impl<G: Gateway> Cashier<G> {
    async fn process(&self, cx: &Call, order: &Order) -> Result<PaymentResponse, Error> {
        let mut progress = Progress::Fresh;
        let mut asked = None;
        loop {
            let Step {
                payment,
                verdict,
                before,
            } = self
                .ledger
                .step(cx, order, asked.as_ref(), progress)
                .await?;
            let question = match verdict {
                Verdict::Answer => return Ok(response(order.purpose, &payment)),
                Verdict::Barred => {
                    return Err(Error::new(
                        Kind::FailedPrecondition,
                        "the payment of this order was undone; it cannot be charged any more",
                    ));
                }
                Verdict::Busy => {
                    return Err(Error::new(
                        Kind::Aborted,
                        "another attempt for this order is under way",
                    )
                    .with_retry_after(RETRY_AFTER));
                }
                Verdict::Failed(error) => return Err(failure(order.purpose, &payment, error)),
                Verdict::Ask(question) => question,
            };
            let reply = self.ask(cx, order, question).await;
            progress = progress.after(question, &reply);
            asked = Some(Asked {
                number: payment.attempts,
                question,
                before,
                reply,
            });
        }
    }

    /// Asks the gateway. A quarter of the call's time is left for recording the answer.
    async fn ask(&self, cx: &Call, order: &Order, question: Question) -> Reply {
        let deadline = Instant::now() + self.timeout.min(cx.remaining() * 3 / 4);
        let cx = Call {
            deadline,
            ..cx.clone()
        };
        let key = order.order_id;
        let asked = async {
            match question {
                Question::Charge => {
                    let (amount, method) = (order.amount, &order.method);
                    self.gateway.charge(&cx, key, amount, method).await.into()
                }
                Question::Find => self.gateway.find(&cx, key).await.into(),
                Question::Refund => self.gateway.refund(&cx, key).await.into(),
            }
        };
        timeout_at(deadline, asked)
            .await
            .unwrap_or(Reply::Failed(GatewayError::Timeout))
    }
}

/// What a request asks for.
fn order(request: ProcessPaymentRequest) -> Result<Order, Error> {
    let (order_id, user_id) = (
        uuid("order_id", &request.order_id)?,
        uuid("user_id", &request.user_id)?,
    );
    if request.refund {
        return Ok(Order {
            order_id,
            user_id,
            amount: Cents::ZERO,
            method: String::new(),
            purpose: Purpose::Refund,
        });
    }
    Ok(Order {
        order_id,
        user_id,
        amount: Cents::from_wire(request.amount)
            .ok_or_else(|| Error::field("amount", "must have at most 2 decimal places"))?,
        method: request.payment_method,
        purpose: Purpose::Charge,
    })
}

fn response(purpose: Purpose, payment: &Payment) -> PaymentResponse {
    let charged = payment.status == Success;
    let message = match purpose {
        Purpose::Charge if charged => "the order is paid",
        Purpose::Charge => payment.reason.as_deref().unwrap_or("declined"),
        Purpose::Refund if payment.status == Cancelled => "refunded",
        Purpose::Refund => "nothing was charged, and nothing will be",
    };
    PaymentResponse {
        payment_id: payment.id.to_string(),
        status: payment.status.into(),
        message: message.into(),
        success: match purpose {
            Purpose::Charge => charged,
            Purpose::Refund => true,
        },
    }
}

/// The gateway cannot be used: whether money was taken, a program reads from `charged`.
fn failure(purpose: Purpose, payment: &Payment, error: GatewayError) -> Error {
    let message = match (purpose, error) {
        (Purpose::Charge, GatewayError::Timeout) => "the charge was not answered: gateway timeout",
        (Purpose::Refund, GatewayError::Timeout) => "the refund was not answered: gateway timeout",
        (_, GatewayError::Unavailable) => "the payment gateway is temporarily unavailable",
    };
    let charged = match payment.status {
        Pending => "no",
        _ => "unknown",
    };
    Error::unavailable(message, RETRY_AFTER)
        .with_metadata("payment_id", payment.id.to_string())
        .with_metadata("charged", charged)
        .with_source(error)
}
