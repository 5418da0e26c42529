//! `zerocart ps`: what each function is doing.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use axum::body::Body;
use clap::Args as ClapArgs;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use zerocart_activator::{FunctionStatus, InstanceState};

use crate::{
    console,
    layout::Data,
    status::{Engine, Functions},
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
    let data = Data::new(data, None)?;
    let Some(engine) = Engine::read(&data.engine())? else {
        bail!(
            "nothing is running from {}: start it with `cargo zerocart up`",
            data.path().display()
        );
    };
    let answer = ask(&engine).await.with_context(|| {
        format!(
            "the engine (process {}) does not answer; it may have been killed",
            engine.pid
        )
    })?;
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
    Ok(())
}

/// What a running engine tells.
///
/// # Errors
///
/// When nobody answers there in time, or somebody who is no engine.
pub(crate) async fn ask(engine: &Engine) -> Result<Functions> {
    let asked = async {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let response = client
            .get(format!("http://{}/functions", engine.status).parse()?)
            .await?;
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok(serde_json::from_slice(&body)?)
    };
    tokio::time::timeout(TIMEOUT, asked)
        .await
        .with_context(|| format!("no answer within {} s", TIMEOUT.as_secs()))?
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
