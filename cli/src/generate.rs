//! `zerocart generate`: every file that is made from `proto/` and the settings of the functions.

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use zerocart_deploy::files;

use crate::{console, layout::Project};

/// `zerocart generate`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Write nothing, and fail with a diff where a file is not current
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let project = Project::find()?;
    let changes = files::changes(project.root())?;
    for change in &changes {
        if args.check {
            console::say(change.diff());
        } else {
            console::say(&change.path);
        }
    }
    if !args.check {
        files::write(project.root(), &changes)?;
    } else if !changes.is_empty() {
        bail!("{} generated files are not current", changes.len());
    }
    Ok(())
}
