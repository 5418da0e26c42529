//! Brings a backup back.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use zerocart_broker::APPLICATION_NAME;
use zerocart_provision::Names;

use super::{Reached, RestoreArgs, manifest::Manifest, programs::Programs, reach};
use crate::{console, domains};

/// The database to which administrators connect who work on others.
const MAINTENANCE: &str = "postgres";

/// `zerocart restore`.
pub(crate) async fn run(args: RestoreArgs, data: Option<PathBuf>) -> Result<()> {
    let domains = domains::names();
    let manifest = Manifest::check(&args.folder, &domains)?;
    console::doing(format_args!(
        "a backup of {}, PostgreSQL {}, zerocart {}",
        manifest.taken_at, manifest.postgresql, manifest.zerocart
    ));
    let reached = reach(&args.place, data, true).await?;
    let restored = if reached.engine_runs {
        Err(anyhow::anyhow!(
            "the engine runs: stop it first, because a function that works on an order of now would mix \
             it into the databases of the backup"
        ))
    } else {
        restore(&reached.programs, &args, &manifest).await
    };
    Reached::end(reached).await?;
    restored?;
    console::say(
        "restored. Start the functions: the jobs recover-orders and settle-payments bring orders to their \
         end that were under way. If this zerocart is newer than the backup, apply the migrations first \
         (`zerocart up` and `zerocart provision` do)",
    );
    Ok(())
}

async fn restore(programs: &Programs, args: &RestoreArgs, manifest: &Manifest) -> Result<()> {
    let names = manifest.dumps.iter().map(|dump| Names::of(&dump.domain));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    refuse(programs, args, &names).await?;
    for (names, dump) in names.iter().zip(&manifest.dumps) {
        let step = Instant::now();
        make_beside(programs, names).await?;
        fill(programs, names, &args.folder.join(&dump.file)).await?;
        console::done(&names.database, step.elapsed());
    }
    exchange(programs, &names).await
}

/// The name of a database that is being restored.
fn beside(names: &Names) -> String {
    format!("{}_restoring", names.database)
}

/// The name of a database that is being replaced.
fn replaced(names: &Names) -> String {
    format!("{}_replaced", names.database)
}

/// Refuses while functions are connected, where databases or roles are missing, and where there is
/// something to lose.
async fn refuse(programs: &Programs, args: &RestoreArgs, all: &[Names]) -> Result<()> {
    let mut full = Vec::new();
    for names in all {
        let Names {
            database,
            role,
            owner,
            ..
        } = names;
        // A session broker keeps sessions that no function has: new ones, and ones that were reset.
        let found = format!(
            "SELECT (SELECT count(*) FROM pg_database WHERE datname = '{database}')
                    + (SELECT count(*) FROM pg_roles WHERE rolname IN ('{role}', '{owner}'));
             SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'
             AND (application_name = '{APPLICATION_NAME}' AND state = 'idle'
                  AND query IN ('', 'DISCARD ALL')) IS NOT TRUE;"
        );
        let found = programs.sql(MAINTENANCE, &found).await?;
        let [there, connected] = &found[..] else {
            bail!("psql does not say which databases there are");
        };
        if there != "3" {
            bail!(
                "the database {database} or its roles are missing: run `zerocart provision` first, which \
                 makes them"
            );
        }
        if connected != "0" && !args.terminate {
            bail!(
                "functions are connected to {database}. Let nobody call them and wait until they are at \
                 zero (30 s); or use --terminate, and retry no order whose call it breaks"
            );
        }
        let tables = "SELECT count(*) FROM pg_class
                      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p');";
        let tables = programs.sql(database, tables).await?;
        if tables.first().is_none_or(|count| count != "0") {
            full.push(database.as_str());
        }
    }
    if !full.is_empty() && !args.replace {
        bail!(
            "{} not empty. Make a backup of what is there, then use --replace",
            match &full[..] {
                [one] => format!("{one} is"),
                many => format!("{} are", many.join(", ")),
            }
        );
    }
    Ok(())
}

/// An empty database with the same rights. One that an earlier restore left behind is removed.
async fn make_beside(programs: &Programs, names: &Names) -> Result<()> {
    let (new, owner, role) = (beside(names), &names.owner, &names.role);
    let make = format!(
        "DROP DATABASE IF EXISTS {new} WITH (FORCE);
         CREATE DATABASE {new} OWNER {owner};
         REVOKE ALL ON DATABASE {new} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {new} TO {role};"
    );
    programs.sql(MAINTENANCE, &make).await?;
    // From 15 on the owner of a database may grant its schema; in 14 only a superuser may.
    let schema = format!(
        "SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user \\gset
         \\if :superuser
         \\else
         SET ROLE {owner};
         \\endif
         REVOKE ALL ON SCHEMA public FROM PUBLIC;
         GRANT CREATE, USAGE ON SCHEMA public TO {owner};
         GRANT USAGE ON SCHEMA public TO {role};"
    );
    programs.sql(&new, &schema).await?;
    Ok(())
}

/// Reads a dump into the new database, as its owner: all of it, or nothing.
async fn fill(programs: &Programs, names: &Names, dump: &Path) -> Result<()> {
    let file = File::open(dump).with_context(|| format!("cannot read {}", dump.display()))?;
    let mut restore = programs.command("pg_restore");
    restore
        // The schema itself is there, and has its rights.
        .args(["--schema", "public", "--no-owner", "--role", &names.owner])
        .args(["--single-transaction", "--exit-on-error"])
        .args(["--dbname", &beside(names)])
        .stdin(Stdio::from(file));
    let restore = restore.spawn().context(programs.cure("pg_restore"))?;
    let output = restore.wait_with_output().await;
    programs.checked("pg_restore", output.context("cannot run pg_restore")?)?;
    Ok(())
}

/// Puts the new databases in the place of those that are there: all of them, or none.
async fn exchange(programs: &Programs, all: &[Names]) -> Result<()> {
    let sql = |line: &dyn Fn(&Names) -> String| all.iter().map(line).collect::<String>();
    let open = |database: &str, open: bool| {
        format!("ALTER DATABASE {database} WITH ALLOW_CONNECTIONS {open};\n")
    };
    let close = sql(&|names| {
        let (old, database) = (replaced(names), &names.database);
        let close = open(database, false);
        format!(
            "DROP DATABASE IF EXISTS {old} WITH (FORCE);
             {close}
             SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
             WHERE datname = '{database}' AND backend_type = 'client backend';\n"
        )
    });
    let exchange = sql(&|names| {
        let (old, new, database) = (replaced(names), beside(names), &names.database);
        format!(
            "ALTER DATABASE {database} RENAME TO {old};
             ALTER DATABASE {new} RENAME TO {database};\n"
        )
    });
    let exchange = format!("{close}BEGIN;\n{exchange}COMMIT;\n");
    if let Err(error) = programs.sql(MAINTENANCE, &exchange).await {
        let reopen = sql(&|names| open(&names.database, true));
        programs.sql(MAINTENANCE, &reopen).await?;
        return Err(error.context("the databases were not exchanged, and are as they were"));
    }
    let clean = sql(&|names| format!("DROP DATABASE {} WITH (FORCE);\n", replaced(names)));
    programs.sql(MAINTENANCE, &clean).await?;
    Ok(())
}
