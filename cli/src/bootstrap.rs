//! What a database needs before the first call: its tables, and an admin.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use zerocart_core::{Call, Env, Invalid, Setup};
use zerocart_postgres::Database;
use zerocart_user::bootstrap::{Credential, first_admin};

use crate::{console, domains, layout::Project};

/// How long making the admin may take, connecting included.
const LIMIT: Duration = Duration::from_secs(30);

/// `zerocart migrate`.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// The domain, such as `user`
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(domains::names()))]
    domain: String,
}

pub(crate) async fn migrate(args: MigrateArgs) -> Result<()> {
    let folder = Project::find()?.migrations(&args.domain);
    let applied = zerocart_local_postgres::migrate(&database_url()?, &folder).await?;
    for file in &applied {
        console::say(format_args!("applied {}", file.display()));
    }
    if applied.is_empty() {
        console::say("nothing to apply");
    }
    Ok(())
}

pub(crate) async fn admin() -> Result<()> {
    match make_admin(&database_url()?).await? {
        Some(credential) => show(&credential),
        None => console::say("there is an admin already"),
    }
    Ok(())
}

/// Adds the first admin, unless there is one.
pub(crate) async fn make_admin(owner_url: &str) -> Result<Option<Credential>> {
    let env = Env::from_iter([("DATABASE_URL", owner_url)]);
    let mut setup = Setup::new(env, "bootstrap-admin");
    let database = Database::from_setup(&mut setup, Default::default())
        .map_err(|Invalid| anyhow!("{}", setup.problems().join("; ")))?;
    first_admin(&database, &Call::internal(LIMIT))
        .await
        .context("cannot make the first admin")
}

/// Shows a credential, the only time.
pub(crate) fn show(credential: &Credential) {
    console::say(format_args!(
        "admin credential, shown only this once:\n  e-mail    {}\n  password  {}",
        credential.email, credential.password
    ));
}

fn database_url() -> Result<String> {
    Env::of_process()
        .get("DATABASE_URL")
        .map(str::to_owned)
        .context("DATABASE_URL is not set: it names the database, as its owner")
}
