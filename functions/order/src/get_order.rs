use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{
    order::OrderResponse,
    rpc::{self, Rpc},
};

use crate::{driver::Driver, no_such_order};

/// `get-order`: reads one order. One that nobody drives is brought to its end first, so that no
/// customer looks at an order that stands still.
#[derive(Debug)]
pub struct GetOrder {
    driver: Driver,
}

impl Function for GetOrder {
    type Rpc = rpc::GetOrder;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        Ok(Self {
            driver: Driver::from_setup(setup, database, (&Self::Rpc::INFO).into())?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<OrderResponse, Error> {
        let id = request.id()?;
        let store = &self.driver.store;
        let mut order = store.load(cx, id).await?.ok_or_else(no_such_order)?;
        cx.authorize_owner(&order.user_id.to_string())?;
        if order.lapsed
            && let Some(driving) = self.driver.resume(cx, id, false).await?
        {
            // What cannot be brought to its end now is told as it is.
            let _ = driving.await;
            order = store.load(cx, id).await?.ok_or_else(no_such_order)?;
        }
        let message = order.to_message();
        Ok(OrderResponse {
            success: true,
            message: message.reason.clone(),
            order: Some(message),
        })
    }
}
