//! `zerocart-bench resilience`, for a few seconds: the states of the breaker, and what is conserved.

use std::{fs, process::Command};

use serde_json::Value;

use super::engine::{Data, binaries};

/// The provider is down until the breaker has opened; later the processes of create-order are killed.
const FAULTS: &str = r#"
[[fault]]
name = "the payment provider is down"
kind = "payment"
at_s = 1
for_s = 5
failure_rate = 1.0
failures = ["TEMPORARILY_UNAVAILABLE"]
opens = "process-payment"

[[fault]]
name = "create-order is killed"
kind = "kill"
at_s = 9
functions = ["create-order"]
"#;

#[test]
fn a_report_shows_the_breaker_and_that_nothing_is_lost() {
    let data = Data::new();
    let (faults, reports) = (data.file("faults.toml"), data.file("reports"));
    fs::write(&faults, FAULTS).unwrap();
    let output = Command::new(binaries().join("zerocart-bench"))
        .args(["resilience", "--no-build", "--check", "--seed", "1"])
        .args(["--seconds", "13", "--rate", "10", "--pause-ms", "100"])
        .args(["--breaker-open-ms", "1000", "--products", "5"])
        .arg("--faults")
        .arg(&faults)
        .args(["--write", "--out"])
        .arg(&reports)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{failed}");

    let report = fs::read(reports.join("resilience.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let changes = report["changes"].as_array().unwrap().iter();
    let states: Vec<_> = changes
        .filter(|change| change["breaker"] == "process-payment")
        .map(|change| {
            (
                change["state"].as_str().unwrap(),
                change["failures"].as_i64(),
            )
        })
        .collect();
    let opened = states
        .iter()
        .position(|(state, _)| *state == "open")
        .unwrap();
    assert_eq!(states[opened].1, Some(3), "{states:?}");
    assert_eq!(states[opened + 1].0, "half_open", "{states:?}");
    assert_eq!(states.last(), Some(&("closed", Some(0))), "{states:?}");
    let cycle = &report["cycles"][0];
    assert_eq!(
        (&cycle["failures"], &cycle["successes"]),
        (&3.into(), &2.into()),
        "{cycle}"
    );

    let conserved = &report["conserved"];
    let paid = conserved["orders"]["PAID"].as_i64().unwrap();
    assert!(paid > 0, "{conserved}");
    assert_eq!(conserved["charges"][0], paid, "{conserved}");
    assert_eq!(
        conserved["charges"][1], conserved["revenue_cents"],
        "{conserved}"
    );
    assert_eq!(
        conserved["wrong"].as_array().map(Vec::len),
        Some(0),
        "{conserved}"
    );
    let page = fs::read_to_string(reports.join("resilience.md")).unwrap();
    assert!(page.contains("**PASS"), "{page}");
}
