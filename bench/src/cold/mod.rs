//! Cold starts: every function from exec to its first answers, beside the floor.
//!
//! Each round starts every function twice, in a shuffled order: once for the first answer of its
//! own RPC, and once for `/health` and then `/ready`. The two are separate, because the first
//! answer warms the process for the next. Just before or after each start, chosen at random, the
//! floor is started in the same way. The ratio of such a pair depends least on the noise of the
//! machine, and the median of these ratios is the result. Nothing else runs meanwhile: before the
//! next start, every process has ended in order, and PostgreSQL has ended or reset its sessions.
//!
//! The floor always connects by itself. A function is measured with the sessions that the local engine
//! keeps ready, with sessions of its own, with `--spans` with spans, too, and, with `--against`, as another build has
//! it.
//!
//! CPU time is that of the process until its answer, and that of PostgreSQL from before the start until it has
//! ended or reset the sessions, all of it from the kernel's accounting.
//!
//! So a function that calls others is asked something that it answers from its own database alone;
//! the table says what. Before anything is measured, all functions together fill the databases
//! (with an order and its payment, among others).

mod report;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use zerocart_proto::rpc::Info;
use zerocart_runtime::Entry;

use crate::{
    binaries,
    cases::{self, Case, Seeds},
    checkout::Checkout,
    cpu,
    fleet::{Fleet, Paths, Yard},
    load::direct,
    process::{Ports, Program},
    results::{self, About, Output},
    stand::{Sessions, Stand},
};

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many times each function is started for each of its two measurements
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Only these functions
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// The seed of the order of starts [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Exit with 1 when a target is missed
    #[arg(long)]
    check: bool,
    /// Measure the binaries that are there, instead of building them first
    #[arg(long)]
    no_build: bool,
    /// Also measure the programs of the build in this checkout, in turn with these
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// Rounds of two seconds in which get-product is asked by 32 clients, beside the floor and pgbench
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    warm_rounds: u32,
    /// Also measure functions that write spans, with sessions of their own
    #[arg(long)]
    spans: bool,
    #[command(flatten)]
    output: Output,
    /// No further round begins after this many seconds of measuring
    #[arg(long, default_value_t = 150, value_name = "SECONDS")]
    limit: u64,
}

/// The name of its files.
pub(crate) const NAME: &str = "cold";

/// A program with the environment of one way to reach PostgreSQL, and its measurements.
struct Variant {
    kind: Kind,
    /// Whether it writes spans.
    spans: bool,
    program: Program,
    binary_bytes: u64,
    record: Record,
}

/// Which build, and whose sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This build, with the sessions that the local engine keeps ready.
    Warm,
    /// This build, with sessions of its own.
    Own,
    /// The build of `--against`, with sessions of its own.
    Before,
}

/// A function.
struct Subject {
    info: &'static Info,
    variants: Vec<Variant>,
}

/// Times are in milliseconds since exec.
#[derive(Default)]
struct Record {
    listening: Vec<f64>,
    healthy: Vec<f64>,
    ready: Vec<f64>,
    answer: Vec<f64>,
    /// After the first answer, in bytes.
    resident: Vec<f64>,
    /// CPU time until the first answer: of the process, and of PostgreSQL. Empty if the kernel does not
    /// report it.
    cpu: Vec<f64>,
    postgres: Vec<f64>,
    /// Of the broker, where it is used.
    broker: Vec<f64>,
    /// Ratios to the floor's, pair by pair.
    ready_ratio: Vec<f64>,
    answer_ratio: Vec<f64>,
    cpu_ratio: Vec<f64>,
}

/// The purpose of a start.
#[derive(Clone, Copy)]
enum Probe {
    /// The first answer of its RPC, which queries PostgreSQL.
    Answer,
    /// `/health`, which asks no other system, and `/ready`, which asks PostgreSQL.
    Ready,
}

/// The result of one start; times in milliseconds since exec.
struct Times {
    listening: f64,
    healthy: Option<f64>,
    /// To `/ready`, or to the answer.
    end: f64,
    resident: Option<f64>,
    cpu: Option<f64>,
    postgres: Option<f64>,
    /// Nothing where it is not used.
    broker: f64,
}

/// Measures and prints. `Ok(false)` when `--check` finds a target missed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    let result = runtime.block_on(Box::pin(measure(args)));
    progress("");
    result
}

async fn measure(args: &Args) -> Result<bool> {
    let entries = binaries::entries();
    let domains = binaries::domains();
    let this = Checkout::this()?;
    let against = args.against.as_deref().map(Checkout::against).transpose()?;
    if !args.no_build {
        progress("building");
        binaries::build(&domains)?;
    }
    let seed = args.seed.unwrap_or_else(results::seed);
    let mut ports = Ports::new(seed);
    let mut rng = StdRng::seed_from_u64(seed);

    progress("starting PostgreSQL");
    let stand = Stand::start(&domains).await?;
    let mut about = About::now(seed, stand.version(), args.against.as_deref());
    let nobody = ports.next()?;
    let mut subjects = subjects(
        &entries,
        &this,
        against.as_ref(),
        &stand,
        nobody,
        args.spans,
    )?;
    let env = vec![("DATABASE_URL".to_owned(), stand.floor_url().await?)];
    let mut floor = variant(Kind::Own, &this.programs, binaries::FLOOR, env)?;
    let seeds = seed_data(&this.programs, &stand).await?;
    let named = |subject: &Subject| args.only.iter().any(|name| name == subject.info.name);
    subjects.retain(|subject| args.only.is_empty() || named(subject));
    if subjects.is_empty() {
        bail!("there is no function of such a name");
    }

    let began = Instant::now();
    // No e-mail that the seeds took.
    let mut n = 1;
    let mut rounds = 0;
    // The first round warms the machine (page cache, catalogue) and is not counted.
    for round in 0..=args.rounds {
        if began.elapsed() > Duration::from_secs(args.limit) {
            break;
        }
        progress(&format!("round {round} of {}", args.rounds));
        let mut starts: Vec<_> = subjects
            .iter()
            .enumerate()
            .flat_map(|(i, subject)| (0..subject.variants.len()).map(move |v| (i, v)))
            .flat_map(|(i, v)| [(i, v, Probe::Answer), (i, v, Probe::Ready)])
            .collect();
        starts.shuffle(&mut rng);
        for (i, v, probe) in starts {
            n += 1;
            let (info, function) = (subjects[i].info, &mut subjects[i].variants[v]);
            let floor_first = rng.random_bool(0.5);
            let mut pair: [Option<Times>; 2] = [None, None];
            for which in if floor_first { [0, 1] } else { [1, 0] } {
                let (info, variant) = match which {
                    0 => (None, &floor),
                    _ => (Some(info), &*function),
                };
                let port = ports.next()?;
                let times = start(&variant.program, (info, probe), &seeds, n, port, &stand)
                    .await
                    .with_context(|| info.map_or(binaries::FLOOR, |info| info.name))?;
                pair[which] = Some(times);
            }
            let [Some(of_floor), Some(of_function)] = pair else {
                bail!("a pair has two starts");
            };
            if round > 0 {
                function.record.ratios(probe, &of_function, &of_floor);
                function.record.add(probe, &of_function);
                floor.record.add(probe, &of_floor);
            }
        }
        rounds = round;
    }
    if rounds == 0 {
        bail!("not one round within {} s", args.limit);
    }
    stand.stop().await?;
    let mut warm = Vec::new();
    if args.warm_rounds > 0 {
        progress("get-product, 32 clients");
        warm = direct::measure(
            &this,
            against.as_ref(),
            &[],
            &mut ports,
            args.warm_rounds,
            2.0,
        )
        .await?;
    }
    about.seconds = began.elapsed().as_secs_f64();
    progress("");
    let met = report::print(
        about,
        (rounds, &floor, &subjects),
        &warm,
        &seeds,
        &args.output,
    )?;
    Ok(met || !args.check)
}

fn variant(kind: Kind, folder: &Path, name: &str, env: Vec<(String, String)>) -> Result<Variant> {
    let path = binaries::find(folder, name)?;
    let binary_bytes = path.metadata().with_context(|| name.to_owned())?.len();
    Ok(Variant {
        kind,
        spans: false,
        program: Program { path, env },
        binary_bytes,
        record: Record::default(),
    })
}

/// Every function, in each way. Nothing listens on the port `nobody`, which is where they look for other
/// functions.
fn subjects(
    entries: &[Entry],
    this: &Checkout,
    against: Option<&Checkout>,
    stand: &Stand,
    nobody: u16,
    spans: bool,
) -> Result<Vec<Subject>> {
    let subject = |entry: &Entry| -> Result<Subject> {
        let info = entry.info;
        let mut variants = Vec::new();
        if stand.has_warm_sessions() {
            let env = stand.env(info, nobody, Sessions::Warm)?;
            variants.push(variant(Kind::Warm, &this.programs, info.name, env)?);
        }
        let env = stand.env(info, nobody, Sessions::Own)?;
        variants.push(variant(Kind::Own, &this.programs, info.name, env.clone())?);
        if spans {
            let format = ("LOG_FORMAT".to_owned(), "otlp".to_owned());
            let env = env.iter().cloned().chain([format]).collect();
            let own = variant(Kind::Own, &this.programs, info.name, env)?;
            variants.push(Variant { spans: true, ..own });
        }
        // A function that the other build does not have is not compared.
        if let Some(against) = against.filter(|other| other.programs.join(info.name).is_file()) {
            variants.push(variant(Kind::Before, &against.programs, info.name, env)?);
        }
        Ok(Subject { info, variants })
    };
    entries.iter().map(subject).collect()
}

/// Puts into the databases what the requests need, through the functions.
async fn seed_data(folder: &Path, stand: &Stand) -> Result<Seeds> {
    let yard = Yard::new()?;
    let fleet = Fleet::start(&yard, stand, folder, Paths::Open, Sessions::Warm).await?;
    let seeds = fleet.seed(stand).await;
    fleet.end().await?;
    seeds
}

/// One start, until its last answer, and until PostgreSQL has ended its sessions. `info` is none for the floor.
async fn start(
    program: &Program,
    (info, probe): (Option<&Info>, Probe),
    seeds: &Seeds,
    n: u32,
    port: u16,
    stand: &Stand,
) -> Result<Times> {
    // Made before the clock starts.
    let case = match (probe, info) {
        (Probe::Answer, Some(info)) => cases::case(info, seeds, n),
        (Probe::Answer, None) => Case::get(&format!("/products/{}", seeds.product_id)),
        (Probe::Ready, _) => Case::get("/ready"),
    };
    let (request, health) = (case.request(), Case::get("/health").request());
    stand.quiet().await?;
    let (before, broker) = (stand.exact_cpu_ms(), stand.broker_cpu_ms());
    let mut running = program.start(port)?;
    let healthy = match probe {
        Probe::Answer => None,
        Probe::Ready => Some(ms(running.ask(&health, 200)?.1)),
    };
    let (answer, end) = running.ask(&request, case.status)?;
    let cpu = cpu::of_process(running.pid());
    let resident = match probe {
        Probe::Answer => Some(running.resident_bytes()? as f64),
        Probe::Ready => None,
    };
    if answer.body.is_empty() {
        bail!("an empty answer");
    }
    let listening = ms(running.listening);
    // Where the server has no group of its own, what its sessions have used until now is known alone: neither
    // their fork nor their end.
    let postgres = match before {
        None => stand
            .sessions()
            .await?
            .into_iter()
            .map(cpu::of_process)
            .sum(),
        Some(before) => {
            drop(running);
            stand.quiet().await?;
            stand.exact_cpu_ms().map(|after| after - before)
        }
    };
    let broker = stand.broker_cpu_ms().zip(broker);
    Ok(Times {
        listening,
        healthy,
        end: ms(end),
        resident,
        cpu,
        postgres,
        broker: broker.map_or(0.0, |(after, before)| after - before),
    })
}

impl Times {
    /// Of the process, PostgreSQL and the broker.
    fn all_cpu(&self) -> Option<f64> {
        Some(self.cpu? + self.postgres? + self.broker)
    }
}

impl Record {
    fn add(&mut self, probe: Probe, times: &Times) {
        self.listening.push(times.listening);
        self.healthy.extend(times.healthy);
        self.resident.extend(times.resident);
        match probe {
            Probe::Answer => {
                self.answer.push(times.end);
                self.cpu.extend(times.cpu);
                self.postgres.extend(times.postgres);
                self.broker.push(times.broker);
            }
            Probe::Ready => self.ready.push(times.end),
        }
    }

    fn ratios(&mut self, probe: Probe, own: &Times, floor: &Times) {
        let ratio = own.end / floor.end;
        match probe {
            Probe::Answer => {
                self.answer_ratio.push(ratio);
                let cpu = own.all_cpu().zip(floor.all_cpu());
                self.cpu_ratio.extend(cpu.map(|(own, floor)| own / floor));
            }
            Probe::Ready => self.ready_ratio.push(ratio),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One line, which the next one overwrites, on a terminal.
fn progress(what: &str) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        // A failure to print progress does no harm.
        let _ = write!(terminal, "\r\x1b[K{what}");
    }
}
