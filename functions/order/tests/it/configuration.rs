//! What the functions and the job are configured with: all that is missing or bad is told at once.

use zerocart_core::{Env, Platform, StartError};
use zerocart_order::{FUNCTIONS, JOBS};
use zerocart_test_support::process::Process;

use crate::{Shop, counts};

/// What every function that drives orders needs, and no default is for.
const DRIVERS: [&str; 3] = [
    "DATABASE_URL",
    "AUTH_SERVICE_SIGNING_KEY",
    "FUNCTION_URL_TEMPLATE",
];

/// Variables that have a default, with a value that is none.
const BAD: [(&str, &str); 5] = [
    ("ORDER_LEASE_MS", "soon"),
    ("ORDER_PAUSE_MS", "0"),
    ("ORDER_RECORD_AFTER_MS", "-1"),
    ("BREAKER_OPEN_MS", "-1"),
    ("FUNCTION_URLS", "nowhere"),
];

#[track_caller]
fn assert_told(text: &str, variables: &[&str]) {
    for variable in variables {
        assert!(text.contains(variable), "{variable}: {text}");
    }
}

fn problems(error: StartError) -> String {
    assert_eq!(error.exit_code(), 64);
    error.to_string()
}

#[tokio::test]
async fn functions_tell_all_that_is_missing() {
    for function in FUNCTIONS {
        let error = (function.build)(Platform::default(), Env::default()).err();
        let told = problems(error.expect("nothing works without a configuration"));
        assert_told(&told, &["AUTH_USER_KEYS", "AUTH_SERVICE_KEYS"]);
        if function.info.calls.is_empty() {
            assert_told(&told, &DRIVERS[..1]);
        } else {
            assert_told(&told, &DRIVERS);
        }
    }
}

#[tokio::test]
async fn functions_tell_all_that_is_bad() {
    for function in FUNCTIONS.iter().filter(|f| !f.info.calls.is_empty()) {
        let error = (function.build)(Platform::default(), Env::from_iter(BAD)).err();
        let told = problems(error.expect("that is no configuration"));
        assert_told(&told, &BAD.map(|(variable, _)| variable));
        assert_told(&told, &DRIVERS[..2]);
        for (_, value) in [BAD[0], BAD[3]] {
            assert!(!told.contains(value), "{told}");
        }
    }
}

#[tokio::test]
async fn a_function_that_nobody_says_the_place_of_is_named() {
    let shop = Shop::new().await;
    let urls = r#"{"get-cart": "http://127.0.0.1:1"}"#;
    for function in FUNCTIONS.iter().filter(|f| !f.info.calls.is_empty()) {
        let env = Env::from_iter(shop.env(&[("FUNCTION_URLS", urls)]));
        let error = (function.build)(Platform::default(), env).err();
        let told = problems(error.expect("it cannot call anybody"));
        assert_told(
            &told,
            &[
                "update-inventory",
                "process-payment",
                "get-payment-status",
                "clear-cart",
            ],
        );
    }
}

#[tokio::test]
async fn the_job_tells_all_that_is_missing_or_bad() {
    let program = env!("CARGO_BIN_EXE_recover-orders");
    for (env, expected) in [
        (Vec::new(), &DRIVERS[..]),
        (BAD.to_vec(), &BAD.map(|(variable, _)| variable)[..]),
    ] {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let env: Vec<_> = env.collect();
        let error = (JOBS[0].run)(Platform::default(), Env::from_iter(env.clone())).await;
        assert_told(&error.unwrap_err().to_string(), expected);
        let ended = Process::start(program, env).ended().await;
        assert_eq!(ended.status.code(), Some(64), "{ended:?}");
        assert_told(&ended.stdout.join("\n"), expected);
    }
}

#[tokio::test]
async fn the_names_of_functions_make_their_addresses() {
    let shop = Shop::new().await;
    let template = [
        ("FUNCTION_URLS", ""),
        (
            "FUNCTION_URL_TEMPLATE",
            "http://{function}.example.localhost:1",
        ),
    ];
    for function in FUNCTIONS {
        let env = Env::from_iter(shop.env(&template));
        (function.build)(Platform::default(), env).unwrap();
    }
    assert_eq!(counts(&shop.recover_with(&template).await), [0, 0, 0]);
}
