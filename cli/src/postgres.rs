//! The engine's PostgreSQL: started, and started again when it dies.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use zerocart_local_postgres::{Error, Options, Reporter, Server, Source};

use crate::{console, layout::Data};

/// How often it is looked at whether the server still runs.
const POLL: Duration = Duration::from_millis(250);

/// A server that ran this long is started again at once when it dies.
const STABLE: Duration = Duration::from_secs(30);

/// The pause before a server is started again that died soon after its start; doubled each time.
const BACKOFF: Duration = Duration::from_secs(1);

/// The longest such pause.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Starts it in the data folder.
pub(crate) async fn start(data: &Data, source: Source, max_connections: u16) -> Result<Server> {
    let mut options = Options::new(data.postgres());
    options.source = source;
    options.max_connections = max_connections;
    options.report = Reporter::new(console::doing);
    match Server::start(options).await {
        Err(Error::AlreadyRunning { pid, .. }) => bail!(
            "already running from {}{}: see it with `cargo zerocart ps`, or use another --data",
            data.path().display(),
            pid.map_or_else(String::new, |pid| format!(" (process {pid})")),
        ),
        started => Ok(started?),
    }
}

/// Keeps it running until `stop` says otherwise, then stops it.
///
/// Functions find it at the same port: their connections break, and their next calls open others.
pub(crate) async fn keep(mut server: Server, mut stop: watch::Receiver<bool>) -> Result<()> {
    let mut backoff = Backoff::default();
    let mut started = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stopping(&mut stop) => break,
            () = sleep(POLL) => {}
        }
        let Some(status) = server.ended()? else {
            continue;
        };
        backoff.died(started.elapsed());
        tracing::error!(%status, "PostgreSQL died");
        console::say(format_args!(
            "PostgreSQL died ({status}); starting it again"
        ));
        tokio::select! {
            biased;
            () = stopping(&mut stop) => break,
            () = again(&mut server, &mut backoff) => started = Instant::now(),
        }
    }
    Ok(server.stop().await?)
}

/// Starts it until it runs.
async fn again(server: &mut Server, backoff: &mut Backoff) {
    loop {
        sleep(backoff.pause()).await;
        match server.restart().await {
            Ok(()) => {
                tracing::info!(port = server.port(), "PostgreSQL runs again");
                console::say(format_args!(
                    "PostgreSQL runs again on port {}",
                    server.port()
                ));
                return;
            }
            Err(error) => {
                tracing::error!(%error, "PostgreSQL cannot be started");
                console::say(format_args!("PostgreSQL cannot be started: {error}"));
            }
        }
    }
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long to wait before the next start.
#[derive(Default)]
struct Backoff(Duration);

impl Backoff {
    /// It died after it ran for this long.
    fn died(&mut self, ran: Duration) {
        if ran >= STABLE {
            self.0 = Duration::ZERO;
        }
    }

    /// The pause before the start that is due now. Each one doubles the next.
    fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).clamp(BACKOFF, MAX_BACKOFF);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_it_has_run_for_a_while() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..7).map(|_| backoff.pause().as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30]);
        backoff.died(STABLE - Duration::from_millis(1));
        assert_eq!(backoff.pause(), MAX_BACKOFF);
        backoff.died(STABLE);
        assert_eq!(backoff.pause(), Duration::ZERO);
    }
}
