//! A function as a process: its configuration, its log, its end.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use std::{io::ErrorKind, net::SocketAddr};

use http::Method;
use rustix::process::Signal;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tonic::Code;
use zerocart_proto::{rpc::CreateUser, user::CreateUserRequest};
use zerocart_test_support::{
    clients::{Client, Wire, request},
    functions::{Authority, PATIENCE},
    process::Process,
};

const FUNCTION: &str = env!("CARGO_BIN_EXE_zerocart-test-function");

/// Never in a log.
const PASSWORD: &str = "correct-horse-battery-staple";

fn env(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let more = more.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    Authority::generate()
        .env()
        .into_iter()
        .chain(more)
        .collect()
}

fn sign_up(name: &str) -> CreateUserRequest {
    CreateUserRequest {
        email: "a@b.co".into(),
        name: name.into(),
        password: PASSWORD.into(),
    }
}

fn says(message: &str) -> impl Fn(&Value) -> bool {
    move |line| line["message"] == message
}

/// Starts it on a port that it finds itself, and waits until it listens.
async fn on_a_port(more: &[(&str, &str)]) -> (Process, SocketAddr) {
    let more = [&[("PORT", "0")], more].concat();
    let mut process = Process::start(FUNCTION, env(&more));
    let line = process.log_until(says("listening")).await;
    assert_eq!(line["function"], "create-user");
    assert!(line["startup_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    let address: SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
    (process, ([127, 0, 0, 1], address.port()).into())
}

#[tokio::test]
async fn all_bad_variables_are_named_in_one_line_without_their_values() {
    let secret = "hunter2";
    let bad = [
        ("PORT", "70000hunter2"),
        ("LISTEN", secret),
        ("DRAIN_TIMEOUT_MS", "-5hunter2"),
        ("LOG_LEVEL", secret),
        ("AUTH_USER_KEYS", secret),
        ("MAX_IN_FLIGHT", secret),
        ("CALL_TIMEOUT_MS", secret),
        ("POOL_SIZE", secret),
    ];
    let variables = bad.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let ended = Process::start(FUNCTION, variables).ended().await;
    assert_eq!(ended.status.code(), Some(64), "{ended:?}");
    let log = ended.log();
    assert_eq!(log.len(), 1, "{ended:?}");
    assert_eq!(log[0]["level"], "ERROR");
    assert_eq!(log[0]["message"], "did not start");
    let error = log[0]["error"].as_str().unwrap();
    let problems = error.strip_prefix("bad configuration: ").unwrap();
    let problems: Vec<_> = problems.split("; ").collect();
    // With the one that is missing.
    for (name, _) in bad.into_iter().chain([("AUTH_SERVICE_KEYS", "")]) {
        let named = problems.iter().filter(|problem| problem.starts_with(name));
        assert_eq!(named.count(), 1, "{name} in: {error}");
    }
    assert!(!format!("{ended:?}").contains(secret), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused() {
    for name in ["CALL_TIMEOUT_MS", "MAX_IN_FLIGHT", "DRAIN_TIMEOUT_MS"] {
        let ended = Process::start(FUNCTION, env(&[(name, "0")])).ended().await;
        assert_eq!(ended.status.code(), Some(64), "{name}: {ended:?}");
        let log = ended.log();
        assert!(log[0]["error"].as_str().unwrap().contains(name), "{log:?}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = Process::start(FUNCTION, env(&[("PORT", &port)]))
        .ended()
        .await;
    assert_eq!(ended.status.code(), Some(69), "{ended:?}");
    let log = ended.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0]["error"].as_str().unwrap().contains(&port), "{log:?}");
    assert!(
        log[0]["cause"].as_str().unwrap().contains("in use"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_standard_input_that_is_no_socket_is_said() {
    let listen = [("LISTEN", "stdin")];
    let ended = Process::start(FUNCTION, env(&listen)).ended().await;
    assert_eq!(ended.status.code(), Some(69), "{ended:?}");
    let (read, _write) = std::io::pipe().unwrap();
    let ended = Process::with_stdin(FUNCTION, env(&listen), read.into())
        .ended()
        .await;
    assert_eq!(ended.status.code(), Some(69), "{ended:?}");
}

#[tokio::test]
async fn an_inherited_socket_is_served_and_nobody_waits_for_the_start() {
    let (mut process, address) = Process::listening(FUNCTION, env(&[]));
    // Sent while the process starts.
    let client = Client::new(Wire::Grpc, address);
    let outcome = client.call::<CreateUser>(&sign_up("Ann")).await;
    assert_eq!(outcome.header("x-cold-start"), Some("true"));
    assert_eq!(outcome.ok().user.unwrap().name, "Ann");
    let line = process.log_until(says("answered")).await;
    assert_eq!(line["cold_start"], true);
    process.signal(Signal::TERM);
    let ended = process.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let background = ended.log().into_iter().filter(says("in the background"));
    assert_eq!(background.count(), 1);
}

#[tokio::test]
async fn a_signal_is_a_clean_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let (process, _) = on_a_port(&[]).await;
        process.signal(signal);
        let ended = process.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(ended.log().last().unwrap()["message"], "stopped");
        assert_eq!(ended.stderr, "");
    }
}

#[tokio::test]
async fn a_call_that_runs_is_finished_first() {
    let (mut process, address) = on_a_port(&[]).await;
    let client = Client::new(Wire::Grpc, address);
    let request = sign_up("wait for SIGUSR1");
    let call = tokio::spawn(async move { client.call::<CreateUser>(&request).await });
    process.log_until(says("waiting")).await;
    process.signal(Signal::TERM);
    let refused = async {
        while !matches!(
            TcpStream::connect(address).await,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused
        ) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused)
        .await
        .expect("it stops listening");
    assert!(!call.is_finished());
    process.signal(Signal::USR1);
    call.await.unwrap().ok();
    let ended = process.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_call_that_never_ends_does_not_hold_the_process() {
    let (mut process, address) = on_a_port(&[("DRAIN_TIMEOUT_MS", "20")]).await;
    let client = Client::new(Wire::Http1, address);
    let call = tokio::spawn(async move { client.call::<CreateUser>(&sign_up("hang")).await });
    process.log_until(says("waiting")).await;
    process.signal(Signal::TERM);
    let ended = process.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.log().iter().any(|line| line["level"] == "WARN"));
    // The client was left without an answer.
    assert!(call.await.is_err());
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn every_call_is_one_line_with_its_trace() {
    let (mut process, address) = on_a_port(&[]).await;
    for (name, code, level, message) in [
        ("Ann", "OK", "INFO", "answered"),
        ("", "INVALID_ARGUMENT", "INFO", "refused"),
        ("internal", "INTERNAL", "ERROR", "failed"),
        ("panic", "INTERNAL", "ERROR", "failed"),
        ("Bob", "OK", "INFO", "answered"),
    ] {
        for wire in Wire::ALL {
            let outcome = Client::new(wire, address)
                .header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"))
                .call::<CreateUser>(&sign_up(name))
                .await;
            let line = process.log_until(|line| line.get("code").is_some()).await;
            assert_eq!(line["code"], code, "{name}: {line}");
            assert_eq!(line["level"], level, "{name}: {line}");
            assert_eq!(line["message"], message, "{name}: {line}");
            let protocol = if wire.is_json() { "json" } else { "grpc" };
            assert_eq!(line["protocol"], protocol, "{name}: {line}");
            assert!(line["duration_ms"].is_number(), "{name}: {line}");
            let span = &line["span"];
            assert_eq!(span["function"], "create-user");
            assert_eq!(span["trace_id"], TRACE);
            assert_eq!(span["parent_id"], "00f067aa0ba902b7");
            let traced = outcome.header("traceresponse").unwrap();
            assert_eq!(traced.split('-').nth(2), span["span_id"].as_str());
            // What the client is not told, the log is.
            match name {
                "internal" => assert!(line["cause"].as_str().unwrap().contains("relation")),
                "panic" => assert_eq!(line["cause"], "panicked: as it was told"),
                _ => {}
            }
        }
    }
    process.signal(Signal::TERM);
    let ended = process.ended().await;
    let calls = ended
        .log()
        .into_iter()
        .filter(|line| line.get("code").is_some());
    assert_eq!(calls.count(), 5 * Wire::ALL.len(), "one line each");
}

#[tokio::test]
async fn an_error_keeps_its_trace_at_any_level() {
    let (mut process, address) = Process::listening(FUNCTION, env(&[("LOG_LEVEL", "error")]));
    let client = Client::new(Wire::Http1, address);
    let outcome = client.call::<CreateUser>(&sign_up("internal")).await;
    let line = process.log_until(|_| true).await;
    assert_eq!(line["message"], "failed");
    assert_eq!(
        line["span"]["trace_id"].as_str(),
        outcome.trace_id.as_deref()
    );
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let authority = Authority::generate();
    let variables = authority.env().into_iter();
    let variables = variables.chain([("LOG_LEVEL".to_owned(), "trace".to_owned())]);
    let (process, address) = Process::listening(FUNCTION, variables);
    let token = authority.customer("018f4e9a-7c1b-7def-8000-000000000001");
    let key = "key-3f1c2e";
    for wire in Wire::ALL {
        let client = Client::new(wire, address).header("idempotency-key", key);
        let signed_in = client.clone().bearer(&token);
        for name in ["Ann", "", "internal", "panic"] {
            signed_in.call::<CreateUser>(&sign_up(name)).await;
        }
        let forged = client.header("authorization", &format!("Bearer {PASSWORD}"));
        // Anyone may call it, so it does not read the header.
        let outcome = forged.call::<CreateUser>(&sign_up("Ann")).await;
        assert_eq!(outcome.code, Code::Ok);
        if wire.is_json() {
            let client = Client::new(wire, address);
            for body in [
                format!(r#"{{"password": ["{PASSWORD}"]}}"#),
                format!(r#"{{"password": "{PASSWORD}", "password": "{PASSWORD}"}}"#),
                format!(r#"{{"password": "{PASSWORD}"#),
                format!(r#"{{"password": {PASSWORD}}}"#),
                format!(r#"{{"email": "{PASSWORD}", "password": "{PASSWORD}\u0000"}}"#),
            ] {
                let reply = client
                    .send(request(Method::POST, "/users", body.clone()))
                    .await;
                assert_eq!(reply.status, 400, "{body}");
                assert!(!reply.text().contains(PASSWORD), "{}", reply.text());
            }
        }
    }
    process.signal(Signal::TERM);
    let ended = process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    let answered = ended.log().into_iter().filter(says("answered")).count();
    assert_eq!(answered, 2 * Wire::ALL.len());
    let everything = format!("{}\n{}", ended.stdout.join("\n"), ended.stderr);
    let (_, signature) = token.as_str().rsplit_once('.').unwrap();
    for (what, secret) in [
        ("the password", PASSWORD),
        ("the token", token.as_str()),
        ("the token's signature", signature),
        ("the idempotency key", key),
        ("the e-mail", "a@b.co"),
    ] {
        let line = everything.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{what} is in the log");
    }
}
