//! Accounts that were made before addresses had keys ([`crate::address`]) get theirs.
//!
//! The migration knew the keys of those in ASCII. The others are worked out here, by the first sign-up or
//! sign-in that meets one, all at once and for good: from then on this finds nothing. The oldest of
//! several accounts with one address has its key, and the others are its twins.

use uuid::Uuid;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, ErrorExt};

use crate::address::Address;

/// How many at once: the LIMIT of [`WITHOUT_KEY`].
const BATCH: usize = 500;

/// What is violated by a second account with one key.
pub(crate) const KEY_IS_TAKEN: &str = "users_address_key";

/// Accounts that have no key yet.
pub(crate) const WITHOUT_KEY: &str = "SELECT id, email FROM users
     WHERE address_key IS NULL AND NOT twin ORDER BY created_at LIMIT 500";

/// Gives them their keys. Rows are locked in one order, and what another has done meanwhile stays.
const ADOPT: &str = "WITH locked AS (
       SELECT id, created_at FROM users WHERE id = ANY ($1) ORDER BY id FOR UPDATE
     ), given AS (
       SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY created_at, id) = 1
         AND NOT EXISTS (SELECT FROM users WHERE address_key = key) AS is_first
       FROM unnest($1::uuid[], $2::text[]) AS given (id, key) JOIN locked USING (id)
     )
     UPDATE users SET address_key = CASE WHEN is_first THEN key END, twin = NOT is_first
     FROM given WHERE users.id = given.id AND users.address_key IS NULL AND NOT users.twin";

/// Gives every account a key that has none yet.
///
/// # Errors
///
/// Those of the database.
pub(crate) async fn adopt(database: &Database, cx: &Call) -> Result<(), Error> {
    loop {
        let session = database.session(cx).await?;
        let found = session.query(WITHOUT_KEY, &[]).await?;
        if found.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = found.iter().map(|row| row.get(0)).collect();
        let key = |email: &str| Address::new(email).key_or_spelling().to_owned();
        let keys: Vec<String> = found.iter().map(|row| key(row.get(1))).collect();
        let adopted = session.execute(ADOPT, &[&ids, &keys]).await;
        let adopted = adopted.on_constraint(KEY_IS_TAKEN, || {
            Error::new(Kind::Aborted, "an account has just been made")
        });
        match adopted.map_err(Error::from) {
            // The next look sees it.
            Err(error) if error.kind() == Kind::Aborted => {}
            Err(error) => return Err(error),
            Ok(_) if found.len() < BATCH => return Ok(()),
            Ok(_) => {}
        }
    }
}
