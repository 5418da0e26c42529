use std::{
    fmt,
    time::{Duration, SystemTime},
};

use zerocart_auth::{Issuer, KeyPair, Role, Signer};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{rpc, user::AuthResponse};
use zerocart_runtime::{Call, Error, Function, Invalid, Request, Setup};

use crate::{
    attempts::{self, Attempts},
    password::Passwords,
    user,
};

/// How long a token is valid unless `TOKEN_LIFETIME_SECONDS` says otherwise.
pub const TOKEN_LIFETIME_SECONDS: u64 = 3600;

/// `authenticate-user`: signs in.
pub struct AuthenticateUser {
    database: Database,
    attempts: Attempts,
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
                prepare: attempts::PREPARE,
                ..Default::default()
            },
        );
        let attempts = Attempts::from_setup(setup);
        let passwords = Passwords::from_setup(setup);
        let key = setup.require::<KeyPair>("AUTH_SIGNING_KEY");
        let lifetime = setup.or("TOKEN_LIFETIME_SECONDS", TOKEN_LIFETIME_SECONDS);
        if matches!(lifetime, Ok(0)) {
            setup.problem("TOKEN_LIFETIME_SECONDS must be above 0");
        }
        Ok(Self {
            database: database?,
            attempts: attempts?,
            passwords: passwords?,
            signer: Signer::new(Issuer::User, &key?),
            token_lifetime: Duration::from_secs(lifetime?),
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<AuthResponse, Error> {
        // An unknown e-mail takes the same way as a wrong password, to the same answer.
        let attempt = self.attempts.begin(&self.database, cx, &request.email);
        let (attempt, row) = attempt.await?;
        let hash = row.as_ref().map(|row| row.get(4));
        let verified = match self.passwords.verify(request.password, hash).await {
            Ok(verified) => verified,
            Err(error) => {
                // Should that fail too, it stays counted.
                let _ = attempt.take_back().await;
                return Err(error);
            }
        };
        let Some(row) = row.filter(|_| verified) else {
            attempt.failed().await?;
            return Ok(AuthResponse::default());
        };
        attempt.succeeded().await?;
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
}

impl fmt::Debug for AuthenticateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateUser").finish_non_exhaustive()
    }
}
