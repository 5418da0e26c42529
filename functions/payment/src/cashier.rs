//! The driver of a payment: asks the provider, and records before and after.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use uuid::Uuid;
use zerocart_core::{Call, Error, Invalid, Kind, Setup, trace};
use zerocart_postgres::Database;
use zerocart_proto::payment::{
    PaymentResponse,
    PaymentStatus::{self, Cancelled, Pending, Success},
};

use crate::{
    ledger::{Ledger, Order, Step},
    payment::{Asked, Payment, Progress, Purpose, Question, Reply, Verdict},
    provider::{Provider, ProviderError},
    simulator::Simulator,
};

/// The longest that one request to the provider may take. A charge that is not answered is asked
/// about once more, and one that was undone meanwhile is refunded: no request takes more than three
/// quarters of the time that its call has left.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(4);

/// How long others leave a request to the provider alone. A little longer than it may take, so that
/// its sender has the time to record the answer; others who come earlier would do no harm.
const LEASE: Duration = Duration::from_secs(6);

/// When it is worth trying again: the least that HTTP can say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Drives payments.
#[derive(Debug)]
pub(crate) struct Cashier<G> {
    provider: G,
    ledger: Ledger,
    timeout: Duration,
}

impl Cashier<Simulator> {
    /// A cashier from the environment; the variables are those of process-payment.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        database: &Result<Database, Invalid>,
    ) -> Result<Self, Invalid> {
        let timeout = setup.millis("PAYMENT_PROVIDER_TIMEOUT_MS", PROVIDER_TIMEOUT);
        let lease = setup.millis("PAYMENT_LEASE_MS", LEASE);
        let seed = setup.optional("PAYMENT_SEED");
        let database = database.as_ref().map_err(|invalid| *invalid)?;
        Ok(Self {
            provider: Simulator::new(database.clone(), seed?),
            ledger: Ledger::new(database.clone(), lease?),
            timeout: timeout?,
        })
    }
}

impl<G: Provider> Cashier<G> {
    /// Charges an order, or undoes that, as `order` says.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION when that is not possible, ABORTED while another call does it,
    /// UNAVAILABLE when the provider is, and those of the database.
    pub(crate) async fn process(&self, cx: &Call, order: &Order) -> Result<PaymentResponse, Error> {
        let (payment, verdict) = self.drive(cx, order).await?;
        match verdict {
            Verdict::Answer | Verdict::Ask(_) => Ok(response(order.purpose, &payment)),
            Verdict::Barred => Err(Error::new(
                Kind::FailedPrecondition,
                "the payment of this order was undone; it cannot be charged any more",
            )),
            Verdict::Busy => Err(Error::new(
                Kind::Aborted,
                "another attempt for this order is under way",
            )
            .with_retry_after(RETRY_AFTER)),
            Verdict::Failed(error) => Err(failure(&payment, error)),
        }
    }

    /// Brings the payment of an order to its end, if nobody drives it and the provider knows an end:
    /// gives its status.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn settle(&self, cx: &Call, order_id: Uuid) -> Result<PaymentStatus, Error> {
        let (payment, verdict) = self.drive(cx, &Order::settle(order_id)).await?;
        let status = payment.status.as_str_name();
        match verdict {
            Verdict::Failed(error) => {
                tracing::warn!(%order_id, status, %error, "a payment cannot be settled now");
            }
            _ => tracing::info!(%order_id, status, "an abandoned payment was looked at"),
        }
        Ok(payment.status)
    }

    /// The orders of payments that nobody drives, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn abandoned(&self, cx: &Call, limit: i64) -> Result<Vec<Uuid>, Error> {
        self.ledger.abandoned(cx, limit).await
    }

    /// Takes step after step until there is nothing to ask the provider: gives what came of it.
    async fn drive(&self, cx: &Call, order: &Order) -> Result<(Payment, Verdict), Error> {
        let mut progress = Progress::Fresh;
        let mut last = None;
        loop {
            let Step {
                payment,
                verdict,
                before,
            } = self.ledger.step(cx, order, last.as_ref(), progress).await?;
            let Verdict::Ask(question) = verdict else {
                return Ok((payment, verdict));
            };
            let reply = self.ask(cx, order, question).await;
            progress = progress.after(question, &reply);
            let asked = Asked {
                number: payment.attempts,
                question,
                before,
                reply,
            };
            last = Some((payment, asked));
        }
    }

    /// Asks the provider. A quarter of the call's time is left for recording the answer.
    async fn ask(&self, cx: &Call, order: &Order, question: Question) -> Reply {
        let deadline = Instant::now() + self.timeout.min(cx.remaining() * 3 / 4);
        let mut span = cx.trace.span("payment provider", trace::Kind::Client);
        span.set("zerocart.provider.operation", question.name());
        let cx = cx.with_deadline(deadline).under(&span);
        let key = order.order_id;
        let asked = async {
            match question {
                Question::Charge => {
                    let (amount, method) = (order.amount, &order.method);
                    self.provider.charge(&cx, key, amount, method).await.into()
                }
                Question::Find => self.provider.find(&cx, key).await.into(),
                Question::Refund => self.provider.refund(&cx, key).await.into(),
            }
        };
        let reply = timeout_at(deadline, asked)
            .await
            .unwrap_or(Reply::Failed(ProviderError::Timeout));
        span.set("zerocart.provider.reply", reply.outcome());
        if let Reply::Failed(error) = &reply {
            let word = reply.outcome();
            span.fail(word, &error.to_string());
        }
        span.end();
        reply
    }
}

fn response(purpose: Purpose, payment: &Payment) -> PaymentResponse {
    let charged = payment.status == Success;
    let message = match purpose {
        Purpose::Charge if charged => "the order is paid",
        Purpose::Charge => payment.reason.as_deref().unwrap_or("declined"),
        _ if payment.status == Cancelled => "refunded",
        _ => "nothing was charged, and nothing will be",
    };
    PaymentResponse {
        payment_id: payment.id.to_string(),
        status: payment.status.into(),
        message: message.into(),
        success: charged || purpose == Purpose::Refund,
    }
}

/// The provider cannot be used: whether money was taken, a program reads from `charged`.
fn failure(payment: &Payment, error: ProviderError) -> Error {
    let message = match (payment.barred, error) {
        (false, ProviderError::Timeout) => "the charge was not answered: gateway timeout",
        (true, ProviderError::Timeout) => "the refund was not answered: gateway timeout",
        (_, ProviderError::Unavailable) => "the payment provider is temporarily unavailable",
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
