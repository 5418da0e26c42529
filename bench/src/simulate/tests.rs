//! The simulation as a whole: it repeats itself, agrees with queueing theory, and loses nothing.

use clap::Parser;
use zerocart_activator::{Ksvc, load_dir};

use super::{
    prices::{CALLS, Cpu, DOMAINS, Kind, Price, Prices},
    scenarios::{Scenario, one_machine},
    shoppers::{Behaviour, Pattern, Shoppers},
    state::{Machines, Setup, Spread},
    world::World,
    *,
};

/// Costs near those of this machine.
fn prices() -> Prices {
    let kind = |(name, outer, inner): &(&str, &str, &[&str])| {
        let functions = std::iter::once(outer).chain(inner.iter());
        let calls = functions.map(|function| {
            let info = zerocart_proto::rpc::ALL
                .iter()
                .find(|info| info.name == *function);
            let info = info.unwrap();
            Price {
                function: (*function).to_owned(),
                domain: DOMAINS.iter().position(|d| *d == info.domain).unwrap(),
                cpu_us: Cpu::new(200.0),
                postgres_us: Cpu::new(150.0),
                trips: if name == &"order" { 4.0 } else { 1.0 },
                commits: f64::from(u8::from(info.writes)),
                wal_bytes: 100.0,
            }
        });
        Kind {
            name: (*name).to_owned(),
            edge_us: Cpu::new(100.0),
            inner_us: Cpu::new(30.0),
            client_us: Cpu::new(20.0),
            calls: calls.collect(),
            hop_us: 10.0,
        }
    };
    Prices {
        kinds: CALLS.iter().map(kind).collect(),
        flush_us: 300.0,
        start_us: 6_000.0,
        start_cpu_us: 5_000.0,
    }
}

fn manifests() -> Vec<Ksvc> {
    load_dir(&workspace_root().join("knative/services")).unwrap()
}

fn flash(shoppers: f64, stock: i64) -> Scenario {
    Scenario {
        declined: 0.1,
        ..Scenario::flash(shoppers, 1, stock)
    }
}

#[test]
fn the_same_seed_gives_the_same_result() {
    let run = |seed| {
        let scenario = Scenario {
            seed,
            ..Scenario::day(1e5, 10, Behaviour::default())
        };
        scenario.run(&prices(), &manifests()).unwrap()
    };
    let first = run(7);
    assert!(first.requests() > 1_000, "{first:?}");
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}

#[test]
fn work_costs_more_on_a_machine_that_is_idle() {
    let cpu = Cpu {
        idle: 30.0,
        busy: 20.0,
    };
    assert_eq!((cpu.at(0.0), cpu.at(0.5), cpu.at(1.0)), (30.0, 25.0, 20.0));
}

#[test]
fn a_flash_sale_sells_what_there_is_and_no_more() {
    // More want it than there is, and some cannot pay: their units are sold to others.
    let outcome = flash(3_000.0, 500)
        .on_one_machine(2)
        .run(&prices(), &manifests());
    let outcome = outcome.unwrap();
    assert_eq!(
        (outcome.paid, outcome.units_sold),
        (500, 500),
        "{outcome:?}"
    );
    assert!(outcome.failed > 0, "{outcome:?}");
    let orders = outcome.kind("order").unwrap();
    let ended = (outcome.paid + outcome.failed) as u64;
    assert_eq!(ended + orders.refused, orders.requests, "{outcome:?}");
    // There is enough for all who can pay.
    let outcome = flash(1_000.0, 2_000).on_machines(8, 8, 8, true, 100.0);
    let outcome = outcome.run(&prices(), &manifests()).unwrap();
    assert!((850..950).contains(&outcome.paid), "{outcome:?}");
    assert!(outcome.lock_wait_ms > 0.0, "all want one row: {outcome:?}");
}

#[test]
fn without_instances_enough_requests_are_refused() {
    // 10 ms of the one thread of an instance: 100 requests per second, of 667 that come.
    let mut prices = prices();
    for price in prices.kinds.iter_mut().flat_map(|kind| &mut kind.calls) {
        price.cpu_us = Cpu::new(10_000.0);
    }
    let ample = || flash(40_000.0, 100).on_machines(64, 64, 64, false, 0.0);
    let few = ample().run(&prices, &manifests()).unwrap();
    let many = ample().scaled(50.0).run(&prices, &manifests()).unwrap();
    let p99 = |outcome: &Outcome| outcome.kind("product").unwrap().p99_ms;
    assert_eq!(many.refused(), 0, "{many:?}");
    assert!(few.refused() > 0, "{few:?}");
    assert!(p99(&few) > 2.0 * p99(&many), "{few:?} {many:?}");
    let most = |outcome: &Outcome| {
        let each = outcome
            .functions
            .iter()
            .map(|function| function.peak_instances);
        each.max().unwrap()
    };
    assert!(most(&many) > most(&few));
    assert!(
        few.functions
            .iter()
            .all(|f| f.peak_instances <= f.max_scale)
    );
}

/// The mean wait of the queue M/M/c, in units of the mean service time (Erlang C).
fn erlang_c(servers: usize, load: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..servers {
        term *= load / n as f64;
        sum += term;
    }
    let waiting = term * load / servers as f64 * servers as f64 / (servers as f64 - load);
    let probability = waiting / (sum + waiting);
    probability / (servers as f64 - load)
}

#[test]
fn cores_are_a_queue_as_theory_has_it() {
    // Checked against tables: 2 servers, 0.8 busy.
    assert!(
        (erlang_c(2, 1.6) - 1.7778).abs() < 1e-3,
        "{}",
        erlang_c(2, 1.6)
    );
    for (servers, busy) in [(1, 0.7), (2, 0.8), (4, 0.75)] {
        // Requests that are nothing but work of the gateway, 1 ms on average.
        let mut prices = prices();
        for kind in &mut prices.kinds {
            *kind = Kind {
                name: kind.name.clone(),
                client_us: Cpu::new(1_000.0),
                ..kind.clone()
            };
            (kind.edge_us, kind.inner_us, kind.hop_us) = (Cpu::default(), Cpu::default(), 0.0);
            for price in &mut kind.calls {
                (price.cpu_us, price.postgres_us, price.commits) =
                    (Cpu::default(), Cpu::default(), 0.0);
            }
        }
        let load = servers as f64 * busy;
        let mut shares = [0.0; CALLS.len()];
        shares[0] = 1.0;
        let pattern = Pattern::Open {
            rate: load * 1_000.0,
            shares,
        };
        let manifests = manifests();
        // The clients' work is what is looked at; starts of instances have cores of their own.
        let machines = Machines {
            cores: vec![("clients".to_owned(), servers), ("rest".to_owned(), 64)],
            functions: 1,
            edge: 1,
            client: 0,
            postgres: [1; DOMAINS.len()],
            ..one_machine(1)
        };
        let setup = Setup {
            seed: 3,
            prices: &prices,
            manifests: &manifests,
            machines,
            factor: 1.0,
            shoppers: Shoppers::new(pattern, 200_000_000, 0.0, 1),
            stock: vec![0],
            declined: 0.0,
            clients: true,
            network_us: 0.0,
            spread: Spread::Exponential,
            // An order that runs, runs to its end.
            slice_us: u64::MAX,
        };
        let mut world = World::new(&setup).unwrap();
        world.run().unwrap();
        let cores = &world.cores[0];
        let wait = cores.waited_us as f64 / 1e3 / cores.started as f64;
        let expected = erlang_c(servers, load);
        let difference = (wait / expected - 1.0).abs();
        assert!(
            difference < 0.06,
            "{servers} servers: {wait} ms, {expected} by theory"
        );
    }
}

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

#[test]
fn bad_options_are_refused_by_name() {
    let parse = |text: &str| Cli::try_parse_from(text.split(' ')).map(|cli| cli.args);
    assert!(parse("simulate --scenario flash --shoppers 50000 --minutes 1").is_ok());
    for (text, option) in [
        ("simulate --scenario war", "--scenario"),
        ("simulate --shoppers 0", "--shoppers"),
        ("simulate --minutes 9999", "--minutes"),
        ("simulate --scale 0", "--scale"),
        ("simulate --declined 2", "--declined"),
        ("simulate --network NaN", "--network"),
        ("simulate --one-machine 2 --edge-cores 3", "--one-machine"),
        ("simulate --validate --scenario day", "--validate"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(option), "{text}: {error}");
    }
}

#[test]
fn without_measurements_it_says_how_to_make_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("simulate --out {}", folder.path().display());
    let cli = Cli::try_parse_from(text.split(' ')).unwrap();
    let error = format!("{:#}", run(&cli.args).unwrap_err());
    assert!(error.contains("just bench-load"), "{error}");
}
