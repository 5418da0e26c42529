//! The circuit breaker around calls: what counts, and that a fleet has one.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_postgres::NoTls;
use zerocart_client::{Client, Delivery, Options, health};
use zerocart_core::{Env, Error, Kind, Setup};
use zerocart_postgres::{BreakerStore, Database};
use zerocart_proto::rpc::GetCart;
use zerocart_resilience::breaker::{self, State, shared};
use zerocart_test_support::{
    functions::{PATIENCE, Running, Script},
    postgres::TestDatabase,
};

use crate::{
    Counter, Memory, RULES, World, a_cart, attempts, counted,
    failures::{Death, mortal, proxy},
    memory_breaker, my_cart, nowhere, silence,
};

fn guarded(n: u32) -> Options {
    Options {
        breaker: Some(memory_breaker()),
        ..attempts(n)
    }
}

fn failures(client: &Client<GetCart>) -> u32 {
    client.breaker().unwrap().snapshot().consecutive_failures
}

#[tokio::test]
async fn three_calls_open_it_however_often_each_is_repeated() {
    let mut world = World::new();
    let (script, calls) = counted(|_| Err(Error::new(Kind::Unavailable, "down")));
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(guarded(4));
    for n in 1..=3 {
        // The answer of the last attempt comes back, not the breaker's.
        let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
        assert_eq!(calls.get(), 4 * n);
        assert_eq!(failure.message, "down");
        assert_eq!(failure.delivery, Delivery::Answered);
        assert_eq!(failures(&client), n);
    }

    let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(calls.get(), 12);
    assert_eq!(failure.kind, Kind::Unavailable);
    assert_eq!(failure.delivery, Delivery::Unsent);
    assert!(failure.retry_after.unwrap() > Duration::ZERO);

    let shown = health(client.breaker().unwrap());
    assert_eq!(shown["state"], "open");
    assert_eq!(shown["consecutive_failures"], 3);
    assert!(shown["retry_after_ms"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_call_that_succeeds_in_the_end_is_a_success() {
    let mut world = World::new();
    // Every third attempt succeeds.
    let (script, _) = counted(|n| match n % 3 {
        0 => Ok(a_cart()),
        _ => Err(Error::new(Kind::Unavailable, "not now")),
    });
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(guarded(3));
    for _ in 0..4 {
        client.call(&world.call(), &my_cart()).await.unwrap();
        assert_eq!(failures(&client), 0);
    }
}

/// The last attempt is refused for a reason of the callee's that excuses it; an earlier one was not.
#[tokio::test]
async fn one_attempt_without_excuse_is_enough() {
    let mut world = World::new();
    let (script, _) = counted(|n| match n {
        1 => Err(Error::new(Kind::Unavailable, "down")),
        _ => Err(Error::new(Kind::ResourceExhausted, "full")),
    });
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(guarded(2));
    for _ in 0..2 {
        client.call(&world.call(), &my_cart()).await.unwrap_err();
        // The second call is refused twice, which says nothing.
        assert_eq!(failures(&client), 1);
    }
}

/// Three calls are on their way when three others open it: none of them is repeated.
#[tokio::test]
async fn once_others_have_opened_it_nothing_is_repeated() {
    let mut world = World::new();
    let gate = Arc::new(Semaphore::new(0));
    let (calls, waits) = (Counter::default(), Arc::clone(&gate));
    let counter = calls.clone();
    let script = Script::<GetCart>::new(move |_, _| {
        let (first, waits) = (counter.add() == 1, Arc::clone(&waits));
        async move {
            if first {
                let _ = waits.acquire().await;
            }
            Err(Error::new(Kind::Unavailable, "down"))
        }
    });
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(guarded(2));
    let (cx, early) = (world.call(), client.clone());
    let early = tokio::spawn(async move { early.call(&cx, &my_cart()).await });
    crate::until("it is called", || calls.get() == 1).await;
    for _ in 0..3 {
        client.call(&world.call(), &my_cart()).await.unwrap_err();
    }
    assert_eq!(calls.get(), 1 + 3 * 2);
    gate.close();
    early.await.unwrap().unwrap_err();
    assert_eq!(calls.get(), 1 + 3 * 2);
}

/// A probe is a whole call: its attempts are its own, and it is repeated while it holds its place.
#[tokio::test]
async fn a_probe_is_repeated_as_other_calls_are() {
    let mut world = World::new();
    let (script, calls) = counted(|n| match n {
        1..=3 | 4 | 6 => Err(Error::new(Kind::Unavailable, "down")),
        _ => Ok(a_cart()),
    });
    let _get_cart = world.serve(script).await;
    let rules = breaker::Config {
        open_for: Duration::from_millis(1),
        ..RULES
    };
    let config = shared::Config::new(rules);
    let breaker = shared::Shared::new("get-cart", Memory::default(), config).unwrap();
    let options = |n| Options {
        breaker: Some(breaker.clone()),
        ..attempts(n)
    };
    let once = world.client::<GetCart>(options(1));
    for _ in 0..3 {
        once.call(&world.call(), &my_cart()).await.unwrap_err();
    }
    assert_eq!(breaker.snapshot().state, State::Open);
    crate::until("a call would pass", || {
        breaker.snapshot().retry_after.is_none()
    })
    .await;
    let client = world.client::<GetCart>(options(2));
    for (calls_now, state) in [(5, State::HalfOpen), (7, State::Closed)] {
        client.call(&world.call(), &my_cart()).await.unwrap();
        assert_eq!((calls.get(), breaker.snapshot().state), (calls_now, state));
    }
}

/// A process that died is not the function: while others answer, calls succeed and nothing counts. One
/// that always dies has failed.
#[tokio::test]
async fn a_process_that_died_is_replaced_and_counts_only_when_all_did() {
    for dies in [Death::Cut, Death::Told] {
        let mut world = World::new();
        let (address, met) = mortal(&world, dies, |n| n % 2 == 1).await;
        world.at::<GetCart>(address);
        let client = world.client::<GetCart>(guarded(2));
        for n in 1..=6 {
            client.call(&world.call(), &my_cart()).await.unwrap();
            assert_eq!((met.get(), failures(&client)), (2 * n, 0), "{dies:?}");
        }

        let mut world = World::new();
        let (address, _) = mortal(&world, dies, |_| true).await;
        world.at::<GetCart>(address);
        let client = world.client::<GetCart>(guarded(2));
        for n in 1..=3 {
            client.call(&world.call(), &my_cart()).await.unwrap_err();
            assert_eq!(failures(&client), n, "{dies:?}");
        }
    }
}

#[tokio::test]
async fn a_callee_that_hangs_until_the_callers_deadline_counts() {
    let mut world = World::new();
    let script = Script::<GetCart>::new(|cx: zerocart_core::Call, _| async move {
        if cx.remaining() < Duration::from_millis(1500) {
            std::future::pending::<()>().await;
        }
        Ok(a_cart())
    });
    let _get_cart = world.serve(script).await;
    // The caller's deadline ends the only attempt, or one of several.
    for n in [1, 3] {
        let client = world.client::<GetCart>(Options {
            attempt_timeout: Some(Duration::from_millis(1900)),
            ..guarded(n)
        });
        // Warm, so that it is not forgiven as a cold start.
        client.call(&world.call(), &my_cart()).await.unwrap();
        let cx = world.call_within(Duration::from_millis(1200));
        let failure = client.call(&cx, &my_cart()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::DeadlineExceeded);
        // Nobody waits for the verdict longer than for the call.
        crate::until("it counts", || failures(&client) == 1).await;
    }
}

#[tokio::test]
async fn answers_of_the_domain_do_not_count_and_end_a_run_of_failures() {
    for kind in [
        Kind::NotFound,
        Kind::FailedPrecondition,
        Kind::InvalidArgument,
        Kind::Aborted,
        Kind::PermissionDenied,
    ] {
        let mut world = World::new();
        let (script, _) = counted(move |n| match n {
            1 | 2 => Err(Error::new(Kind::Internal, "broken")),
            _ => Err(Error::new(kind, "no")),
        });
        let _get_cart = world.serve(script).await;
        let client = world.client::<GetCart>(guarded(1));
        for expected in [1, 2, 0, 0] {
            client.call(&world.call(), &my_cart()).await.unwrap_err();
            assert_eq!(failures(&client), expected, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_counts() {
    let mut world = World::new();
    world.at::<GetCart>(nowhere().await);
    let client = world.client::<GetCart>(guarded(1));
    client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(failures(&client), 1);
}

#[tokio::test]
async fn one_silence_may_be_a_cold_start_and_a_dead_function_opens_it() {
    let mut world = World::new();
    world.at::<GetCart>(silence().await);
    let client = world.client::<GetCart>(Options {
        attempt_timeout: Some(Duration::from_millis(30)),
        ..guarded(1)
    });
    for expected in [0, 1, 2, 3] {
        let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::DeadlineExceeded);
        assert_eq!(failures(&client), expected);
    }
    assert_eq!(client.breaker().unwrap().snapshot().state, State::Open);
}

#[tokio::test]
async fn a_cold_function_that_ran_out_of_time_is_forgiven_and_its_refusal_is_not() {
    for (kind, counts) in [
        (Kind::DeadlineExceeded, [0, 1, 2]),
        (Kind::Unavailable, [1, 2, 3]),
    ] {
        let mut world = World::new();
        let (script, _) = counted(move |_| Err(Error::new(kind, "slow")));
        let _get_cart = world.serve(script).await;
        let client = world.client::<GetCart>(guarded(1));
        for expected in counts {
            client.call(&world.call(), &my_cart()).await.unwrap_err();
            assert_eq!(failures(&client), expected, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_activator_that_waits_in_vain_is_forgiven_once_and_one_that_fails_is_not() {
    for (grpc_status, counts) in [("4", [0, 1, 2]), ("14", [1, 2, 3])] {
        let mut world = World::new();
        world.at::<GetCart>(proxy(200, Some(grpc_status)).await);
        let client = world.client::<GetCart>(guarded(1));
        for expected in counts {
            client.call(&world.call(), &my_cart()).await.unwrap_err();
            assert_eq!(failures(&client), expected, "{grpc_status}");
        }
    }
}

#[tokio::test]
async fn a_short_deadline_of_the_caller_counts_nothing() {
    let mut world = World::new();
    let answers_late = Script::<GetCart>::new(|cx: zerocart_core::Call, _| async move {
        if cx.remaining() < Duration::from_secs(1) {
            std::future::pending::<()>().await;
        }
        Ok(a_cart())
    });
    let _get_cart = world.serve(answers_late).await;
    let client = world.client::<GetCart>(guarded(1));
    // Warm, so that it is not forgiven as a cold start.
    client.call(&world.call(), &my_cart()).await.unwrap();
    for _ in 0..4 {
        let cx = world.call_within(Duration::from_millis(300));
        client.call(&cx, &my_cart()).await.unwrap_err();
        assert_eq!(failures(&client), 0);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_counts_nothing() {
    let mut world = World::new();
    let begun = Counter::default();
    let counter = begun.clone();
    let _get_cart = world
        .serve(Script::<GetCart>::new(move |_, _| {
            counter.add();
            std::future::pending()
        }))
        .await;
    let client = world.client::<GetCart>(guarded(1));
    let (cx, other) = (world.call(), client.clone());
    let call = tokio::spawn(async move { other.call(&cx, &my_cart()).await });
    crate::until("it is called", || begun.get() == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(failures(&client), 0);
}

/// create-order's database, and get-cart, which fails unless it is told to work.
struct Fleet {
    world: World,
    test: TestDatabase,
    _get_cart: Running,
    calls: Counter,
    /// How many calls may succeed.
    works: Arc<Semaphore>,
}

impl Fleet {
    async fn new() -> Self {
        let mut world = World::new();
        let (calls, works) = (Counter::default(), Arc::new(Semaphore::new(0)));
        let (counter, allowed) = (calls.clone(), Arc::clone(&works));
        let script = Script::<GetCart>::new(move |_, _| {
            counter.add();
            let allowed = Arc::clone(&allowed);
            async move {
                match allowed.try_acquire() {
                    Ok(permit) => {
                        permit.forget();
                        Ok(a_cart())
                    }
                    Err(_) => Err(Error::new(Kind::Unavailable, "down")),
                }
            }
        });
        let get_cart = world.serve(script).await;
        Self {
            world,
            test: TestDatabase::new("order").await,
            _get_cart: get_cart,
            calls,
            works,
        }
    }

    /// A process that has just started: connections, caches and all of its own.
    fn instance(&self) -> Client<GetCart> {
        let env = Env::from_iter([("DATABASE_URL", self.test.url())]);
        let mut setup = Setup::new(env, "create-order");
        let database = Database::from_setup(&mut setup, Default::default()).unwrap();
        let config = shared::Config {
            read_timeout: PATIENCE,
            write_timeout: PATIENCE,
            ..shared::Config::new(RULES)
        };
        let store = BreakerStore::new(&database, "get-cart");
        let breaker = shared::Shared::new("get-cart", store, config).unwrap();
        self.world.client(Options {
            breaker: Some(breaker),
            ..attempts(1)
        })
    }

    async fn call(&self, client: &Client<GetCart>) -> Result<(), Delivery> {
        let result = client.call(&self.world.call(), &my_cart()).await;
        result.map(drop).map_err(|failure| failure.delivery)
    }

    /// The time of an open breaker passes.
    async fn wait(&self) {
        let (admin, connection) = tokio_postgres::connect(self.test.admin_url(), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let earlier = "UPDATE circuit_breakers SET opened_at = opened_at - interval '1 hour'";
        assert_eq!(admin.execute(earlier, &[]).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn processes_share_one_breaker_and_a_new_one_knows_it() {
    let fleet = Fleet::new().await;
    let (one, other) = (fleet.instance(), fleet.instance());
    for client in [&one, &other, &one] {
        assert_eq!(fleet.call(client).await, Err(Delivery::Answered));
    }
    assert_eq!(fleet.call(&fleet.instance()).await, Err(Delivery::Unsent));
    assert_eq!(fleet.calls.get(), 3);

    // Still down: one of ten finds out, and that is all.
    fleet.wait().await;
    let storm = async || {
        let clients: Vec<_> = (0..10).map(|_| fleet.instance()).collect();
        let calls = clients.iter().map(|client| fleet.call(client));
        futures_util::future::join_all(calls).await
    };
    storm().await;
    assert_eq!(fleet.calls.get(), 4);

    // Up again: two successes close it.
    fleet.wait().await;
    fleet.works.add_permits(100);
    let probe = fleet.instance();
    for _ in 0..2 {
        assert_eq!(fleet.call(&probe).await, Ok(()));
    }
    assert_eq!(probe.breaker().unwrap().snapshot().state, State::Closed);
    assert!(storm().await.iter().all(Result::is_ok));
    assert_eq!(fleet.calls.get(), 4 + 2 + 10);
}
