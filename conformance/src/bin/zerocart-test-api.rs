//! `just test-api`: tells the stories against a system that runs, over REST and over gRPC, and says
//! each thing that it checks. 0: all is so. 1: something is not. 2: it could not begin.

#![expect(
    clippy::print_stdout,
    reason = "the report is what this program is run for"
)]

use std::{net::IpAddr, path::PathBuf, process::ExitCode, str::FromStr, sync::Arc};

use clap::Parser;
use http::Uri;
use zerocart_auth::Token;
use zerocart_conformance::{self as conformance, Edge, FIRST_ADMIN, Plan, Stop, edge, shop};
use zerocart_core::Env;
use zerocart_wires::Wire;

/// Where the local engine's gateway is.
const LOCAL: &str = "http://localhost:8000";

/// The variable for those who do not want the token in their shell's history.
const TOKEN: &str = "ZEROCART_TOKEN";

/// Checks a system that runs: every RPC, good and bad, over REST and gRPC, and orders from sign-up to
/// delivery.
///
/// A system on Lambda has no Kong in front of its functions, and speaks gRPC-Web instead of gRPC: say
/// edge=functions.
///
/// Kong limits the requests of each address; this waits when it says so. On one machine it can call
/// from several addresses instead: from=127.0.1.1,127.0.1.2.
///
/// It makes accounts, products and orders of its own. While it runs, the simulated payment provider
/// neither waits nor fails; afterwards it has its delays back, and `failure_rate`.
#[derive(Parser)]
#[command(name = "just test-api", version)]
struct Cli {
    /// url=http://localhost:8000  token=<an admin's>  edge=kong|functions|lambda-watch
    /// wire=rest|grpc|grpc-web  story=<names, with commas>  from=<addresses, with commas>
    /// failure_rate=0.3  transcript=<a file for every answer, to compare two systems with diff>
    #[arg(value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
}

/// One thing that can be chosen.
#[derive(Clone, Debug)]
enum Setting {
    Url(Uri),
    Token(Token),
    Edge(Edge),
    Wire(Wire),
    Sources(Vec<IpAddr>),
    Stories(Vec<String>),
    FailureRate(f64),
    Transcript(PathBuf),
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("it is not name=value")?;
        match name {
            "url" => value.parse().map(Self::Url).map_err(|e| e.to_string()),
            "token" => Ok(Self::Token(Token::new(value))),
            "wire" => match value {
                "rest" => Ok(Self::Wire(Wire::Http1)),
                "grpc" => Ok(Self::Wire(Wire::Grpc)),
                "grpc-web" => Ok(Self::Wire(Wire::GrpcWeb)),
                _ => Err("a wire is rest, grpc or grpc-web".into()),
            },
            "edge" => {
                let mut edges = edge::ALL.into_iter();
                let edge = edges.find(|edge| edge.name == value);
                edge.map(Self::Edge).ok_or_else(|| {
                    "an edge is kong, or functions where there is none in front of them".into()
                })
            }
            "from" => {
                let sources = value.split(',').map(str::parse);
                let sources: Result<_, std::net::AddrParseError> = sources.collect();
                sources.map(Self::Sources).map_err(|e| e.to_string())
            }
            "story" => {
                let names = value.split(',').map(str::to_owned).collect();
                Ok(Self::Stories(names))
            }
            "failure_rate" => match value.parse() {
                Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(Self::FailureRate(rate)),
                _ => Err("a failure rate is a number from 0 to 1".into()),
            },
            "transcript" => Ok(Self::Transcript(value.into())),
            _ => Err(
                "there are url, token, edge, wire, story, from, failure_rate and transcript".into(),
            ),
        }
    }
}

/// Why there is no plan.
#[derive(Debug)]
enum NoPlan {
    /// Nobody has given a token for this URL.
    NoToken(Uri),
    /// The edge cannot be called by this wire.
    NoWire(Edge, Wire),
}

/// The plan of these settings.
fn plan(settings: Vec<Setting>, token: Option<Token>) -> Result<Plan, NoPlan> {
    let mut plan = Plan::new(Uri::from_static(LOCAL), Token::new(""), edge::KONG);
    let (mut token, mut wires) = (token, Vec::new());
    for setting in settings {
        match setting {
            Setting::Url(chosen) => plan.url = chosen,
            Setting::Token(chosen) => token = Some(chosen),
            Setting::Edge(chosen) => plan.edge = chosen,
            Setting::Wire(chosen) => wires.push(chosen),
            Setting::Sources(chosen) => plan.sources.extend(chosen),
            Setting::Stories(chosen) => plan.only.extend(chosen),
            Setting::FailureRate(chosen) => plan.failure_rate = chosen,
            // What is kept of a run is no part of its plan.
            Setting::Transcript(_) => {}
        }
    }
    let known = plan.edge.wires;
    if let Some(wire) = wires.iter().find(|wire| !known.contains(wire)) {
        return Err(NoPlan::NoWire(plan.edge, *wire));
    }
    plan.wires = match wires.is_empty() {
        true => known.to_vec(),
        false => wires,
    };
    plan.admin = token.ok_or_else(|| NoPlan::NoToken(plan.url.clone()))?;
    Ok(plan)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = Cli::parse().settings;
    let token = Env::of_process().get(TOKEN).map(Token::new);
    let transcript = settings.iter().find_map(|setting| match setting {
        Setting::Transcript(file) => Some(file.clone()),
        _ => None,
    });
    let plan = match plan(settings, token) {
        Ok(plan) => plan,
        Err(NoPlan::NoWire(edge, wire)) => {
            let known: Vec<_> = edge.wires.iter().map(|wire| shop::name(*wire)).collect();
            eprintln!(
                "There is no {} with edge={edge}, but {}.",
                shop::name(wire),
                known.join(" and ")
            );
            return ExitCode::from(2);
        }
        Err(NoPlan::NoToken(url)) => {
            let url = url.to_string();
            let url = url.trim_end_matches('/');
            eprintln!(
                "The stories need an admin's token. Log in as the first admin, whose password the \
                 engine has shown at its first start:\n\n  \
                 curl --json '{{\"email\":\"{FIRST_ADMIN}\",\"password\":\"…\"}}' {url}/auth/login\n\n\
                 and give the \"token\" of the answer:\n\n  \
                 just test-api url={url} token=…\n\n\
                 or in the variable {TOKEN}."
            );
            return ExitCode::from(2);
        }
    };
    let stop = async {
        // Without a handler for it, Ctrl-C ends this at once.
        let _ = tokio::signal::ctrl_c().await;
    };
    println!("{}", plan.url);
    let say = Arc::new(|line: &str| println!("{line}"));
    match conformance::run(&plan, say, stop).await {
        Ok(told) => {
            if let Some(file) = &transcript
                && let Err(error) = std::fs::write(file, told.transcript.to_lines())
            {
                eprintln!("{} cannot be written: {error}", file.display());
                return ExitCode::from(2);
            }
            println!(
                "\n{} stories, {} answers: all as it should be",
                told.stories, told.answers
            );
            ExitCode::SUCCESS
        }
        Err(failed @ (Stop::Failed(_) | Stop::Untold(_))) => {
            println!("\n{failed}");
            ExitCode::FAILURE
        }
        Err(stop) => {
            eprintln!("\n{stop}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_names_with_values() {
        let parse = |text: &[&str]| text.iter().map(|text| text.parse()).collect();
        let settings: Result<Vec<Setting>, _> = parse(&[
            "url=https://shop.example/base",
            "token=a=b",
            "wire=grpc",
            "story=order,retry",
            "failure_rate=0",
        ]);
        let plan = plan(settings.unwrap(), None).unwrap();
        assert_eq!(plan.url, "https://shop.example/base");
        assert_eq!(plan.admin, Token::new("a=b"));
        assert_eq!(plan.wires, [Wire::Grpc]);
        assert_eq!(plan.only, ["order", "retry"]);
        assert_eq!(plan.failure_rate, 0.0);

        for wrong in [
            "token",
            "wire=smoke",
            "edge=cliff",
            "from=here",
            "failure_rate=2",
            "colour=red",
        ] {
            assert!(wrong.parse::<Setting>().is_err(), "{wrong}");
        }
        let no_token = super::plan(Vec::new(), None).unwrap_err();
        assert!(matches!(no_token, NoPlan::NoToken(url) if url == LOCAL));
    }

    #[test]
    fn an_edge_has_wires_of_its_own() {
        let plan = |text: &[&str]| {
            let settings = text.iter().map(|text| text.parse().unwrap());
            plan(settings.collect(), Some(Token::new("a")))
        };
        let local = plan(&["from=127.0.1.1,127.0.1.2"]).unwrap();
        assert_eq!(local.wires, [Wire::Http1, Wire::Grpc]);
        assert_eq!(local.sources.len(), 2);
        let lambda = plan(&["edge=functions"]).unwrap();
        assert_eq!(lambda.wires, [Wire::Http1, Wire::GrpcWeb]);
        let none = plan(&["edge=functions", "wire=grpc"]).unwrap_err();
        assert!(matches!(none, NoPlan::NoWire(edge::FUNCTIONS, Wire::Grpc)));
    }
}
