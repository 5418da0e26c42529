//! The schedule on a paused clock. Processes are in `tests/it/jobs.rs`.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::launcher::Stop;
use crate::log::Tail;

/// Runs that take a given time.
#[derive(Clone, Default)]
struct Fake(Arc<State>);

#[derive(Default)]
struct State {
    takes: Mutex<Duration>,
    now: AtomicUsize,
    most: AtomicUsize,
    begun: Mutex<Vec<Instant>>,
    refuses: Mutex<bool>,
}

impl Fake {
    fn taking(seconds: u64) -> Self {
        let fake = Self::default();
        *fake.0.takes.lock().unwrap() = Duration::from_secs(seconds);
        fake
    }

    /// When runs began, in seconds since `start`.
    fn begun(&self, start: Instant) -> Vec<u64> {
        let begun = self.0.begun.lock().unwrap();
        begun.iter().map(|at| (*at - start).as_secs()).collect()
    }
}

impl JobLauncher for Fake {
    fn start(&self, _: &Job) -> io::Result<Running> {
        if *self.0.refuses.lock().unwrap() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let state = Arc::clone(&self.0);
        state.begun.lock().unwrap().push(Instant::now());
        let now = state.now.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(now, Ordering::SeqCst);
        let (stop, mut stops) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        tokio::spawn(async move {
            let takes = *state.takes.lock().unwrap();
            let (success, description) = tokio::select! {
                () = sleep(takes) => (true, "exit status: 0"),
                // One that ignores SIGTERM.
                () = async { while stops.recv().await != Some(Stop::Kill) {} } => (false, "killed"),
            };
            state.now.fetch_sub(1, Ordering::SeqCst);
            let description = description.to_owned();
            exited.send_replace(Some(Exit {
                success,
                description,
            }));
        });
        let log = Tail::default();
        log.push("a line");
        Ok(Running {
            pid: Some(7),
            stop,
            exit,
            log,
        })
    }
}

fn job(schedule: &str) -> Job {
    Job {
        name: "sweep".to_owned(),
        schedule: schedule.parse().unwrap(),
        deadline: Duration::from_secs(55),
        env: Vec::new(),
    }
}

/// Jobs from 10 s past a full hour on.
fn start(schedule: &str, fake: &Fake) -> (Jobs, Instant) {
    let start = Instant::now();
    let began = UNIX_EPOCH + Duration::from_secs(3600 * 1000 + 10);
    let clock = move || began + start.elapsed();
    (
        Jobs::with_clock([job(schedule)], fake.clone(), clock),
        start,
    )
}

#[tokio::test(start_paused = true)]
async fn it_runs_at_the_start_and_then_when_it_is_due() {
    let fake = Fake::taking(1);
    let (jobs, began) = start("*/2 * * * *", &fake);
    sleep(Duration::from_secs(5)).await;
    let status = &jobs.status()[0];
    assert_eq!(
        (status.runs, status.failures, status.running),
        (1, 0, false)
    );
    assert_eq!(status.next_run_unix_ms, Some((3600 * 1000 + 120) * 1000));
    let last = status.last.as_ref().unwrap();
    assert_eq!(last.started_at_unix_ms, (3600 * 1000 + 10) * 1000);
    assert_eq!((last.took_ms, last.success), (1000, true));
    assert_eq!(
        (last.exit.as_str(), &*last.log),
        ("exit status: 0", &["a line".to_owned()][..])
    );
    sleep(Duration::from_secs(300)).await;
    assert_eq!(fake.begun(began), [0, 110, 230]);
    jobs.shutdown().await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fake.begun(began).len(), 3, "none after the shutdown");
    assert_eq!(jobs.run("sweep").await, Err(NotRun::Stopping));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_during_a_run_is_left_out() {
    let fake = Fake::taking(52);
    let (jobs, began) = start("* * * * *", &fake);
    sleep(Duration::from_secs(1)).await;
    let status = &jobs.status()[0];
    assert!(status.running && status.pid == Some(7) && status.next_run_unix_ms.is_none());
    sleep(Duration::from_secs(229)).await;
    // The run of second 0 ends at 52, past the full minute at 50.
    assert_eq!(fake.begun(began), [0, 110, 170]);
    assert_eq!(fake.0.most.load(Ordering::SeqCst), 1);
    jobs.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_gets_a_run_that_began_afterwards() {
    let fake = Fake::taking(10);
    let (jobs, began) = start("* * * * *", &fake);
    sleep(Duration::from_secs(4)).await;
    let (one, other) = tokio::join!(jobs.run("sweep"), jobs.run("sweep"));
    assert_eq!(one, other, "both by one run");
    assert!(one.unwrap().success);
    assert_eq!(began.elapsed().as_secs(), 20);
    assert_eq!(fake.begun(began), [0, 10]);
    assert_eq!(fake.0.most.load(Ordering::SeqCst), 1);
    let unknown = NotRun::Unknown("weep".to_owned());
    assert_eq!(jobs.run("weep").await, Err(unknown));
    jobs.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_ended_and_so_is_one_at_the_shutdown() {
    let fake = Fake::taking(1000);
    let (jobs, began) = start("* * * * *", &fake);
    sleep(Duration::from_secs(61)).await;
    let status = jobs.status().remove(0);
    assert_eq!((status.runs, status.failures), (1, 1));
    assert_eq!(status.last.unwrap().exit, "not done within 55 s: killed");
    sleep(Duration::from_secs(50)).await;
    assert_eq!(fake.begun(began), [0, 110]);
    jobs.shutdown().await;
    let status = jobs.status().remove(0);
    assert!(!status.running);
    assert_eq!(status.last.unwrap().exit, "the engine stops: killed");
    assert_eq!(fake.0.now.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_start_is_tried_again_when_it_is_due() {
    let fake = Fake::taking(1);
    *fake.0.refuses.lock().unwrap() = true;
    let (jobs, began) = start("* * * * *", &fake);
    sleep(Duration::from_secs(1)).await;
    let last = jobs.status().remove(0).last.unwrap();
    assert!(
        !last.success && last.exit.starts_with("cannot be started"),
        "{last:?}"
    );
    *fake.0.refuses.lock().unwrap() = false;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.begun(began), [50]);
    jobs.shutdown().await;
}
