//! How often somebody may try to sign in to one account.
//!
//! The gateway limits attempts for each network address. A caller with many addresses is slowed
//! down here, for each e-mail. All spellings of an e-mail count together. An attempt counts before
//! its password is looked at, so that many at once count too; a success resets the count. An e-mail
//! without an account is counted in the same way, so the limit says nothing about accounts.

use std::time::Duration;

use zerocart_core::{Call, Error, Invalid, Kind, Setup};
use zerocart_postgres::{Database, Row};
use zerocart_proto::user::User;

use crate::{accounts, address::Address, user, user_columns};

/// Attempts without a success after which one has to wait, unless `SIGN_IN_FREE_ATTEMPTS` says
/// otherwise. As many may be under way at once.
const FREE_ATTEMPTS: i32 = 10;

/// The account of an e-mail: the one that is spelled $2, or else the one whose key is $1.
///
/// The spelling comes first, since of two older accounts with one address only one has its key. (An
/// account's spelling and its key are one text when no key can be made of it; that is no harm.)
macro_rules! account {
    () => {
        "(SELECT * FROM users WHERE email_key = $2 OR address_key = $1
          ORDER BY email_key = $2 DESC LIMIT 1)"
    };
}

/// Counts an attempt, unless it is too early for one, and reads the account.
///
/// $3 are free; the wait after them is 1 s, doubled by each further attempt up to 30 s. An hour after
/// the last attempt all are forgotten. By the clock of the moment, not of the statement's begin:
/// attempts at once wait for each other here.
pub(crate) const BEGIN: &str = concat!(
    "WITH key AS (SELECT sha256(convert_to($1, 'UTF8')) AS email_sha256),
     attempt AS (
       INSERT INTO sign_in_attempts AS known
       SELECT email_sha256, 1, clock_timestamp(), clock_timestamp() FROM key
       ON CONFLICT ON CONSTRAINT sign_in_attempts_pkey DO UPDATE SET
         attempts = CASE WHEN known.last_at < clock_timestamp() - interval '1 hour' THEN 1
                         ELSE known.attempts + 1 END,
         last_at = clock_timestamp(),
         next_at = clock_timestamp() + CASE
           WHEN known.last_at < clock_timestamp() - interval '1 hour' OR known.attempts + 1 < $3
             THEN interval '0'
           ELSE interval '1 s' * least(30, 2 ^ least(known.attempts + 1 - $3, 5)) END
       WHERE known.next_at <= clock_timestamp()
       RETURNING 1
     )
     SELECT ",
    user_columns!(),
    ", password_hash, role, token_generation, EXISTS (SELECT FROM attempt),
       (SELECT greatest(1, ceil(extract(epoch FROM next_at - clock_timestamp())))::integer
        FROM sign_in_attempts JOIN key USING (email_sha256)),
       EXISTS (SELECT FROM users WHERE address_key IS NULL AND NOT twin)
     FROM (VALUES (1)) AS always LEFT JOIN LATERAL ",
    account!(),
    " AS account ON true"
);

/// Reads the account again, whose key may be known by now.
const READ: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", password_hash, role, token_generation FROM ",
    account!(),
    " AS account"
);

/// Takes a few rows away that count for nothing any more, so that the table stays as large as an
/// hour's failures. SKIP LOCKED, and alone in its transaction: it waits for nobody.
const SWEEP: &str = "DELETE FROM sign_in_attempts WHERE email_sha256 IN (
       SELECT email_sha256 FROM sign_in_attempts WHERE last_at < now() - interval '1 hour'
       ORDER BY last_at LIMIT 3 FOR UPDATE SKIP LOCKED)";

/// Forgets the attempts: one has succeeded.
pub(crate) const FORGET: &str =
    "DELETE FROM sign_in_attempts WHERE email_sha256 = sha256(convert_to($1, 'UTF8'))";

/// Takes an attempt back whose password nobody looked at. The wait before it has passed anyway.
const TAKE_BACK: &str = "UPDATE sign_in_attempts SET attempts = attempts - 1, next_at = last_at
     WHERE email_sha256 = sha256(convert_to($1, 'UTF8')) AND attempts > 0";

/// Statements to prepare while the process starts.
pub(crate) const PREPARE: &[&str] = &[BEGIN, FORGET, SWEEP];

/// The limit of attempts per e-mail.
#[derive(Debug)]
pub(crate) struct Attempts {
    database: Database,
    free: i32,
}

/// An account that somebody tries to sign in to.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) password_hash: String,
    pub(crate) role: String,
    /// The generation of the tokens that the user gets now.
    pub(crate) token_generation: i32,
}

impl Account {
    /// A row of `user_columns`, `password_hash`, `role` and `token_generation`.
    fn of_row(row: &Row) -> Self {
        Self {
            user: user(row),
            password_hash: row.get(5),
            role: row.get(6),
            token_generation: row.get(7),
        }
    }
}

/// An attempt that was counted.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    database: &'a Database,
    cx: &'a Call,
    key: String,
}

impl Attempts {
    /// `SIGN_IN_FREE_ATTEMPTS`: attempts to sign in to an account without a success after which one
    /// has to wait before the next, default 10, at least 2. From then on an attempt that comes too early is
    /// answered RESOURCE_EXHAUSTED (429) with the time to wait, 1 s to 30 s.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when that is bad, and without a database; the reason is noted.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        database: Result<Database, Invalid>,
    ) -> Result<Self, Invalid> {
        let free = setup.or("SIGN_IN_FREE_ATTEMPTS", FREE_ATTEMPTS)?;
        if free < 2 {
            setup.problem("SIGN_IN_FREE_ATTEMPTS must be above 1");
            return Err(Invalid);
        }
        let database = database?;
        Ok(Self { database, free })
    }

    /// Counts an attempt, and gives the account with this e-mail, if there is one.
    ///
    /// An e-mail that is none by the rules of now is looked up as it is: an older account may have it.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED while one has to wait, which does not prolong the wait.
    pub(crate) async fn begin<'a>(
        &'a self,
        cx: &'a Call,
        email: &str,
    ) -> Result<(Attempt<'a>, Option<Account>), Error> {
        let database = &self.database;
        let address = Address::new(email);
        let key = address.key_or_spelling().to_owned();
        let email_key = &address.email_key;
        let row = database
            .session(cx)
            .await?
            .query_one(BEGIN, &[&key, email_key, &self.free])
            .await?;
        if !row.get::<_, bool>(8) {
            // None: the attempt that blocks this one began meanwhile.
            let wait_s = row.get::<_, Option<i32>>(9).unwrap_or(1);
            let wait = Duration::from_secs(wait_s.unsigned_abs().into());
            let message = "too many attempts to sign in with this e-mail; try again later";
            return Err(Error::new(Kind::ResourceExhausted, message).with_retry_after(wait));
        }
        let account = if row.get::<_, bool>(10) {
            // Done for every e-mail, so the time says nothing about the account.
            accounts::adopt(database, cx).await?;
            let session = database.session(cx).await?;
            session.query_opt(READ, &[&key, email_key]).await?
        } else {
            row.get::<_, Option<&str>>(5).is_some().then_some(row)
        };
        let account = account.as_ref().map(Account::of_row);
        Ok((Attempt { database, cx, key }, account))
    }
}

impl Attempt<'_> {
    /// It has succeeded.
    pub(crate) async fn succeeded(self) -> Result<(), Error> {
        let session = self.database.session(self.cx).await?;
        session.execute(FORGET, &[&self.key]).await?;
        Ok(())
    }

    /// It has failed, and is counted already.
    pub(crate) async fn failed(self) -> Result<(), Error> {
        let session = self.database.session(self.cx).await?;
        session.execute(SWEEP, &[]).await?;
        Ok(())
    }

    /// Nobody looked at its password.
    pub(crate) async fn take_back(self) -> Result<(), Error> {
        let session = self.database.session(self.cx).await?;
        session.execute(TAKE_BACK, &[&self.key]).await?;
        Ok(())
    }
}
