//! Jobs: processes that a schedule starts. One job never runs twice at once.
//!
//! Each job has a task that runs it once at the start, then by its schedule, and when somebody asks
//! for it. A run that is due while another one runs is left out, as with
//! `concurrencyPolicy: Forbid`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::launcher::{Exit, JobLauncher, Running};
use crate::manifest::Job;

/// How long a run may take to end after SIGTERM; past it, it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the clock is read: it may be set, and the machine may sleep.
const CLOCK_CHECK: Duration = Duration::from_secs(15);

type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// The status of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// Its schedule, in cron's syntax.
    pub schedule: String,
    /// Whether it runs now.
    pub running: bool,
    /// The process of the run; none while there is none, or when it runs inside the engine.
    pub pid: Option<u32>,
    /// Runs that have ended since the engine started.
    pub runs: u64,
    /// How many of them failed.
    pub failures: u64,
    /// The last run that has ended.
    pub last: Option<JobRun>,
    /// When the next run is due, in milliseconds since 1970; none while it runs.
    pub next_run_unix_ms: Option<u64>,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRun {
    /// When it began, in milliseconds since 1970.
    pub started_at_unix_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether it did its work.
    pub success: bool,
    /// How it ended, for people: "exit status: 0".
    pub exit: String,
    /// The end of its output.
    pub log: Vec<String>,
}

/// Why a job was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// There is no job of this name.
    #[error("there is no job {0:?}")]
    Unknown(String),
    /// The engine stops.
    #[error("the engine is stopping")]
    Stopping,
}

/// Runs jobs by their schedules. Clones share the jobs.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    jobs: BTreeMap<String, Handle>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Handle {
    asked: mpsc::UnboundedSender<oneshot::Sender<JobRun>>,
    status: watch::Receiver<JobStatus>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("jobs", &self.0.jobs.keys())
            .finish()
    }
}

impl Jobs {
    /// Runs each of these jobs now, and then by its schedule.
    ///
    /// Must be called inside a tokio runtime. Call [`shutdown`](Self::shutdown) at the end.
    #[must_use]
    pub fn start(jobs: impl IntoIterator<Item = Job>, launcher: impl JobLauncher) -> Self {
        Self::with_clock(jobs, launcher, SystemTime::now)
    }

    fn with_clock(
        jobs: impl IntoIterator<Item = Job>,
        launcher: impl JobLauncher,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        let launcher: Arc<dyn JobLauncher> = Arc::new(launcher);
        let clock: Arc<Clock> = Arc::new(clock);
        let (stop, _) = watch::channel(false);
        let mut tasks = Vec::new();
        let mut handles = BTreeMap::new();
        for job in jobs {
            let name = job.name.clone();
            let (asked, asks) = mpsc::unbounded_channel();
            let (status, told) = watch::channel(JobStatus {
                name: name.clone(),
                schedule: job.schedule.to_string(),
                running: false,
                pid: None,
                runs: 0,
                failures: 0,
                last: None,
                next_run_unix_ms: None,
            });
            let keeper = Keeper {
                job,
                launcher: Arc::clone(&launcher),
                clock: Arc::clone(&clock),
                status,
                stop: stop.subscribe(),
            };
            tasks.push(tokio::spawn(keeper.keep(asks)));
            let status = told;
            handles.insert(name, Handle { asked, status });
        }
        Self(Arc::new(Inner {
            jobs: handles,
            stop,
            tasks: Mutex::new(tasks),
        }))
    }

    /// The status of every job, sorted by name.
    #[must_use]
    pub fn status(&self) -> Vec<JobStatus> {
        let jobs = self.0.jobs.values();
        jobs.map(|job| job.status.borrow().clone()).collect()
    }

    /// Runs a job, and returns how it ended. If a run is going on already, this waits for it first:
    /// the run that is returned began after the call.
    ///
    /// # Errors
    ///
    /// [`NotRun`] when there is no such job, or when the engine stops before the job was run.
    pub async fn run(&self, name: &str) -> Result<JobRun, NotRun> {
        let job = self.0.jobs.get(name);
        let job = job.ok_or_else(|| NotRun::Unknown(name.to_owned()))?;
        let (waiter, run) = oneshot::channel();
        job.asked.send(waiter).map_err(|_| NotRun::Stopping)?;
        run.await.map_err(|_| NotRun::Stopping)
    }

    /// Ends the present runs, and starts no more.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let tasks =
            std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        join_all(tasks).await;
    }
}

/// The task of one job.
struct Keeper {
    job: Job,
    launcher: Arc<dyn JobLauncher>,
    clock: Arc<Clock>,
    status: watch::Sender<JobStatus>,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    async fn keep(mut self, mut asks: mpsc::UnboundedReceiver<oneshot::Sender<JobRun>>) {
        let mut waiting = Vec::new();
        loop {
            // Everybody who asked before the run began gets its result.
            while let Ok(waiter) = asks.try_recv() {
                waiting.push(waiter);
            }
            let run = self.run().await;
            for waiter in waiting.drain(..) {
                // A caller that went away needs no answer.
                let _ = waiter.send(run.clone());
            }
            let due = self.job.schedule.after((self.clock)());
            self.status
                .send_modify(|status| status.next_run_unix_ms = Some(unix_ms(due)));
            tokio::select! {
                biased;
                () = stopping(&mut self.stop) => return,
                waiter = asks.recv() => match waiter {
                    Some(waiter) => waiting.push(waiter),
                    None => return,
                },
                () = until(due, &*self.clock) => {}
            }
        }
    }

    /// One run, from its start to its end.
    async fn run(&mut self) -> JobRun {
        let started_at_unix_ms = unix_ms((self.clock)());
        let began = Instant::now();
        let (exit, log) = match self.launcher.start(&self.job) {
            Ok(running) => {
                self.status.send_modify(|status| {
                    status.running = true;
                    status.pid = running.pid;
                    status.next_run_unix_ms = None;
                });
                let exit = self.ended(&running).await;
                (exit, running.log.lines())
            }
            Err(error) => {
                let exit = Exit {
                    success: false,
                    description: format!("cannot be started: {error}"),
                };
                (exit, Vec::new())
            }
        };
        let run = JobRun {
            started_at_unix_ms,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            success: exit.success,
            exit: exit.description,
            log,
        };
        let (job, exit, took_ms) = (&self.job.name, &run.exit, run.took_ms);
        if run.success {
            tracing::info!(job, exit, took_ms, "job done");
        } else {
            tracing::warn!(job, exit, took_ms, "job failed");
        }
        self.status.send_modify(|status| {
            status.running = false;
            status.pid = None;
            status.runs += 1;
            status.failures += u64::from(!run.success);
            status.last = Some(run.clone());
        });
        run
    }

    async fn ended(&mut self, running: &Running) -> Exit {
        let why = tokio::select! {
            biased;
            exit = running.exited() => return exit,
            () = stopping(&mut self.stop) => "the engine stops".to_owned(),
            () = sleep(self.job.deadline) => {
                format!("not done within {} s", self.job.deadline.as_secs())
            }
        };
        let exit = running.stop(STOP_TIMEOUT).await;
        Exit {
            success: false,
            description: format!("{why}: {}", exit.description),
        }
    }
}

/// Resolves when no more jobs may run, or when the sender is gone.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn until(due: SystemTime, clock: &Clock) {
    while let Ok(left) = due.duration_since(clock())
        && !left.is_zero()
    {
        sleep(left.min(CLOCK_CHECK)).await;
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
