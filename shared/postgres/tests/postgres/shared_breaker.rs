//! Circuit breakers whose state is in the database.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use zerocart_core::{Call, Env, Error, Function, Invalid, Request, Response, Setup};
use zerocart_postgres::{BreakerStore, Database, Options, shared_breaker};
use zerocart_proto::rpc;
use zerocart_resilience::breaker::{
    self, Outcome, State,
    shared::{Config, Shared, Store},
    state::{Machine, Phase},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{Authority, Running},
    postgres::{TestDatabase, TestServer},
};

use crate::support::{PATIENCE, config, connect, database};

const NAME: &str = "process-payment";

const RULES: breaker::Config = breaker::Config {
    failure_threshold: 3,
    success_threshold: 2,
    open_for: Duration::from_millis(200),
    half_open_probes: 1,
    probe_lease: Some(PATIENCE),
};

/// Time that a slow machine does not use up.
fn patient(rules: breaker::Config) -> Config {
    Config {
        read_timeout: PATIENCE,
        write_timeout: PATIENCE,
        ..Config::new(rules)
    }
}

/// One instance of the caller, with connections of its own.
fn instance(test: &TestDatabase, rules: breaker::Config) -> Shared {
    let store = BreakerStore::new(&database(test.url()), NAME);
    Shared::new(NAME, store, patient(rules)).unwrap()
}

async fn fail(breaker: &Shared, times: u32) {
    for _ in 0..times {
        let permit = breaker.acquire().await.unwrap();
        permit.settle(Outcome::Failure).await;
    }
}

#[tokio::test]
async fn every_state_comes_back_as_it_was_written() {
    for domain in ["cart", "order"] {
        let test = TestDatabase::new(domain).await;
        let store = BreakerStore::new(&database(test.url()), NAME);
        let other = BreakerStore::new(&database(test.url()), "another");

        let first = store.load().await.unwrap();
        assert_eq!(first.machine, Machine::new());
        let year_2020 = Duration::from_secs(1_577_836_800);
        assert!(first.now > year_2020 && first.now < year_2020 * 2);

        let (opened_at, admitted_at) = (
            first.now + Duration::from_micros(1),
            first.now + Duration::from_micros(999_999),
        );
        for phase in [
            Phase::Closed { failures: 2 },
            Phase::Open {
                failures: 3,
                opened_at,
            },
            Phase::HalfOpen {
                failures: u32::MAX,
                opened_at,
                successes: 1,
                probes: 1,
                admitted_at,
            },
            Phase::Closed { failures: 0 },
        ] {
            let machine = Machine {
                generation: u64::MAX - 1,
                phase,
            };
            let changed = store.change(&|_, _| machine).await.unwrap();
            assert_eq!(changed.after, machine);
            let loaded = store.load().await.unwrap();
            assert_eq!(loaded.machine, machine);
            assert!(loaded.now >= changed.now && changed.now >= first.now);
            let again = store.change(&|machine, _| machine).await.unwrap();
            assert_eq!((again.before, again.after), (machine, machine));
        }
        assert_eq!(other.load().await.unwrap().machine, Machine::new());
    }
}

#[tokio::test]
async fn a_step_that_changes_nothing_writes_nothing() {
    let test = TestDatabase::new("order").await;
    let admin = connect(test.admin_url()).await;
    let store = BreakerStore::new(&database(test.url()), NAME);
    store.change(&|machine, _| machine).await.unwrap();
    let breaker = instance(&test, RULES);
    breaker.warm_up().await;
    let permit = breaker.acquire().await.unwrap();
    permit.settle(Outcome::Success).await;
    let rows = admin.query("SELECT FROM circuit_breakers", &[]).await;
    assert!(rows.unwrap().is_empty());
}

#[tokio::test]
async fn steps_at_once_are_taken_one_after_the_other() {
    let test = TestDatabase::new("order").await;
    let fleet: Vec<_> = (0..5)
        .map(|_| BreakerStore::new(&database(test.url()), NAME))
        .collect();
    let steps = fleet.iter().flat_map(|store| std::iter::repeat_n(store, 4));
    let steps = steps.map(|store| {
        store.change(&|machine, _| Machine {
            generation: machine.generation + 1,
            ..machine
        })
    });
    for step in futures_util::future::join_all(steps).await {
        step.unwrap();
    }
    let machine = fleet[0].load().await.unwrap().machine;
    assert_eq!(machine.generation, 20);
}

#[tokio::test]
async fn a_fleet_opens_probes_and_closes_as_one() {
    let test = TestDatabase::new("order").await;
    let rules = breaker::Config {
        open_for: PATIENCE,
        ..RULES
    };
    let fleet: Vec<_> = (0..10).map(|_| instance(&test, rules)).collect();
    for breaker in &fleet[..3] {
        fail(breaker, 1).await;
    }
    // One that was never there before knows it at once.
    let fresh = instance(&test, rules);
    fresh.warm_up().await;
    assert_eq!(fresh.snapshot().state, State::Open);
    assert_eq!(fresh.snapshot().consecutive_failures, 3);
    assert!(fresh.acquire().await.unwrap_err().retry_after <= PATIENCE);

    // Its time passes.
    let admin = connect(test.admin_url()).await;
    let passes = async || {
        let earlier = "UPDATE circuit_breakers SET opened_at = opened_at - interval '60 s'";
        admin.execute(earlier, &[]).await.unwrap();
    };
    passes().await;
    let fleet: Vec<_> = (0..10).map(|_| instance(&test, rules)).collect();
    let storm = async || {
        let calls = fleet.iter().map(Shared::acquire);
        let permits = futures_util::future::join_all(calls).await;
        permits.into_iter().flatten().collect::<Vec<_>>()
    };
    let mut probes = storm().await;
    assert_eq!(probes.len(), 1);
    probes.remove(0).settle(Outcome::Failure).await;
    assert!(storm().await.is_empty());

    passes().await;
    let prober = instance(&test, rules);
    for _ in 0..2 {
        let probe = prober.acquire().await.unwrap();
        assert!(instance(&test, rules).acquire().await.is_err());
        probe.settle(Outcome::Success).await;
    }
    assert_eq!(prober.snapshot().state, State::Closed);
    assert!(instance(&test, rules).acquire().await.is_ok());
}

#[tokio::test]
async fn one_read_is_for_all_breakers_of_a_process() {
    const OTHER: &str = "update-inventory";
    let test = TestDatabase::new("order").await;
    let mut setup = Setup::new(Env::from_iter([("DATABASE_URL", test.url())]), "test");
    let own = Database::from_setup(&mut setup, Options::default());
    let mut breaker = |name| shared_breaker(&mut setup, &own, name, PATIENCE).unwrap();
    let (one, other) = (breaker(NAME), breaker(OTHER));
    let elsewhere = BreakerStore::new(&database(test.url()), OTHER);
    fail(&Shared::new(OTHER, elsewhere, patient(RULES)).unwrap(), 2).await;
    one.warm_up().await;
    assert_eq!(one.snapshot().consecutive_failures, 0);
    assert_eq!(other.snapshot().consecutive_failures, 2);
}

#[tokio::test]
async fn without_the_database_traffic_flows() {
    let mut server = TestServer::private().await;
    let test = server.database("order").await;
    let breaker = instance(&test, RULES);
    fail(&breaker, 1).await;
    server.stop().await;
    let store = BreakerStore::new(
        &Database::new(&config(test.url()), Options::default()).unwrap(),
        NAME,
    );
    let cut = Shared::new(NAME, store, Config::new(RULES)).unwrap();
    fail(&cut, 5).await;
    assert_eq!(cut.snapshot().state, State::Closed);

    server.start().await;
    let again = instance(&test, RULES);
    again.warm_up().await;
    assert_eq!(again.snapshot().consecutive_failures, 1);
}

#[tokio::test]
async fn a_row_that_somebody_holds_holds_up_no_call() {
    let test = TestDatabase::new("order").await;
    fail(&instance(&test, RULES), 1).await;
    let admin = connect(test.admin_url()).await;
    let hold = "BEGIN; SELECT FROM circuit_breakers FOR UPDATE";
    admin.batch_execute(hold).await.unwrap();

    let store = BreakerStore::new(&database(test.url()), NAME);
    let config = Config {
        read_timeout: PATIENCE,
        write_timeout: Duration::from_millis(100),
        cache_for: Duration::from_millis(1),
        ..Config::new(RULES)
    };
    let breaker = Shared::new(NAME, store, config).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while breaker.snapshot().consecutive_failures == 0 {
        assert!(Instant::now() < deadline, "{breaker:?}");
        breaker.warm_up().await;
    }
    // The verdict is lost, and the call is not.
    fail(&breaker, 1).await;
    assert_eq!(breaker.snapshot().consecutive_failures, 1);
    admin.batch_execute("ROLLBACK").await.unwrap();
    let after = instance(&test, RULES);
    after.warm_up().await;
    assert_eq!(after.snapshot().consecutive_failures, 1);
}

/// A function that shows its breaker.
struct Guarded(Shared);

impl Function for Guarded {
    type Rpc = rpc::CreateOrder;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        shared_breaker(setup, &database, NAME, PATIENCE).map(Self)
    }

    async fn call(&self, _: &Call, _: Request<Self>) -> Result<Response<Self>, Error> {
        Ok(Response::<Self>::default())
    }

    fn health(&self) -> Map<String, Value> {
        Map::from_iter([("breaker".into(), self.0.snapshot().state.as_str().into())])
    }
}

#[tokio::test]
async fn a_process_that_starts_reads_the_state_before_its_first_call() {
    let test = TestDatabase::new("order").await;
    fail(&instance(&test, RULES), 3).await;
    let mut env = Authority::generate().env();
    env.push(("DATABASE_URL".into(), test.url().into()));
    let running = Running::start::<Guarded>(env).await;
    let client = Client::new(Wire::Http1, running.address());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health: Value = client.get("/health").await.json();
        if health["breaker"] == "open" {
            break;
        }
        assert!(Instant::now() < deadline, "{health}");
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_lease_without_time_is_a_problem() {
    let env = Env::from_iter([("DATABASE_URL", "postgres://u@h/d")]);
    let mut setup = Setup::new(env, "test");
    let database = Database::from_setup(&mut setup, Options::default());
    assert!(shared_breaker(&mut setup, &database, NAME, Duration::ZERO).is_err());
    let [problem] = setup.problems() else {
        panic!("{:?}", setup.problems());
    };
    assert!(
        problem.contains(NAME) && problem.contains("probe_lease"),
        "{problem}"
    );
}
