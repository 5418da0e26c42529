use super::*;
use crate::breaker::state::Phase;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const OPEN_FOR: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(15);

/// The start of the store's clock, which is independent of this process's.
const EPOCH: Duration = Duration::from_secs(1_790_000_000);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Works,
    Takes(Duration),
    Fails,
    Hangs,
}

/// What all instances share.
#[derive(Clone)]
struct Memory(Arc<Mutex<Content>>);

struct Content {
    machine: Machine,
    began: Instant,
    /// How far its clock was set back.
    behind: Duration,
    mode: Mode,
    reads: u32,
    writes: u32,
}

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Content {
            machine: Machine::new(),
            began: Instant::now(),
            behind: Duration::ZERO,
            mode: Mode::Works,
            reads: 0,
            writes: 0,
        })))
    }

    fn set(&self, mode: Mode) {
        lock(&self.0).mode = mode;
    }

    fn machine(&self) -> Machine {
        lock(&self.0).machine
    }

    /// Reads and writes so far.
    fn uses(&self) -> (u32, u32) {
        let content = lock(&self.0);
        (content.reads, content.writes)
    }

    /// One more instance of the function.
    fn instance(&self) -> Shared {
        Shared::new("process-payment", self.clone(), config()).unwrap()
    }

    async fn turn(&self) -> Result<(), BoxError> {
        let mode = lock(&self.0).mode;
        match mode {
            Mode::Works => Ok(()),
            Mode::Takes(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Mode::Fails => Err("refused".into()),
            Mode::Hangs => std::future::pending().await,
        }
    }
}

impl Content {
    fn now(&self) -> Duration {
        EPOCH + self.began.elapsed() - self.behind
    }
}

impl Store for Memory {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, BoxError>> {
        Box::pin(async move {
            lock(&self.0).reads += 1;
            self.turn().await?;
            let content = lock(&self.0);
            Ok(Loaded {
                machine: content.machine,
                now: content.now(),
            })
        })
    }

    fn change<'a>(&'a self, step: Step<'a>) -> BoxFuture<'a, Result<Changed, BoxError>> {
        Box::pin(async move {
            self.turn().await?;
            let mut content = lock(&self.0);
            let (before, now) = (content.machine, content.now());
            let after = step(before, now);
            if after != before {
                content.machine = after;
                content.writes += 1;
            }
            Ok(Changed { before, after, now })
        })
    }
}

fn config() -> Config {
    Config::new(state::Config {
        open_for: OPEN_FOR,
        probe_lease: Some(LEASE),
        ..state::Config::default()
    })
}

async fn call(breaker: &Shared, outcome: Outcome) -> Result<(), BreakerOpen> {
    breaker.acquire().await?.settle(outcome).await;
    Ok(())
}

async fn open(breaker: &Shared) {
    for _ in 0..3 {
        call(breaker, Outcome::Failure).await.unwrap();
    }
    assert_eq!(breaker.snapshot().state, State::Open);
}

/// The permits that a call on each of `fleet` at once gets.
async fn storm(fleet: &[Shared]) -> Vec<Permit> {
    let calls: Vec<_> = fleet
        .iter()
        .cloned()
        .map(|breaker| tokio::spawn(async move { breaker.acquire().await }))
        .collect();
    let mut permits = Vec::new();
    for call in calls {
        permits.extend(call.await.unwrap().ok());
    }
    permits
}

fn state_of(memory: &Memory) -> State {
    memory.machine().state()
}

#[tokio::test(start_paused = true)]
async fn a_healthy_system_reads_once_a_moment_and_writes_nothing() {
    let memory = Memory::new();
    let breaker = memory.instance();
    breaker.warm_up().await;
    for _ in 0..10 {
        call(&breaker, Outcome::Success).await.unwrap();
        call(&breaker, Outcome::Ignore).await.unwrap();
        assert_eq!(breaker.would_reject().await, None);
    }
    assert_eq!(memory.uses(), (1, 0));
    advance(SECOND).await;
    call(&breaker, Outcome::Success).await.unwrap();
    assert_eq!(memory.uses(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn failures_and_the_success_that_ends_them_are_written() {
    let memory = Memory::new();
    let breaker = memory.instance();
    for (outcome, writes, failures) in [
        (Outcome::Failure, 1, 1),
        (Outcome::Ignore, 1, 1),
        (Outcome::Failure, 2, 2),
        (Outcome::Success, 3, 0),
        (Outcome::Success, 3, 0),
    ] {
        call(&breaker, outcome).await.unwrap();
        assert_eq!(memory.uses().1, writes);
        assert_eq!(memory.machine().phase, Phase::Closed { failures });
        assert_eq!(breaker.snapshot().consecutive_failures, failures);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_fleet_add_up_and_a_fresh_instance_rejects_at_once() {
    let memory = Memory::new();
    let fleet: Vec<_> = (0..3).map(|_| memory.instance()).collect();
    for breaker in &fleet {
        call(breaker, Outcome::Failure).await.unwrap();
    }
    assert_eq!(state_of(&memory), State::Open);

    advance(SECOND * 10).await;
    let fresh = memory.instance();
    fresh.warm_up().await;
    let (reads, _) = memory.uses();
    assert_eq!(fresh.snapshot().state, State::Open);
    assert_eq!(fresh.snapshot().consecutive_failures, 3);
    let rejected = fresh.acquire().await.unwrap_err();
    assert_eq!(rejected.retry_after, SECOND * 20);
    assert_eq!(fresh.would_reject().await, Some(SECOND * 20));

    // Nothing can close it now, so it is not read, even if the known state is old.
    advance(SECOND * 19).await;
    assert_eq!(fresh.acquire().await.unwrap_err().retry_after, SECOND);
    assert_eq!(memory.uses().0, reads);
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_warm_up_reads_at_its_first_call() {
    let memory = Memory::new();
    open(&memory.instance()).await;
    let fresh = memory.instance();
    assert_eq!(fresh.snapshot().state, State::Closed);
    assert!(fresh.acquire().await.is_err());
    assert_eq!(fresh.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn others_hear_of_it_when_their_cache_is_old() {
    let memory = Memory::new();
    let (one, other) = (memory.instance(), memory.instance());
    other.warm_up().await;
    open(&one).await;
    assert!(other.acquire().await.is_ok());
    advance(SECOND).await;
    assert!(other.acquire().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn ten_instances_have_one_probe() {
    let memory = Memory::new();
    let fleet: Vec<_> = (0..10).map(|_| memory.instance()).collect();
    open(&fleet[0]).await;
    for breaker in &fleet {
        breaker.warm_up().await;
    }
    assert!(storm(&fleet).await.is_empty());

    // A probe that fails: another period.
    advance(OPEN_FOR).await;
    let mut probes = storm(&fleet).await;
    assert_eq!(probes.len(), 1);
    assert!(storm(&fleet).await.is_empty());
    probes.remove(0).settle(Outcome::Failure).await;
    assert_eq!(state_of(&memory), State::Open);
    advance(OPEN_FOR - ms(1)).await;
    assert!(storm(&fleet).await.is_empty());

    // Two that succeed, one after the other.
    advance(ms(1)).await;
    let mut probes = storm(&fleet).await;
    assert_eq!(probes.len(), 1);
    probes.remove(0).settle(Outcome::Success).await;
    advance(SECOND).await;
    let mut probes = storm(&fleet).await;
    assert_eq!(probes.len(), 1);
    probes.remove(0).settle(Outcome::Success).await;
    assert_eq!(state_of(&memory), State::Closed);
    advance(SECOND).await;
    assert_eq!(storm(&fleet).await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn one_instance_probes_again_at_once() {
    let memory = Memory::new();
    let breaker = memory.instance();
    open(&breaker).await;
    advance(OPEN_FOR).await;
    call(&breaker, Outcome::Success).await.unwrap();
    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    call(&breaker, Outcome::Success).await.unwrap();
    assert_eq!(breaker.snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_dies_loses_its_lease() {
    let memory = Memory::new();
    let (dies, lives) = (memory.instance(), memory.instance());
    open(&dies).await;
    advance(OPEN_FOR).await;
    let lost = dies.acquire().await.unwrap();
    advance(LEASE - ms(1)).await;
    assert!(lives.acquire().await.is_err());
    advance(ms(1)).await;
    let probe = lives.acquire().await.unwrap();
    // The call was only slow, but its verdict belongs to an earlier phase.
    lost.settle(Outcome::Failure).await;
    assert_eq!(state_of(&memory), State::HalfOpen);
    probe.settle(Outcome::Success).await;
    call(&lives, Outcome::Success).await.unwrap();
    assert_eq!(state_of(&memory), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_frees_its_place() {
    let memory = Memory::new();
    let (one, other) = (memory.instance(), memory.instance());
    open(&one).await;
    advance(OPEN_FOR).await;
    drop(one.acquire().await.unwrap());
    tokio::task::yield_now().await;
    assert!(other.acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_kept_though_nobody_waits() {
    let memory = Memory::new();
    let breaker = memory.instance();
    let permit = breaker.acquire().await.unwrap();
    memory.set(Mode::Takes(ms(100)));
    let mut verdict = Box::pin(permit.settle(Outcome::Failure));
    assert!(timeout(ms(50), &mut verdict).await.is_err());
    drop(verdict);
    tokio::time::sleep(ms(100)).await;
    assert_eq!(memory.machine().phase, Phase::Closed { failures: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_late_verdict_changes_nothing() {
    let memory = Memory::new();
    let breaker = memory.instance();
    let slow = breaker.acquire().await.unwrap();
    let another = memory.instance().acquire().await.unwrap();
    open(&breaker).await;
    let before = memory.machine();
    slow.settle(Outcome::Success).await;
    another.settle(Outcome::Failure).await;
    assert_eq!(memory.machine(), before);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_lets_traffic_flow() {
    for mode in [Mode::Fails, Mode::Hangs] {
        let memory = Memory::new();
        open(&memory.instance()).await;
        memory.set(mode);
        let breaker = memory.instance();
        let begin = Instant::now();
        for _ in 0..5 {
            call(&breaker, Outcome::Failure).await.unwrap();
            assert_eq!(breaker.would_reject().await, None);
        }
        // The first read has more time. After it, no call waits for a moment.
        assert!(begin.elapsed() <= config().write_timeout);
        assert_eq!(memory.uses().0, 2);
        assert_eq!(breaker.snapshot().state, State::Closed);

        memory.set(Mode::Works);
        advance(SECOND).await;
        assert!(breaker.acquire().await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_a_moment_for_the_state_and_then_passes() {
    let memory = Memory::new();
    let breaker = memory.instance();
    breaker.warm_up().await;
    advance(SECOND).await;
    memory.set(Mode::Hangs);
    let begin = Instant::now();
    let permit = breaker.acquire().await.unwrap();
    assert_eq!(begin.elapsed(), config().read_timeout);
    // It passed by the known state, so its verdict still counts when the store is back.
    memory.set(Mode::Works);
    permit.settle(Outcome::Failure).await;
    assert_eq!(memory.machine().phase, Phase::Closed { failures: 1 });
}

#[tokio::test(start_paused = true)]
async fn without_the_store_only_what_is_known_to_be_open_rejects() {
    let memory = Memory::new();
    let (breaker, waits) = (memory.instance(), memory.instance());
    open(&breaker).await;
    memory.set(Mode::Fails);
    advance(OPEN_FOR - ms(1)).await;
    assert!(breaker.acquire().await.is_err());
    advance(ms(1)).await;
    assert!(breaker.acquire().await.is_ok());
    assert!(breaker.acquire().await.is_ok());

    // Half-open is only known from an earlier read.
    memory.set(Mode::Works);
    let _probe = breaker.acquire().await.unwrap();
    assert!(waits.acquire().await.is_err());
    memory.set(Mode::Fails);
    advance(SECOND).await;
    assert!(waits.acquire().await.is_ok());
    assert_eq!(waits.would_reject().await, None);
}

#[tokio::test(start_paused = true)]
async fn asking_takes_no_probe() {
    let memory = Memory::new();
    let breaker = memory.instance();
    open(&breaker).await;
    advance(OPEN_FOR).await;
    let before = memory.machine();
    assert_eq!(breaker.would_reject().await, None);
    assert_eq!(memory.machine(), before);
    let _probe = breaker.acquire().await.unwrap();
    assert_eq!(breaker.would_reject().await, Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_share_one_read() {
    let memory = Memory::new();
    memory.set(Mode::Takes(ms(100)));
    let fleet = vec![memory.instance(); 20];
    assert_eq!(storm(&fleet).await.len(), 20);
    assert_eq!(memory.uses(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_leaves_its_turn_to_the_next() {
    let memory = Memory::new();
    memory.set(Mode::Hangs);
    let breaker = memory.instance();
    let mut first = Box::pin(breaker.acquire());
    assert!(timeout(ms(1), &mut first).await.is_err());
    drop(first);
    memory.set(Mode::Works);
    drop(breaker.acquire().await.unwrap());
    assert_eq!(memory.uses(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn answers_that_overtake_each_other_do_not_turn_back_the_state() {
    let memory = Memory::new();
    let breaker = memory.instance();
    breaker.warm_up().await;
    let old = (memory.machine(), lock(&memory.0).now());
    advance(ms(1)).await;
    open(&breaker).await;
    breaker.learn(old.0, old.1);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_clock_is_set_back_is_believed() {
    let memory = Memory::new();
    let breaker = memory.instance();
    breaker.warm_up().await;
    lock(&memory.0).behind = SECOND * 3600;
    open(&memory.instance()).await;
    advance(SECOND).await;
    assert!(breaker.acquire().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn transitions_are_told_once() {
    let memory = Memory::new();
    let (one, other) = (memory.instance(), memory.instance());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    other.on_transition(move |transition| lock(&keep).push((transition.from, transition.to)));
    open(&one).await;
    other.warm_up().await;
    assert!(other.acquire().await.is_err());
    advance(OPEN_FOR).await;
    for _ in 0..2 {
        call(&other, Outcome::Success).await.unwrap();
    }
    assert_eq!(
        *lock(&heard),
        [
            (State::Closed, State::Open),
            (State::Open, State::HalfOpen),
            (State::HalfOpen, State::Closed)
        ]
    );
}

#[test]
fn bad_values_are_refused() {
    let field = |config| {
        let memory = Memory(Arc::new(Mutex::new(Content {
            machine: Machine::new(),
            began: Instant::now(),
            behind: Duration::ZERO,
            mode: Mode::Works,
            reads: 0,
            writes: 0,
        })));
        Shared::new("x", memory, config).unwrap_err().field
    };
    let good = config();
    assert_eq!(
        field(Config::new(state::Config::default())),
        "breaker.probe_lease"
    );
    for (config, name) in [
        (
            Config {
                cache_for: Duration::ZERO,
                ..good
            },
            "breaker.cache_for",
        ),
        (
            Config {
                read_timeout: Duration::ZERO,
                ..good
            },
            "breaker.read_timeout",
        ),
        (
            Config {
                write_timeout: Duration::ZERO,
                ..good
            },
            "breaker.write_timeout",
        ),
        (
            Config::new(state::Config {
                failure_threshold: 0,
                ..good.breaker
            }),
            "breaker.failure_threshold",
        ),
    ] {
        assert_eq!(field(config), name);
    }
}
