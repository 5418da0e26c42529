//! The tokens of people who signed in.

use std::time::{Duration, SystemTime};

use zerocart_auth::{Issuer, KeyPair, Role, Signer};
use zerocart_core::{Error, Invalid, Setup};

/// How long a token is valid unless `TOKEN_LIFETIME_SECONDS` says otherwise.
pub const TOKEN_LIFETIME_SECONDS: u64 = 3600;

/// The longest lifetime. A void token is remembered for an hour longer (shared/postgres).
const MAX_LIFETIME_SECONDS: u64 = 24 * 3600;

/// Signs tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    signer: Signer,
    lifetime: Duration,
}

impl Tokens {
    /// `AUTH_SIGNING_KEY`, required, and `TOKEN_LIFETIME_SECONDS`, 1 to 86,400.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub(crate) fn from_setup(setup: &mut Setup) -> Result<Self, Invalid> {
        let key = setup.require::<KeyPair>("AUTH_SIGNING_KEY");
        let lifetime = setup.or("TOKEN_LIFETIME_SECONDS", TOKEN_LIFETIME_SECONDS);
        if lifetime.is_ok_and(|lifetime| !(1..=MAX_LIFETIME_SECONDS).contains(&lifetime)) {
            setup.problem(format!(
                "TOKEN_LIFETIME_SECONDS must be between 1 and {MAX_LIFETIME_SECONDS}"
            ));
        }
        Ok(Self {
            signer: Signer::new(Issuer::User, &key?),
            lifetime: Duration::from_secs(lifetime?),
        })
    }

    /// A token of the user with this id and role, of this generation, from now on.
    pub(crate) fn issue(
        &self,
        user_id: &str,
        role: &str,
        generation: i32,
    ) -> Result<String, Error> {
        let role: Role = role.parse().map_err(Error::internal)?;
        let token = self
            .signer
            .issue_in(
                generation.unsigned_abs(),
                user_id,
                role,
                self.lifetime,
                SystemTime::now(),
            )
            .map_err(Error::internal)?;
        Ok(token.as_str().to_owned())
    }
}
