use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{
    rpc,
    user::{AuthResponse, UserState},
};

use crate::{
    attempts::{self, Account, Attempts},
    password::Passwords,
    tokens::Tokens,
};

/// `authenticate-user`: signs in.
#[derive(Debug)]
pub struct AuthenticateUser {
    attempts: Attempts,
    passwords: Passwords,
    tokens: Tokens,
}

impl Function for AuthenticateUser {
    type Rpc = rpc::AuthenticateUser;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::preparing(attempts::PREPARE));
        let attempts = Attempts::from_setup(setup, database);
        let passwords = Passwords::from_setup(setup);
        Ok(Self {
            tokens: Tokens::from_setup(setup)?,
            attempts: attempts?,
            passwords: passwords?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<AuthResponse, Error> {
        // An unknown e-mail takes the same way as a wrong password, to the same answer.
        let (attempt, account) = self.attempts.begin(cx, &request.email).await?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let verified = match self.passwords.verify(request.password, hash).await {
            Ok(verified) => verified,
            Err(error) => {
                // Should that fail too, it stays counted.
                let _ = attempt.take_back().await;
                return Err(error);
            }
        };
        match account.filter(|_| verified) {
            Some(account) => {
                attempt.succeeded().await?;
                self.sign_in(account)
            }
            None => {
                attempt.failed().await?;
                Ok(AuthResponse::default())
            }
        }
    }
}

impl AuthenticateUser {
    /// The answer to the right password.
    ///
    /// # Errors
    ///
    /// PERMISSION_DENIED if the account is disabled.
    fn sign_in(&self, account: Account) -> Result<AuthResponse, Error> {
        let Account {
            user,
            role,
            token_generation,
            ..
        } = account;
        // Only who knows the password is told.
        if user.state() == UserState::Disabled {
            return Err(Error::new(
                Kind::PermissionDenied,
                "this account is disabled; ask the operator of the shop",
            ));
        }
        Ok(AuthResponse {
            success: true,
            token: self.tokens.issue(&user.id, &role, token_generation)?,
            user: Some(user),
        })
    }
}
