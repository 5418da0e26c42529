//! `zerocart lambda build|deploy|secrets|invoke`, with programs in the place of cargo-lambda and the AWS
//! CLI that only note how they are called.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use zerocart_core::Env;

/// The ARN of a role that nobody has.
const ROLE: &str = "arn:aws:iam::123456789012:role/functions";

/// Notes its name and arguments, a line a call, and what create-secret is given on standard input.
/// Secrets in `known` are there; what `fails` names fails with status 7.
const PROGRAM: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $*" >>"$here/calls"
case "$*" in
    *describe-secret*) grep -qx "$4" "$here/known" ;;
    *create-secret*) cat >>"$here/input"; echo >>"$here/input"; echo '{"ARN": "secret"}' ;;
    *describe-stacks*) echo https://shop.example ;;
esac
status=$?
for name in $(cat "$here/fails"); do
    case "$*" in *"$name"*) exit 7 ;; esac
done
exit $status
"#;

/// A folder with the programs, the data and the zips of one test.
struct Stage(TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(TempDir::new().unwrap());
        for program in ["aws", "cargo-lambda"] {
            let path = stage.file(program);
            fs::write(&path, PROGRAM).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for file in ["calls", "known", "input", "fails"] {
            fs::write(stage.file(file), "").unwrap();
        }
        stage
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// The calls of programs, but for the question whether cargo-lambda is there.
    fn calls(&self) -> Vec<String> {
        let calls = self.read("calls");
        let calls = calls.lines().filter(|call| !call.ends_with("lambda help"));
        calls.map(str::to_owned).collect()
    }

    /// Has this function be built, with a zip of so many bytes.
    fn built(&self, name: &str, bytes: usize) {
        let folder = self.file("target/lambda").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("bootstrap.zip"), vec![0; bytes]).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let path = Env::of_process().get("PATH").unwrap().to_owned();
        let paths = [self.0.path().to_owned()].into_iter();
        let paths = paths.chain(std::env::split_paths(&path));
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerocart"));
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("CARGO_TARGET_DIR", self.file("target"))
            .env_remove("ZEROCART_ROLE")
            .arg("--data")
            .arg(self.file("data"))
            .arg("lambda")
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran(self.command(args).output().unwrap())
    }

    /// With a role, and this answer to the question.
    fn deploy(&self, args: &[&str], answer: &str) -> Ran {
        let mut command = self.command(&[&["deploy"], args].concat());
        command
            .env("ZEROCART_ROLE", ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(answer.as_bytes()).unwrap();
        drop(stdin);
        Ran(child.wait_with_output().unwrap())
    }
}

/// How a command ended.
struct Ran(Output);

impl Ran {
    fn status(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

/// The names of everything that is deployed.
fn everything() -> Vec<&'static str> {
    let functions = zerocart_registry::functions().filter(|entry| !entry.info.reads_fleet);
    let functions = functions.map(|entry| entry.info.name);
    let jobs = zerocart_registry::jobs().map(|entry| entry.info.name);
    functions.chain(jobs).collect()
}

#[test]
fn build_names_the_binaries_that_cargo_lambda_zips() {
    let stage = Stage::new();
    let common = "cargo-lambda lambda build --release --compiler cargo --features \
                  zerocart-main/lambda --output-format zip";
    assert_eq!(stage.run(&["build", "list-products"]).status(), Some(0));
    assert_eq!(stage.calls(), [format!("{common} --bin list-products")]);

    assert_eq!(stage.run(&["build"]).status(), Some(0));
    let bins = everything()
        .into_iter()
        .map(|name| format!(" --bin {name}"));
    assert_eq!(
        stage.calls()[1],
        format!("{common}{}", bins.collect::<String>())
    );
}

#[test]
fn build_refuses_a_function_that_is_not_there() {
    let stage = Stage::new();
    let ran = stage.run(&["build", "list-products", "list-wishes"]);
    assert_eq!(ran.status(), Some(64));
    assert_eq!(ran.err(), "zerocart: there is no function list-wishes\n");
    assert_eq!(stage.calls(), [""; 0]);
}

#[test]
fn the_status_of_a_program_that_fails_is_passed_on() {
    let stage = Stage::new();
    fs::write(stage.file("fails"), "build").unwrap();
    let ran = stage.run(&["build", "list-products"]);
    assert_eq!(ran.status(), Some(7), "{}", ran.err());
}

#[test]
fn a_dry_run_says_what_it_would_create_and_needs_no_role() {
    let stage = Stage::new();
    stage.built("add-to-cart", 2_500_999);
    stage.built("authenticate-user", 999);
    let ran = stage.run(&["deploy", "--dry", "add-to-cart", "authenticate-user"]);
    assert_eq!(ran.status(), Some(0), "{}", ran.err());
    assert_eq!(
        ran.out(),
        "This will create or update in your AWS account:\n  \
         Lambda function add-to-cart            memory 128 timeout 11, 2500 kB\n  \
         Lambda function authenticate-user      memory 512 timeout 6, 0 kB\n"
    );
    assert_eq!(stage.calls(), [""; 0]);
}

#[test]
fn what_is_not_built_is_not_deployed() {
    let stage = Stage::new();
    stage.built("add-to-cart", 1);
    let ran = stage.deploy(&["--yes", "add-to-cart", "get-cart"], "");
    assert_eq!(ran.status(), Some(66));
    assert_eq!(
        ran.err(),
        "zerocart: get-cart is not built: just lambda-build get-cart\n"
    );
    assert_eq!(ran.out(), "");
    assert_eq!(stage.calls(), [""; 0]);
}

#[test]
fn deploying_needs_a_role_and_a_yes() {
    let stage = Stage::new();
    stage.built("get-cart", 1);
    let ran = stage.run(&["deploy", "--yes", "get-cart"]);
    assert_eq!(ran.status(), Some(1));
    assert!(ran.err().contains("ZEROCART_ROLE"), "{}", ran.err());
    for answer in ["", "n\n", "yes\n"] {
        let ran = stage.deploy(&["get-cart"], answer);
        assert_eq!((ran.status(), ran.err()), (Some(1), String::new()));
    }
    assert_eq!(stage.calls(), [""; 0]);

    let ran = stage.deploy(&["get-cart"], "y\n");
    assert_eq!(ran.status(), Some(0), "{}", ran.err());
    let deployed = format!(
        "cargo-lambda lambda deploy --binary-name get-cart --role {ROLE} --merge-env get-cart"
    );
    assert_eq!(stage.calls(), [deployed]);
}

#[test]
fn deploying_everything_makes_the_stack() {
    let stage = Stage::new();
    for name in everything() {
        stage.built(name, 1);
    }
    let ran = stage.deploy(&["--yes"], "");
    assert_eq!(ran.status(), Some(0), "{}", ran.err());
    assert!(ran.out().contains("\n  CloudFormation stack zerocart: "));
    assert!(ran.out().ends_with("\nhttps://shop.example\n"));
    let calls = stage.calls();
    assert_eq!(calls.len(), everything().len() + 2);
    assert_eq!(
        calls[calls.len() - 2],
        format!(
            "aws cloudformation deploy --stack-name zerocart --template-file lambda/template.json \
             --parameter-overrides CallerRole={ROLE}"
        )
    );
}

#[test]
fn secrets_that_are_missing_are_made_through_a_pipe() {
    let stage = Stage::new();
    fs::write(stage.file("known"), "zerocart/auth\n").unwrap();
    let url = "postgres://u:p@h/cart";
    let mut command = stage.command(&["secrets"]);
    let ran = Ran(command.env("DATABASE_URL_CART", url).output().unwrap());
    assert_eq!(ran.status(), Some(0), "{}", ran.err());
    assert_eq!(
        ran.out(),
        "zerocart/auth is there\n\
         zerocart/user-signing-key is made\n\
         zerocart/service-signing-key is made\n\
         zerocart/cart is made\n"
    );
    let input = stage.read("input");
    let made: Vec<Value> = input
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = made.iter().map(|secret| secret["Name"].as_str()).collect();
    assert_eq!(
        names,
        [
            Some("zerocart/user-signing-key"),
            Some("zerocart/service-signing-key"),
            Some("zerocart/cart")
        ]
    );
    let value: Value = serde_json::from_str(made[2]["SecretString"].as_str().unwrap()).unwrap();
    assert_eq!(value["database_url"], url);
    // Arguments can be read by everybody on a machine.
    let calls = stage.read("calls");
    for secret in &made {
        let value = secret["SecretString"].as_str().unwrap();
        assert!(!calls.contains(value), "{calls}");
    }
    assert!(calls.contains("create-secret --cli-input-json file:///dev/stdin"));
}

#[test]
fn a_secret_that_cannot_be_made_is_a_failure() {
    let stage = Stage::new();
    fs::write(stage.file("fails"), "create-secret").unwrap();
    let ran = stage.run(&["secrets"]);
    assert_eq!((ran.status(), ran.out()), (Some(7), String::new()));
}

#[test]
fn an_event_goes_to_the_local_lambda() {
    let stage = Stage::new();
    let ran = stage.run(&["invoke", "recover-orders"]);
    assert_eq!(ran.status(), Some(0), "{}", ran.err());
    assert_eq!(
        stage.calls(),
        [
            "cargo-lambda lambda invoke recover-orders --data-ascii {} --invoke-address 127.0.0.1 \
          --invoke-port 9000"
        ]
    );
}
