//! The images of the programs that the tests use.

use std::process::Command;

use serde_json::Value;
use zerocart_tests::{harness::engine::binaries, root};

/// `zerocart images` refuses a program that is no static file or is larger than its limit, so this is where
/// CI sees that one has become either.
#[test]
fn every_program_fits_into_its_image() {
    let folder = tempfile::tempdir().expect("there is room");
    let binaries = binaries();
    let output = Command::new(binaries.join("zerocart"))
        .current_dir(root())
        .args(["images", "--json", "--binaries"])
        .arg(binaries)
        .arg("--output")
        .arg(folder.path().join("images.tar"))
        .output()
        .expect("zerocart starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let images = report["images"].as_array().expect("it has images");
    assert!(
        images.iter().any(|image| image["name"] == "create-order"),
        "{report}"
    );
}
