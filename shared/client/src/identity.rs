//! The identity with which a function is called.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use zerocart_auth::{IssueError, Issuer, KeyPair, Role, Signer, Token};
use zerocart_core::{Call, Invalid, Setup};

use crate::Caller;

/// How long a token of the service issuer is valid: longer than any call takes, and no longer
/// than needed, because nothing can take a token back.
const TTL: Duration = Duration::from_secs(60);

/// The identity with which a function is called.
#[derive(Clone, Debug, Default)]
pub enum Identity {
    /// Of the call's own caller: its token is passed on; nobody's when it has none.
    #[default]
    Caller,
    /// Nobody's: no token is sent. A function that anyone may call is always asked like this. No token goes
    /// where none is needed, and the answer is the same for every caller.
    Nobody,
    /// Of the calling function itself.
    Service(ServiceToken),
}

impl Identity {
    pub(crate) fn token(&self, cx: &Call) -> Result<Option<Token>, IssueError> {
        match self {
            Self::Caller => Ok(cx.token.clone()),
            Self::Nobody => Ok(None),
            Self::Service(service) => service.token(SystemTime::now()).map(Some),
        }
    }
}

/// Tokens of the service issuer, in the name of one function. A clone shares them.
///
/// Made lazily, valid for a minute, and kept until half of that is over. `Debug` shows neither the
/// key nor a token.
#[derive(Clone)]
pub struct ServiceToken(Arc<Inner>);

struct Inner {
    subject: &'static str,
    signer: Signer,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: Token,
    made: SystemTime,
}

impl ServiceToken {
    /// Tokens in the name of `caller`, signed with `AUTH_SERVICE_SIGNING_KEY`, a private JWK.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the key is missing or bad; the reason is noted.
    pub fn from_setup(setup: &mut Setup, caller: &Caller) -> Result<Self, Invalid> {
        let key: KeyPair = setup.require("AUTH_SERVICE_SIGNING_KEY")?;
        Ok(Self::new(&key, caller.name))
    }

    fn new(key: &KeyPair, subject: &'static str) -> Self {
        Self(Arc::new(Inner {
            subject,
            signer: Signer::new(Issuer::Service, key),
            kept: Mutex::default(),
        }))
    }

    /// A token that is valid for at least half of its life.
    fn token(&self, now: SystemTime) -> Result<Token, IssueError> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // By the wall clock, as its reader does; a clock that was set back makes a new one.
        let fresh = kept
            .as_ref()
            .filter(|kept| now.duration_since(kept.made).is_ok_and(|age| age < TTL / 2));
        if let Some(kept) = fresh {
            return Ok(kept.token.clone());
        }
        let token = self
            .0
            .signer
            .issue(self.0.subject, Role::Service, TTL, now)?;
        *kept = Some(Kept {
            token: token.clone(),
            made: now,
        });
        Ok(token)
    }
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceToken")
            .field("subject", &self.0.subject)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_auth::{Keys, Verifier};
    use zerocart_core::Env;

    const CALLER: Caller = Caller {
        name: "create-order",
        calls: &[],
    };

    #[test]
    fn a_token_is_kept_for_half_of_its_life() {
        let key = KeyPair::generate().unwrap();
        let service = ServiceToken::new(&key, "create-order");
        let begin = SystemTime::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let first = service.token(at(0)).unwrap();
        assert_eq!(service.token(at(29)).unwrap(), first);
        let second = service.token(at(30)).unwrap();
        assert_ne!(second, first);
        assert_eq!(service.token(at(59)).unwrap(), second);
        // Set back.
        assert_ne!(service.token(at(10)).unwrap(), second);

        let keys = Keys::new([key.public().clone()]).unwrap();
        let verifier = Verifier::new(&Keys::default(), &keys).unwrap();
        let identity = verifier.verify(&second, at(59)).unwrap();
        assert_eq!(identity.subject, "create-order");
        assert_eq!(identity.role, Role::Service);
        assert!(!format!("{service:?}").contains(second.as_str()));
    }

    #[test]
    fn a_bad_key_is_a_problem_that_names_the_variable() {
        for env in [
            Env::default(),
            Env::from_iter([("AUTH_SERVICE_SIGNING_KEY", "{\"d\": \"secret\"}")]),
        ] {
            let mut setup = Setup::new(env, "create-order");
            assert!(ServiceToken::from_setup(&mut setup, &CALLER).is_err());
            let [problem] = setup.problems() else {
                panic!("{:?}", setup.problems());
            };
            assert!(problem.starts_with("AUTH_SERVICE_SIGNING_KEY"), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
