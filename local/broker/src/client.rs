//! One connection of a client, from its first byte until its session is free again.

use std::{collections::BTreeMap, io, sync::Arc};

use rustix::process::geteuid;
use tokio::{net::UnixStream, time::timeout};
use zerocart_postgres::TAKES_SESSIONS;

use crate::{
    pass::pass,
    pool::{Pool, Seat},
    relay::{End, Sent, relay},
    server::{Key, Session},
    stream::Stream,
    wire::{self, First, Refusal},
};

/// What a client asks for.
struct Wish {
    key: Key,
    /// It takes the session's own socket.
    takes: bool,
}

/// Serves one connection to its end.
pub(crate) async fn serve(client: UnixStream, pool: Arc<Pool>) {
    let trusted = is_trusted(&client);
    let (Ok(trusted), Ok(client)) = (trusted, Stream::try_from(client)) else {
        return tracing::warn!("a connection of a client cannot be used");
    };
    match start(&client, trusted, &pool).await {
        Ok(Some((session, seat, takes))) => lend(client, session, seat, takes, &pool).await,
        Ok(None) | Err(Refusal::Gone) => {}
        Err(Refusal::Error(error)) => {
            let told = timeout(pool.options.startup_timeout, client.write_all(&error));
            // Who does not read it is not waited for.
            let _ = told.await;
        }
    }
}

/// A session for the client, and whether it takes its socket; none if it only wanted something cancelled.
async fn start(
    client: &Stream,
    trusted: bool,
    pool: &Pool,
) -> Result<Option<(Session, Seat, bool)>, Refusal> {
    if !trusted {
        return Err(Refusal::new(
            "28000",
            "the broker serves the processes of its own user only",
        ));
    }
    let wish = match timeout(pool.options.startup_timeout, introduce(client, pool)).await {
        Ok(wish) => wish?,
        Err(_) => return Err(Refusal::new("08P01", "the startup took too long")),
    };
    let Some(Wish { key, takes }) = wish else {
        return Ok(None);
    };
    let (session, seat) = pool.lend(key).await?;
    Ok(Some((session, seat, takes)))
}

/// Whether the process at the other end is this user's, or root's.
fn is_trusted(client: &UnixStream) -> io::Result<bool> {
    let uid = client.peer_cred()?.uid();
    Ok(uid == 0 || uid == geteuid().as_raw())
}

/// Learns who the client is and what it wants.
async fn introduce(client: &Stream, pool: &Pool) -> Result<Option<Wish>, Refusal> {
    let (mut parameters, negotiate) = match wire::first(client).await? {
        First::Start {
            parameters,
            negotiate,
        } => (parameters, negotiate),
        First::Cancel { pid, secret } => {
            // The client waits for the end of this connection, and so for that of the server's.
            pool.leases
                .cancel((pid, secret), &pool.options.server)
                .await;
            return Ok(None);
        }
    };
    let role = parameters.remove("user").filter(|role| !role.is_empty());
    let role = role.ok_or_else(|| {
        Refusal::new(
            "28000",
            "no user name specified in startup packet: set `user`",
        )
    })?;
    if parameters.contains_key("replication") {
        return Err(Refusal::new(
            "0A000",
            "the broker lends no session for replication",
        ));
    }
    let takes = takes_sessions(&mut parameters);
    let database = parameters
        .remove("database")
        .filter(|name| !name.is_empty());
    if let Some(negotiate) = negotiate {
        client.write_all(&negotiate).await?;
    }
    let password = wire::password(client).await?;
    if !pool.is_password(&role, &password) {
        // The same for a role that does not exist.
        return Err(Refusal::new(
            "28P01",
            &format!("password authentication failed for user \"{role}\""),
        ));
    }
    let key = Key {
        database: database.unwrap_or_else(|| role.clone()),
        role,
        parameters,
    };
    Ok(Some(Wish { key, takes }))
}

/// Takes the option [`TAKES_SESSIONS`] out of the startup parameters, which the server gets. Whether it was there.
fn takes_sessions(parameters: &mut BTreeMap<String, String>) -> bool {
    let Some(options) = parameters.remove("options") else {
        return false;
    };
    let others = options.strip_suffix(TAKES_SESSIONS);
    let rest = others.map_or(options.as_str(), str::trim_end);
    if !rest.is_empty() {
        parameters.insert("options".to_owned(), rest.to_owned());
    }
    others.is_some()
}

/// Lends the session to the client, and takes it back.
async fn lend(client: Stream, mut session: Session, seat: Seat, takes: bool, pool: &Arc<Pool>) {
    let name = pool.leases.open(session.backend);
    session.scan.begin();
    let greeting = wire::greeting(session.scan.parameters(), name.0, name.1);
    let mut sent = Sent::default();
    let end = if takes {
        let (lent, end) = pass(&client, session, &greeting, &mut sent).await;
        match lent {
            Some(lent) => session = lent,
            None => {
                pool.leases.close(name).await;
                return;
            }
        }
        end
    } else {
        match client.write_all(&greeting).await {
            Ok(()) => relay(&client, &mut session, &mut sent).await,
            Err(_) => End::Client,
        }
    };
    // From here on, a request to cancel finds nobody.
    let certain = pool.leases.close(name).await;
    if end != End::Client {
        if end == End::Invalid {
            abandon(session, &sent, pool).await;
        }
        return;
    }
    // As with PostgreSQL, the end of the connection tells that nothing of the client runs any more. So the
    // connection is kept until then.
    let reusable =
        certain && !sent.torn && !sent.unseen && sent.scan.is_complete() && !session.scan.copying;
    if !reusable {
        return abandon(session, &sent, pool).await;
    }
    let settled = timeout(pool.options.settle_timeout, session.settle(sent.scan.asked)).await;
    match settled {
        // With more answers than questions, something is not understood.
        Ok(Ok(())) if session.scan.ready == sent.scan.asked => {}
        Ok(_) => return,
        Err(_) => return abandon(session, &sent, pool).await,
    }
    match session.reset().await {
        Ok(()) => pool.give_back(session, seat),
        Err(error) => tracing::debug!(%error, "a session could not be reset"),
    }
    drop(client);
}

/// Closes a session of which it is not known what it will do next, and waits until the server has undone its
/// transaction.
async fn abandon(session: Session, sent: &Sent, pool: &Pool) {
    if sent.unseen && session.closes_within(pool.options.settle_timeout).await {
        return;
    }
    let runs = sent.unseen || session.scan.ready < sent.scan.asked || !sent.scan.is_complete();
    if runs {
        let cancelled = session.backend.cancel(&pool.options.server).await;
        if let Err(error) = cancelled {
            tracing::warn!(%error, "what a client left behind was not cancelled");
        }
    }
    session.close().await;
}
