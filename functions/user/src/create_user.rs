use uuid::Uuid;
use zerocart_postgres::{Database, ErrorExt, Options};
use zerocart_proto::{rpc, user::UserResponse};
use zerocart_runtime::{Call, Error, Function, Invalid, Kind, READY_TIMEOUT, Request, Setup};

use crate::{email_key, password::Passwords, user, user_columns};

const INSERT: &str = concat!(
    "INSERT INTO users (id, email, email_key, name, password_hash)
     VALUES ($1, $2, $3, $4, $5) RETURNING ",
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
        let database = Database::from_setup(
            setup,
            Options {
                prepare: &[INSERT],
                ..Default::default()
            },
        );
        let passwords = Passwords::from_setup(setup);
        Ok(Self {
            database: database?,
            passwords: passwords?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<UserResponse, Error> {
        // Before the transaction: a hash takes longer than all queries together, and would keep a
        // connection for that time.
        let hash = self.passwords.hash(request.password).await?;
        self.database
            .write_one(
                cx,
                INSERT,
                &[
                    &Uuid::now_v7(),
                    &request.email,
                    &email_key(&request.email),
                    &request.name,
                    &hash,
                ],
                |inserted| {
                    let row = inserted.on_constraint("users_email_key", || {
                        Error::new(Kind::AlreadyExists, "there is an account with this e-mail")
                    })?;
                    Ok(UserResponse {
                        user: row.as_ref().map(user),
                        message: "account created".into(),
                    })
                },
            )
            .await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}
