//! What PostgreSQL counts by itself.

use anyhow::Result;
use tokio_postgres::Client;

/// Counters of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Transactions that wrote something, so far.
    pub(crate) transactions: i64,
    /// Bytes of WAL, so far.
    pub(crate) wal_bytes: i64,
}

impl Counters {
    /// The counters now, over a connection of the superuser.
    pub(crate) async fn read(admin: &Client) -> Result<Self> {
        let row = admin
            .query_one(
                "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, \
                 (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint",
                &[],
            )
            .await?;
        Ok(Self {
            transactions: row.get(0),
            wal_bytes: row.get(1),
        })
    }
}
