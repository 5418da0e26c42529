//! Load on the local engine, with its gateway, activator and PostgreSQL, as users have them.
//!
//! The program starts an engine of its own, in a folder that it removes, with rate limits that a load does not
//! meet. With `--against` it starts a second one from another build, and gives both the same load in short
//! rounds, in turn (A B, B A, …), so that a change of the machine's speed meets both. [`drive`] says what
//! closed and open loops are. The parts:
//!
//! - `loops`: single requests and 16 buyers, of each kind of request and of a mix; `open`: open loops;
//! - `cart`: orders of 1, 10 and 100 lines; `hot`: 64 buyers of one product, and of many;
//! - `direct`: get-product without gateway, beside the engine, the floor and pgbench;
//! - `costs`: round trips, transactions and bytes of each kind of request, through a proxy that counts;
//! - `catalogue`: ListProducts with 1,000 and 1,000,000 products (only when it is asked for).

pub(crate) mod beside;
mod catalogue;
mod client;
mod costs;
pub(crate) mod direct;
pub(crate) mod drive;
pub(crate) mod engine;
pub(crate) mod figures;
pub(crate) mod mixed;
pub(crate) mod priced;
mod proxy;
mod rare;
pub(crate) mod report;
mod rounds;
mod work;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use costs::Costs;
pub(crate) use engine::coarse;
pub(crate) use work::MIX;

use self::{
    beside::Beside,
    catalogue::Page,
    direct::Direct,
    drive::Until,
    engine::Engine,
    figures::{BEFORE, Measured, NOW},
    mixed::Mixed,
    rare::Rare,
    rounds::{Bench, Load, Side},
    work::Shop,
};
use crate::{
    binaries,
    checkout::Checkout,
    process::Ports,
    results::{self, About, Output, Run},
};

/// The name of its files.
pub(crate) const NAME: &str = "load";

/// Buyers of a closed loop.
pub(crate) const BUYERS: usize = 16;

/// Buyers of the hot product.
const HOT_BUYERS: usize = 64;

/// Connections of an open loop.
const CONNECTIONS: usize = 64;

/// Connections of an open loop with few requests.
const QUIET_CONNECTIONS: usize = 8;

/// What to measure, and how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Also measure the build in this checkout, in turn with this one
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// Only these parts
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these kinds of requests, in loops [possible values: product, product-grpc, list, cart, order, sign-in, mix]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<String>,
    /// Also measure ListProducts with 1,000 and 1,000,000 products
    #[arg(long)]
    catalogue: bool,
    /// Rounds of each load and build
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each round
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Rates of the open loops, in requests per second, such as product=500
    /// [default: a quarter, a half and three quarters of the throughput]
    #[arg(long, value_name = "KIND=RATE", value_delimiter = ',', value_parser = rate)]
    rates: Vec<(String, f64)>,
    /// The seed of open loops and of the mix [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Measure the binaries that are there, instead of building them first
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    output: Output,
    /// The shares of the throughput at which open loops are.
    #[arg(skip = vec![0.25, 0.5, 0.75])]
    shares: Vec<f64>,
    /// The shares of the throughput of the mix at which an open loop of it is.
    #[arg(skip)]
    mixed: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Single requests, 16 buyers, and a mix of all
    Loops,
    /// Open loops
    Open,
    /// Orders of 1, 10 and 100 lines
    Cart,
    /// 64 buyers of one product, and of many
    Hot,
    /// get-product without gateway, beside the engine, the floor and pgbench
    Direct,
    /// Round trips, transactions and bytes
    Costs,
    /// ListProducts with 1,000 and 1,000,000 products
    Catalogue,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 0.1 to 600".to_owned()),
    }
}

/// The kinds of requests of a loop.
const KINDS: [&str; 7] = [
    "product",
    "product-grpc",
    "list",
    "cart",
    "order",
    "sign-in",
    "mix",
];

fn kind(text: &str) -> Result<String, String> {
    match KINDS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be one of {}", KINDS.join(", "))),
    }
}

fn rate(text: &str) -> Result<(String, f64), String> {
    let kinds = MIX.map(|(kind, _)| kind).join(", ");
    let form = || format!("must be KIND=RATE, of {kinds}, and a rate above 0: product=500");
    let (kind, rate) = text.split_once('=').ok_or_else(form)?;
    let known = MIX.iter().any(|(known, _)| *known == kind);
    match rate.parse() {
        Ok(rate) if known && rate > 0.0 && rate <= 100_000.0 => Ok((kind.to_owned(), rate)),
        _ => Err(form()),
    }
}

/// All that was measured. What was not asked for is empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// One request at a time.
    pub(crate) single: Vec<Measured>,
    pub(crate) closed: Vec<Measured>,
    pub(crate) open: Vec<Measured>,
    /// Orders by the number of lines, one at a time.
    pub(crate) cart: Vec<Measured>,
    pub(crate) hot: Vec<Measured>,
    pub(crate) direct: Vec<Direct>,
    pub(crate) costs: Option<Costs>,
    pub(crate) catalogue: Vec<Page>,
    /// Open loops of the mix: only where a simulation is compared with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mixed: Vec<Mixed>,
    /// Products beside sign-ins, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) beside: Vec<Beside>,
    /// Sign-ins after a pause, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rare: Option<Rare>,
}

impl Results {
    /// Adds the parts and loops of an earlier run of the same commit that this run did not measure.
    fn complete(&mut self, old: Self) {
        fn fill(now: &mut Vec<Measured>, old: Vec<Measured>) {
            for measured in old {
                if !now.iter().any(|other| other.name == measured.name) {
                    now.push(measured);
                }
            }
        }
        // Rates differ from run to run, so open loops of a kind are taken from one run.
        let open: Vec<Measured> = old
            .open
            .into_iter()
            .filter(|measured| !self.open.iter().any(|now| now.name == measured.name))
            .collect();
        self.open.extend(open);
        fill(&mut self.single, old.single);
        fill(&mut self.closed, old.closed);
        fill(&mut self.cart, old.cart);
        fill(&mut self.hot, old.hot);
        if self.direct.is_empty() {
            self.direct = old.direct;
        }
        self.costs = self.costs.take().or(old.costs);
        if self.catalogue.is_empty() {
            self.catalogue = old.catalogue;
        }
    }

    /// A closed loop by its name.
    pub(crate) fn closed(&self, name: &str) -> Option<&Measured> {
        self.closed.iter().find(|measured| measured.name == name)
    }

    /// A single request by its name.
    pub(crate) fn single(&self, name: &str) -> Option<&Measured> {
        self.single.iter().find(|measured| measured.name == name)
    }
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let result = runtime()?.block_on(Box::pin(measure(args)));
    progress("");
    let mut run = result?;
    if args.output.write
        && let Ok(old) = args.output.read::<Results>(NAME, "bench-load --write")
        && old.about.is_of_same(&run.about)
    {
        run.results.complete(old.results);
        run.about.seconds += old.about.seconds;
        run.summary = report::summary(&run.results);
    }
    let table = report::table(&run);
    print!("{table}");
    println!("\n{}", run.about.sentence());
    print!("{}", args.output.beside_last(NAME, &run));
    report::diagrams(&run, &args.output)?;
    args.output.save(NAME, &run, &table)?;
    Ok(true)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    // The load has threads of its own.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the event loop")
}

impl Args {
    /// Whether a part needs the engine of `--against`, too.
    fn needs_engines(&self) -> bool {
        let parts = [
            Part::Loops,
            Part::Open,
            Part::Cart,
            Part::Hot,
            Part::Direct,
            Part::Catalogue,
        ];
        parts.into_iter().any(|part| self.has(part))
    }

    fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }

    fn has(&self, part: Part) -> bool {
        match part {
            Part::Catalogue => self.catalogue || self.only.contains(&part),
            _ => self.only.is_empty() || self.only.contains(&part),
        }
    }
}

async fn measure(args: &Args) -> Result<Run<Results>> {
    let this = Checkout::this()?;
    let against = args.against.as_deref().map(Checkout::against).transpose()?;
    let domains = binaries::domains();
    if !args.no_build {
        progress("building");
        binaries::build(&domains)?;
    }
    binaries::find(&this.programs, "zerocart")?;
    let seed = args.seed.unwrap_or_else(results::seed);
    let mut ports = Ports::new(seed);
    progress("starting the engine");
    let engine = Engine::start(NOW, &this, ports.next()?).await?;
    let mut about = About::now(seed, &engine.version, args.against.as_deref());
    let mut engines = vec![engine];
    // What is not loaded is not compared.
    if let Some(against) = against.as_ref().filter(|_| args.needs_engines()) {
        progress("starting the engine of --against");
        engines.push(Engine::start(BEFORE, against, ports.next()?).await?);
    }
    let began = Instant::now();
    let mut sides = Vec::new();
    for engine in engines {
        progress(&format!("filling the shop ({})", engine.name));
        let shop = Shop::open(&engine).with_context(|| format!("the build {}", engine.name))?;
        sides.push(Side { engine, shop });
    }
    let bench = Bench {
        sides,
        rounds: args.rounds,
        round: Duration::from_secs_f64(args.seconds),
        seed,
    };
    let mut results = Results::default();
    if args.has(Part::Loops) {
        loops(&bench, args, &mut results).await?;
    }
    if args.has(Part::Open) {
        results.open = open(&bench, args, &results).await?;
    }
    for share in &args.mixed {
        let mix = results.closed("mix").context("the mix was not measured")?;
        let rate = mix.now.per_second * share;
        progress(&format!("mix, {rate:.0}/s"));
        results.mixed.push(mixed::measure(&bench, rate).await?);
    }
    if !args.mixed.is_empty() {
        progress("products beside sign-ins");
        results.beside = beside::measure(&bench)?;
        progress("sign-ins after a pause");
        results.rare = Some(rare::measure(&bench)?);
    }
    if args.has(Part::Cart) {
        results.cart = carts(&bench).await?;
    }
    if args.has(Part::Hot) {
        results.hot = hot(&bench).await?;
    }
    if args.has(Part::Catalogue) {
        progress("catalogue");
        results.catalogue = catalogue::measure(&bench).await?;
    }
    if args.has(Part::Direct) {
        progress("direct");
        results.direct = direct::measure(
            &this,
            against.as_ref(),
            &bench.sides,
            &mut ports,
            args.rounds,
            args.seconds,
        )
        .await?;
    }
    // The costs are counted at a server of their own.
    for side in bench.sides {
        side.engine.stop()?;
    }
    if args.has(Part::Costs) {
        progress("costs");
        results.costs = Some(Box::pin(costs::measure(&this)).await?);
    }
    about.seconds = began.elapsed().as_secs_f64();
    let summary = report::summary(&results);
    if summary.is_empty() {
        let kinds = MIX.map(|(kind, _)| kind).join(", ");
        bail!(
            "nothing was measured: --only and --kinds exclude each other. Leave one of them out. Open loops are of \
             {kinds}."
        );
    }
    Ok(Run {
        title: "Load".to_owned(),
        about,
        results,
        summary,
    })
}

/// Each kind of request alone and of 16 buyers; and the mix.
async fn loops(bench: &Bench, args: &Args, results: &mut Results) -> Result<()> {
    for kind in KINDS.into_iter().filter(|kind| args.wants(kind)) {
        if kind != "mix" {
            progress(&format!("{kind}, one at a time"));
            let alone = Load::closed(1, kind);
            results.single.push(bench.measure(kind, alone, kind).await?);
        }
        progress(&format!("{kind}, {BUYERS} buyers"));
        let many = Load::closed(BUYERS, kind);
        results.closed.push(bench.measure(kind, many, kind).await?);
    }
    Ok(())
}

/// Open loops of each kind. Where no rate was asked for, it is a share of the throughput of `known`, or else of a
/// closed loop.
async fn open(bench: &Bench, args: &Args, known: &Results) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for kind in MIX
        .map(|(kind, _)| kind)
        .into_iter()
        .filter(|kind| args.wants(kind))
    {
        let asked = args.rates.iter().filter(|(of, _)| of == kind);
        let mut rates: Vec<f64> = asked.map(|(_, rate)| *rate).collect();
        if rates.is_empty() || !args.mixed.is_empty() {
            let measured = match known.closed(kind) {
                Some(measured) => measured.clone(),
                None => {
                    progress(&format!("{kind}, {BUYERS} buyers"));
                    bench
                        .measure(kind, Load::closed(BUYERS, kind), kind)
                        .await?
                }
            };
            let before = measured.before.as_ref().map(|before| before.per_second);
            let least = measured.now.per_second.min(before.unwrap_or(f64::INFINITY));
            let shares = args.shares.iter();
            rates.extend(shares.map(|share| (least * share).round().max(1.0)));
        }
        for rate in rates {
            progress(&format!("{kind}, {rate}/s"));
            let load = Load::Open {
                rate,
                connections: match args.mixed.is_empty() {
                    true => CONNECTIONS,
                    // So few requests must not pay for many connections.
                    false => QUIET_CONNECTIONS,
                },
            };
            all.push(bench.measure(kind, load, kind).await?);
        }
    }
    Ok(all)
}

/// Orders of so many lines, one at a time.
async fn carts(bench: &Bench) -> Result<Vec<Measured>> {
    let mut products = Vec::new();
    for side in &bench.sides {
        products.push(side.shop.more_products(100)?);
    }
    let mut measured = Vec::new();
    for lines in [1, 10, 100] {
        progress(&format!("orders of {lines} lines"));
        let load = Load::Closed {
            buyers: 1,
            until: Until::Done,
        };
        let orders = match lines {
            100 => 6,
            _ => 20,
        };
        let jobs = |n: usize, _: usize| {
            let side = &bench.sides[n];
            side.shop.orders(&side.engine, orders, lines, &products[n])
        };
        let name = if lines == 1 {
            "1 line".to_owned()
        } else {
            format!("{lines} lines")
        };
        measured.push(bench.measure_jobs(&name, load, jobs).await?);
    }
    Ok(measured)
}

/// 64 buyers of one product, and of one after the other.
async fn hot(bench: &Bench) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (name, products) in [("one product", 1), ("64 products", usize::MAX)] {
        progress(&format!("{HOT_BUYERS} buyers of {name}"));
        let load = Load::Closed {
            buyers: HOT_BUYERS,
            until: Until::Done,
        };
        let jobs = |n: usize, round: usize| {
            let side = &bench.sides[n];
            let all = &side.shop.products;
            let orders = if round == 0 {
                HOT_BUYERS
            } else {
                6 * HOT_BUYERS
            };
            side.shop
                .orders(&side.engine, orders, 1, &all[..products.min(all.len())])
        };
        measured.push(bench.measure_jobs(name, load, jobs).await?);
    }
    Ok(measured)
}

/// One line, which the next one overwrites, on a terminal.
fn progress(what: &str) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        // A failure to print progress does no harm.
        let _ = write!(terminal, "\r\x1b[K{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        assert_eq!(rate("product=500"), Ok(("product".to_owned(), 500.0)));
        for wrong in [
            "product",
            "product=0",
            "product=-1",
            "tea=5",
            "product=x",
            "product=NaN",
        ] {
            assert!(rate(wrong).unwrap_err().contains("KIND=RATE"), "{wrong}");
        }
        assert!(kind("tea").unwrap_err().contains("sign-in") && kind("mix").is_ok());
        assert_eq!(seconds("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "601", "x", "NaN"] {
            assert!(seconds(wrong).unwrap_err().contains("seconds"), "{wrong}");
        }
    }

    #[test]
    fn a_run_keeps_what_an_earlier_one_measured() {
        let measured = |name: &str, per_second| Measured {
            name: name.to_owned(),
            load: String::new(),
            rate: None,
            buyers: 16,
            now: figures::Figures {
                per_second,
                ..figures::Figures::default()
            },
            before: None,
            throughput_ratio: None,
            cpu_ratio: None,
        };
        let mut now = Results {
            closed: vec![measured("order", 2.0)],
            ..Results::default()
        };
        now.complete(Results {
            closed: vec![measured("order", 1.0), measured("list", 3.0)],
            costs: Some(Costs::default()),
            ..Results::default()
        });
        let rates = |name| now.closed(name).map(|m| m.now.per_second);
        assert_eq!((rates("order"), rates("list")), (Some(2.0), Some(3.0)));
        assert!(now.costs.is_some());
    }

    #[test]
    fn shares_of_the_mix_add_up() {
        let sum: f64 = MIX.iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }
}
