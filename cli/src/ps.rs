//! `zerocart ps`: what each function and job is doing; and how a running engine is asked.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use axum::body::Body;
use clap::Args as ClapArgs;
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::de::DeserializeOwned;
use zerocart_activator::{FunctionStatus, InstanceState, JobStatus};

use crate::{
    console,
    layout::Data,
    status::{Engine, Status},
};

/// `zerocart ps`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// How long a running engine may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    let engine = running(data)?;
    let answer = ask(&engine).await.with_context(|| silent(&engine))?;
    if args.json {
        console::say(serde_json::to_string(&answer)?);
        return Ok(());
    }
    console::say(format_args!(
        "{:<20} {:>9} {:>9} {:>9} {:>11} {:>7}  processes",
        "function", "instances", "requests", "cold", "last start", "crashes"
    ));
    for function in &answer.functions {
        console::say(line(function));
    }
    if !answer.jobs.is_empty() {
        console::say(format_args!(
            "\n{:<20} {:>12} {:>6} {:>8} {:>9} {:>9}  last exit",
            "job", "schedule", "runs", "failures", "last run", "next run"
        ));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    for job in &answer.jobs {
        console::say(job_line(job, now));
    }
    Ok(())
}

/// The engine that runs from this data folder, as it says in it.
pub(crate) fn running(data: Option<PathBuf>) -> Result<Engine> {
    let data = Data::new(data, None)?;
    match Engine::read(&data.engine())? {
        Some(engine) => Ok(engine),
        None => bail!(
            "nothing is running from {}: start it with `cargo zerocart up`",
            data.path().display()
        ),
    }
}

/// The engine that runs from this data folder, and that answers.
pub(crate) async fn reached(data: Option<PathBuf>) -> Result<Engine> {
    let engine = running(data)?;
    // Whether it answers at all is known soon, and told apart from an answer that is an error.
    ask(&engine).await.with_context(|| silent(&engine))?;
    Ok(engine)
}

/// What to say when an engine that should run does not answer.
pub(crate) fn silent(engine: &Engine) -> String {
    let pid = engine.pid;
    format!("the engine (process {pid}) does not answer; it may have been killed")
}

/// What a running engine tells.
///
/// # Errors
///
/// When nobody answers there in time, or somebody who is no engine.
pub(crate) async fn ask(engine: &Engine) -> Result<Status> {
    send(engine, Method::GET, "/status", TIMEOUT).await
}

/// Sends a request to a running engine.
///
/// # Errors
///
/// When nobody answers there within `limit`, or not with what was asked for.
pub(crate) async fn send<T: DeserializeOwned>(
    engine: &Engine,
    method: Method,
    path: &str,
    limit: Duration,
) -> Result<T> {
    let asked = async {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", engine.status))
            .body(Body::empty())?;
        let response = client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{}", serde_json::from_slice::<String>(&body)?);
        }
        anyhow::Ok(serde_json::from_slice(&body)?)
    };
    tokio::time::timeout(limit, asked)
        .await
        .with_context(|| format!("no answer within {} s", limit.as_secs()))?
}

fn line(function: &FunctionStatus) -> String {
    let ready = function
        .instances
        .iter()
        .filter(|i| i.state == InstanceState::Ready)
        .count();
    let processes: Vec<_> = function
        .instances
        .iter()
        .map(|instance| {
            let pid = instance
                .pid
                .map_or_else(|| "in-process".to_owned(), |pid| pid.to_string());
            match instance.state {
                InstanceState::Ready => pid,
                InstanceState::Starting => format!("{pid} (starting)"),
                InstanceState::Stopping => format!("{pid} (stopping)"),
            }
        })
        .collect();
    let last_start = function
        .last_start_ms
        .map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    format!(
        "{:<20} {:>9} {:>9} {:>9} {:>11} {:>7}  {}",
        function.name,
        ready,
        function.requests,
        function.cold_starts,
        last_start,
        function.crashes,
        processes.join(" ")
    )
}

fn job_line(job: &JobStatus, now: Duration) -> String {
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let last = job.last.as_ref().map_or_else(
        || "-".to_owned(),
        |last| {
            let ago_ms = now_ms.saturating_sub(last.started_at_unix_ms);
            format!("{} s ago", ago_ms / 1000)
        },
    );
    let next = match (job.running, job.next_run_unix_ms) {
        (true, _) => "now".to_owned(),
        (false, Some(next)) => format!("in {} s", next.saturating_sub(now_ms).div_ceil(1000)),
        (false, None) => "-".to_owned(),
    };
    format!(
        "{:<20} {:>12} {:>6} {:>8} {:>9} {:>9}  {}",
        job.name,
        job.schedule,
        job.runs,
        job.failures,
        last,
        next,
        job.last.as_ref().map_or("-", |last| last.exit.as_str()),
    )
}
