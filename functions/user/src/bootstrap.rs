//! The first admin: without one nobody could make products, and nobody can sign up as one.

use std::fmt;

use uuid::Uuid;
use zerocart_core::{Call, Error};
use zerocart_postgres::Database;
use zerocart_proto::{
    user::CreateUserRequest,
    validate::{Validate as _, Violations},
};

use crate::{address::Address, create_user, password};

/// The e-mail of the first admin.
pub const EMAIL: &str = "admin@zerocart.example";

/// Bits of randomness in the generated password.
const PASSWORD_BITS: usize = 128;

/// How the first admin signs in. Shown once; only its hash is kept.
pub struct Credential {
    /// The e-mail.
    pub email: &'static str,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// A password in the form that is hashed, if the first admin can have it.
///
/// # Errors
///
/// INVALID_ARGUMENT with what is wrong: the rules are those of everybody who signs up.
pub fn check_password(password: &str) -> Result<String, Error> {
    let request = CreateUserRequest {
        email: EMAIL.to_owned(),
        name: "Admin".to_owned(),
        password: password.to_owned(),
    };
    let mut wrong = Violations::default();
    request.validate(&mut wrong);
    if !wrong.is_empty() {
        return Err(Error::invalid(wrong));
    }
    create_user::check(&request).map(|(_, password)| password)
}

/// Adds an admin with this password or else a generated one, unless there is an admin already.
///
/// `database` is the user database as its owner: the functions' role cannot make admins.
///
/// # Errors
///
/// When the password is none ([`check_password`]), the database refuses, or the system has no
/// randomness.
pub async fn first_admin(
    database: &Database,
    cx: &Call,
    password: Option<&str>,
) -> Result<Option<Credential>, Error> {
    let given = password.map(check_password).transpose()?;
    let exists: bool = database
        .session(cx)
        .await?
        .query_one(
            "SELECT EXISTS (SELECT FROM users WHERE role = 'admin')",
            &[],
        )
        .await?
        .get(0);
    if exists {
        return Ok(None);
    }
    let password = match given {
        Some(password) => password,
        None => zerocart_auth::generate_secret(PASSWORD_BITS)
            .map_err(Error::internal)?
            .to_string(),
    };
    let hash = password::hash(&password)?;
    let address = Address::new(EMAIL);
    let key = address.key.map_err(Error::internal)?;
    let added = database
        .session(cx)
        .await?
        .execute(
            "INSERT INTO users (id, email, email_key, address_key, name, password_hash, role)
             VALUES ($1, $2, $3, $4, 'Admin', $5, 'admin') ON CONFLICT DO NOTHING",
            &[&Uuid::now_v7(), &EMAIL, &address.email_key, &key, &hash],
        )
        .await?;
    // Another start was faster: its credential is the one that counts.
    Ok((added == 1).then_some(Credential {
        email: EMAIL,
        password,
    }))
}
