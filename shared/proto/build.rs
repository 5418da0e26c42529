//! Turns `proto/` into Rust: messages, their proto3 JSON, a type per RPC, the field rules.
//!
//! The compiler is protox, in Rust: a build needs no protoc.

#[path = "build/json.rs"]
mod json;
#[path = "build/options.rs"]
mod options;
#[path = "build/rpcs.rs"]
mod rpcs;
#[path = "build/rules.rs"]
mod rules;

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorSet;

/// The domains: the folders of `proto/` that declare services, and their packages.
const DOMAINS: [&str; 6] = ["user", "product", "cart", "order", "payment", "ops"];

/// The packages with messages: those of the domains, and one whose messages several of them use.
const PACKAGES: [&str; 7] = [
    "user", "product", "cart", "order", "payment", "ops", "voids",
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment"
)]
fn main() -> Result<()> {
    let proto = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", proto.display());
    println!("cargo::rerun-if-changed=build");

    // `protox::compile` would drop the extensions that carry our options; the pool keeps them.
    let mut compiler = protox::Compiler::new([&proto])?;
    compiler
        .include_imports(true)
        // The comments, which the OpenAPI document repeats.
        .include_source_info(true)
        .open_files(DOMAINS.map(|domain| format!("{domain}/{domain}.proto")))?;
    let pool: DescriptorPool = compiler.descriptor_pool();
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let full = compiler.file_descriptor_set();
    let ours = FileDescriptorSet {
        file: full
            .file
            .into_iter()
            .filter(|file| PACKAGES.contains(&file.package()))
            .map(|mut file| {
                // Written for people who read `proto/`, not as rustdoc.
                file.source_code_info = None;
                file
            })
            .collect(),
    };
    let mut messages = prost_build::Config::new();
    fs::write(
        out.join("json.rs"),
        json::derive(&pool, &PACKAGES, &mut messages)?,
    )?;
    messages
        .out_dir(&out)
        .compile_fds(ours)
        .context("messages")?;

    fs::write(out.join("rpcs.rs"), rpcs::generate(&pool, &DOMAINS)?)?;
    fs::write(out.join("rules.rs"), rules::generate(&pool, &DOMAINS)?)?;
    Ok(())
}
