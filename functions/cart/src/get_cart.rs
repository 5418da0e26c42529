use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{cart::CartResponse, rpc};

use crate::cart::{self, READ};

/// `get-cart`: reads the cart of one user.
#[derive(Debug)]
pub struct GetCart {
    database: Database,
}

impl Function for GetCart {
    type Rpc = rpc::GetCart;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[READ]))?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<CartResponse, Error> {
        let user = request.user_id()?;
        let session = self.database.session(cx).await?;
        Ok(cart::response(cart::read(&session, user).await?, ""))
    }
}
