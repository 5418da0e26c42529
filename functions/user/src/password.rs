//! Passwords: argon2id, off the event loop, a bounded number at once.
//!
//! What is hashed is the password in one form ([`prepare`]), since keyboards differ in how they send an
//! accent. What was hashed before there was such a form is verified as it is sent.

use std::{borrow::Cow, num::NonZero, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{
        CustomizedPasswordHasher, Error as HashError, PasswordHasher, PasswordVerifier,
        Result as HashResult,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use precis_profiles::{OpaqueString, precis_core::profile::Rules};
use zerocart_core::{Error, Invalid, Kind, Setup};
use zerocart_resilience::bulkhead::{self, Bulkhead};

use crate::memory::Arena;

/// A hash with the parameters of [`Argon2::default`] (19 MiB, 2 passes, 1 lane: the minimum of the
/// OWASP Password Storage Cheat Sheet), of a random password that nobody knows. Who signs in with
/// an unknown e-mail is compared with it, so that the answer takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0$OgGxhcHeANZ7LIxlJRCHMF5eBEwOp7uXWkuZ5Tcy2R8";

/// How long a request waits for its turn. The contract's limit for a call is 5 s; a request that
/// waited this long still has time for its own hash and its queries.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// The fewest characters of a password in the form that is hashed. The rules of `proto/` say it of the
/// form that was sent.
const MIN_PASSWORD_LEN: usize = 8;

/// A password with its accents composed (Unicode NFC) and every space the one of ASCII: the mappings of
/// OpaqueString (RFC 8265, section 4.2).
///
/// What that profile would refuse besides control characters stays, such as the joiners of emoji: a
/// password is only compared, and what a keyboard of next year sends is good, too.
pub(crate) fn prepare(password: &str) -> String {
    let profile = OpaqueString::new();
    let prepared = profile
        .additional_mapping_rule(password)
        .and_then(|mapped| profile.normalization_rule(mapped));
    // The mappings refuse nothing.
    prepared.map_or_else(|_| password.to_owned(), Cow::into_owned)
}

/// Whether a [prepared](prepare) password can be one; or what it must be.
pub(crate) fn check(prepared: &str) -> Result<(), String> {
    match prepared.chars().count() < MIN_PASSWORD_LEN {
        true => Err(format!(
            "must have at least {MIN_PASSWORD_LEN} characters once accents are composed"
        )),
        false => Ok(()),
    }
}

/// Hashes and checks passwords. Each hash takes 19 MiB, so their number at once bounds memory.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    turns: Bulkhead,
    hasher: Hasher,
}

impl Passwords {
    /// `PASSWORD_HASHES_AT_ONCE` (default: one per core) and as many as 32 that wait.
    pub(crate) fn from_setup(setup: &mut Setup) -> Result<Self, Invalid> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let max_in_flight = setup.or("PASSWORD_HASHES_AT_ONCE", cores)?;
        let turns = Bulkhead::new(bulkhead::Config {
            max_in_flight,
            max_waiting: 32,
            max_wait: MAX_WAIT,
            retry_after: Duration::from_secs(1),
        })
        .map_err(|error| {
            setup.problem(format!("PASSWORD_HASHES_AT_ONCE: {error}"));
            Invalid
        })?;
        Ok(Self {
            turns,
            hasher: Hasher::default(),
        })
    }

    /// The PHC string of a password that is [prepared](prepare), under a random salt.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when too many hashes wait; INTERNAL when the system has no randomness.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        let hasher = self.hasher.clone();
        self.off_loop(move || hasher.hash(&password)).await?
    }

    /// The PHC string of `new`, which is [prepared](prepare), if `old` is the password of `phc`: both in one turn,
    /// one after the other.
    ///
    /// # Errors
    ///
    /// As [`hash`](Self::hash) and [`verify`](Self::verify).
    pub(crate) async fn change(
        &self,
        old: String,
        phc: String,
        new: String,
    ) -> Result<Option<String>, Error> {
        let hasher = self.hasher.clone();
        self.off_loop(move || match hasher.verify(&old, &phc)? {
            true => hasher.hash(&new).map(Some),
            false => Ok(None),
        })
        .await?
    }

    /// Whether `password` is the one of `phc`: prepared, or else as it is. Without a `phc`, as for an
    /// unknown e-mail, it is not, after the same work: one hash, or two where it has two forms.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when too many wait; INTERNAL when `phc` is no hash.
    pub(crate) async fn verify(
        &self,
        password: String,
        phc: Option<String>,
    ) -> Result<bool, Error> {
        let hasher = self.hasher.clone();
        self.off_loop(move || {
            let known = phc.is_some();
            let verified = hasher.verify(&password, phc.as_deref().unwrap_or(NOBODY))?;
            Ok(verified && known)
        })
        .await?
    }

    async fn off_loop<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.turns.acquire().await.map_err(|full| {
            Error::new(Kind::ResourceExhausted, "too many sign-ins at once")
                .with_retry_after(full.retry_after)
        })?;
        tokio::task::spawn_blocking(move || {
            // The turn ends with the work, not with the caller: one that gave up still uses memory.
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

/// argon2id, in memory that one hash takes after the other.
#[derive(Clone, Debug, Default)]
struct Hasher {
    arena: Arena,
}

impl Hasher {
    /// The PHC string of a password under a random salt.
    fn hash(&self, password: &str) -> Result<String, Error> {
        self.hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Whether `password` is the one of `phc`, in one of its forms.
    fn verify(&self, password: &str, phc: &str) -> Result<bool, Error> {
        let hash = PasswordHash::new(phc).map_err(|error| Error::internal(error.to_string()))?;
        let prepared = prepare(password);
        let as_sent = Some(password).filter(|password| **password != prepared);
        for form in [prepared.as_str()].into_iter().chain(as_sent) {
            match self.verify_password(form.as_bytes(), &hash) {
                Ok(()) => return Ok(true),
                Err(HashError::PasswordInvalid) => {}
                Err(error) => return Err(Error::internal(error.to_string())),
            }
        }
        Ok(false)
    }
}

impl PasswordHasher<PasswordHash> for Hasher {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> HashResult<PasswordHash> {
        self.hash_password_customized(password, salt, None, None, Params::DEFAULT)
    }
}

impl CustomizedPasswordHasher<PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> HashResult<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?;
        let algorithm = algorithm.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?;
        let version = version.unwrap_or_default();
        let mut output = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let output = output.get_mut(..length).ok_or(HashError::OutputSize)?;
        Argon2::new(algorithm, version, params.clone()).hash_password_into_with_memory(
            password,
            salt,
            output,
            self.arena.take(&params),
        )?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    }
}

/// The PHC string of `password`, here and now.
pub(crate) fn hash(password: &str) -> Result<String, Error> {
    Hasher::default().hash(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_core::Env;

    fn passwords() -> Passwords {
        let vars: [(&str, &str); 0] = [];
        Passwords::from_setup(&mut Setup::new(Env::from_iter(vars), "test")).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_verified() {
        let passwords = passwords();
        let phc = passwords.hash("correct horse".into()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(
            passwords
                .verify("correct horse".into(), Some(phc.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("battery staple".into(), Some(phc))
                .await
                .unwrap()
        );
    }

    /// What was hashed by argon2's own hand is verified, and the other way round.
    #[test]
    fn it_is_argon2s_hash() {
        let theirs = Argon2::default().hash_password(b"correct horse").unwrap();
        let hasher = Hasher::default();
        hasher.verify_password(b"correct horse", &theirs).unwrap();
        let wrong = hasher.verify_password(b"battery staple", &theirs);
        assert_eq!(wrong, Err(HashError::PasswordInvalid));
        let ours = hash("correct horse").unwrap();
        Argon2::default()
            .verify_password(b"correct horse", ours.as_str())
            .unwrap();
    }

    #[tokio::test]
    async fn nobody_is_never_signed_in_and_costs_as_much() {
        let passwords = passwords();
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
        let fresh = passwords.hash("x".into()).await.unwrap();
        let parameters = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(NOBODY), parameters(&fresh));
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let fresh = PasswordHash::new(&fresh).unwrap();
        assert_eq!(
            nobody.hash.unwrap().as_bytes().len(),
            fresh.hash.unwrap().as_bytes().len()
        );
    }
}
