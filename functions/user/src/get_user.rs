use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{rpc, user::UserResponse};

use crate::{user, user_columns};

const SELECT: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");

/// `get-user`: reads one account.
#[derive(Debug)]
pub struct GetUser {
    database: Database,
}

impl Function for GetUser {
    type Rpc = rpc::GetUser;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[SELECT]))?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<UserResponse, Error> {
        let id = request.id()?;
        let row = self
            .database
            .read_opt(cx, SELECT, &[&id])
            .await?
            .ok_or_else(|| Error::not_found("there is no such user"))?;
        Ok(UserResponse {
            user: Some(user(&row)),
            message: String::new(),
        })
    }
}
