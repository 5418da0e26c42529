//! Functions on Lambda: the size of what is uploaded, and the time of init, beside a hello-world that
//! is built in the same way.
//!
//! Init is from exec to the moment that the runtime asks for its first event: configuration is
//! read, connections are open, statements are prepared. Lambda adds its own time to fetch and to
//! boot, the same for all. The hello-world is started just before or after each start of a
//! function, chosen at random, and the result is the median of these ratios.

mod api;
mod report;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    binaries, machine, results,
    stand::{Sessions, Stand},
};

use api::Api;

/// The program that functions are compared with.
const HELLO: &str = "zerocart-lambda-hello";

/// The feature that makes a binary a Lambda function.
const FEATURE: &str = "zerocart-bench/lambda";

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many times each function is started
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// Only these functions
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// The seed of the order of starts [default: another each time]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Measure what is in target/lambda, instead of building it first
    #[arg(long)]
    pub(crate) no_build: bool,
    /// No further round begins after this many seconds of measuring
    #[arg(long, default_value_t = 150, value_name = "SECONDS")]
    pub(crate) limit: u64,
}

/// What was measured.
pub(crate) struct Measured {
    pub(crate) hello: Subject,
    pub(crate) functions: Vec<Subject>,
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    pub(crate) postgres: String,
    pub(crate) load_before: f64,
    pub(crate) seconds: f64,
}

/// A Lambda function and its measurements.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    program: PathBuf,
    env: Vec<(String, String)>,
    zip_bytes: u64,
    /// From exec to the first request for an event, in milliseconds.
    pub(crate) init: Vec<f64>,
    /// Ratios to the hello-world's times, pair by pair.
    ratio: Vec<f64>,
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let Measured {
        hello,
        functions,
        rounds,
        seed,
        postgres,
        load_before,
        seconds,
    } = measure(args)?;
    report::print(&hello, &functions);
    println!(
        "\nMedian (p90) of n = {rounds} starts, from before fork and exec; ÷ hello is the median of n \
         ratios. PostgreSQL does not wait for the disk.\n\n{}, PostgreSQL {postgres} on 127.0.0.1.\n\
         Seed {seed}, {seconds:.0} s, load before it {load_before:.2}.",
        machine::describe(),
    );
    Ok(true)
}

/// Measures.
///
/// # Errors
///
/// When a function cannot be built or does not complete its init.
pub(crate) fn measure(args: &Args) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(rounds(args))
}

async fn rounds(args: &Args) -> Result<Measured> {
    let entries = binaries::entries();
    let names: Vec<_> = entries.iter().map(|entry| entry.info.name).collect();
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| args.only.is_empty() || args.only.iter().any(|only| only == name))
        .collect();
    if names.is_empty() {
        bail!("there is no function of such a name");
    }
    let all: Vec<_> = names.iter().copied().chain([HELLO]).collect();
    if !args.no_build {
        for format in ["binary", "zip"] {
            build(&all, format)?;
        }
    }
    let folder = binaries::workspace_root().join("target/lambda");
    let stand = Stand::start(&binaries::domains()).await?;
    let mut api = Api::start().await?;
    let mut hello = subject(&folder, HELLO, &api, Vec::new())?;
    let mut functions = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| names.contains(&entry.info.name))
    {
        let mut env = stand.env(entry.info, 9, Sessions::Own)?;
        // No function is called before the first event.
        env.retain(|(name, _)| name != "FUNCTION_URL_TEMPLATE");
        let template = "http://127.0.0.1:9/{function}".to_owned();
        env.push(("FUNCTION_URL_TEMPLATE".to_owned(), template));
        functions.push(subject(&folder, entry.info.name, &api, env)?);
    }

    let seed = args.seed.unwrap_or_else(results::seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let (load, began) = (machine::load(), Instant::now());
    let mut rounds = 0;
    // The first round warms the machine and is not counted.
    for round in 0..=args.rounds {
        if began.elapsed() > Duration::from_secs(args.limit) {
            break;
        }
        let mut order: Vec<_> = (0..functions.len()).collect();
        order.shuffle(&mut rng);
        for i in order {
            let pair: [&mut Subject; 2] = [&mut hello, &mut functions[i]];
            let hello_first = rng.random_bool(0.5);
            let mut times = [0.0; 2];
            for which in if hello_first { [0, 1] } else { [1, 0] } {
                stand.quiet().await?;
                let took = pair[which].start(&mut api).await?;
                times[which] = took.as_secs_f64() * 1e3;
                if round > 0 {
                    pair[which].init.push(times[which]);
                }
            }
            if round > 0 {
                functions[i].ratio.push(times[1] / times[0]);
            }
        }
        rounds = round;
    }
    let postgres = stand.version().to_owned();
    stand.stop().await?;
    if rounds == 0 {
        bail!("not one round within {} s", args.limit);
    }
    Ok(Measured {
        hello,
        functions,
        rounds,
        seed,
        postgres,
        load_before: load,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Builds these binaries with cargo-lambda, whose output the user sees.
fn build(names: &[&str], format: &str) -> Result<()> {
    let mut cargo = zerocart_local_cargo::command();
    cargo
        .current_dir(binaries::workspace_root())
        .args([
            "lambda",
            "build",
            "--quiet",
            "--release",
            "--compiler",
            "cargo",
        ])
        .args(["--features", FEATURE, "--output-format", format]);
    for name in names {
        cargo.args(["--bin", name]);
    }
    let status = cargo.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the functions could not be built; is cargo-lambda installed (`just lambda-tools`)?");
    }
    Ok(())
}

/// The function `name` in the folder that cargo-lambda builds into.
fn subject(
    folder: &Path,
    name: &'static str,
    api: &Api,
    mut env: Vec<(String, String)>,
) -> Result<Subject> {
    let folder = folder.join(name);
    let program = binaries::find(&folder, "bootstrap")?;
    let zip = binaries::find(&folder, "bootstrap.zip")?;
    env.extend(api.env(name));
    Ok(Subject {
        name,
        program,
        env,
        zip_bytes: zip.metadata().with_context(|| name)?.len(),
        init: Vec::new(),
        ratio: Vec::new(),
    })
}

impl Subject {
    /// One start, until it asks for an event.
    async fn start(&self, api: &mut Api) -> Result<Duration> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .env_clear()
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        api.forget();
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| self.name)?;
        let asked = tokio::select! {
            asked = api.asked() => Some(asked?),
            _ = child.wait() => None,
        };
        let Some(at) = asked else {
            let output = child.wait_with_output().await?;
            bail!(
                "{} ended: {}",
                self.name,
                String::from_utf8_lossy(&output.stdout)
            );
        };
        child.kill().await?;
        Ok(at - began)
    }
}
