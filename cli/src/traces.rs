//! `zerocart traces`: the newest traces of the engine that runs, a line for each.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Args as ClapArgs, builder::PossibleValuesParser};
use http::Method;
use serde_json::value::RawValue;
use zerocart_collector::{Filter, Summary};

use crate::{console, domains, ps};

/// `zerocart traces`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Those that took this long at least, in milliseconds
    #[arg(long, value_name = "MS", num_args = 0..=1, default_missing_value = "100")]
    slow: Option<u64>,
    /// Those in which something failed
    #[arg(long)]
    errors: bool,
    /// Those in which a function had to start
    #[arg(long)]
    cold: bool,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Those that this function, job or part of the engine took part in
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    function: Option<String>,
    /// All their spans, as OTLP JSON
    #[arg(long)]
    json: bool,
}

/// The parts of the engine that write spans.
const PARTS: [&str; 2] = ["gateway", "activator"];

fn names() -> Vec<&'static str> {
    domains::programs().chain(PARTS).collect()
}

/// How long a running engine may take to look through its traces.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    let engine = ps::reached(data).await?;
    let filter = Filter {
        slow_ms: args.slow,
        errors: args.errors,
        cold: args.cold,
        function: args.function,
        limit: args.limit,
    };
    if args.json {
        let path = format!("/traces.json?{filter}");
        let document: Box<RawValue> = ps::send(&engine, Method::GET, &path, TIMEOUT).await?;
        console::say(document.get());
        return Ok(());
    }
    let path = format!("/traces?{filter}");
    let traces: Vec<Summary> = ps::send(&engine, Method::GET, &path, TIMEOUT).await?;
    if traces.is_empty() {
        console::aside("there is no such trace; the engine keeps the newest ones");
        return Ok(());
    }
    console::say(format_args!(
        "{:<12}  {:<32}  {:>10}  {:>5}  {:<19} {:<5} {:<28} functions",
        "time (UTC)", "trace", "duration", "spans", "code", "", "root"
    ));
    for trace in &traces {
        console::say(line(trace));
    }
    Ok(())
}

fn line(trace: &Summary) -> String {
    let marks = match (trace.cold, trace.failed) {
        (true, true) => "cold!",
        (true, false) => "cold",
        (false, true) => "!",
        (false, false) => "",
    };
    format!(
        "{:<12}  {:<32}  {:>7.1} ms  {:>5}  {:<19} {:<5} {:<28} {}",
        time_of_day(trace.started_at_unix_ms),
        trace.trace_id,
        trace.duration_ms,
        trace.spans,
        trace.code,
        marks,
        trace.root,
        trace.functions.join(" "),
    )
}

/// The time of day in UTC: `04:05:06.789`.
pub(crate) fn time_of_day(unix_ms: u64) -> String {
    let of_day = unix_ms % (24 * 3600 * 1000);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{ms:03}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_the_day() {
        assert_eq!(time_of_day(0), "00:00:00.000");
        assert_eq!(time_of_day(1_700_000_000_123), "22:13:20.123");
    }
}
