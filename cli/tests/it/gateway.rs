//! `zerocart gateway`, with the documents that a deployment gives to Kong.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The command, away from the project and with nothing in its environment.
fn zerocart(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerocart"));
    command.current_dir(folder).env_clear();
    command
}

fn output(folder: &Path, args: &[&str]) -> String {
    let output = zerocart(folder).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// A gateway that runs, and where.
struct Running {
    child: Child,
    address: String,
    status: String,
}

impl Running {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = zerocart(folder)
            .args(["gateway", "--address", "127.0.0.1", "--port", "0"])
            .args(["--status-port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        log.read_line(&mut line).unwrap();
        // Nobody reads the rest, and it must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "serving", "{line}");
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        Self {
            child,
            address: text("address"),
            status: text("status"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The status and the body of the answer.
fn get(address: &str, path: &str, headers: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer["HTTP/1.1 ".len()..][..3].parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn the_gateway_serves_what_kong_gets() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let kong = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kong/kong.yml");
    let kong = fs::read_to_string(kong).unwrap();
    let consumers = output(folder.path(), &["--data", "data", "keys", "export", "kong"]);
    let openapi = output(folder.path(), &["openapi", "--kong"]);
    let kid = yaml(&consumers)["consumers"][0]["jwt_secrets"][0]["key"].clone();

    // One document in JSON, and the files as they are.
    let mut merged = yaml(&kong);
    let plugins = yaml(&openapi)["plugins"].as_array().unwrap().clone();
    merged["plugins"].as_array_mut().unwrap().extend(plugins);
    merged["consumers"] = yaml(&consumers)["consumers"].clone();
    fs::write(file("merged.json"), merged.to_string()).unwrap();
    fs::write(file("kong.yml"), &kong).unwrap();
    fs::write(file("consumers.yml"), &consumers).unwrap();
    let (one, two) = (file("merged.json"), file("kong.yml"));
    let consumers = file("consumers.yml");
    let documents = [
        (vec!["--config", &one], 200),
        (vec!["--config", &two, "--consumers", &consumers], 503),
    ];

    let base64 = |part: Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part.to_string())
    };
    let head = base64(json!({"alg": "EdDSA", "kid": kid}));
    let token = format!(
        "Authorization: Bearer {head}.{}.AAAA\r\n",
        base64(json!({}))
    );

    for (args, openapi) in documents {
        let mut running = Running::start(folder.path(), &args);
        let (status, document) = get(&running.address, "/openapi.json", "");
        assert_eq!(status, openapi, "{args:?}");
        assert_eq!(document["openapi"].is_string(), openapi == 200, "{args:?}");
        // The key is known, the signature is not by it.
        let (status, refusal) = get(&running.address, "/users/1", &token);
        assert_eq!(
            (status, &refusal["message"]),
            (401, &json!("Invalid signature"))
        );
        // No cluster, no upstream.
        let (status, refusal) = get(&running.address, "/products", "");
        let unresolved = json!("name resolution failed");
        assert_eq!((status, &refusal["message"]), (503, &unresolved));

        let (status, ready) = get(&running.status, "/status/ready", "");
        assert_eq!((status, ready), (200, json!({"message": "ready"})));
        let (_, counts) = get(&running.status, "/status", "");
        assert_eq!(counts["server"]["total_requests"], 3);
        assert_eq!(get(&running.status, "/metrics", "").0, 200);
        assert_eq!(get(&running.status, "/", "").0, 404);

        let pid = rustix::process::Pid::from_child(&running.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(running.child.wait().unwrap().success());
        assert!(TcpStream::connect(&running.address).is_err());
    }
}

#[test]
fn what_the_gateway_cannot_serve_is_named() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = |name: &str| path(name).display().to_string();
    fs::write(path("bad.yml"), "_format_version: \"3.0\"\nroutes: []\n").unwrap();
    fs::write(path("good.yml"), "_format_version: \"3.0\"\n").unwrap();
    let (bad, good, none) = (file("bad.yml"), file("good.yml"), file("none.yml"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for (args, expected) in [
        (vec!["--config", &none], "none.yml:0:0: cannot be read"),
        (vec!["--config", &bad], "bad.yml:2:1: routes: unknown field"),
        (vec!["--config", &good, "--consumers", &none], "--consumers"),
        (
            vec!["--config", &good, "--trusted-addresses", "10.0.0.0/8,b"],
            "\"b\" is no address and no network",
        ),
        (
            vec![
                "--config",
                &good,
                "--address",
                "127.0.0.1",
                "--port",
                &taken,
            ],
            "--port chooses another port",
        ),
    ] {
        let output = zerocart(folder.path()).arg("gateway").args(&args).output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{args:?}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}
