use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{
    rpc::{self, Rpc},
    user::UserResponse,
};

use crate::{
    attempts::{self, Attempts},
    password::{self, Passwords},
    user, user_columns,
    voids::{self, Delivery},
};

/// The e-mail under which the account's attempts count.
const READ: &str = "SELECT email FROM users WHERE id = $1";

/// Only from the password that was verified: of two changes at once, one finds another password.
const UPDATE: &str = concat!(
    "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING ",
    user_columns!()
);

/// The beginning of each answer: the caller's token is void, too.
const CHANGED: &str = "password changed; sign in again";

/// `change-password`: a user who knows the password of the account sets another, and all tokens of the user
/// become void.
#[derive(Debug)]
pub struct ChangePassword {
    database: Database,
    attempts: Attempts,
    passwords: Passwords,
    delivery: Delivery,
}

impl Function for ChangePassword {
    type Rpc = rpc::ChangePassword;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let prepare = Options::preparing(&[READ, attempts::BEGIN, attempts::FORGET, UPDATE]);
        let database = Database::from_setup(setup, prepare);
        let attempts = Attempts::from_setup(setup, database.clone());
        let passwords = Passwords::from_setup(setup);
        let delivery = Delivery::from_setup(setup, &database, (&Self::Rpc::INFO).into());
        Ok(Self {
            database: database?,
            attempts: attempts?,
            passwords: passwords?,
            delivery: delivery?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<UserResponse, Error> {
        let id = request.id()?;
        let new = password::prepare(&request.new_password);
        password::check(&new).map_err(|says| Error::field("new_password", says))?;
        if new == password::prepare(&request.old_password) {
            let says = "must differ from old_password";
            return Err(Error::field("new_password", says));
        }
        // Before the transaction: two hashes take longer than all queries together. And the idempotency key is
        // looked up before them: a change that is repeated would find its old password wrong.
        let hashes = Box::pin(self.hashes(cx, id, request.old_password, new));
        let mut response = self
            .database
            .write_after_lookup(cx, hashes, |tx: &mut Transaction<'_>, (old, new)| {
                Box::pin(async move {
                    let updated = tx.query_opt(UPDATE, &[&id, &old, &new]).await?;
                    let row = updated.ok_or_else(overtaken)?;
                    voids::record(tx, id).await?;
                    Ok(UserResponse {
                        user: Some(user(&row)),
                        message: CHANGED.into(),
                    })
                })
            })
            .await?;
        // No error: the change is made, and a client could not repeat it with a token that is void.
        if self.delivery.of_user(cx, id).await.is_err() {
            response.message = format!(
                "{CHANGED}; some functions take earlier tokens until the job deliver-voids has told them"
            );
        }
        Ok(response)
    }
}

impl ChangePassword {
    /// The account's hash, which `old` has, and the one of `new`.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when `old` is not the password; NOT_FOUND; RESOURCE_EXHAUSTED after too many attempts.
    async fn hashes(
        &self,
        cx: &Call,
        id: Uuid,
        old: String,
        new: String,
    ) -> Result<(String, String), Error> {
        let none = || Error::not_found("there is no such user");
        let row = self.database.read_opt(cx, READ, &[&id]).await?;
        let email: String = row.ok_or_else(none)?.get(0);
        // Somebody with a stolen token must not guess the password here more often than at sign-in.
        let (attempt, account) = self.attempts.begin(cx, &email).await?;
        let account = account.filter(|account| account.user.id == id.to_string());
        let hash = account.ok_or_else(none)?.password_hash;
        match self.passwords.change(old, hash.clone(), new).await {
            Ok(Some(new)) => {
                attempt.succeeded().await?;
                // Not before: a caller who does not know the password wakes nothing.
                self.delivery.wake();
                Ok((hash, new))
            }
            Ok(None) => {
                attempt.failed().await?;
                let says = "is wrong";
                Err(Error::field("old_password", says))
            }
            Err(error) => {
                // Should that fail too, it stays counted.
                let _ = attempt.take_back().await;
                Err(error)
            }
        }
    }
}

fn overtaken() -> Error {
    let message = "another request has just changed the password of this account";
    Error::new(Kind::Aborted, message)
}
