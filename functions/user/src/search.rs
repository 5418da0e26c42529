//! The search of accounts: by the beginning of the e-mail or of the name.
//!
//! The result is two lists, one after the other: the accounts whose e-mails begin so, and then those whose names
//! begin so and whose e-mails do not. Each list is in the order of an index, so a page costs the same, however
//! many accounts there are.

use tokio::try_join;
use uuid::Uuid;
use zerocart_core::Error;
use zerocart_postgres::{QueryError, Row, Session, ToSql};

use crate::{
    address,
    list_users::Page,
    page::{Place, not_ours},
    user_columns,
};

/// Where counting accounts that are found ends: each of them is read.
const MAX_FOUND: i64 = 100;

/// The text by which accounts are found by e-mail, as `users_by_email` has it. An account that has no key of
/// its own is found by its spelling.
macro_rules! email {
    () => {
        "coalesce(address_key, email_key) COLLATE \"C\""
    };
}

/// The text by which accounts are found by name, as `users_by_name` has it.
macro_rules! name {
    () => {
        folded!("name")
    };
}

/// A text without regard to case, width and the form of accents.
macro_rules! folded {
    ($text:literal) => {
        concat!("lower(normalize(", $text, ", NFKC)) COLLATE \"C\"")
    };
}

/// Whether a text begins so, as a range of an index. The last of all characters is no character
/// (U+10FFFF), so no text goes on with it.
macro_rules! begins {
    ($text:expr, $beginning:expr) => {
        concat!(
            $text,
            " >= ",
            $beginning,
            " AND ",
            before_end!($text, $beginning)
        )
    };
}

macro_rules! before_end {
    ($text:expr, $beginning:expr) => {
        concat!($text, " < ", $beginning, " || chr(1114111)")
    };
}

/// $1: how an e-mail begins, in the form of the keys.
macro_rules! email_begins {
    () => {
        begins!(email!(), "$1::text")
    };
}

/// $2: how a name begins, in any form.
macro_rules! name_begins {
    () => {
        begins!(name!(), folded!("$2"))
    };
}

// The server keeps one plan of a statement for all parameters. For that plan, a limit that is a parameter may
// be a tenth of all accounts. So each list also has a limit that is written out: the longest page and one more,
// by the rules of `proto/`. And each is ordered, so that no plan looks for a few accounts among all.

/// Those whose e-mails begin with $1, after the e-mail $2 and the id $3.
const BY_EMAIL: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM (SELECT *, ",
    email!(),
    " AS place FROM users WHERE (",
    email!(),
    ", id) > ($2, $3) AND ",
    before_end!(email!(), "$1::text"),
    " ORDER BY place, id LIMIT 101) AS listed ORDER BY place, id LIMIT $4"
);

/// The accounts whose names begin with $2, after the name $3 (none: from the first on) and the id $4.
macro_rules! by_name {
    ($columns:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM users WHERE (",
            name!(),
            ", id) > (coalesce($3, ",
            folded!("$2"),
            "), $4) AND ",
            before_end!(name!(), folded!("$2")),
            " ORDER BY ",
            name!(),
            ", id"
        )
    };
}

/// Of the next 500 whose names begin with $2, those whose e-mails do not begin with $1: the others were listed
/// before. A page that finds too few among 500 ends there, and is short.
const BY_NAME: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM (",
    by_name!(concat!("*, ", name!(), " AS place")),
    " LIMIT 500) AS looked_at WHERE NOT (",
    email_begins!(),
    ") ORDER BY place, id LIMIT $5"
);

/// The last of those that [`BY_NAME`] looks at, if there are so many.
const LAST_BY_NAME: &str = concat!(by_name!("id, $1::text"), " OFFSET 499 LIMIT 1");

/// Where an account is in both lists of a search, and whether it is in them. $3: its id.
const PLACE: &str = concat!(
    "SELECT ",
    email!(),
    ", ",
    name!(),
    ", ",
    email_begins!(),
    ", ",
    name_begins!(),
    " FROM users WHERE id = $3"
);

/// The number of accounts that are found, up to one more than [`MAX_FOUND`] or further.
const COUNT_FOUND: &str = concat!(
    "SELECT count(*) FROM (
       (SELECT id FROM users WHERE ",
    email_begins!(),
    " ORDER BY ",
    email!(),
    ", id LIMIT 101)
       UNION (SELECT id FROM users WHERE ",
    name_begins!(),
    " ORDER BY ",
    name!(),
    ", id LIMIT 101)
     ) AS found"
);

/// What is searched.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    /// How e-mails begin, in the form of their keys.
    email: String,
    /// How names begin, as it was given.
    name: &'a str,
}

impl<'a> Search<'a> {
    /// `text` has no blanks around it.
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            email: address::beginning(text),
            name: text,
        }
    }

    /// The page after `place`, or the first one.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when `place` is in no list of this search; those of the database.
    pub(crate) async fn page(
        &self,
        session: &Session,
        place: Option<Place>,
        limit: usize,
    ) -> Result<Page, Error> {
        let (email, name) = (&self.email, &self.name);
        let counted = async { session.query_one(COUNT_FOUND, &[email, name]).await };
        let (start, counted) = match place {
            None => (Start::Email(email.clone(), Uuid::nil()), counted.await?),
            Some(place) => {
                let found = async { session.query_opt(PLACE, &[email, name, &place.id()]).await };
                let (found, counted) = try_join!(found, counted)?;
                let found = found.ok_or_else(not_ours)?;
                let start = match place {
                    Place::Email(id) if found.get(2) => Start::Email(found.get(0), id),
                    Place::Name(id) if found.get(3) => Start::Name(Some(found.get(1)), id),
                    _ => return Err(not_ours()),
                };
                (start, counted)
            }
        };
        let (rows, next) = self.rows(session, start, limit).await?;
        Ok(Page {
            rows,
            next,
            total: counted.get(0),
            max_total: MAX_FOUND,
        })
    }

    /// The accounts from `start` on, and the last one that was looked at, if there may be more.
    async fn rows(
        &self,
        session: &Session,
        start: Start,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<Place>), QueryError> {
        let (email, name) = (&self.email, &self.name);
        // One more than the page, to know whether there is another.
        let wanted = limit as i64 + 1;
        let (mut rows, after) = match start {
            Start::Email(after, id) => {
                let rows = session
                    .query(BY_EMAIL, &[email, &after, &id, &wanted])
                    .await?;
                (rows, (None, Uuid::nil()))
            }
            Start::Name(after, id) => (Vec::new(), (after, id)),
        };
        let by_email = rows.len();
        if by_email <= limit {
            let (after, id) = &after;
            let wanted = wanted - by_email as i64;
            let params: [&(dyn ToSql + Sync); 5] = [email, name, after, id, &wanted];
            rows.extend(session.query(BY_NAME, &params).await?);
            if rows.len() <= limit {
                let last = session.query_opt(LAST_BY_NAME, &params[..4]).await?;
                return Ok((rows, last.map(|last| Place::Name(last.get(0)))));
            }
        }
        rows.truncate(limit);
        let last = rows.last().map(|last| match last.get(0) {
            id if rows.len() > by_email => Place::Name(id),
            id => Place::Email(id),
        });
        Ok((rows, last))
    }
}

/// What a page comes after.
enum Start {
    /// In the list by e-mail, and all of the list by name.
    Email(String, Uuid),
    /// In the list by name; without a name, nothing.
    Name(Option<String>, Uuid),
}
