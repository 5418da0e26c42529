//! `zerocart run-job`: one run of a job, now, in the engine that runs.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, builder::PossibleValuesParser};
use http::Method;
use zerocart_activator::JobRun;

use crate::{console, domains, ps};

/// `zerocart run-job`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The job, such as `recover-orders`
    #[arg(value_parser = PossibleValuesParser::new(domains::job_names()))]
    job: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Longer than two runs: one that goes on is waited for first.
const TIMEOUT: Duration = Duration::from_secs(180);

pub(crate) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    let engine = ps::reached(data).await?;
    let path = format!("/jobs/{}/run", args.job);
    let run: JobRun = ps::send(&engine, Method::POST, &path, TIMEOUT).await?;
    if args.json {
        console::say(serde_json::to_string(&run)?);
    } else {
        for line in &run.log {
            console::say(line);
        }
        console::say(format_args!(
            "{} ended after {:.2} s: {}",
            args.job,
            Duration::from_millis(run.took_ms).as_secs_f64(),
            run.exit
        ));
    }
    if !run.success {
        bail!("{} failed", args.job);
    }
    Ok(())
}
