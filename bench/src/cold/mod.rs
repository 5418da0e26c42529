//! Cold starts: every function from exec to its first answers, beside the floor.
//!
//! Each round starts every function twice, in a shuffled order: once for the first answer of its
//! own RPC, and once for `/health` and then `/ready`. The two are separate, because the first
//! answer warms the process for the next. Just before or after each start, chosen at random, the
//! floor is started in the same way. The ratio of such a pair depends least on the noise of the
//! machine, and the median of these ratios is the result. Nothing else runs meanwhile: before the
//! next start, every process is killed and reaped, and PostgreSQL has ended its sessions.
//!
//! So a function that calls others is asked something that it answers from its own database alone;
//! the table says what. Before anything is measured, all functions together fill the databases
//! (with an order and its payment, among others).

mod report;

use std::{
    io::{IsTerminal, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use zerocart_proto::rpc::Info;
use zerocart_runtime::Entry;

use crate::{
    binaries,
    cases::{self, Case, Seeds},
    fleet::{Fleet, Paths, Yard},
    machine,
    process::{Ports, Program},
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
    /// No further round begins after this many seconds of measuring
    #[arg(long, default_value_t = 150, value_name = "SECONDS")]
    limit: u64,
}

/// A program and its measurements. Times are in milliseconds since exec.
struct Subject {
    name: &'static str,
    /// None for the floor.
    info: Option<&'static Info>,
    program: Program,
    binary_bytes: u64,
    record: Record,
}

#[derive(Default)]
struct Record {
    listening: Vec<f64>,
    healthy: Vec<f64>,
    ready: Vec<f64>,
    answer: Vec<f64>,
    /// After the first answer, in bytes.
    resident: Vec<f64>,
    /// Ratios to the floor's times, pair by pair.
    ready_ratio: Vec<f64>,
    answer_ratio: Vec<f64>,
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
}

/// Measures and prints. `Ok(false)` when `--check` finds a target missed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    let result = runtime.block_on(measure(args));
    progress("");
    result
}

async fn measure(args: &Args) -> Result<bool> {
    let entries = binaries::entries();
    let domains = binaries::domains();
    let folder = binaries::folder()?;
    if !args.no_build {
        progress("building");
        binaries::build(&domains)?;
    }
    let seed = args.seed.unwrap_or_else(rand::random);
    let mut ports = Ports::new(seed);
    let mut rng = StdRng::seed_from_u64(seed);

    progress("starting PostgreSQL");
    let stand = Stand::start(&domains).await?;
    let nobody = ports.next()?;
    let (mut floor, mut functions) = subjects(&entries, &folder, &stand, nobody)?;
    let seeds = seed_data(&folder, &stand).await?;
    functions.retain(|subject| args.only.is_empty() || args.only.iter().any(|n| n == subject.name));
    if functions.is_empty() {
        bail!("there is no function of such a name");
    }

    let load_before = machine::load();
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
        let mut starts: Vec<_> = (0..functions.len())
            .flat_map(|i| [(i, Probe::Answer), (i, Probe::Ready)])
            .collect();
        starts.shuffle(&mut rng);
        for (i, probe) in starts {
            n += 1;
            let function = &mut functions[i];
            let pair: [&mut Subject; 2] = [&mut floor, function];
            let floor_first = rng.random_bool(0.5);
            let mut ends = [0.0; 2];
            for which in if floor_first { [0, 1] } else { [1, 0] } {
                stand.quiet().await?;
                let subject = &mut *pair[which];
                let times = start(subject, probe, &seeds, n, ports.next()?)
                    .with_context(|| subject.name)?;
                ends[which] = times.end;
                if round > 0 {
                    subject.record.add(probe, &times);
                }
            }
            if round > 0 {
                let ratio = ends[1] / ends[0];
                match probe {
                    Probe::Answer => functions[i].record.answer_ratio.push(ratio),
                    Probe::Ready => functions[i].record.ready_ratio.push(ratio),
                }
            }
        }
        rounds = round;
    }
    if rounds == 0 {
        bail!("not one round within {} s", args.limit);
    }
    let run = report::Run {
        seed,
        rounds,
        took: began.elapsed(),
        load: load_before,
        postgres: stand.version().to_owned(),
    };
    stand.stop().await?;
    progress("");
    let met = report::print(&run, &floor, &functions, &seeds)?;
    Ok(met || !args.check)
}

/// The floor, and every function. Nothing listens on the port `nobody`, which is where they look
/// for other functions.
fn subjects(
    entries: &[Entry],
    folder: &Path,
    stand: &Stand,
    nobody: u16,
) -> Result<(Subject, Vec<Subject>)> {
    let subject = |name, info, env| {
        let path = binaries::find(folder, name)?;
        let binary_bytes = path.metadata().with_context(|| name)?.len();
        Ok::<_, anyhow::Error>(Subject {
            name,
            info,
            program: Program { path, env },
            binary_bytes,
            record: Record::default(),
        })
    };
    let env = vec![("DATABASE_URL".to_owned(), stand.database_url("product")?)];
    let floor = subject(binaries::FLOOR, None, env)?;
    let functions = entries.iter().map(|entry| {
        let env = stand.env(entry.info, nobody, Sessions::Own)?;
        subject(entry.info.name, Some(entry.info), env)
    });
    Ok((floor, functions.collect::<Result<_>>()?))
}

/// Puts into the databases what the requests need, through the functions.
async fn seed_data(folder: &Path, stand: &Stand) -> Result<Seeds> {
    let yard = Yard::new()?;
    let fleet = Fleet::start(&yard, stand, folder, Paths::Open, Sessions::Own).await?;
    let seeds = fleet.seed(stand).await;
    fleet.end().await?;
    seeds
}

/// One start, until its last answer.
fn start(subject: &Subject, probe: Probe, seeds: &Seeds, n: u32, port: u16) -> Result<Times> {
    // Made before the clock starts.
    let case = match (probe, subject.info) {
        (Probe::Answer, Some(info)) => cases::case(info, seeds, n),
        (Probe::Answer, None) => Case::get(&format!("/products/{}", seeds.product_id)),
        (Probe::Ready, _) => Case::get("/ready"),
    };
    let (request, health) = (case.request(), Case::get("/health").request());
    let mut running = subject.program.start(port)?;
    let healthy = match probe {
        Probe::Answer => None,
        Probe::Ready => Some(ms(running.ask(&health, 200)?.1)),
    };
    let (answer, end) = running.ask(&request, case.status)?;
    let resident = match probe {
        Probe::Answer => Some(running.resident_bytes()? as f64),
        Probe::Ready => None,
    };
    if answer.body.is_empty() {
        bail!("an empty answer");
    }
    Ok(Times {
        listening: ms(running.listening),
        healthy,
        end: ms(end),
        resident,
    })
}

impl Record {
    fn add(&mut self, probe: Probe, times: &Times) {
        self.listening.push(times.listening);
        self.healthy.extend(times.healthy);
        self.resident.extend(times.resident);
        match probe {
            Probe::Answer => self.answer.push(times.end),
            Probe::Ready => self.ready.push(times.end),
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
