//! A bounded load of orders against a system that runs, while somebody else disturbs it; and whether
//! the books balance afterwards.
//!
//! - [`customer`]: what a customer does, again and again;
//! - [`caller`], [`attempt`]: a request, sent again as docs/clients.md tells clients to;
//! - [`figures`]: what is counted;
//! - [`journal`]: what came of each request, for programs that look at single ones;
//! - [`audit`], [`books`]: what must hold at the end, read through the public API;
//! - [`setup`]: products, accounts, and the simulated payment provider.

mod attempt;
pub(crate) mod audit;
pub(crate) mod books;
pub(crate) mod caller;
pub(crate) mod customer;
pub(crate) mod figures;
pub(crate) mod journal;
mod report;
mod setup;
pub(crate) mod sources;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use http::Uri;
use tokio::sync::watch;
use zerocart_conformance::{FAILURE_RATE, FIRST_ADMIN};
use zerocart_core::Env;
use zerocart_wires::Wire;

use caller::NoAnswer;
use customer::Buyer;
use figures::Figures;
use report::Report;
use setup::Stage;
use sources::Sources;

/// The variable for those who do not want the token in their shell's history.
pub(crate) const TOKEN: &str = "ZEROCART_TOKEN";

/// What is loaded, and how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The public address
    #[arg(long, default_value = "http://localhost:8000")]
    url: Uri,
    /// The token of an admin [default: the variable ZEROCART_TOKEN]
    #[arg(long)]
    token: Option<String>,
    /// How long customers buy
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How many customers buy; each has its own account and its own connection
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=200))]
    customers: u16,
    /// The most orders per second, of all customers together
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    rate: f64,
    /// How customers call; with both, every other customer uses gRPC
    #[arg(long, value_enum, default_value_t = Wires::Both)]
    wire: Wires,
    /// Addresses of this machine to call from, in turn, such as 127.0.1.1-127.0.1.40: the gateway
    /// limits the requests of each address
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',')]
    from: Vec<Sources>,
    /// The share of charges that fail at the simulated payment provider
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    failure_rate: f64,
    /// The shortest time of a request to the provider
    #[arg(long, default_value_t = 10, value_name = "MS", value_parser = delay())]
    min_delay: i32,
    /// The longest time of a request to the provider
    #[arg(long, default_value_t = 50, value_name = "MS", value_parser = delay())]
    max_delay: i32,
    /// The failure rate that the provider has afterwards: what it had cannot be read
    #[arg(long, default_value_t = FAILURE_RATE, value_parser = share)]
    failure_rate_after: f64,
    /// Units of the scarce product, which sells out
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(0..))]
    scarce: i32,
    /// The seed of what customers buy [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Exit with 1 also when a request is lost at its first attempt
    #[arg(long)]
    no_loss: bool,
    /// Write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How customers call.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Wires {
    /// JSON over HTTP/1.1
    Rest,
    /// gRPC over h2c
    Grpc,
    /// Half of them each
    Both,
}

impl Wires {
    fn all(self) -> &'static [Wire] {
        match self {
            Self::Rest => &[Wire::Http1],
            Self::Grpc => &[Wire::Grpc],
            Self::Both => &[Wire::Http1, Wire::Grpc],
        }
    }
}

fn delay() -> clap::builder::RangedI64ValueParser<i32> {
    clap::value_parser!(i32).range(0..=60_000)
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("it is a number from 0.01 to 1000".into()),
    }
}

/// A number from 0 to 1, as the value of an option.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("it is a number from 0 to 1".into()),
    }
}

/// Loads and prints. `Ok(false)` when the books do not balance or requests did not get through.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the event loop")?;
    let report = runtime.block_on(soak(args))?;
    report.print();
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&report)?;
        fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(report.failures().is_empty())
}

async fn soak(args: &Args) -> Result<Report> {
    if args.min_delay > args.max_delay {
        bail!("--min-delay is more than --max-delay");
    }
    let env = Env::of_process();
    let Some(token) = args.token.as_deref().or_else(|| env.get(TOKEN)) else {
        bail!(
            "an admin's token is needed: sign in as {FIRST_ADMIN} (POST /auth/login), and give the \
             token of the answer by --token or in the variable {TOKEN}"
        );
    };
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
    let stage = Stage::new(args, token)?;
    let provider = stage.provider(args).await?;
    let report = tokio::select! {
        report = Box::pin(load(args, &stage, &stop, stopped)) => report,
        () = interrupted => Err(anyhow::anyhow!("stopped before the end")),
    };
    let restored = stage.restore(provider, args.failure_rate_after).await;
    let report = report?;
    restored?;
    Ok(report)
}

async fn load(
    args: &Args,
    stage: &Stage,
    stop: &watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
) -> Result<Report> {
    let seed = args.seed.unwrap_or_else(crate::results::seed);
    let products = stage.products(args.scarce).await?;
    let figures = Arc::new(Figures::default());
    let mut buyers = stage.buyers(args, &products, &figures).await?;
    if *stopped.borrow() {
        bail!("stopped before the load");
    }
    eprintln!("{} customers buy for {} s", args.customers, args.seconds);
    let began = Instant::now();
    let buying = buyers.iter_mut().zip(seed..).map(|(buyer, seed)| {
        let stopped = stopped.clone();
        Box::pin(buyer.buy(seed, stopped))
    });
    let time = Duration::from_secs(args.seconds);
    let limit = async {
        let mut asked = stopped.clone();
        // The end comes early when somebody asks for it.
        let _ = tokio::time::timeout(time, asked.wait_for(|stop| *stop)).await;
        stop.send_replace(true);
    };
    let (results, ()) = tokio::join!(join_all(buying), limit);
    let ended = Instant::now();

    eprintln!("the load is over; every order comes to its end");
    let mut report = Report {
        url: args.url.to_string(),
        seconds: (ended - began).as_secs_f64(),
        customers: buyers.len(),
        orders_per_second: args.rate,
        failure_rate: args.failure_rate,
        seed,
        figures: figures.all(ended),
        examples: figures.examples(),
        no_loss: args.no_loss,
        ..Report::default()
    };
    for (buyer, result) in buyers.iter().zip(results) {
        match result {
            Ok(()) => {}
            Err(error @ NoAnswer::Wrong(_)) => {
                let line = format!("customer {}: {error}", buyer.book.name);
                report.wrong_answers.push(line);
            }
            Err(error) => {
                let line = format!("customer {}: {error}", buyer.book.name);
                report.ended_early.push(line);
            }
        }
    }
    let readers: Vec<Buyer> = buyers.into_iter().map(Buyer::silent).collect();
    let books = audit::settled(&readers, &products).await;
    let books = books.context("the books cannot be read")?;
    report.add(&books, ended.elapsed());
    if books.orders().next().is_none() {
        report.print();
        bail!("no order was made: this load says nothing");
    }
    stage.archive(&products).await;
    Ok(report)
}
