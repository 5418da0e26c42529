//! get-product without gateway and activator, beside the same through the engine, the floor, and the rate at
//! which pgbench selects the same row.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use zerocart_proto::rpc::{self, Rpc};

use super::{
    client::Job,
    drive::{self, Seen, Until},
    engine::coarse,
    figures::{BEFORE, NOW, Ratio},
    rounds::Side,
};
use crate::{
    binaries,
    cases::{Case, Seeds},
    checkout::Checkout,
    cpu::{self, Snapshot},
    fleet::{Fleet, Paths, Yard},
    process::{Ports, Program},
    stand::{Sessions, Stand},
    stats::median,
};

/// Connections, as of pgbench.
pub(crate) const CLIENTS: usize = 32;

/// The build that writes spans.
const SPANS: &str = "now, with spans";

/// One program, at [`CLIENTS`] connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Direct {
    pub(crate) name: String,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    /// Not known of pgbench.
    pub(crate) p99_ms: Option<f64>,
    /// CPU time per request: of the program (or of the engine with its functions and its broker), and of
    /// PostgreSQL.
    pub(crate) cpu_ms: f64,
    pub(crate) postgres_ms: f64,
    /// Requests per second to those of pgbench, and CPU of the program to the floor's; round by round.
    pub(crate) to_pgbench: Option<Ratio>,
    pub(crate) cpu_to_floor: Option<Ratio>,
    /// Requests per second of an engine to those of its get-product alone, round by round.
    #[serde(default)]
    pub(crate) to_direct: Option<Ratio>,
    /// CPU of the program that writes spans to that of the same program that writes log lines.
    #[serde(default)]
    pub(crate) cpu_to_lines: Option<Ratio>,
}

/// What is measured.
enum Subject<'a> {
    /// A program with this environment.
    Program(Program),
    Engine(&'a Side),
    Pgbench(PathBuf),
}

#[derive(Default)]
struct Record {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
    postgres_ms: Vec<f64>,
}

/// The name of an engine's row.
fn through(build: &str) -> String {
    format!("through the engine, {build}")
}

/// Measures each in turn, in rounds; with these engines, which have a shop each.
pub(crate) async fn measure(
    this: &Checkout,
    against: Option<&Checkout>,
    engines: &[Side],
    ports: &mut Ports,
    rounds: u32,
    seconds: f64,
) -> Result<Vec<Direct>> {
    let stand = Stand::start(&binaries::domains()).await?;
    let seeds = {
        let yard = Yard::new()?;
        let fleet = Fleet::start(&yard, &stand, &this.programs, Paths::Open, Sessions::Own).await?;
        let seeds = fleet.seed(&stand).await;
        fleet.end().await?;
        seeds?
    };
    let nobody = ports.next()?;
    let program = |folder: &std::path::Path, name: &str, sessions| -> Result<Program> {
        let env = stand.env(&rpc::GetProduct::INFO, nobody, sessions)?;
        let path = binaries::find(folder, name)?;
        Ok(Program { path, env })
    };
    let function = rpc::GetProduct::INFO.name;
    let now = program(&this.programs, function, Sessions::Warm)?;
    let mut spans = now.clone();
    spans.env.push(("LOG_FORMAT".to_owned(), "otlp".to_owned()));
    let mut subjects = vec![
        (format!("{function}, {NOW}"), Subject::Program(now)),
        (format!("{function}, {SPANS}"), Subject::Program(spans)),
    ];
    if let Some(against) = against {
        let before = program(&against.programs, function, Sessions::Own)?;
        subjects.push((format!("{function}, {BEFORE}"), Subject::Program(before)));
    }
    for side in engines {
        subjects.push((through(side.engine.name), Subject::Engine(side)));
    }
    let floor = program(&this.programs, binaries::FLOOR, Sessions::Own)?;
    subjects.push(("floor".to_owned(), Subject::Program(floor)));
    if let Some(path) = stand.pgbench() {
        subjects.push(("pgbench, select only".to_owned(), Subject::Pgbench(path)));
    }
    let mut records: Vec<Record> = subjects.iter().map(|_| Record::default()).collect();
    for round in 0..=rounds {
        let mut order: Vec<usize> = (0..subjects.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for n in order {
            let (name, subject) = &subjects[n];
            let mut record = Record::default();
            let measured = match subject {
                Subject::Program(program) => {
                    of_program(program, ports.next()?, &stand, &seeds, seconds, &mut record)
                }
                Subject::Engine(side) => of_engine(side, seconds, &mut record),
                Subject::Pgbench(path) => of_pgbench(path, &stand, &seeds, seconds, &mut record),
            };
            measured.with_context(|| name.clone())?;
            if round > 0 {
                records[n].add(record);
            }
            stand.quiet().await?;
        }
    }
    stand.stop().await?;
    let of = |name: &str| subjects.iter().position(|(other, _)| other == name);
    let (floor, pgbench) = (of("floor"), of("pgbench, select only"));
    let direct = subjects.iter().enumerate().map(|(n, (name, _))| {
        let record = &records[n];
        let other = |which: Option<usize>| which.filter(|which| *which != n);
        let alone = [NOW, BEFORE].into_iter().find_map(|build| {
            let of_this = *name == through(build);
            of_this
                .then(|| of(&format!("{function}, {build}")))
                .flatten()
        });
        Direct {
            name: name.clone(),
            per_second: median(&record.per_second),
            p50_ms: median(&record.p50_ms),
            p99_ms: (!record.p99_ms.is_empty()).then(|| median(&record.p99_ms)),
            cpu_ms: median(&record.cpu_ms),
            postgres_ms: median(&record.postgres_ms),
            to_pgbench: other(pgbench)
                .and_then(|n| Ratio::of(&record.per_second, &records[n].per_second)),
            cpu_to_floor: other(floor)
                .filter(|_| matches!(subjects[n].1, Subject::Program(_)))
                .and_then(|n| Ratio::of(&record.cpu_ms, &records[n].cpu_ms)),
            to_direct: alone.and_then(|n| Ratio::of(&record.per_second, &records[n].per_second)),
            cpu_to_lines: other(of(&format!("{function}, {NOW}")))
                .filter(|_| name.ends_with(SPANS))
                .and_then(|n| Ratio::of(&record.cpu_ms, &records[n].cpu_ms)),
        }
    });
    Ok(direct.collect())
}

impl Record {
    fn see(&mut self, seen: &Seen) {
        self.per_second
            .push((seen.requests - seen.errors) as f64 / seen.seconds);
        self.p50_ms.push(seen.ms(0.5));
        self.p99_ms.push(seen.ms(0.99));
    }

    fn add(&mut self, other: Self) {
        self.per_second.extend(other.per_second);
        self.p50_ms.extend(other.p50_ms);
        self.p99_ms.extend(other.p99_ms);
        self.cpu_ms.extend(other.cpu_ms);
        self.postgres_ms.extend(other.postgres_ms);
    }
}

fn of_program(
    program: &Program,
    port: u16,
    stand: &Stand,
    seeds: &Seeds,
    seconds: f64,
    record: &mut Record,
) -> Result<()> {
    let running = program.start_into(port, tempfile::tempfile()?)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let path = format!("/products/{}", seeds.product_id);
    let jobs = [Job::Rest(Case::get(&path).request(), 200)];
    warm_up(address, &jobs, seconds)?;
    let (before, postgres) = (cpu::of_process(running.pid()), stand.cpu()?);
    let seen = drive::closed(address, CLIENTS, &jobs, until(seconds))?;
    let used = cpu::of_process(running.pid()).zip(before);
    record.see(&seen);
    let requests = seen.requests as f64;
    record
        .cpu_ms
        .extend(used.map(|(after, before)| (after - before) / requests));
    let postgres: f64 = stand.cpu()?.since(&postgres).values().sum();
    record.postgres_ms.push(postgres / requests);
    Ok(())
}

fn of_engine(side: &Side, seconds: f64, record: &mut Record) -> Result<()> {
    let Side { engine, shop } = side;
    // One row, as for the others.
    let jobs = &shop.product()[..1];
    warm_up(engine.address, jobs, seconds)?;
    let before = engine.cpu()?;
    let seen = drive::closed(engine.address, CLIENTS, jobs, until(seconds))?;
    let mut used = coarse(&engine.cpu()?.since(&before));
    record.see(&seen);
    let requests = seen.requests as f64;
    let postgres = used.remove("postgres").unwrap_or_default();
    record.postgres_ms.push(postgres / requests);
    record.cpu_ms.push(used.values().sum::<f64>() / requests);
    Ok(())
}

fn until(seconds: f64) -> Until {
    Until::Time(Duration::from_secs_f64(seconds))
}

/// Afterwards sessions are open, and code is in memory.
fn warm_up(address: SocketAddr, jobs: &[Job], seconds: f64) -> Result<()> {
    drive::closed(address, CLIENTS, jobs, until(seconds.min(0.3)))?;
    Ok(())
}

fn of_pgbench(
    program: &std::path::Path,
    stand: &Stand,
    seeds: &Seeds,
    seconds: f64,
    record: &mut Record,
) -> Result<()> {
    let script = tempfile::NamedTempFile::new()?;
    let select = format!(
        "SELECT id, name, description, price, inventory, created_at FROM products WHERE id = '{}';\n",
        seeds.product_id
    );
    std::fs::write(script.path(), select)?;
    let whole = (seconds.ceil() as u64).max(1);
    let (own, postgres) = (Snapshot::of(&[std::process::id()])?, stand.cpu()?);
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .arg(format!("--client={CLIENTS}"))
        .arg(format!("--time={whole}"))
        .arg("--file")
        .arg(script.path())
        .envs(stand.libpq("product")?)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!(
            "pgbench: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let (per_second, latency_ms, requests) = parse(&said)?;
    record.per_second.push(per_second);
    record.p50_ms.push(latency_ms);
    let own: f64 = Snapshot::of(&[std::process::id()])?
        .since(&own)
        .values()
        .sum();
    record.cpu_ms.push(own / requests);
    let postgres: f64 = stand.cpu()?.since(&postgres).values().sum();
    record.postgres_ms.push(postgres / requests);
    Ok(())
}

/// Transactions per second, mean latency, and the number of transactions.
fn parse(said: &str) -> Result<(f64, f64, f64)> {
    let after = |label: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(label));
        let number = line.and_then(|rest| rest.split([' ', '/']).next()?.parse::<f64>().ok());
        number.with_context(|| format!("pgbench did not say {label}…; it said: {said}"))
    };
    Ok((
        after("tps = ")?,
        after("latency average = ")?,
        after("number of transactions actually processed: ")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_is_understood() {
        let said = "number of transactions actually processed: 65432\n\
                    number of failed transactions: 0 (0.000%)\n\
                    latency average = 1.250 ms\n\
                    initial connection time = 80.1 ms\n\
                    tps = 25600.500000 (without initial connection time)\n";
        assert_eq!(parse(said).unwrap(), (25_600.5, 1.25, 65_432.0));
        assert!(parse("nothing").is_err());
    }
}
