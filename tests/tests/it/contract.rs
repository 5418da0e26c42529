//! `proto/` and the published contract.

use std::{fs, io::Write};

use prost_reflect::DescriptorPool;
use zerocart_proto::rpc;
use zerocart_tests::{access, contract::differences, root};

use crate::none;

const FILES: [&str; 5] = [
    "cart.proto",
    "order.proto",
    "payment.proto",
    "product.proto",
    "user.proto",
];

#[test]
fn proto_is_a_superset_of_the_contract() {
    let published = protox::compile(FILES, [root().join("tests/contract")]);
    let published = published.expect("the contract compiles");
    let published = DescriptorPool::from_file_descriptor_set(published);
    let ours = DescriptorPool::decode(zerocart_proto::DESCRIPTORS);
    let (published, ours) = (published.expect("valid"), ours.expect("valid"));
    assert_eq!(published.services().count(), 5);
    none(&differences(&published, &ours));
}

/// So a new RPC fails this until it is decided, and written down, who may call it.
#[test]
fn every_rpc_is_for_those_whom_the_contract_names() {
    let text = fs::read_to_string(root().join("tests/contract/access.md"));
    let rows = access::rows(&text.expect("the table is there"));
    let rows = rows.unwrap_or_else(|error| panic!("{error:#}"));
    none(&access::check(&rows, rpc::ALL));
}

/// The place that the contract is published from lies beside the project where it is developed,
/// not where it is only used.
#[test]
fn the_copy_of_the_contract_is_the_contract() {
    let published = root().join("../shared/contract");
    if !published.is_dir() {
        // Not captured, as the output of a test that passes is.
        let skipped = "skipped: the published contract is not here to compare the copy with";
        let _ = writeln!(std::io::stderr(), "\n{skipped}\n");
        return;
    }
    for file in FILES {
        let copy = fs::read_to_string(root().join("tests/contract").join(file));
        let original = fs::read_to_string(published.join(file));
        assert_eq!(
            copy.expect("a copy"),
            original.expect("an original"),
            "{file}"
        );
    }
    let table = |path| {
        let text = fs::read_to_string(path).expect("a table");
        access::rows(&text).unwrap_or_else(|error| panic!("{error:#}"))
    };
    // The copy has the RPCs, too, that came after the contract.
    let copy = table(root().join("tests/contract/access.md"));
    for row in table(published.join("README.md")) {
        assert!(
            copy.contains(&row),
            "access.md has another line for {row:?}"
        );
    }
    let protos = fs::read_dir(&published)
        .expect("it can be listed")
        .filter(|entry| {
            let entry = entry.as_ref().expect("it can be listed");
            entry.path().extension().is_some_and(|kind| kind == "proto")
        });
    assert_eq!(
        protos.count(),
        FILES.len(),
        "the contract has files that are not copied"
    );
}
