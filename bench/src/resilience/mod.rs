//! A load of shoppers, faults from a file, and a report on what became of both.
//!
//! The load is an open loop: visits and requests have planned times, drawn from a seed, and latency counts from
//! them. The faults are data. Without `--base-url`, the program starts a local engine in a folder that it removes.
//!
//! - [`plan`]: who comes when, and asks for what; [`shoppers`]: who does it;
//! - [`faults`]: the file; [`inject`]: how a fault happens; [`own`]: the engine of its own, [`stage`]: any system;
//! - [`breakers`]: the states of circuit breakers; [`statistics`]: the numbers;
//! - [`report`], [`draw`]: the page and its diagrams.

mod breakers;
mod draw;
mod faults;
mod inject;
mod own;
mod plan;
mod report;
mod shoppers;
mod stage;
mod statistics;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use http::Uri;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_conformance::{FAILURE_RATE, FIRST_ADMIN};
use zerocart_core::Env;
use zerocart_proto::rpc::Role;
use zerocart_resilience::breaker::state::Config;

use faults::Fault;
use inject::{Happened, Target};
use own::Own;
use plan::Plan;
use report::{Conserved, Disturbance, Observed, Report};
use shoppers::Met;
use stage::Stage;
use statistics::Sample;

use crate::{
    binaries::{self, workspace_root},
    checkout::Checkout,
    load::engine::Engine,
    process::Ports,
    results::About,
    soak::{
        TOKEN, audit,
        books::{Books, Product},
        customer::Buyer,
        sources::Sources,
    },
};

/// The variable that shortens the time for which a breaker is open.
const BREAKER_OPEN_MS: &str = "BREAKER_OPEN_MS";

/// What is loaded, how much, and what goes wrong meanwhile.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// A system that runs: its public address [default: an engine of its own]
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<Uri>,
    /// A file with the token of an admin, with --base-url [default: the variable ZEROCART_TOKEN]
    #[arg(long, value_name = "FILE", requires = "base_url")]
    token_file: Option<PathBuf>,
    /// The health of create-order, with --base-url: the state of the breaker is read there
    #[arg(long, value_name = "URL", requires = "base_url", value_parser = base_url)]
    health: Option<Uri>,
    /// Addresses of this machine to call from, in turn, such as 127.0.1.1-127.0.1.40: the gateway
    /// limits the requests of each address
    #[arg(
        long,
        value_name = "ADDRESS,…",
        value_delimiter = ',',
        requires = "base_url"
    )]
    from: Vec<Sources>,
    /// The failure rate that the payment provider has afterwards, with --base-url: what it had cannot be read
    #[arg(long, value_name = "SHARE", requires = "base_url", value_parser = crate::soak::share)]
    failure_rate_after: Option<f64>,
    /// The faults, as TOML or JSON [default: bench/faults/default.toml]
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How long shoppers come
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,
    /// Visits per second, on average; each has about five requests
    #[arg(long, default_value_t = 8.0, value_parser = rate)]
    rate: f64,
    /// The pause between two requests of a visit, on average
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pause_ms: u32,
    /// Products of the catalogue
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    products: u16,
    /// The seed of visits, requests and their times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A good request has its answer so many milliseconds after its planned time
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    limit_ms: u32,
    /// How long a breaker stays open in the engine of its own [default: 30000]
    #[arg(long, value_name = "MS", conflicts_with = "base_url", value_parser = clap::value_parser!(u32).range(1..=600_000))]
    breaker_open_ms: Option<u32>,
    /// Exit with 1 when a breaker breaks its rules, or anything is lost or wrong
    #[arg(long)]
    check: bool,
    /// Write the page, the diagrams and the data into docs/reports
    #[arg(long)]
    write: bool,
    /// The folder that --write writes to [default: docs/reports of the project]
    #[arg(long, value_name = "FOLDER", requires = "write")]
    out: Option<PathBuf>,
    /// Also write each request to this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Start the programs that are there, instead of building them first
    #[arg(long, conflicts_with = "base_url")]
    no_build: bool,
}

fn base_url(text: &str) -> Result<Uri, String> {
    let wrong =
        || "it must be a URL with http or https and a host: http://localhost:8000".to_owned();
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = url
        .scheme_str()
        .is_some_and(|s| ["http", "https"].contains(&s));
    match scheme && url.host().is_some() {
        true => Ok(url),
        false => Err(wrong()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.1..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("it must be a number of visits per second from 0.1 to 1000".into()),
    }
}

/// Disturbs, reports and prints. `Ok(false)` with `--check` when something is wrong.
pub(crate) fn run(args: &Args) -> Result<bool> {
    // All that can be refused is refused before anything is started.
    let faults = faults::read(args.faults.as_deref())?;
    refuse(args, &faults)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the event loop")?;
    let (report, samples) = runtime.block_on(Box::pin(measure(args, &faults)))?;
    if let Some(path) = &args.requests {
        let lines = samples.iter().map(serde_json::to_string);
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        crate::results::write(path, &(lines.join("\n") + "\n"))?;
    }
    if args.write {
        let default = || workspace_root().join("docs/reports");
        let folder = args.out.clone().unwrap_or_else(default);
        report.write(&folder)?;
        eprintln!("the report is in {}", folder.display());
    }
    print!("{}", report.page());
    Ok(!args.check || report.failures().is_empty())
}

/// Refuses faults that do not fit to the other options.
fn refuse(args: &Args, faults: &[Fault]) -> Result<()> {
    let last = faults.iter().map(Fault::end_s).fold(0.0, f64::max);
    ensure!(
        last < args.seconds as f64,
        "--seconds {}: the last fault ends after {last} s; give the load more time",
        args.seconds
    );
    let Some(url) = &args.base_url else {
        return Ok(());
    };
    if let Some(fault) = faults.iter().find(|fault| fault.what.needs_engine()) {
        bail!(
            "--base-url {url}: the fault {:?} of the kind {} needs an engine of this program's own; leave \
             --base-url out, or give a file without such faults by --faults. Faults of the kinds payment, \
             latency and errors are possible",
            fault.name,
            fault.what.name()
        );
    }
    let opens = faults.iter().find(|fault| fault.opens.is_some());
    if let Some(fault) = opens.filter(|_| args.check && args.health.is_none()) {
        bail!(
            "--check: the fault {:?} says which breaker it opens, and the public API does not tell: name the \
             health of create-order by --health",
            fault.name
        );
    }
    Ok(())
}

/// The token of an admin, from a file or the variable: never an argument, which others can read.
fn token(args: &Args) -> Result<Token> {
    if let Some(path) = &args.token_file {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("--token-file {}", path.display()))?;
        ensure!(
            !text.trim().is_empty(),
            "--token-file {}: it is empty",
            path.display()
        );
        return Ok(Token::new(text.trim()));
    }
    let env = Env::of_process();
    let token = env.get(TOKEN).with_context(|| {
        format!(
            "--base-url: an admin's token is needed: sign in as {FIRST_ADMIN} (POST /auth/login), and give the \
             token of the answer in a file (--token-file) or in the variable {TOKEN}"
        )
    })?;
    Ok(Token::new(token))
}

async fn measure(args: &Args, faults: &[Fault]) -> Result<(Report, Vec<Sample>)> {
    let length = Duration::from_secs(args.seconds);
    let pace = (args.rate, Duration::from_millis(args.pause_ms.into()));
    let plan = Plan::new(args.seed, pace, length, args.products.into());
    let mut about = About::now(args.seed, "", None);
    let (stage, own) = match &args.base_url {
        Some(url) => {
            let token = token(args)?;
            (
                Stage::new(url.clone(), token, Sources::all(&args.from))?,
                None,
            )
        }
        None => {
            let own = start(args).await?;
            let token = own.engine.token(&Uuid::now_v7().to_string(), Role::Admin)?;
            let base = format!("http://{}", own.engine.address).parse()?;
            about.postgres.clone_from(&own.engine.version);
            breakers::note(&own).await?;
            (Stage::new(base, Token::new(token), Vec::new())?, Some(own))
        }
    };
    let target = Target {
        stage: Arc::new(stage),
        own,
    };
    let found = target.stage.calm_provider().await?;
    let (stop, stopped) = watch::channel(false);
    let interrupted = async {
        // Without a handler for it, Ctrl-C ends this at once.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        eprintln!("the load ends; the books are checked. Ctrl-C again does not wait for them");
        stop.send_replace(true);
        let _ = tokio::signal::ctrl_c().await;
    };
    let result = tokio::select! {
        result = Box::pin(load(args, faults, &plan, &target, &stop, stopped, about)) => result,
        () = interrupted => Err(anyhow::anyhow!("stopped before the end")),
    };
    if target.own.is_none() {
        let rate = args.failure_rate_after.unwrap_or(FAILURE_RATE);
        target.stage.restore(found, rate).await?;
    }
    result
}

/// An engine of this program's own.
async fn start(args: &Args) -> Result<Own> {
    let checkout = Checkout::this()?;
    if !args.no_build {
        eprintln!("building");
        binaries::build(&binaries::domains())?;
    }
    binaries::find(&checkout.programs, "zerocart")?;
    let variables = args
        .breaker_open_ms
        .map(|ms| (BREAKER_OPEN_MS, ms.to_string()));
    let variables: Vec<_> = variables.into_iter().collect();
    let mut ports = Ports::new(rand::random());
    let engine = Engine::start_with("own", &checkout, ports.next()?, &variables).await?;
    Own::attach(engine).await
}

async fn load(
    args: &Args,
    faults: &[Fault],
    plan: &Plan,
    target: &Target,
    stop: &watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
    mut about: About,
) -> Result<(Report, Vec<Sample>)> {
    let stage = &target.stage;
    let products = stage.products(args.products.into()).await?;
    let buyers = stage.buyers(plan.accounts, &products).await?;
    ensure!(!*stopped.borrow(), "stopped before the load");
    eprintln!(
        "{} visits with {} requests in {} s, of {} customers and of visitors",
        plan.visits.len(),
        plan.requests(),
        args.seconds,
        plan.accounts
    );
    let start = Instant::now();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let watched = match &args.health {
        Some(url) => Some(breakers::Watch::begin(url, start).await?),
        None => None,
    };
    let shopping = Box::pin(shoppers::shop(plan, stage, buyers, start, stopped.clone()));
    let limit = async {
        let mut asked = stopped.clone();
        // The end comes early when somebody asks for it.
        let _ = tokio::time::timeout(plan.length, asked.wait_for(|stop| *stop)).await;
        stop.send_replace(true);
    };
    let disturbing = Box::pin(target.disturb(faults, start, &stopped));
    let (shopped, happened, ()) = tokio::join!(shopping, disturbing, limit);
    let ((buyers, met), happened) = (shopped?, happened?);
    about.seconds = start.elapsed().as_secs_f64();

    eprintln!("the load is over; every order comes to its end");
    let conserved = conserved(target, buyers, &products).await?;
    let samples: Vec<Sample> = {
        let entries = stage.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = entries.iter();
        samples
            .map(|entry| Sample::of(entry, start.into_std()))
            .collect()
    };
    let (changes, observed) = match (&target.own, &watched) {
        (Some(own), _) => (breakers::noted(own, unix).await?, Observed::Exactly),
        (None, Some(watched)) => (watched.changes(), Observed::Sampled),
        (None, None) => (Vec::new(), Observed::No),
    };
    if target.own.is_none() {
        stage.archive(&products).await;
    }
    let found = Found {
        samples: &samples,
        changes,
        observed,
        happened,
        met,
        conserved,
    };
    let report = found.report(args, faults, plan, about)?;
    Ok((report, samples))
}

/// The books once all orders have ended, and of an engine of its own those of the provider.
async fn conserved(target: &Target, buyers: Vec<Buyer>, products: &[Product]) -> Result<Conserved> {
    let began = Instant::now();
    let readers: Vec<Buyer> = buyers.into_iter().map(Buyer::silent).collect();
    let books = audit::settled(&readers, products).await;
    let books: Books = books.context("the books cannot be read")?;
    let settled_after_s = began.elapsed().as_secs_f64();
    let charges = match &target.own {
        Some(own) => {
            let payment = own.database("payment").await?;
            let standing = "SELECT count(*), coalesce(sum(amount * 100), 0)::bigint \
                            FROM simulator_charges WHERE state = 'CHARGED'";
            let row = payment.query_one(standing, &[]).await?;
            Some((row.get(0), row.get(1)))
        }
        None => None,
    };
    Ok(Conserved::of(&books, charges, settled_after_s))
}

/// What a run has found.
struct Found<'a> {
    samples: &'a [Sample],
    changes: Vec<breakers::Change>,
    observed: Observed,
    happened: Vec<Happened>,
    met: Met,
    conserved: Conserved,
}

impl Found<'_> {
    fn report(self, args: &Args, faults: &[Fault], plan: &Plan, about: About) -> Result<Report> {
        let open_for = args
            .breaker_open_ms
            .map(|ms| Duration::from_millis(ms.into()));
        let open_for_s = open_for.unwrap_or(Config::CONTRACT.open_for).as_secs_f64();
        let exact = self.observed == Observed::Exactly;
        let (cycles, breakers_wrong) = breakers::judge(&self.changes, open_for_s, exact);
        let limit_ms = f64::from(args.limit_ms);
        let first = self.happened.first().map(|happened| happened.began_s);
        let seconds = plan.length.as_secs_f64();
        let disturbances = self.happened.iter().map(|happened| {
            let later = self.happened.iter().map(|other| other.began_s);
            let next = later
                .filter(|began| *began > happened.ended_s)
                .fold(seconds, f64::min);
            let times = (happened.began_s, happened.ended_s, next);
            Disturbance {
                happened: happened.clone(),
                effects: statistics::effects(self.samples, times, limit_ms),
            }
        });
        let disturbances = disturbances.collect();
        let missing = faults.iter().filter(|fault| {
            let mut happened = self.happened.iter();
            !happened.any(|happened| happened.fault == **fault)
        });
        Ok(Report {
            about,
            version: env!("CARGO_PKG_VERSION"),
            base_url: args.base_url.as_ref().map(Uri::to_string),
            seconds: args.seconds,
            visits_per_s: args.rate,
            visits: plan.visits.len(),
            planned_requests: plan.requests(),
            accounts: plan.accounts,
            limit_ms,
            open_for_s,
            disturbances,
            missing: missing.cloned().collect(),
            observed: self.observed,
            cycles,
            breakers_wrong,
            changes: self.changes,
            by_second: statistics::seconds(self.samples),
            functions: statistics::rows(self.samples, first.unwrap_or(seconds))?,
            wrong_answers: self.met.wrong,
            conserved: self.conserved,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(options: &[&str]) -> Result<Args, String> {
        let options = ["resilience"].iter().chain(options);
        let cli = Cli::try_parse_from(options);
        cli.map(|cli| cli.args).map_err(|error| error.to_string())
    }

    fn refused(options: &[&str], file: Option<&Path>) -> String {
        let refused = refuse(&args(options).unwrap(), &faults::read(file).unwrap());
        format!("{:#}", refused.unwrap_err())
    }

    #[test]
    fn options_are_checked_and_named() {
        let defaults = args(&[]).unwrap();
        refuse(&defaults, &faults::read(None).unwrap()).unwrap();
        for (options, says) in [
            (&["--seconds", "1"][..], "--seconds"),
            (&["--rate", "0"], "visits per second from 0.1"),
            (&["--base-url", "localhost:8000"], "http://localhost:8000"),
            (&["--token-file", "token"], "--base-url"),
            (
                &["--base-url", "http://a", "--breaker-open-ms", "5"],
                "--breaker-open-ms",
            ),
            (&["--out", "reports"], "--write"),
            (&["--limit-ms", "0"], "--limit-ms"),
        ] {
            let error = args(options).unwrap_err();
            assert!(error.contains(says), "{says}: {error}");
        }
        // A token is no argument: a list of processes would show it.
        assert!(args(&["--token", "x"]).unwrap_err().contains("--token"));
    }

    #[test]
    fn what_a_foreign_system_cannot_suffer_is_refused() {
        let told = refused(&["--base-url", "http://localhost:8000"], None);
        assert!(
            told.contains("--base-url") && told.contains("of the kind kill"),
            "{told}"
        );
        let told = refused(&["--seconds", "60"], None);
        assert!(told.contains("--seconds 60"), "{told}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("faults.json");
        let down = r#"{"fault": [{"name": "down", "kind": "payment", "at_s": 1, "for_s": 2,
            "failure_rate": 1, "opens": "process-payment"}]}"#;
        fs::write(&file, down).unwrap();
        let foreign = ["--base-url", "http://localhost:8000"];
        refuse(
            &args(&foreign).unwrap(),
            &faults::read(Some(&file)).unwrap(),
        )
        .unwrap();
        let told = refused(&[&foreign[..], &["--check"]].concat(), Some(&file));
        assert!(
            told.contains("--check") && told.contains("--health"),
            "{told}"
        );
    }

    #[test]
    fn a_token_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "\n").unwrap();
        let path = file.to_str().unwrap();
        let args = args(&["--base-url", "http://a", "--token-file", path]).unwrap();
        let told = token(&args).unwrap_err().to_string();
        assert!(
            told.contains("--token-file") && told.contains("empty"),
            "{told}"
        );
        fs::write(&file, "secret\n").unwrap();
        assert_eq!(token(&args).unwrap().as_str(), "secret");
    }
}
