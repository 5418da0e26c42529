use std::{
    fmt,
    time::{Duration, SystemTime},
};

use zerocart_auth::{Issuer, KeyPair, Role, Signer};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{rpc, user::AuthResponse};
use zerocart_runtime::{Call, Error, Function, Invalid, READY_TIMEOUT, Request, Setup};

use crate::{email_key, password::Passwords, user, user_columns};

/// How long a token is valid unless `TOKEN_LIFETIME_SECONDS` says otherwise.
pub const TOKEN_LIFETIME_SECONDS: u64 = 3600;

const SELECT: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", password_hash, role FROM users WHERE email_key = $1"
);

/// `authenticate-user`: signs in.
pub struct AuthenticateUser {
    database: Database,
    passwords: Passwords,
    signer: Signer,
    token_lifetime: Duration,
}

impl Function for AuthenticateUser {
    type Rpc = rpc::AuthenticateUser;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(
            setup,
            Options {
                prepare: &[SELECT],
                ..Default::default()
            },
        );
        let passwords = Passwords::from_setup(setup);
        let key = setup.require::<KeyPair>("AUTH_SIGNING_KEY");
        let lifetime = setup.or("TOKEN_LIFETIME_SECONDS", TOKEN_LIFETIME_SECONDS);
        if matches!(lifetime, Ok(0)) {
            setup.problem("TOKEN_LIFETIME_SECONDS must be above 0");
        }
        Ok(Self {
            database: database?,
            passwords: passwords?,
            signer: Signer::new(Issuer::User, &key?),
            token_lifetime: Duration::from_secs(lifetime?),
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<AuthResponse, Error> {
        // An unknown e-mail takes the same way as a wrong password, to the same answer.
        let row = self
            .database
            .read(cx)
            .await?
            .query_opt(SELECT, &[&email_key(&request.email)])
            .await?;
        let hash = row.as_ref().map(|row| row.get(4));
        let verified = self.passwords.verify(request.password, hash).await?;
        let Some(row) = row.filter(|_| verified) else {
            return Ok(AuthResponse::default());
        };
        let user = user(&row);
        let role: Role = row.get::<_, &str>(5).parse().map_err(Error::internal)?;
        let token = self
            .signer
            .issue(&user.id, role, self.token_lifetime, SystemTime::now())
            .map_err(Error::internal)?;
        Ok(AuthResponse {
            success: true,
            token: token.as_str().to_owned(),
            user: Some(user),
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.database.ping(READY_TIMEOUT).await
    }
}

impl fmt::Debug for AuthenticateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateUser").finish_non_exhaustive()
    }
}
