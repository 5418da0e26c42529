//! `just test-api`: tells the stories against a system that runs, over REST and over gRPC, and says
//! each thing that it checks. 0: all is so. 1: something is not. 2: it could not begin.

#![expect(
    clippy::print_stdout,
    reason = "the report is what this program is run for"
)]

use std::{process::ExitCode, str::FromStr, sync::Arc};

use clap::Parser;
use http::Uri;
use zerocart_auth::Token;
use zerocart_runtime::Env;
use zerocart_test_support::clients::Wire;
use zerocart_tests::stories::{self, Plan, Stop};

/// Where the local engine's gateway is.
const LOCAL: &str = "http://localhost:8000";

/// What a system's payment gateway is like before anybody sets it.
const FAILURE_RATE: f64 = 0.3;

/// The variable for those who do not want the token in their shell's history.
const TOKEN: &str = "ZEROCART_TOKEN";

/// Checks a system that runs: orders over REST and gRPC, from sign-up to delivery, and what goes
/// wrong with them.
///
/// It makes accounts, products and orders of its own. While it runs, the simulated payment gateway
/// neither waits nor fails; afterwards it has its delays back, and `failure_rate`.
#[derive(Parser)]
#[command(name = "just test-api", version)]
struct Cli {
    /// url=http://localhost:8000  token=<an admin's>  wire=rest|grpc  story=<names, with commas>
    /// failure_rate=0.3
    #[arg(value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
}

/// One thing that can be chosen.
#[derive(Clone, Debug)]
enum Setting {
    Url(Uri),
    Token(Token),
    Wire(Wire),
    Stories(Vec<String>),
    FailureRate(f64),
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
                _ => Err("a wire is rest or grpc".into()),
            },
            "story" => {
                let names = value.split(',').map(str::to_owned).collect();
                Ok(Self::Stories(names))
            }
            "failure_rate" => match value.parse() {
                Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(Self::FailureRate(rate)),
                _ => Err("a failure rate is a number from 0 to 1".into()),
            },
            _ => Err("there are url, token, wire, story and failure_rate".into()),
        }
    }
}

/// The plan of these settings; without a token, the URL.
fn plan(settings: Vec<Setting>, token: Option<Token>) -> Result<Plan, Uri> {
    let mut url = Uri::from_static(LOCAL);
    let (mut token, mut wires, mut only, mut failure_rate) =
        (token, Vec::new(), Vec::new(), FAILURE_RATE);
    for setting in settings {
        match setting {
            Setting::Url(chosen) => url = chosen,
            Setting::Token(chosen) => token = Some(chosen),
            Setting::Wire(chosen) => wires.push(chosen),
            Setting::Stories(chosen) => only.extend(chosen),
            Setting::FailureRate(chosen) => failure_rate = chosen,
        }
    }
    if wires.is_empty() {
        wires = stories::WIRES.to_vec();
    }
    match token {
        Some(admin) => Ok(Plan {
            url,
            admin,
            wires,
            only,
            failure_rate,
        }),
        None => Err(url),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = Cli::parse().settings;
    let token = Env::of_process().get(TOKEN).map(Token::new);
    let plan = match plan(settings, token) {
        Ok(plan) => plan,
        Err(url) => {
            let url = url.to_string();
            let url = url.trim_end_matches('/');
            eprintln!(
                "The stories need an admin's token. Log in as the first admin, whose password the \
                 engine has shown at its first start:\n\n  \
                 curl --json '{{\"email\":\"{}\",\"password\":\"…\"}}' {url}/auth/login\n\n\
                 and give the \"token\" of the answer:\n\n  \
                 just test-api url={url} token=…\n\n\
                 or in the variable {TOKEN}.",
                zerocart_user::bootstrap::EMAIL
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
    match stories::run(&plan, say, stop).await {
        Ok(told) => {
            println!(
                "\n{} stories, {} answers: all as it should be",
                told.stories, told.answers
            );
            ExitCode::SUCCESS
        }
        Err(failed @ Stop::Failed(_)) => {
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

        for wrong in ["token", "wire=smoke", "failure_rate=2", "colour=red"] {
            assert!(wrong.parse::<Setting>().is_err(), "{wrong}");
        }
        assert_eq!(super::plan(Vec::new(), None).unwrap_err(), LOCAL);
    }
}
