//! Pages in every order, and of a search.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::try_join;
use uuid::Uuid;
use zerocart_core::Error;
use zerocart_postgres::{QueryError, Row, Session, ToSql};
use zerocart_proto::product::ProductSort;

use crate::{
    page::{Key, Known, List, MAX_KEY, Place, not_ours},
    sorted::{self, COUNT_BY_WORDS, ESTIMATE, MAX_FOUND, NAME_OF, Statements},
};

/// If so many of the newest 500 have the words, a page of them is probably among the next products of any order.
const SEEN_OFTEN: i64 = 4;

/// If fewer of each 16th product have the words, all that have them (about 150) are looked at sooner than the next
/// products.
const SELDOM: i64 = 10;

/// If so many of each 16th product have the words, about 2,500 have them. To look at those takes longer than to look
/// for a page among the next products: about 8,000 of a million.
const SPREAD_OFTEN: i64 = 160;

/// The products of a page.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// At most as many as were wanted.
    pub(crate) rows: Vec<Row>,
    /// How many products the list has.
    pub(crate) total: i64,
    /// What the next page need not find out.
    pub(crate) known: Known,
}

/// A list from a place on.
pub(crate) struct Cursor<'a> {
    session: &'a Session,
    list: List<'a>,
    statements: &'static Statements,
    key: Parameter,
    id: Uuid,
    known: Option<Known>,
}

/// The key of a place.
enum Parameter {
    Time(SystemTime),
    Number(i64),
    Text(String),
}

impl<'a> Cursor<'a> {
    /// The list after `place`, or all of it.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT when there is no such place; those of the database.
    pub(crate) async fn after(
        session: &'a Session,
        list: List<'a>,
        place: Option<Place>,
    ) -> Result<Self, Error> {
        let (key, id) = match place {
            None => first(list.sort),
            Some(Place { key, id, .. }) => {
                let key = match key {
                    Key::CreatedAt(at) => Parameter::Time(at),
                    Key::Cents(cents) => Parameter::Number(cents),
                    Key::Name => {
                        let row = session.query_opt(NAME_OF, &[&id]).await?;
                        Parameter::Text(row.ok_or_else(not_ours)?.get(0))
                    }
                };
                (key, id)
            }
        };
        Ok(Self {
            session,
            list,
            statements: sorted::statements(list.sort),
            key,
            id,
            known: place.map(|place| place.known),
        })
    }

    /// So many products, or as many as there are.
    pub(crate) async fn all(&self, wanted: i64) -> Result<Vec<Row>, QueryError> {
        let params: [&(dyn ToSql + Sync); 3] = [&wanted, self.key.as_sql(), &self.id];
        self.session.query(self.statements.page, &params).await
    }

    /// So many products with the words of the search, or as many as there are.
    pub(crate) async fn found(&self, wanted: i64) -> Result<Found, QueryError> {
        let mut known = match self.known {
            Some(known) => known,
            None => self.estimated().await?,
        };
        if !known.by_words {
            let counted = async {
                match known.uncounted {
                    true => Ok(MAX_FOUND + 1),
                    false => self.count(COUNT_BY_WORDS).await,
                }
            };
            let nearby = self.with_words(self.statements.nearby, wanted);
            let (total, rows) = try_join!(counted, nearby)?;
            if rows.len() as i64 == wanted {
                return Ok(found(rows, total, known));
            }
            // There may be more, further away.
            known.by_words = true;
        }
        let mut rows = self.with_words(self.statements.by_words, wanted).await?;
        let total = rows.first().map_or(0, |row| row.get("total"));
        rows.retain(|row| row.get::<_, Option<Uuid>>("number").is_some());
        Ok(found(rows, total, known))
    }

    /// What two samples say: the newest products, which are read at once, and products of all times, if the words
    /// are not frequent among the newest.
    async fn estimated(&self) -> Result<Known, QueryError> {
        let search = self.list.search;
        let row = self.session.query_one(ESTIMATE, &[&search]).await?;
        let newest: i64 = row.get(0);
        let spread: Option<i64> = row.get(1);
        Ok(Known {
            by_words: spread.is_some_and(|spread| {
                spread < SELDOM || newest < SEEN_OFTEN && spread < SPREAD_OFTEN
            }),
            uncounted: spread.is_none_or(|spread| spread > MAX_FOUND),
        })
    }

    async fn with_words(&self, statement: &str, wanted: i64) -> Result<Vec<Row>, QueryError> {
        let search = self.list.search;
        let params: [&(dyn ToSql + Sync); 4] = [&wanted, self.key.as_sql(), &self.id, &search];
        self.session.query(statement, &params).await
    }

    async fn count(&self, statement: &str) -> Result<i64, QueryError> {
        let search = self.list.search;
        Ok(self.session.query_one(statement, &[&search]).await?.get(0))
    }
}

/// The products of a page, of a list that has `total` products; or more, if that is above [`MAX_FOUND`].
fn found(rows: Vec<Row>, total: i64, known: Known) -> Found {
    Found {
        rows,
        total: total.min(MAX_FOUND),
        known: Known {
            uncounted: total > MAX_FOUND,
            ..known
        },
    }
}

/// Before all products.
fn first(sort: ProductSort) -> (Parameter, Uuid) {
    match sort {
        ProductSort::Unspecified | ProductSort::Newest => {
            let latest = UNIX_EPOCH + Duration::from_micros(MAX_KEY);
            (Parameter::Time(latest), Uuid::max())
        }
        ProductSort::PriceAscending => (Parameter::Number(-1), Uuid::nil()),
        ProductSort::PriceDescending => (Parameter::Number(MAX_KEY as i64), Uuid::max()),
        ProductSort::Name => (Parameter::Text(String::new()), Uuid::nil()),
    }
}

impl Parameter {
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Time(at) => at,
            Self::Number(number) => number,
            Self::Text(text) => text,
        }
    }
}
