//! How many connections the server of a database has.

use zerocart_core::{Call, Error, trace::Kind};

use crate::{Database, RowExt};

/// Every role may read both. Connections that only the server's administrator may use are not in the limit.
const CONNECTIONS: &str = "SELECT (SELECT sum(numbackends)::bigint FROM pg_stat_database),
       current_setting('max_connections')::bigint
         - current_setting('superuser_reserved_connections')::bigint";

impl Database {
    /// Writes a span with the number of the server's connections, of all databases, and with the most that it
    /// takes. The metrics `zerocart_database_connections` and `…_limit` come from it.
    ///
    /// It is for jobs: a schedule runs them, so the numbers are there, also when nobody calls a function.
    ///
    /// # Errors
    ///
    /// As those of [`session`](Self::session) and of [`Session::query_one`](crate::Session::query_one).
    pub async fn count_connections(&self, cx: &Call) -> Result<(), Error> {
        let mut span = cx.trace.span("count connections", Kind::Internal);
        let session = self.session(&cx.under(&span)).await?;
        let row = session.query_one(CONNECTIONS, &[]).await?;
        span.set("zerocart.database.connections", row.column::<i64>(0)?);
        span.set("zerocart.database.connections_limit", row.column::<i64>(1)?);
        span.end();
        Ok(())
    }
}
