//! Makes faults happen, at their times.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    faults::{Fault, Kind},
    own::Own,
    stage::Stage,
};

/// A fault that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) fault: Fault,
    /// Seconds after the load has begun, measured.
    pub(crate) began_s: f64,
    /// When the system was as before again: after a stop of the database, when it answered.
    pub(crate) ended_s: f64,
    /// How many processes got a signal.
    pub(crate) processes: usize,
}

/// The system that faults happen to.
pub(crate) struct Target {
    pub(crate) stage: Arc<Stage>,
    /// None for a system that this program has not started.
    pub(crate) own: Option<Own>,
}

impl Target {
    fn own(&self) -> Result<&Own> {
        let own = self.own.as_ref();
        own.context("only an engine of this program's own can be disturbed so")
    }

    /// Makes all faults happen, each at its time after `start`; those that have not begun at `stop` do not happen.
    ///
    /// # Errors
    ///
    /// When one cannot: with its name.
    pub(crate) async fn disturb(
        &self,
        faults: &[Fault],
        start: Instant,
        stop: &watch::Receiver<bool>,
    ) -> Result<Vec<Happened>> {
        let all = faults.iter().map(|fault| async {
            let mut stop = stop.clone();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
                () = sleep_until(after(start, fault.at_s)) => {}
            }
            let happened = Box::pin(self.happen(fault, start, &mut stop)).await;
            let happened = happened.with_context(|| format!("the fault {:?}", fault.name));
            happened.map(Some)
        });
        let happened = futures_util::future::try_join_all(all).await?;
        Ok(happened.into_iter().flatten().collect())
    }

    async fn happen(
        &self,
        fault: &Fault,
        start: Instant,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Happened> {
        let began_s = start.elapsed().as_secs_f64();
        eprintln!("{began_s:>5.1} s: {}", fault.name);
        let end = after(start, fault.end_s());
        let mut processes = Vec::new();
        match &fault.what {
            Kind::Payment { .. } => self.stage.provider(&fault.what).await?,
            Kind::Latency { delay_ms } => {
                let delay = Duration::from_millis(delay_ms.unsigned_abs().into());
                self.stage.network.set_delay(delay);
            }
            Kind::Errors { share } => self.stage.network.set_lost(*share),
            Kind::SlowCommits { delay_ms } => self.own()?.commit_delay(*delay_ms).await?,
            Kind::RefusedSessions { domain } => {
                self.own()?.allow_sessions(domain, false).await?;
            }
            Kind::Pause { functions } => {
                processes = self.own()?.processes(functions).await?;
                signal(&processes, Signal::STOP);
            }
            Kind::Kill { functions, every_s } => {
                processes = self.kill(functions, *every_s, end, stop).await?;
            }
            Kind::DatabaseStop { crash } => self.own()?.stop_database(*crash).await?,
        }
        if fault.for_s > 0.0 {
            until(end, stop).await;
        }
        match &fault.what {
            Kind::Payment { .. } => self.stage.heal_provider().await?,
            Kind::Latency { .. } => self.stage.network.set_delay(Duration::ZERO),
            Kind::Errors { .. } => self.stage.network.set_lost(0.0),
            Kind::SlowCommits { .. } => self.own()?.commit_delay(0).await?,
            Kind::RefusedSessions { domain } => self.own()?.allow_sessions(domain, true).await?,
            Kind::Pause { .. } => signal(&processes, Signal::CONT),
            Kind::Kill { .. } => {}
            Kind::DatabaseStop { .. } => self.own()?.start_database().await?,
        }
        Ok(Happened {
            fault: fault.clone(),
            began_s,
            ended_s: start.elapsed().as_secs_f64(),
            processes: processes.len(),
        })
    }

    /// Kills the processes of functions, once or again and again; gives all that were killed.
    async fn kill(
        &self,
        functions: &[String],
        every_s: Option<f64>,
        end: Instant,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Vec<Pid>> {
        let mut killed = Vec::new();
        let mut next = Instant::now();
        loop {
            let processes = self.own()?.processes(functions).await?;
            signal(&processes, Signal::KILL);
            killed.extend(processes);
            let Some(every) = every_s else {
                return Ok(killed);
            };
            next = after(next, every);
            if next >= end || until(next, stop).await {
                return Ok(killed);
            }
        }
    }
}

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

/// Waits until `end`, or until somebody asks to stop: then it says so.
async fn until(end: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => true,
        () = sleep_until(end) => false,
    }
}

/// Sends a signal. A process that has ended meanwhile needs none.
fn signal(processes: &[Pid], signal: Signal) {
    for pid in processes {
        let _ = kill_process(*pid, signal);
    }
}
