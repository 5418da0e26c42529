//! `zerocart-bench coldstart`, a few rounds of one function: the whole way from the engine to the page.

use std::{fs, process::Command};

use serde_json::Value;

use super::engine::{Data, binaries};

#[test]
fn a_report_says_where_the_time_of_each_cold_start_went() {
    let data = Data::new();
    let reports = data.file("reports");
    let output = Command::new(binaries().join("zerocart-bench"))
        .args(["coldstart", "--no-build", "--seed", "1", "--rounds", "3"])
        .args([
            "--functions",
            "get-product",
            "--parts",
            "single,gateway,burst,chain",
        ])
        .args(["--at-once", "1,2", "--write", "--out"])
        .arg(&reports)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{failed}");

    let file = fs::read(reports.join("coldstart-local.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let results = &file["results"];
    let series = results["series"].as_array().unwrap();
    let found = |part: &str, name: &str| {
        let mut of = series
            .iter()
            .filter(|s| s["part"] == part && s["name"] == name);
        of.next()
            .unwrap_or_else(|| panic!("no {part} of {name}: {told}"))
    };
    for series in series {
        assert!(series["failures"].is_null(), "{series}");
    }
    for (part, name, cuts) in [
        ("single", "empty", 9),
        ("single", "get-product", 9),
        ("gateway", "empty, with the gateway", 11),
        ("gateway", "get-product, with the gateway", 11),
        ("gateway", "get-product, without", 9),
    ] {
        let samples = found(part, name)["samples"].as_array().unwrap();
        assert_eq!(samples.len(), 3, "{name}");
        for sample in samples {
            let phases = sample["phases"].as_array().unwrap();
            assert_eq!(phases.len(), cuts, "{name}: {sample}");
            let ms = sample["ms"].as_f64().unwrap();
            let sum: f64 = phases.iter().map(|phase| phase[1].as_f64().unwrap()).sum();
            assert!(
                (sum - ms).abs() <= 0.05 * ms,
                "{name}: {sum} and {ms}: {sample}"
            );
            assert!(
                sample["wrong_ms"].as_f64().unwrap() <= 0.05 * ms,
                "{name}: {sample}"
            );
            // It was at zero, and nothing else started.
            assert_eq!(sample["started"], 1, "{name}: {sample}");
        }
    }
    assert_eq!(
        found("burst", "2 at once, each")["samples"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        found("chain", "the order alone")["samples"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let page = fs::read_to_string(reports.join("coldstart.md")).unwrap();
    for text in [
        "## The local engine",
        "| get-product | 3 | 0 |",
        "](coldstart-local-phases.svg)",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
}
