//! The table.

use crate::stats::{median, quantile};

use super::Subject;

/// Prints a line for each function, the hello-world first.
pub(super) fn print(hello: &Subject, functions: &[Subject]) {
    println!("| function | zip, MB | init, ms | ÷ hello |");
    println!("|---|--:|--:|--:|");
    row(hello, "hello-world", "1".to_owned());
    for function in functions {
        row(
            function,
            function.name,
            format!("{:.2}", median(&function.ratio)),
        );
    }
}

fn row(subject: &Subject, name: &str, ratio: String) {
    println!(
        "| {name} | {:.1} | {:.1} ({:.1}) | {ratio} |",
        subject.zip_bytes as f64 / 1e6,
        median(&subject.init),
        quantile(&subject.init, 0.9),
    );
}
