//! The simulation as a whole: it repeats itself, agrees with queueing theory, and loses nothing.

use clap::Parser;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use zerocart_activator::{Ksvc, load_dir};

use super::{
    cores::{Cores, Scheduler},
    curve::Curve,
    events::Events,
    prices::{CALLS, DOMAINS, Kind, Price, Prices, Visit},
    resources::Servers,
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
                own: Visit::new(80.0),
                hash: (name == &"sign-in").then(|| Curve::flat(160.0)),
                postgres: Visit::new(100.0),
                shares: false,
                trips: if name == &"order" { 4.0 } else { 1.0 },
                commits: f64::from(u8::from(info.writes)),
                wal_bytes: 100.0,
            }
        });
        Kind {
            name: (*name).to_owned(),
            edge: Visit::new(40.0),
            client: Visit::new(10.0),
            calls: calls.collect(),
            hop_us: 10.0,
        }
    };
    Prices {
        kinds: CALLS.iter().map(kind).collect(),
        flush_us: 300.0,
        flushes_us: Vec::new(),
        scheduler: Scheduler::LINUX,
        first_hash: 1.0,
        hash_spread: 0.5,
        start_us: 6_000.0,
        start_cpu_us: 5_000.0,
        late_us: 0.0,
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
    let paid = outcome.paid as f64 / outcome.kind("order").unwrap().requests as f64;
    assert!((0.87..0.93).contains(&paid), "{outcome:?}");
    assert!(outcome.lock_wait_ms > 0.0, "all want one row: {outcome:?}");
}

#[test]
fn without_instances_enough_requests_are_refused() {
    // 10 ms of the one thread of an instance: 100 requests per second, of 667 that come.
    let mut prices = prices();
    for price in prices.kinds.iter_mut().flat_map(|kind| &mut kind.calls) {
        price.own = Visit::new(10_000.0 / (price.trips + 1.0));
        price.hash = None;
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

/// Work of a place on cores of its own, with nothing else: mean times, in microseconds.
struct Queue {
    /// In the queue, without the work.
    wait: f64,
    /// Requests per time that a thread woke up.
    batch: f64,
}

/// Requests that are nothing but work of the gateway, at a rate per second.
fn queue(cores: usize, rate: f64, visit: Visit, spread: Spread, slice_us: u64) -> Queue {
    let mut prices = prices();
    for kind in &mut prices.kinds {
        (kind.edge, kind.client, kind.hop_us) = (Visit::default(), visit, 0.0);
        for price in &mut kind.calls {
            (price.own, price.postgres) = Default::default();
            (price.hash, price.commits) = (None, 0.0);
        }
    }
    let mut shares = [0.0; CALLS.len()];
    shares[0] = 1.0;
    let pattern = Pattern::Open { rate, shares };
    let manifests = manifests();
    let machines = Machines {
        cores: vec![("clients".to_owned(), cores), ("rest".to_owned(), 64)],
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
        spread,
        scheduler: Scheduler::ideal(slice_us),
    };
    let mut world = World::new(&setup).unwrap();
    world.run().unwrap();
    let (cores, told) = (&world.cores[0], &world.told[0]);
    Queue {
        wait: cores.waited_us as f64 / cores.started as f64,
        batch: told.requests as f64 / cores.started as f64,
    }
}

fn near(simulated: f64, theory: f64, limit: f64) {
    let difference = simulated / theory - 1.0;
    assert!(difference.abs() < limit, "{simulated}, {theory} by theory");
}

#[test]
fn cores_are_a_queue_as_theory_has_it() {
    // Checked against tables: 2 servers, 0.8 busy.
    near(erlang_c(2, 1.6), 1.7778, 1e-3);
    for (servers, busy) in [(1, 0.7), (2, 0.8), (4, 0.75)] {
        // A request comes twice: it is sent, and its answer is read.
        let load = servers as f64 * busy;
        let visit = Visit::new(1_000.0);
        let queue = queue(servers, load * 500.0, visit, Spread::Exponential, u64::MAX);
        assert!((queue.batch - 0.5).abs() < 1e-9);
        near(queue.wait, erlang_c(servers, load) * 1_000.0, 0.06);
    }
}

/// One thread on one core with a clock of its own: the mean time in the system, and wake-ups per request.
fn thread(rate: f64, cpu_us: f64, wake_us: f64) -> (f64, f64) {
    let mut rng = StdRng::seed_from_u64(9);
    let mut servers = Servers::default();
    let mut cores = Cores::new(1, Scheduler::ideal(u64::MAX));
    let mut events = Events::new();
    let requests = 200_000;
    let mut sent = Vec::new();
    let mut at = 0.0;
    for task in 0..requests {
        at -= (1.0 - rng.random::<f64>()).ln() / rate * 1e6;
        events.after(at as u64, Some(task));
        sent.push(at as u64);
    }
    let mut timers = std::collections::VecDeque::new();
    let mut total = 0;
    while let Some(event) = events.next() {
        let now = events.now();
        let next = match event {
            Some(task) => match servers.begin(task, cpu_us as u64, 1, now) {
                true => {
                    let work = (task, plan::Place::Edge, (cpu_us + wake_us) as u64);
                    cores.begin(work, None, None, now, &mut rng)
                }
                false => None,
            },
            None => {
                let timer = timers.pop_front().unwrap();
                let work = cores.end(timer, now).unwrap();
                total += now - sent[work.task as usize];
                match servers.end(now) {
                    Some((task, us)) => Some(cores.go_on(timer.core, work.with(task, us), now)),
                    None => cores.free(timer.core, now),
                }
            }
        };
        if let Some((timer, length)) = next {
            timers.push_back(timer);
            events.after(length, None);
        }
    }
    let mean = total as f64 / f64::from(requests);
    (mean, servers.woken as f64 / f64::from(requests))
}

#[test]
fn a_thread_that_sleeps_is_a_queue_with_set_up_times() {
    // M/D/1, and Welch's formula for M/G/1 with a set-up after each idle time.
    for (busy, wake) in [(0.3, 0.0), (0.8, 0.0), (0.3, 500.0), (0.6, 2_000.0)] {
        let (cpu, rate) = (1_000.0, busy * 1_000.0);
        let (mean, wakes) = thread(rate, cpu, wake);
        let per_us = rate / 1e6;
        let queue = busy * cpu / (2.0 * (1.0 - busy));
        let set_up = (2.0 * wake + per_us * wake * wake) / (2.0 * (1.0 + per_us * wake));
        near(mean, cpu + queue + set_up, 0.02);
        // The busier it is, the less often it sleeps.
        near(wakes, (1.0 - busy) / (1.0 + per_us * wake), 0.02);
    }
}

/// Products and sign-ins in an open loop on two cores, by these rules of the scheduler: the 90th percentile of
/// products, and CPU time per request.
fn beside_sign_ins(scheduler: Scheduler) -> (f64, f64) {
    let mut prices = Prices {
        scheduler,
        ..prices()
    };
    let sign_in = prices.kinds.iter_mut().find(|kind| kind.name == "sign-in");
    for price in &mut sign_in.unwrap().calls {
        price.hash = Some(Curve::flat(10_000.0));
    }
    let mut shares = [0.0; CALLS.len()];
    (shares[0], shares[4]) = (0.9, 0.1);
    let pattern = Pattern::Open {
        rate: 400.0,
        shares,
    };
    let scenario = Scenario {
        shoppers: Shoppers::new(pattern, 60_000_000, 0.0, 1),
        stock: vec![0],
        ..Scenario::day(1.0, 1, Behaviour::default())
    };
    let outcome = scenario.run(&prices, &manifests()).unwrap();
    (outcome.kind("product").unwrap().p90_ms, outcome.cpu_ms())
}

#[test]
fn threads_that_stay_on_their_core_wait_beside_an_idle_one() {
    let (ideal, ideal_cpu) = beside_sign_ins(Scheduler::ideal(1_400));
    let (linux, linux_cpu) = beside_sign_ins(Scheduler::LINUX);
    assert!(linux > 1.5 * ideal, "{linux} ms, {ideal} ms");
    // They wait; they do not work. Both have other sign-ins, whose number varies by 2 %.
    near(linux_cpu, ideal_cpu, 0.08);
}

/// Requests of one kind in an open loop on two cores.
fn only(kind: &str, rate: f64, prices: &Prices) -> Outcome {
    let mut shares = [0.0; CALLS.len()];
    let at = CALLS.iter().position(|(name, ..)| *name == kind);
    shares[at.unwrap()] = 1.0;
    let pattern = Pattern::Open { rate, shares };
    let seconds = (2_000.0 / rate).clamp(10.0, 100.0);
    let scenario = Scenario {
        shoppers: Shoppers::new(pattern, (seconds * 1e6) as u64, 0.0, 1),
        stock: vec![0],
        ..Scenario::day(1.0, 1, Behaviour::default())
    };
    // Starts are measured elsewhere.
    let prices = Prices {
        start_cpu_us: 0.0,
        ..prices.clone()
    };
    scenario.run(&prices, &manifests()).unwrap()
}

#[test]
fn work_costs_less_for_a_thread_that_goes_on() {
    let mut prices = prices();
    prices.kinds[0].edge = Visit {
        woken: Curve::flat(60.0),
        ..Visit::new(20.0)
    };
    let at = |rate| only("product", rate, &prices).cpu_ms();
    let (few, many) = (at(20.0), at(4_000.0));
    assert!(many < 0.9 * few, "{few} ms, {many} ms");
}

#[test]
fn a_hash_costs_what_was_measured_on_a_machine_that_is_so_busy() {
    let mut prices = prices();
    // Nothing but the hash: 20 ms on an idle machine, 10 ms on a full one.
    let sign_in = prices.kinds.iter_mut().find(|kind| kind.name == "sign-in");
    let kind = sign_in.unwrap();
    (kind.client, kind.edge) = Default::default();
    for price in &mut kind.calls {
        (price.own, price.postgres) = Default::default();
        price.hash = Some(Curve::through(&[(0.0, 20_000.0), (1.0, 10_000.0)]));
    }
    for rate in [2.0, 40.0, 100.0] {
        let outcome = only("sign-in", rate, &prices);
        let busy = outcome.cores[0].mean / 2.0;
        near(outcome.cpu_ms(), 20.0 - 10.0 * busy, 0.06);
    }
}

#[test]
fn nobody_waits_for_work_after_a_request_is_handed_on() {
    // The next thread runs on a core that is idle.
    let mut prices = Prices {
        scheduler: Scheduler::ideal(1_400),
        ..prices()
    };
    let one = |prices: &Prices| {
        let outcome = only("product", 20.0, prices);
        (outcome.kind("product").unwrap().p50_ms, outcome.cpu_ms())
    };
    let (before, cpu) = one(&prices);
    let kind = &mut prices.kinds[0];
    let calls = kind.calls.iter_mut();
    let visits = calls.flat_map(|call| [&mut call.own, &mut call.postgres]);
    for visit in visits.chain([&mut kind.edge]) {
        visit.after = 0.3;
    }
    let (after, same) = one(&prices);
    near(same, cpu, 0.02);
    assert!((0.65..0.8).contains(&(after / before)), "{before} {after}");
}

#[test]
fn a_hash_costs_more_a_second_after_the_last_one() {
    let mut prices = prices();
    prices.first_hash = 3.0;
    let sign_in = prices.kinds.iter_mut().find(|kind| kind.name == "sign-in");
    for price in &mut sign_in.unwrap().calls {
        price.hash = Some(Curve::flat(10_000.0));
    }
    let at = |rate| only("sign-in", rate, &prices).cpu_ms();
    let (rare, frequent) = (at(0.2), at(20.0));
    assert!((10.0..12.0).contains(&frequent), "{frequent} ms");
    assert!((22.0..31.0).contains(&rare), "{rare} ms");
}

#[test]
fn threads_in_turn_are_processor_sharing() {
    // By theory the mean time is work ÷ (1 − busy), for short and long requests alike.
    let (busy, mean) = (0.7, 1_000.0);
    let mut rng = StdRng::seed_from_u64(4);
    let mut cores = Cores::new(1, Scheduler::ideal(5));
    let mut events = Events::new();
    let mut at = 0.0;
    let mut sent = Vec::new();
    for task in 0..20_000_u32 {
        at -= (1.0 - rng.random::<f64>()).ln() / busy * mean;
        let us = if rng.random::<f64>() < 0.9 {
            500
        } else {
            5_500
        };
        events.after(at as u64, Err((task, us)));
        sent.push((at as u64, us));
    }
    let (mut slow, mut number) = ([0.0; 2], [0.0; 2]);
    while let Some(event) = events.next() {
        let now = events.now();
        let next = match event {
            Err((task, us)) => {
                cores.begin((task, plan::Place::Start, us), None, None, now, &mut rng)
            }
            Ok(timer) => match cores.end(timer, now) {
                None => None,
                Some(work) if work.left == 0 => {
                    let (sent, us) = sent[work.task as usize];
                    let class = usize::from(us > 1_000);
                    slow[class] += (now - sent) as f64 / us as f64;
                    number[class] += 1.0;
                    cores.free(timer.core, now)
                }
                Some(work) => Some(cores.go_on(timer.core, work, now)),
            },
        };
        if let Some((timer, length)) = next {
            events.after(length, Ok(timer));
        }
    }
    for class in 0..2 {
        near(slow[class] / number[class], 1.0 / (1.0 - busy), 0.08);
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
