use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{
    order::OrderResponse,
    rpc::{self, Role, Rpc},
};

use crate::{cancel::By, driver::Driver, no_such_order};

/// `cancel-order`: calls an order off that is not shipped, for its customer or for an admin. An order that is
/// CANCELLED is a success, and changes nothing.
#[derive(Debug)]
pub struct CancelOrder {
    driver: Driver,
}

impl Function for CancelOrder {
    type Rpc = rpc::CancelOrder;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        Ok(Self {
            driver: Driver::from_setup(setup, database, (&Self::Rpc::INFO).into())?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<OrderResponse, Error> {
        let id = request.id()?;
        let order = self.driver.store.load(cx, id).await?;
        let order = order.ok_or_else(no_such_order)?;
        cx.authorize_owner(&order.user_id.to_string())?;
        let by = match cx.identity.as_ref().map(|identity| identity.role) {
            Some(Role::Admin) => By::Shop,
            _ => By::Customer,
        };
        self.driver.cancel(cx, id, by).await
    }
}
