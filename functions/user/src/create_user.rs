use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, ErrorExt, Options};
use zerocart_proto::{
    rpc,
    user::{CreateUserRequest, UserResponse},
    validate::Violations,
};

use crate::{
    accounts,
    address::Address,
    password::{self, Passwords},
    user, user_columns,
};

const INSERT: &str = concat!(
    "INSERT INTO users (id, email, email_key, address_key, name, password_hash)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
    user_columns!()
);

/// `create-user`: signs a customer up.
#[derive(Debug)]
pub struct CreateUser {
    database: Database,
    passwords: Passwords,
}

impl Function for CreateUser {
    type Rpc = rpc::CreateUser;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let prepare = Options::preparing(&[INSERT, accounts::WITHOUT_KEY]);
        let database = Database::from_setup(setup, prepare);
        let passwords = Passwords::from_setup(setup);
        Ok(Self {
            database: database?,
            passwords: passwords?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<UserResponse, Error> {
        let (address, password) = check(&request)?;
        // Before the transaction: a hash takes longer than all queries together, and would keep a
        // connection for that time.
        let hash = self.passwords.hash(password);
        let adopted = accounts::adopt(&self.database, cx);
        let (hash, ()) = tokio::try_join!(hash, adopted)?;
        self.database
            .write_one(
                cx,
                INSERT,
                &[
                    &Uuid::now_v7(),
                    &address.text,
                    &address.email_key,
                    &address.key_or_spelling(),
                    &request.name,
                    &hash,
                ],
                |inserted| {
                    let taken =
                        || Error::new(Kind::AlreadyExists, "there is an account with this e-mail");
                    let row = inserted
                        .on_constraint(accounts::KEY_IS_TAKEN, taken)
                        .on_constraint("users_email_key", taken)?;
                    Ok(UserResponse {
                        user: Some(user(&row)),
                        message: "account created".into(),
                    })
                },
            )
            .await
    }
}

/// The address and the password, prepared, of somebody who signs up.
///
/// # Errors
///
/// INVALID_ARGUMENT, which names each that cannot be one.
pub(crate) fn check(request: &CreateUserRequest) -> Result<(Address<'_>, String), Error> {
    let mut wrong = Violations::default();
    let address = Address::new(&request.email);
    if let Err(why) = address.key {
        wrong.add("email", why);
    }
    let password = password::prepare(&request.password);
    if let Err(says) = password::check(&password) {
        wrong.add("password", says);
    }
    if wrong.is_empty() {
        Ok((address, password))
    } else {
        Err(Error::invalid(wrong))
    }
}
