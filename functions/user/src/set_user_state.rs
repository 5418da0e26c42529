use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{
    rpc::{self, Rpc},
    user::{UserResponse, UserState},
};

use crate::{
    user, user_columns,
    voids::{self, Delivery},
};

const FIND: &str = "SELECT role FROM users WHERE id = $1";

/// The other admins who are active, locked in the same order by all: two admins who disable each other at once
/// wait for each other here, and the second one finds that the first is the last.
const OTHER_ADMINS: &str = "SELECT id FROM users
     WHERE role = 'admin' AND (state = 'active' OR id = $1) ORDER BY id FOR UPDATE";

const LOCK: &str = "SELECT state FROM users WHERE id = $1 FOR UPDATE";

const SET: &str = concat!(
    "UPDATE users SET state = $2 WHERE id = $1 RETURNING ",
    user_columns!()
);

/// `set-user-state`: disables an account, or enables it again.
#[derive(Debug)]
pub struct SetUserState {
    database: Database,
    delivery: Delivery,
}

impl Function for SetUserState {
    type Rpc = rpc::SetUserState;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        let delivery = Delivery::from_setup(setup, &database, (&Self::Rpc::INFO).into());
        Ok(Self {
            database: database?,
            delivery: delivery?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<UserResponse, Error> {
        let id = request.id()?;
        let disables = match request.state() {
            UserState::Active => false,
            UserState::Disabled => true,
            UserState::Unspecified => {
                return Err(Error::field("state", "must be ACTIVE or DISABLED"));
            }
        };
        if disables {
            if cx.identity.as_ref().is_some_and(|me| me.owns(&request.id)) {
                return Err(Error::new(
                    Kind::FailedPrecondition,
                    "you cannot disable your own account; another admin can",
                ));
            }
            self.delivery.wake();
        }
        let response = self
            .database
            .write(cx, move |tx: &mut Transaction<'_>| {
                Box::pin(set(tx, id, disables))
            })
            .await?;
        if disables {
            // Also if the account was disabled before: perhaps a domain does not know that yet.
            self.delivery.of_user(cx, id).await?;
        }
        Ok(response)
    }
}

async fn set(tx: &Transaction<'_>, id: Uuid, disables: bool) -> Result<UserResponse, Error> {
    let none = || Error::not_found("there is no such user");
    let found = tx.query_opt(FIND, &[&id]).await?.ok_or_else(none)?;
    // Nobody's role changes.
    if disables && found.get::<_, &str>(0) == "admin" {
        let admins = tx.query(OTHER_ADMINS, &[&id]).await?;
        if !admins.iter().any(|admin| admin.get::<_, Uuid>(0) != id) {
            return Err(Error::new(
                Kind::FailedPrecondition,
                "this is the last admin who is active, who cannot be disabled",
            ));
        }
    }
    let before = tx.query_one(LOCK, &[&id]).await?;
    let was_active = before.get::<_, &str>(0) == "active";
    let state = if disables { "disabled" } else { "active" };
    let row = tx.query_one(SET, &[&id, &state]).await?;
    if disables && was_active {
        voids::record(tx, id).await?;
    }
    let message = if disables {
        "account disabled"
    } else {
        "account enabled"
    };
    Ok(UserResponse {
        user: Some(user(&row)),
        message: message.into(),
    })
}
