//! `zerocart images`, with small files in the place of the programs, and programs in the place of cargo and
//! ctr that only note how they are called.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::spawn_blocking};
use zerocart_core::Env;

/// Notes its name and arguments, a line a call. `zigbuild` fails if there is no Zig.
const PROGRAM: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $*" >>"$here/calls"
case "$*" in zigbuild*) test ! -e "$here/no-zig" ;; esac
"#;

/// `e_machine` of ELF, and the name of the processor, here and elsewhere.
const AMD64: (u8, &str, &str) = (62, "amd64", "x86_64");
const ARM64: (u8, &str, &str) = (183, "arm64", "aarch64");

struct Stage(TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(TempDir::new().unwrap());
        for program in ["cargo", "ctr"] {
            let path = stage.file(program);
            fs::write(&path, PROGRAM).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(stage.file("calls"), "").unwrap();
        stage
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts small programs for a processor into a folder.
    fn programs(&self, folder: &str, machine: u8) -> String {
        let folder = self.file(folder);
        fs::create_dir_all(&folder).unwrap();
        for name in names() {
            let mut file = vec![0; 64];
            file[..6].copy_from_slice(b"\x7fELF\x02\x01");
            file[16..20].copy_from_slice(&[2, 0, machine, 0]);
            fs::write(folder.join(name), file).unwrap();
        }
        folder.display().to_string()
    }

    fn run(&self, args: &[&str]) -> Output {
        let path = Env::of_process().get("PATH").unwrap().to_owned();
        let paths = [self.0.path().to_owned()].into_iter();
        let paths = paths.chain(std::env::split_paths(&path));
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerocart"));
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("CARGO_TARGET_DIR", self.file("target"))
            .env("DOCKER_CONFIG", self.0.path())
            .arg("images")
            .arg("--output")
            .arg(self.file("images.tar"))
            .args(args);
        command.output().unwrap()
    }
}

/// The names of everything that runs in a cluster.
fn names() -> BTreeSet<&'static str> {
    let functions = zerocart_registry::functions().map(|entry| entry.info.name);
    let jobs = zerocart_registry::jobs().map(|entry| entry.info.name);
    let edge = zerocart_registry::edge().map(|service| service.name);
    functions
        .chain(jobs)
        .chain(edge)
        .chain(["zerocart"])
        .collect()
}

fn out(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn each_program_has_an_image() {
    let stage = Stage::new();
    let folder = stage.programs("arm", 183);
    let args = ["--binaries", &folder, "--architecture", "arm64"];
    let text = out(&stage.run(&[&args[..], &["--json"]].concat()));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["archive"], json!(stage.file("images.tar")));
    let images = report["images"].as_array().unwrap();
    let of = |image: &Value, key: &str| image[key].as_str().unwrap().to_owned();
    let have: BTreeSet<_> = images.iter().map(|image| of(image, "name")).collect();
    assert_eq!(have, names().into_iter().map(str::to_owned).collect());
    for image in images {
        let reference = format!(
            "dev.local/zerocart/{}:{}",
            of(image, "name"),
            of(image, "tag")
        );
        assert_eq!(of(image, "reference"), reference);
        assert_eq!(image["architecture"], "arm64");
        // A file of 64 bytes in a tar.
        assert_eq!(image["layer_bytes"], 2048);
    }
    // For a person, with the same tags.
    let text = out(&stage.run(&[&args[..], &["--load", "ctr"]].concat()));
    for image in images {
        let line = format!("{:<20} {}", of(image, "name"), of(image, "tag"));
        assert!(text.contains(&line), "{text}");
    }
    let loaded = format!("ctr=k8s.io: {} new, 0 were there", images.len());
    assert!(text.contains(&loaded), "{text}");
    let calls = fs::read_to_string(stage.file("calls")).unwrap();
    assert!(
        calls.contains("ctr --namespace k8s.io images import /"),
        "{calls}"
    );
}

#[test]
fn programs_for_other_nodes_are_built_with_zig() {
    let host = if cfg!(target_arch = "x86_64") {
        AMD64
    } else {
        ARM64
    };
    let (machine, name, rust) = if host == AMD64 { ARM64 } else { AMD64 };
    let stage = Stage::new();
    let target = format!("{rust}-unknown-linux-musl");
    stage.programs(&format!("target/{target}/dist"), machine);
    out(&stage.run(&["--architecture", name]));
    let calls = fs::read_to_string(stage.file("calls")).unwrap();
    let build =
        format!("\ncargo zigbuild --quiet --profile dist --target {target} --package zerocart ");
    assert!(calls.contains(&build), "{calls}");
    for name in names() {
        assert!(calls.contains(&format!(" --bin {name}")), "{calls}");
    }

    fs::write(stage.file("no-zig"), "").unwrap();
    let error = error(&stage.run(&["--architecture", name]));
    assert!(error.contains("`pip install cargo-zigbuild`"), "{error}");
    // What was built before needs no Zig.
    out(&stage.run(&["--architecture", name, "--no-build"]));
}

#[test]
fn a_bad_program_or_option_is_named_with_its_cure() {
    let stage = Stage::new();
    let folder = stage.programs("amd", 62);
    let of = |args: &[&str]| {
        let amd64 = ["--binaries", &folder, "--architecture", "amd64"];
        error(&stage.run(&[&amd64, args].concat()))
    };
    fs::remove_file(stage.file("amd/get-cart")).unwrap();
    let text = of(&[]);
    assert!(
        text.contains("there is no program") && text.contains("/amd/get-cart"),
        "{text}"
    );
    assert!(text.contains("cure: build it first"), "{text}");
    for (args, why) in [
        (["--load", "kind"], "name the cluster, as in kind=zerocart"),
        (["--push", "ada/shop"], "as in docker.io/ada/shop"),
        (["--repository", "https://dev.local"], "without https://"),
    ] {
        let text = of(&args);
        assert!(text.contains(args[0]) && text.contains(why), "{text}");
    }
    let text = error(&stage.run(&["--architecture", "riscv64"]));
    assert!(
        text.contains("`riscv64` is no architecture of images"),
        "{text}"
    );
}

/// A registry that gives a token to ada alone, and notes what is put with the token.
#[derive(Clone, Default)]
struct Registry {
    realm: String,
    put: Arc<Mutex<Vec<String>>>,
}

async fn registry(State(registry): State<Registry>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap());
    if path == "/token" {
        return match authorization {
            Some(ada) if ada == basic("ada:secret") => r#"{"token":"of-ada"}"#.into_response(),
            _ => (StatusCode::UNAUTHORIZED, "who?").into_response(),
        };
    }
    if authorization != Some("Bearer of-ada") {
        let challenge = format!(r#"Bearer realm="{}/token",service="shop""#, registry.realm);
        let challenge = [(header::WWW_AUTHENTICATE, challenge)];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let there = [(header::LOCATION, "/v2/upload")];
    match *request.method() {
        Method::POST => (StatusCode::ACCEPTED, there).into_response(),
        Method::PUT => {
            registry.put.lock().unwrap().push(path);
            (StatusCode::CREATED, there).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test]
async fn a_push_signs_in_as_docker_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = Registry {
        realm: format!("http://{address}"),
        ..Registry::default()
    };
    let router = Router::new().fallback(registry).with_state(state.clone());
    tokio::spawn(async { axum::serve(listener, router).await });

    let stage = Arc::new(Stage::new());
    let folder = stage.programs("amd", 62);
    let push = async || {
        let (stage, folder) = (stage.clone(), folder.clone());
        let repository = format!("{address}/shop");
        let args = move || {
            let amd64 = ["--binaries", &folder, "--architecture", "amd64"];
            stage.run(&[&amd64[..], &["--push", &repository]].concat())
        };
        spawn_blocking(args).await.unwrap()
    };
    let text = error(&push().await);
    assert!(text.contains("does not accept our credentials"), "{text}");
    assert!(
        text.contains(&format!("cure: sign in: `docker login {address}`")),
        "{text}"
    );

    let config = json!({"auths": {address.to_string(): {"auth": "YWRhOnNlY3JldA=="}}});
    fs::write(stage.file("config.json"), config.to_string()).unwrap();
    let text = out(&push().await);
    let count = names().len();
    assert!(
        text.contains(&format!("{address}/shop: {count} new, 0 were there")),
        "{text}"
    );
    {
        let put = state.put.lock().unwrap();
        let manifests = put.iter().filter(|path| path.contains("/manifests/"));
        assert_eq!(manifests.count(), count);
    }

    // A credential helper that fails is not passed over.
    let config = json!({"credHelpers": {address.to_string(): "none-of-ours"}});
    fs::write(stage.file("config.json"), config.to_string()).unwrap();
    let text = error(&push().await);
    assert!(
        text.contains("cannot read the credentials of 127.0.0.1"),
        "{text}"
    );
}

/// Credentials as a header has them (RFC 7617).
fn basic(credentials: &str) -> String {
    use base64::Engine as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(credentials);
    format!("Basic {coded}")
}
