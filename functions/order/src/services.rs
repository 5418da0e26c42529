//! The other functions, as an order sees them: each action of the saga as a call, and its outcome
//! as an event.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use zerocart_client::{
    Caller, Client, Delivery, Failure, Functions, Identity, Options, ServiceToken,
};
use zerocart_core::{Call, Invalid, Kind, Setup};
use zerocart_postgres::{Database, shared_breaker};
use zerocart_proto::{
    cart::{BoughtItem, ClearCartRequest},
    payment::{GetPaymentStatusRequest, PaymentResponse, PaymentStatus, ProcessPaymentRequest},
    rpc::{self, Rpc},
};
use zerocart_resilience::breaker;

use crate::{
    cancel::By,
    driver::FORWARD,
    order::Order,
    saga::{Action, Event},
    stock,
};

/// How long a probe may block others. A probe is a whole call, with its attempts and pauses: as long
/// as an order may go forward.
const PROBE_LEASE: Duration = FORWARD;

/// How long to wait before a payment is asked for again that another call is working on.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// Clients of the functions that drive an order on. A clone shares their connections.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) functions: Functions,
    /// In whose name they are called.
    identity: Identity,
    update_inventory: Client<rpc::UpdateInventory>,
    charge: Client<rpc::ProcessPayment>,
    /// Without the breaker: an order must come to its end also while no new charge is tried.
    refund: Client<rpc::ProcessPayment>,
    payment_status: Client<rpc::GetPaymentStatus>,
    clear_cart: Client<rpc::ClearCart>,
    payment_breaker: breaker::shared::Shared,
}

/// What came of an action.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) event: Event,
    /// For people, when it is not done.
    pub(crate) reason: String,
    pub(crate) payment_id: Option<Uuid>,
}

impl Report {
    pub(crate) const DONE: Self = Self {
        event: Event::Done,
        reason: String::new(),
        payment_id: None,
    };

    /// Somebody calls the order off.
    pub(crate) fn cancelled(by: By) -> Self {
        Self {
            event: Event::CancelAsked,
            reason: by.reason().to_owned(),
            payment_id: None,
        }
    }

    /// Another driver takes over. The reason is that of an order that is then undone.
    pub(crate) fn taken_over(wanted: bool) -> Self {
        Self {
            event: Event::TakenOver { wanted },
            reason: "the order was interrupted before it was paid".to_owned(),
            payment_id: None,
        }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self {
            event: Event::Refused,
            reason: reason.into(),
            payment_id: None,
        }
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self {
            event: Event::Unavailable,
            reason: reason.into(),
            payment_id: None,
        }
    }
}

impl Services {
    /// Clients from the environment, for `caller`. `CHARGE_ATTEMPTS` (3) is how often one call asks for
    /// a charge at most; fewer for tests.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        database: &Result<Database, Invalid>,
        caller: Caller,
    ) -> Result<Self, Invalid> {
        let identity = ServiceToken::from_setup(setup, &caller).map(Identity::Service);
        let functions = Functions::from_setup(setup, caller);
        let mut breaker = |name| shared_breaker(setup, database, name, PROBE_LEASE);
        let payment_breaker = breaker(rpc::ProcessPayment::INFO.name);
        let inventory_breaker = breaker(rpc::UpdateInventory::INFO.name);
        let attempts = setup.or("CHARGE_ATTEMPTS", Options::default().attempts);
        let functions = functions?;
        // Made even if other values are missing, so that all missing addresses are reported, too.
        let options = |breaker: Option<&breaker::shared::Shared>| Options {
            identity: identity.clone().unwrap_or_default(),
            breaker: breaker.cloned(),
            ..Options::default()
        };
        let update_inventory = functions.client(setup, options(inventory_breaker.as_ref().ok()));
        let charging = Options {
            attempts: attempts?,
            ..options(payment_breaker.as_ref().ok())
        };
        let charge = functions.client(setup, charging);
        // Only asked when a charge went wrong.
        let seldom = Options {
            wake: false,
            ..options(None)
        };
        let payment_status = functions.client(setup, seldom);
        let clear_cart = functions.client(setup, options(None));
        inventory_breaker?;
        Ok(Self {
            update_inventory: update_inventory?,
            charge: charge?,
            refund: functions.client(setup, options(None))?,
            payment_status: payment_status?,
            clear_cart: clear_cart?,
            functions,
            payment_breaker: payment_breaker?,
            identity: identity?,
        })
    }

    /// A client of another function, which is called in the same name.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when nobody says where the function is; that is noted.
    pub(crate) fn client<R: Rpc>(&self, setup: &mut Setup) -> Result<Client<R>, Invalid> {
        let options = Options {
            identity: self.identity.clone(),
            ..Options::default()
        };
        self.functions.client(setup, options)
    }

    /// The breaker around charges, for health and `Retry-After`.
    pub(crate) fn payment_breaker(&self) -> &breaker::shared::Shared {
        &self.payment_breaker
    }

    /// Does what the saga wants next, until the deadline of `cx`.
    pub(crate) async fn perform(&self, cx: &Call, order: &Order, action: Action) -> Report {
        match action {
            Action::Reserve => stock::reserve(&self.update_inventory, cx, order).await,
            Action::CheckProvider => self.check_provider().await,
            Action::Charge => self.charge(cx, order).await,
            Action::ClearCart => self.clear_cart(cx, order).await,
            Action::Refund => self.refund(cx, order).await,
            Action::Release => stock::release(&self.update_inventory, cx, order).await,
        }
    }

    async fn check_provider(&self) -> Report {
        match self.payment_breaker.would_reject().await {
            None => Report::DONE,
            Some(_) => Report::unavailable(PROVIDER_UNAVAILABLE),
        }
    }

    async fn charge(&self, cx: &Call, order: &Order) -> Report {
        let request = ProcessPaymentRequest {
            order_id: order.id.to_string(),
            user_id: order.user_id.to_string(),
            amount: order.total.to_wire(),
            payment_method: order.payment_method.clone(),
            refund: false,
        };
        let failure = match until_free(cx, || self.charge.call(cx, &request)).await {
            Ok(payment) if payment.success => return paid(&payment.payment_id),
            Ok(payment) if payment.status() == PaymentStatus::Failed => {
                return Report::refused(payment.message);
            }
            Ok(_) => None,
            Err(failure) => Some(failure),
        };
        if let Some(failure) = &failure {
            log_failure("charge", failure);
        }
        // The charge may have been made, and only its answer lost.
        let asked = GetPaymentStatusRequest {
            payment_id: order.id.to_string(),
        };
        let Ok(payment) = self.payment_status.call(cx, &asked).await else {
            return Report::unavailable(PROVIDER_UNAVAILABLE);
        };
        let refusal = failure.filter(|failure| answer(failure) == Some(Kind::FailedPrecondition));
        match (payment.status(), refusal) {
            (PaymentStatus::Success, None) => paid(&payment.payment_id),
            // No charge stands, and none will: its answer was lost, or an admin undid it before.
            (PaymentStatus::Failed | PaymentStatus::Cancelled, refusal) => {
                let reason = refusal.map(|failure| failure.message);
                Report::refused(reason.unwrap_or_else(|| "the payment was declined".to_owned()))
            }
            // Also a charge that somebody made under the order's id, and that is not this one.
            _ => Report::unavailable(PROVIDER_UNAVAILABLE),
        }
    }

    /// Whether the charge of a paid order stands.
    ///
    /// # Errors
    ///
    /// When the payments cannot be asked.
    pub(crate) async fn is_paid(&self, cx: &Call, order: &Order) -> Result<bool, Failure> {
        let asked = GetPaymentStatusRequest {
            payment_id: order.id.to_string(),
        };
        match self.payment_status.call(cx, &asked).await {
            Ok(payment) => {
                let of_order = payment.order_id == asked.payment_id;
                Ok(of_order && payment.status() == PaymentStatus::Success)
            }
            Err(failure) if answer(&failure) == Some(Kind::NotFound) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Whether a charge of the order was ever asked for.
    ///
    /// # Errors
    ///
    /// When the payments cannot be asked.
    pub(crate) async fn has_payment(&self, cx: &Call, order: &Order) -> Result<bool, Failure> {
        let asked = GetPaymentStatusRequest {
            payment_id: order.id.to_string(),
        };
        match self.payment_status.call(cx, &asked).await {
            Ok(_) => Ok(true),
            Err(failure) if answer(&failure) == Some(Kind::NotFound) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn refund(&self, cx: &Call, order: &Order) -> Report {
        let request = ProcessPaymentRequest {
            order_id: order.id.to_string(),
            user_id: order.user_id.to_string(),
            refund: true,
            ..Default::default()
        };
        match until_free(cx, || self.refund.call(cx, &request)).await {
            Ok(PaymentResponse { success: true, .. }) => Report::DONE,
            Ok(_) => Report::unavailable(PROVIDER_UNAVAILABLE),
            Err(failure) => {
                log_failure("refund", &failure);
                Report::unavailable(PROVIDER_UNAVAILABLE)
            }
        }
    }

    async fn clear_cart(&self, cx: &Call, order: &Order) -> Report {
        let bought = order.lines.iter().map(|line| BoughtItem {
            product_id: line.product_id.to_string(),
            quantity: line.quantity,
        });
        let request = ClearCartRequest {
            user_id: order.user_id.to_string(),
            order_id: order.id.to_string(),
            bought: bought.collect(),
        };
        match self.clear_cart.call(cx, &request).await {
            Ok(_) => Report::DONE,
            Err(failure) => {
                log_failure("clear the cart", &failure);
                Report::unavailable("the cart cannot be cleared at the moment")
            }
        }
    }
}

const PROVIDER_UNAVAILABLE: &str = "the payment provider is unavailable";

fn paid(payment_id: &str) -> Report {
    Report {
        payment_id: Uuid::try_parse(payment_id).ok(),
        ..Report::DONE
    }
}

/// Calls again while another call works on the same payment: that of a driver that died, for
/// example. It ends by itself.
async fn until_free<T, F>(cx: &Call, call: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    loop {
        let result = call().await;
        let busy = match &result {
            Err(failure) if failure.kind == Kind::Aborted => failure,
            _ => return result,
        };
        let pause = busy.retry_after.unwrap_or(BUSY_PAUSE).min(5 * BUSY_PAUSE);
        if Instant::now() + pause >= cx.deadline {
            return result;
        }
        tokio::time::sleep(pause).await;
    }
}

/// What the function itself said; none for the word of anything in between, which knows nothing of
/// what was done.
pub(crate) fn answer(failure: &Failure) -> Option<Kind> {
    (failure.delivery == Delivery::Answered).then_some(failure.kind)
}

/// The log's line of a call that failed; the order's own trace is in the span.
pub(crate) fn log_failure(what: &str, failure: &Failure) {
    tracing::warn!(
        action = what,
        code = failure.kind.name(),
        reason = failure.message,
        delivery = ?failure.delivery,
        "a step of an order was not done"
    );
}
