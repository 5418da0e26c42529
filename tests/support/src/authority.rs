//! Keys and tokens for tests.

use std::time::{Duration, SystemTime};

use zerocart_auth::{Issuer, KeySet, Role, Signer, Token};

/// Long enough for any test.
const TTL: Duration = Duration::from_secs(3600);

/// Both issuers, with keys of their own that were drawn for one test.
#[derive(Debug)]
pub struct Authority {
    user: KeySet,
    service: KeySet,
}

impl Authority {
    /// Draws the keys.
    pub fn generate() -> Self {
        let keys = || KeySet::generate().expect("the system has random bytes");
        Self {
            user: keys(),
            service: keys(),
        }
    }

    /// The variables by which a function knows the public keys.
    pub fn env(&self) -> Vec<(String, String)> {
        vec![
            ("AUTH_USER_KEYS".into(), self.user.keys().to_string()),
            ("AUTH_SERVICE_KEYS".into(), self.service.keys().to_string()),
        ]
    }

    /// The keys of the user issuer, for a function that signs tokens.
    pub fn user_keys(&self) -> &KeySet {
        &self.user
    }

    /// The keys of the service issuer, for a function that calls others.
    pub fn service_keys(&self) -> &KeySet {
        &self.service
    }

    /// A token of the customer whose id is the UUID `user_id`.
    pub fn customer(&self, user_id: &str) -> Token {
        self.token(Issuer::User, user_id, Role::Customer, SystemTime::now())
    }

    /// A token of the admin whose id is the UUID `user_id`.
    pub fn admin(&self, user_id: &str) -> Token {
        self.token(Issuer::User, user_id, Role::Admin, SystemTime::now())
    }

    /// A token of the function `function`.
    pub fn service(&self, function: &str) -> Token {
        self.token(Issuer::Service, function, Role::Service, SystemTime::now())
    }

    /// A customer's token that expired an hour ago.
    pub fn expired(&self, user_id: &str) -> Token {
        let issued = SystemTime::now() - 2 * TTL;
        self.token(Issuer::User, user_id, Role::Customer, issued)
    }

    fn token(&self, issuer: Issuer, subject: &str, role: Role, now: SystemTime) -> Token {
        let keys = match issuer {
            Issuer::User => &self.user,
            Issuer::Service => &self.service,
        };
        Signer::new(issuer, keys.current())
            .issue(subject, role, TTL, now)
            .expect("the issuer may give this role to this subject")
    }
}
