//! `zerocart lambda deploy`: puts onto AWS Lambda what `zerocart lambda build` left in `target/lambda`.
//!
//! It says what it will create or change, and asks. It needs AWS credentials, a region, and the role that
//! the functions run as; lambda/README.md says what the role may do and which secrets there must be.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use clap::Args as ClapArgs;
use zerocart_core::Env;

use super::{binaries, tool};
use crate::{console, exit::Exit, layout::Project};

/// The variable with the ARN of the role that the functions run as.
const ROLE: &str = "ZEROCART_ROLE";

/// The CloudFormation stack of what is beside the functions.
const STACK: &str = "zerocart";

/// `zerocart lambda deploy`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only say what would be created or changed; needs no credentials
    #[arg(long)]
    dry: bool,
    /// The functions and jobs [default: all, and the stack of what is beside them]
    names: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let project = Project::find()?;
    let all = args.names.is_empty();
    let names = match all {
        true => binaries().into_iter().map(str::to_owned).collect(),
        false => args.names,
    };
    let metadata = tool::metadata(&project).await?;
    let target = metadata.target_directory.join("lambda").into_std_path_buf();
    let zips = zips(&target, &names)?;

    console::say("This will create or update in your AWS account:");
    for (name, bytes) in &zips {
        let (settings, kilobytes) = (settings(&metadata, name), bytes / 1000);
        console::say(format_args!(
            "  Lambda function {name:<22} {settings}, {kilobytes} kB"
        ));
    }
    if all {
        console::say(format_args!(
            "  CloudFormation stack {STACK}: the HTTP API, function URLs (IAM), the schedule of jobs"
        ));
    }
    if args.dry {
        return Ok(());
    }
    let env = Env::of_process();
    let role = env.get(ROLE).with_context(|| {
        format!("{ROLE} is not set: set it to the ARN of the role that the functions run as (lambda/README.md)")
    })?;
    if !args.yes && !confirmed()? {
        return Err(Exit::new(1, "").into());
    }
    tool::installed().await?;
    for name in &names {
        // What is set by hand over there stays; what the manifest says wins.
        let mut cargo = tool::cargo_lambda(&project);
        cargo
            .args(["deploy", "--binary-name", name, "--role", role])
            .args(["--merge-env", name]);
        tool::run(&mut cargo, "`cargo lambda deploy`").await?;
    }
    if all {
        stack(&project, role).await?;
    }
    Ok(())
}

/// The size of each function's zip, in bytes.
fn zips(target: &Path, names: &[String]) -> Result<Vec<(String, u64)>> {
    let zip = |name: &String| {
        let path: PathBuf = target.join(name).join("bootstrap.zip");
        match fs::metadata(path) {
            Ok(zip) if zip.is_file() => Ok((name.clone(), zip.len())),
            _ => {
                let message = format!("{name} is not built: just lambda-build {name}");
                Err(Exit::new(Exit::NO_INPUT, message).into())
            }
        }
    };
    names.iter().map(zip).collect()
}

/// Memory and time limit of a function, from its crate's manifest, where cargo-lambda reads them.
fn settings(metadata: &Metadata, name: &str) -> String {
    let packages = metadata.packages.iter();
    let mut deploy = packages.map(|package| &package.metadata["lambda"]["bin"][name]["deploy"]);
    let Some(deploy) = deploy.find(|deploy| deploy.is_object()) else {
        return "no settings".to_owned();
    };
    let settings = ["memory", "timeout"].map(|key| format!("{key} {}", deploy[key]));
    settings.join(" ")
}

/// Asks the person. Every answer but `y` is no.
fn confirmed() -> Result<bool> {
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr();
        write!(stderr, "Go on? [y/N] ")?;
        stderr.flush()?;
    }
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim_end_matches('\n') == "y")
}

/// Makes or updates what is beside the functions, and shows the public address.
async fn stack(project: &Project, role: &str) -> Result<()> {
    let mut deploy = tool::aws(project);
    deploy
        .args(["cloudformation", "deploy", "--stack-name", STACK])
        .args(["--template-file", "lambda/template.json"])
        .arg("--parameter-overrides")
        .arg(format!("CallerRole={role}"));
    tool::run(&mut deploy, "`aws cloudformation deploy`").await?;
    let mut describe = tool::aws(project);
    describe
        .args(["cloudformation", "describe-stacks", "--stack-name", STACK])
        .args([
            "--query",
            "Stacks[0].Outputs[?OutputKey==`Url`].OutputValue",
        ])
        .args(["--output", "text"]);
    tool::run(&mut describe, "`aws cloudformation describe-stacks`").await
}
