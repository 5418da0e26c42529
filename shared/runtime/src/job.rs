//! The process around a job: one run, logged once, and an exit status.

use std::{pin::Pin, process::ExitCode, time::Instant};

use serde_json::Value;
use tokio::signal::unix::SignalKind;
use tracing::Instrument;
use zerocart_core::{
    Call, Env, Error, Job, Platform, Setup, StartError,
    job::Summary,
    trace::{Kind, Trace},
};
use zerocart_proto::rpc::JobInfo;

use crate::server::{LogFormat, init_logs, on, recorder};

/// The exit status of a run that failed: `EX_TEMPFAIL` of sysexits.h, "try again later".
const FAILED: u8 = 75;

/// A run that has begun.
type Run = Pin<Box<dyn Future<Output = Result<Summary, JobError>> + Send>>;

/// A job in a list of jobs.
#[derive(Clone, Copy, Debug)]
pub struct JobEntry {
    /// Its facts.
    pub info: &'static JobInfo,
    /// Runs it once on a platform.
    pub run: fn(Platform, Env) -> Run,
}

impl JobEntry {
    /// The entry of `J`.
    pub const fn of<J: Job>() -> Self {
        Self {
            info: &J::INFO,
            run: |platform, env| Box::pin(run_once::<J>(platform, env)),
        }
    }
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It started, and failed.
    #[error("{0}")]
    Failed(#[source] Error),
    /// Its time ran out.
    #[error("not done within {} ms", .0.timeout_ms)]
    Late(&'static JobInfo),
}

impl JobError {
    /// One of few words, for the run's span.
    fn code(&self) -> &'static str {
        match self {
            Self::Start(_) => "not_started",
            Self::Failed(error) => error.kind().name(),
            Self::Late(_) => "DEADLINE_EXCEEDED",
        }
    }
}

/// Runs the job `J` once, from this process's environment: the whole of a job's `main`.
///
/// Exits 0 when the work is done, 64 for bad configuration, 75 when it failed, ran out of time or
/// was stopped by SIGTERM: the next run goes on.
pub fn run_job<J: Job>() -> ExitCode {
    let env = Env::of_process();
    let mut setup = Setup::new(env.clone(), J::INFO.name);
    // The run reports a bad value, with all other problems.
    let level = setup.or("LOG_LEVEL", tracing::Level::INFO);
    let format = setup.or("LOG_FORMAT", LogFormat::default());
    let format = format.unwrap_or_default();
    init_logs(level.unwrap_or(tracing::Level::INFO), format);
    let platform = Platform::default().with(recorder(&env, J::INFO.name, format));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(job = J::INFO.name, %error, "did not start");
            return ExitCode::from(FAILED);
        }
    };
    runtime.block_on(async {
        let mut terminate = match on(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => {
                tracing::error!(job = J::INFO.name, %error, "did not start");
                return ExitCode::from(FAILED);
            }
        };
        tokio::select! {
            result = run_once::<J>(platform, env) => match result {
                Ok(_) => ExitCode::SUCCESS,
                Err(JobError::Start(error)) => ExitCode::from(error.exit_code()),
                Err(_) => ExitCode::from(FAILED),
            },
            _ = terminate.recv() => {
                tracing::info!(job = J::INFO.name, "stopped");
                ExitCode::from(FAILED)
            }
        }
    })
}

/// One run of the job `J` on a platform, logged once.
///
/// # Errors
///
/// [`JobError`].
pub async fn run_once<J: Job>(platform: Platform, env: Env) -> Result<Summary, JobError> {
    let began = Instant::now();
    let mut cx = Call::internal(J::INFO.timeout());
    let recorder = Setup::on(platform.clone(), Env::default(), J::INFO.name).recorder();
    cx.trace = Trace::begin(&recorder, cx.trace.context());
    let mut recorded = cx.trace.root(J::INFO.name, Kind::Server);
    recorded.set("faas.trigger", "timer");
    let span = tracing::error_span!(
        "run",
        job = J::INFO.name,
        trace_id = cx.trace.trace_id(),
        span_id = cx.trace.span_id(),
    );
    let result = work::<J>(platform, env, &cx).instrument(span.clone()).await;
    let duration_ms = began.elapsed().as_secs_f64() * 1e3;
    span.in_scope(|| match &result {
        Ok(summary) => {
            let summary = Value::Object(summary.clone()).to_string();
            recorded.set("zerocart.job.summary", summary.as_str());
            tracing::info!(duration_ms, summary, "done");
        }
        Err(error) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            recorded.fail(error.code(), &error.to_string());
            tracing::error!(duration_ms, %error, cause, "failed");
        }
    });
    recorded.end();
    result
}

async fn work<J: Job>(platform: Platform, env: Env, cx: &Call) -> Result<Summary, JobError> {
    let mut setup = Setup::on(platform, env, J::INFO.name);
    let level = setup.or("LOG_LEVEL", tracing::Level::INFO);
    let format = setup.or("LOG_FORMAT", LogFormat::default());
    let job = J::build(&mut setup);
    let lasting = setup.lasting();
    let (problems, _, background, _) = setup.finish();
    let job = match (level, format, job) {
        (Ok(_), Ok(_), Ok(job)) if problems.is_empty() => job,
        _ => return Err(StartError::Config(problems).into()),
    };
    // Ended with the run.
    let mut beside = tokio::task::JoinSet::new();
    for task in background {
        beside.spawn(task);
    }
    let result = tokio::time::timeout_at(cx.deadline, job.run(cx)).await;
    lasting.end().await;
    match result {
        Ok(result) => result.map_err(JobError::Failed),
        Err(_) => Err(JobError::Late(&J::INFO)),
    }
}
