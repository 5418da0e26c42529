use tokio::try_join;
use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options, Row, Session};
use zerocart_proto::{rpc, user::ListUsersResponse};

use uuid::Uuid;

use crate::{
    page::{Place, not_ours},
    search::Search,
    user, user_columns,
};

/// The length of a page when the caller asks for none.
const DEFAULT_LIMIT: usize = 20;

/// Where counting all accounts ends.
const MAX_TOTAL: i64 = 1_000;

/// All accounts, after the id $1. Ids are in the order of time (UUIDv7).
///
/// The server keeps one plan of a statement for all parameters. For that plan, a limit that is a parameter may
/// be a tenth of all accounts, which it would rather sort. So the inner query also has a limit that is written
/// out: the longest page and one more, by the rules of `proto/`.
const NEWEST: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM (SELECT * FROM users WHERE id < $1 ORDER BY id DESC LIMIT 101) AS listed
     ORDER BY id DESC LIMIT $2"
);

/// The number of all accounts, up to one more than [`MAX_TOTAL`].
const COUNT: &str = "SELECT count(*) FROM (SELECT FROM users LIMIT 1001) AS counted";

/// `list-users`: a page of all accounts, or of those that are searched.
#[derive(Debug)]
pub struct ListUsers {
    database: Database,
}

/// A page.
pub(crate) struct Page {
    /// At most as many as were wanted.
    pub(crate) rows: Vec<Row>,
    /// The last account that was looked at, if there may be more.
    pub(crate) next: Option<Place>,
    /// How many accounts the list has; more than `max_total` are not counted.
    pub(crate) total: i64,
    pub(crate) max_total: i64,
}

impl Function for ListUsers {
    type Rpc = rpc::ListUsers;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let prepare = Options::preparing(&[NEWEST, COUNT]);
        Ok(Self {
            database: Database::from_setup(setup, prepare)?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<ListUsersResponse, Error> {
        let limit = match request.limit {
            0 => DEFAULT_LIMIT,
            limit => limit.unsigned_abs() as usize,
        };
        let place = match request.page_token.as_str() {
            "" => None,
            token => Some(Place::from_token(token)?),
        };
        let session = self.database.session(cx).await?;
        let page = match request.search.trim() {
            "" => newest(&session, place, limit).await?,
            text => Search::new(text).page(&session, place, limit).await?,
        };
        Ok(ListUsersResponse {
            users: page.rows.iter().map(user).collect(),
            total: page
                .total
                .min(page.max_total)
                .try_into()
                .unwrap_or(i32::MAX),
            next_page_token: page.next.map(Place::to_token).unwrap_or_default(),
            total_is_lower_bound: page.total > page.max_total,
        })
    }
}

/// A page of all accounts.
async fn newest(session: &Session, place: Option<Place>, limit: usize) -> Result<Page, Error> {
    let before = match place {
        None => Uuid::max(),
        Some(Place::Newest(id)) => id,
        Some(_) => return Err(not_ours()),
    };
    // One more than the page, to know whether there is another.
    let wanted = limit as i64 + 1;
    let (mut rows, total) = try_join!(
        async { session.query(NEWEST, &[&before, &wanted]).await },
        async { session.query_one(COUNT, &[]).await }
    )?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more);
    Ok(Page {
        next: next.map(|last| Place::Newest(last.get(0))),
        rows,
        total: total.get(0),
        max_total: MAX_TOTAL,
    })
}
