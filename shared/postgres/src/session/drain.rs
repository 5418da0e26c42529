//! What becomes of a connection whose call was dropped while it waited for an answer.

use deadpool_postgres::Client;

use crate::Database;

/// A connection that the server still owes answers. Dropped, it is closed and leaves the pool.
struct Draining(Option<Client>);

impl Drop for Draining {
    fn drop(&mut self) {
        // As when the runtime ends: an object that is only dropped would go back to the pool.
        drop(self.0.take().map(Client::take));
    }
}

/// Waits for what the server still owes and puts the connection back into the pool. If that takes longer
/// than [`Config::drain_timeout`](crate::Config), cancels it and closes the connection.
///
/// The driver reads and discards the answers that nobody waits for. The connection keeps its place in the
/// pool meanwhile. No request to cancel goes out before the connection is given up: it could meet the next
/// call's statement.
pub(crate) async fn drain(client: Client, database: Database) {
    let mut draining = Draining(Some(client));
    let Some(client) = &draining.0 else { return };
    // The server answers in order, so the answer to this one is the last.
    let answered = tokio::time::timeout(database.drain_timeout(), client.check_connection()).await;
    match answered {
        Ok(Ok(())) => drop(draining.0.take()),
        // It has ended.
        Ok(Err(_)) => {}
        Err(_) => {
            let token = client.cancel_token();
            drop(draining);
            database.transport().cancel(token).await;
        }
    }
}
