//! `zerocart backup` and `zerocart restore`: the databases of all domains, as one.
//!
//! **All dumps are of one instant.** An order touches four databases, so dumps that are made one
//! after the other do not belong together, in no order: with the orders first, the others have stock that
//! is held and money that is charged for orders that are not there; with the orders last, there are paid
//! orders without a charge. So one snapshot of each database is taken, and they are used only if the same
//! transactions are visible in all ([`snapshot`]). A restore is then what a power failure would have left.
//! For that the sagas are made: recover-orders and settle-payments bring every order to its end.
//!
//! A restore makes new databases beside the ones that are there, and exchanges all of them in one
//! transaction at its end. If it fails, nothing has changed.

mod dump;
mod manifest;
mod programs;
mod restore;
mod snapshot;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use zerocart_core::Env;
use zerocart_local_postgres::{Error, Options, Reporter, Server};
use zerocart_provision::Address;

use crate::{
    bootstrap::ROOT_CERTIFICATE, console, domains, foundation, layout::Data, provision::ADMIN_URL,
};
use programs::Programs;

pub(crate) use dump::run as backup;
pub(crate) use restore::run as restore;

/// Which databases.
#[derive(ClapArgs)]
pub(crate) struct Where {
    /// The PostgreSQL of the cluster that kubectl knows under this name
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The folder with pg_dump, pg_restore and psql [default: those of the PostgreSQL that is found]
    #[arg(long, value_name = "DIR", conflicts_with = "context")]
    programs: Option<PathBuf>,
}

/// `zerocart backup`.
#[derive(ClapArgs)]
pub(crate) struct BackupArgs {
    /// The folder of the backup: made, or empty
    folder: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// `zerocart restore`.
#[derive(ClapArgs)]
pub(crate) struct RestoreArgs {
    /// The folder of a backup
    folder: PathBuf,
    /// Replace what is in the databases now
    #[arg(long)]
    replace: bool,
    /// End the sessions of functions that are connected, instead of refusing
    #[arg(long)]
    terminate: bool,
    #[command(flatten)]
    place: Where,
}

/// A server that can be reached, and is there as long as this value.
struct Reached {
    programs: Programs,
    /// The server of the data folder, if this process started it.
    own: Option<Server>,
    /// Whether an engine runs on the data folder.
    engine_runs: bool,
}

impl Reached {
    async fn end(self) -> Result<()> {
        if let Some(mut server) = self.own {
            server.stop().await?;
        }
        Ok(())
    }
}

/// Finds the server: in a cluster, at ADMIN_DATABASE_URL, or in the data folder, which may be made.
async fn reach(place: &Where, data: Option<PathBuf>, may_be_made: bool) -> Result<Reached> {
    let env = Env::of_process();
    let url = env.get(ADMIN_URL);
    let chosen = [
        place.context.is_some().then_some("--context"),
        url.map(|_| ADMIN_URL),
        data.is_some().then_some("--data"),
    ];
    let chosen: Vec<_> = chosen.into_iter().flatten().collect();
    if chosen.len() > 1 {
        bail!("{} name different servers: use one", chosen.join(" and "));
    }
    let elsewhere = |programs| Reached {
        programs,
        own: None,
        engine_runs: false,
    };
    if let Some(context) = &place.context {
        return Ok(elsewhere(Programs::in_cluster(context)));
    }
    if let Some(url) = url {
        let address = Address::new(url, env.get(ROOT_CERTIFICATE));
        let address = address.with_context(|| ADMIN_URL.to_owned())?;
        let folder = match &place.programs {
            Some(folder) => Some(folder.clone()),
            None => zerocart_local_postgres::find()?.map(|found| found.bin().to_owned()),
        };
        return Ok(elsewhere(Programs::here(folder, &address)?));
    }
    let data = Data::new(data, None)?;
    if !may_be_made && !data.postgres().is_dir() {
        bail!(
            "there is no database in {}. Name another folder with --data, a cluster with --context, or a \
             server with {ADMIN_URL}",
            data.path().display()
        );
    }
    of_data(place, &data).await
}

/// The server of a data folder: the one of the engine that runs, else one that is started for this.
async fn of_data(place: &Where, data: &Data) -> Result<Reached> {
    let mut options = Options::new(data.postgres());
    options.max_connections = foundation::max_connections();
    options.report = Reporter::new(console::doing);
    let (own, address, installation) = match Server::start(options).await {
        Ok(server) => {
            let address = server.admin_url("postgres").address();
            let installation = server.installation().clone();
            (Some(server), address, Some(installation))
        }
        Err(Error::AlreadyRunning { .. }) => {
            let running = Server::running(&data.postgres())?;
            let running = running.with_context(|| {
                format!(
                    "the server in {} starts or stops: try again",
                    data.path().display()
                )
            })?;
            (None, running.admin_url.address(), running.installation)
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(server) = &own {
        zerocart_local_postgres::provision(server, &domains::names()).await?;
    }
    let folder = place.programs.clone();
    let folder = folder.or_else(|| installation.map(|found| found.bin().to_owned()));
    Ok(Reached {
        programs: Programs::here(folder, &address)?,
        engine_runs: own.is_none(),
        own,
    })
}
