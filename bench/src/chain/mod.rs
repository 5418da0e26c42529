//! The cold chain: the first order of a fleet at zero, against the starts of its functions.
//!
//! An order goes through five functions (create-order, get-cart, update-inventory, process-payment,
//! clear-cart), one after the other. If each started only when it is called, the first order would
//! wait for the sum of their starts. create-order wakes all of them at once, so the order should
//! wait for little more than the slowest start.
//!
//! The functions run as in the local engine: as processes, by its activator, with the manifests
//! that are deployed, calling each other through the activator; the payment provider answers at
//! once. Each measurement begins with all of them at zero and no session at PostgreSQL. It asks
//! once (cold), and then asks the same several times (warm). The cost of a start is the difference:
//! connections, prepared statements and everything else that only the first request waits for,
//! without the work itself.
//!
//! All of it is measured with the sessions that the local engine keeps ready, with sessions that each function
//! opens itself, and, with `--against`, of another build.
//!
//! Functions that start at once share the cores of this machine, and a start is mostly CPU time. So
//! the CPU time of the functions and of PostgreSQL until the first answer is printed, too. Divided by the number of cores, it is the shortest time that an order from zero
//! can take here.
//!
//! Each round measures in a shuffled order
//!
//! - the order;
//! - the order with wake-ups that have no effect, for comparison: they are answered before they get
//!   to the activator;
//! - each of the five functions alone, by a request that it answers without the others.
//!   create-order refuses its request, because another order of that cart is being made. The
//!   functions that it calls cannot be reached meanwhile, so its wake-ups start nothing.

mod report;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use zerocart_proto::rpc::{self, Info, Rpc};

use crate::{
    binaries,
    cases::{self, Case, Seeds},
    checkout::Checkout,
    cold::Kind,
    fleet::{self, Fleet, Paths, Yard},
    process::Ports,
    results::{self, About, Output},
    stand::{Sessions, Stand},
    stats::median,
};

/// The functions that an order goes through, in this order. get-payment-status is woken, too, but
/// called only if the outcome of a charge is unknown.
const CHAIN: [Info; 5] = [
    rpc::CreateOrder::INFO,
    rpc::GetCart::INFO,
    rpc::UpdateInventory::INFO,
    rpc::ProcessPayment::INFO,
    rpc::ClearCart::INFO,
];

/// How many warm requests follow.
const WARM: usize = 5;

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many times each is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// The seed of the order of measurements [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Exit with 1 when the target is missed
    #[arg(long)]
    check: bool,
    /// Measure the binaries that are there, instead of building them first
    #[arg(long)]
    no_build: bool,
    /// Also measure the programs of the build in this checkout, in turn with these
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// No further round begins after this many seconds of measuring
    #[arg(long, default_value_t = 150, value_name = "SECONDS")]
    limit: u64,
}

/// A subject of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// An order, with or without wake-ups.
    Order { woken: bool },
    /// One function alone: an index in [`CHAIN`].
    Alone(usize),
}

/// The name of its files.
const NAME: &str = "chain";

/// The measurements of one subject, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    cold: Vec<f64>,
    warm: Vec<f64>,
    /// Cold less warm, measurement by measurement.
    start: Vec<f64>,
    /// CPU time until the first answer; empty if the kernel does not report it.
    cpu: Vec<f64>,
}

/// One measurement, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    cold: f64,
    warm: f64,
    cpu: Option<f64>,
}

impl Record {
    fn add(&mut self, times: Times) {
        self.cold.push(times.cold);
        self.warm.push(times.warm);
        self.start.push(times.cold - times.warm);
        self.cpu.extend(times.cpu);
    }
}

/// All that was measured of one build with its sessions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Records {
    woken: Record,
    unwoken: Record,
    alone: [Record; CHAIN.len()],
}

impl Records {
    fn of(&mut self, subject: Subject) -> &mut Record {
        match subject {
            Subject::Order { woken: true } => &mut self.woken,
            Subject::Order { woken: false } => &mut self.unwoken,
            Subject::Alone(i) => &mut self.alone[i],
        }
    }
}

/// Measures and prints. `Ok(false)` when `--check` finds the target missed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    // As the engine's.
    let runtime = tokio::runtime::Runtime::new().context("cannot start the event loop")?;
    let result = runtime.block_on(measure(args));
    progress("");
    result
}

async fn measure(args: &Args) -> Result<bool> {
    let this = Checkout::this()?;
    let against = args.against.as_deref().map(Checkout::against).transpose()?;
    let domains = binaries::domains();
    if !args.no_build {
        progress("building");
        binaries::build(&domains)?;
    }
    for Info { name, .. } in CHAIN {
        binaries::find(&this.programs, name)?;
    }
    progress("starting PostgreSQL");
    let seed = args.seed.unwrap_or_else(results::seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let stand = Stand::start(&domains).await?;
    let mut about = About::now(seed, stand.version(), args.against.as_deref());
    let mut sides = vec![(Kind::Own, this.programs.clone())];
    if stand.has_warm_sessions() {
        sides.insert(0, (Kind::Warm, this.programs.clone()));
    }
    if let Some(against) = against {
        sides.push((Kind::Before, against.programs));
    }
    let mut bench = Bench::new(stand, this.programs, Ports::new(seed).next()?).await?;

    let began = Instant::now();
    let each = (0..CHAIN.len()).map(Subject::Alone);
    let each: Vec<_> = each
        .chain([true, false].map(|woken| Subject::Order { woken }))
        .collect();
    let mut subjects: Vec<_> = (0..sides.len())
        .flat_map(|side| each.iter().map(move |subject| (side, *subject)))
        .collect();
    let mut records: Vec<Records> = sides.iter().map(|_| Records::default()).collect();
    let mut rounds = 0;
    // The first round warms the machine (page cache, catalogue) and is not counted.
    for round in 0..=args.rounds {
        if began.elapsed() > Duration::from_secs(args.limit) {
            break;
        }
        progress(&format!("round {round} of {}", args.rounds));
        bench.fill_carts(2 * (1 + WARM) * sides.len()).await?;
        subjects.shuffle(&mut rng);
        for (side, subject) in &subjects {
            let times = bench.measure(&sides[*side], *subject).await;
            let times = times.with_context(|| format!("{subject:?}"))?;
            if round > 0 {
                records[*side].of(*subject).add(times);
            }
        }
        rounds = round;
    }
    if rounds == 0 {
        bail!("not one round within {} s", args.limit);
    }
    about.seconds = began.elapsed().as_secs_f64();
    bench.stand.stop().await?;
    progress("");
    let kinds = sides.into_iter().map(|(kind, _)| kind);
    let met = report::print(about, rounds, kinds.zip(records).collect(), &args.output)?;
    Ok(met || !args.check)
}

/// The environment of the measurements.
struct Bench {
    stand: Stand,
    yard: Yard,
    folder: PathBuf,
    seeds: Seeds,
    /// A port on which nothing listens.
    closed: u16,
    /// Customers with something in their carts, and their tokens.
    customers: Vec<(String, String)>,
}

impl Bench {
    async fn new(stand: Stand, folder: PathBuf, closed: u16) -> Result<Self> {
        let yard = Yard::new()?;
        let fleet = Fleet::start(&yard, &stand, &folder, Paths::Open, Sessions::Own).await?;
        let seeds = fleet.seed(&stand).await;
        fleet.end().await?;
        Ok(Self {
            seeds: seeds?,
            stand,
            yard,
            folder,
            closed,
            customers: Vec::new(),
        })
    }

    async fn fleet(&self, folder: &Path, paths: Paths, sessions: Sessions) -> Result<Fleet> {
        self.stand.quiet().await?;
        Fleet::start(&self.yard, &self.stand, folder, paths, sessions).await
    }

    /// Makes so many customers who have something in their carts.
    async fn fill_carts(&mut self, n: usize) -> Result<()> {
        let fleet = self.fleet(&self.folder, Paths::Open, Sessions::Own).await?;
        for _ in 0..n {
            let user = Uuid::now_v7().to_string();
            fleet
                .fill_cart(&user, &self.seeds.product_id, &self.seeds.token)
                .await?;
            let token = self.stand.customer_token(&user)?;
            self.customers.push((user, token));
        }
        fleet.end().await
    }

    /// The first answer of a fleet at zero, and the median of the warm answers.
    async fn measure(
        &mut self,
        (kind, folder): &(Kind, PathBuf),
        subject: Subject,
    ) -> Result<Times> {
        let (name, paths) = match subject {
            Subject::Order { woken: true } => (CHAIN[0].name, Paths::Open),
            Subject::Order { woken: false } => (CHAIN[0].name, Paths::Sleepy),
            Subject::Alone(i) => (CHAIN[i].name, Paths::Closed(self.closed)),
        };
        // Made before the clock starts.
        let cases: Vec<_> = (0..=WARM)
            .map(|_| self.case(subject))
            .collect::<Result<_>>()?;
        let sessions = match kind {
            Kind::Warm => Sessions::Warm,
            Kind::Own | Kind::Before => Sessions::Own,
        };
        let fleet = self.fleet(folder, paths, sessions).await?;
        let before = (self.stand.exact_cpu_ms(), self.stand.broker_cpu_ms());
        let ms = |(_, took): (String, Duration)| took.as_secs_f64() * 1e3;
        let cold = ms(fleet.ask(name, &cases[0]).await?);
        let cpu = fleet.cpu_ms(&self.stand, before).await?;
        let mut warm = Vec::with_capacity(WARM);
        for case in &cases[1..] {
            warm.push(ms(fleet.ask(name, case).await?));
        }
        fleet.end().await?;
        Ok(Times {
            cold,
            warm: median(&warm),
            cpu,
        })
    }

    fn case(&mut self, subject: Subject) -> Result<Case> {
        let Subject::Alone(i) = subject else {
            let (user, token) = self.customers.pop().context("too few carts are filled")?;
            return Ok(fleet::order(&user, &token));
        };
        let (info, seeds) = (&CHAIN[i], &self.seeds);
        if info.name == rpc::UpdateInventory::INFO.name {
            // As a step of an order asks for it.
            let reservation = json!({
                "product_id": seeds.product_id,
                "quantity_change": -1,
                "reservation_id": Uuid::now_v7().to_string(),
            });
            return Ok(Case::call(info, &seeds.token, reservation));
        }
        Ok(cases::case(info, seeds, 0))
    }
}

/// One line, which the next one overwrites, on a terminal.
fn progress(what: &str) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        // A failure to print progress does no harm.
        let _ = write!(terminal, "\r\x1b[K{what}");
    }
}
