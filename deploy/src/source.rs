//! Rust code that is made from `proto/`: the `main` of each binary and its entry in the domain's manifest, the
//! list of each domain's functions, and the registry of all of them.

use std::collections::BTreeMap;

use crate::{Output, Unit, budget::Connections, text::head};

/// `src/bin/<name>.rs` of each function and job, and of each domain a region `functions` in its `lib.rs` and a
/// region `programs` in its manifest.
pub fn render(units: &[Unit]) -> Vec<Output> {
    let mut outputs: Vec<_> = units.iter().map(main).collect();
    let mut domains: BTreeMap<&str, Vec<&Unit>> = BTreeMap::new();
    for unit in units {
        domains.entry(unit.domain).or_default().push(unit);
    }
    outputs.extend(domains.into_iter().flat_map(|(domain, units)| {
        let folder = format!("functions/{domain}");
        [
            Output::region(format!("{folder}/src/lib.rs"), "functions", list(&units)),
            Output::region(format!("{folder}/Cargo.toml"), "programs", programs(&units)),
        ]
    }));
    outputs.extend(registry(units));
    outputs
}

/// Regions `domains` of the registry's manifest and source, and `connections` of its source.
fn registry(units: &[Unit]) -> [Output; 3] {
    let mut domains = Vec::new();
    for unit in units {
        if !domains.contains(&unit.domain) {
            domains.push(unit.domain);
        }
    }
    let dependencies = domains
        .iter()
        .map(|domain| format!("zerocart-{domain}.workspace = true\n"));
    let entries = domains.iter().map(|domain| {
        format!(
            "    Domain {{ name: \"{domain}\", functions: zerocart_{domain}::FUNCTIONS, \
             jobs: zerocart_{domain}::JOBS }},\n"
        )
    });
    let list = format!(
        "/// Every domain, in the order of `proto/`.\n#[rustfmt::skip]\npub static DOMAINS: &[Domain] = &[\n{}];\n",
        entries.collect::<String>()
    );
    [
        Output::region(
            "registry/Cargo.toml",
            "domains",
            dependencies.collect::<String>(),
        ),
        Output::region("registry/src/lib.rs", "domains", list),
        Output::region(
            "registry/src/lib.rs",
            "connections",
            format!(
                "/// The most database connections of all functions and jobs together.\n\
                 pub const CONNECTIONS: u32 = {};\n",
                Connections::of(units).sessions()
            ),
        ),
    ]
}

fn main(unit: &Unit) -> Output {
    let head = head("//", "proto/");
    let (name, domain, type_name) = (unit.name, unit.domain, unit.type_name());
    let (what, run) = match unit.rpc {
        Some(_) => ("function", "run"),
        None => ("job", "run_job"),
    };
    let text = format!(
        "{head}//! The {what} `{name}`.\n\nfn main() -> std::process::ExitCode {{\n    \
         zerocart_main::{run}::<zerocart_{domain}::{type_name}>()\n}}\n"
    );
    Output::file(format!("functions/{domain}/src/bin/{name}.rs"), text)
}

/// A program has no tests of its own, and cargo would build it a second time to find none.
fn programs(units: &[&Unit]) -> String {
    let program = |unit: &&Unit| {
        let name = unit.name;
        format!("[[bin]]\nname = \"{name}\"\npath = \"src/bin/{name}.rs\"\ntest = false\n\n")
    };
    let programs = units.iter().map(program);
    let head = "# Without tests: those of a function are in the library.\n";
    std::iter::once(head.to_owned()).chain(programs).collect()
}

fn list(units: &[&Unit]) -> String {
    let mut modules: Vec<_> = units
        .iter()
        .map(|unit| format!("mod {};\n", unit.module()))
        .collect();
    modules.sort();
    let mut exports: Vec<_> = units
        .iter()
        .map(|unit| format!("pub use {}::{};\n", unit.module(), unit.type_name()))
        .collect();
    exports.sort();
    let list = |jobs: bool, constant: &str, what: &str, entry: &str| {
        let units = units.iter().filter(|unit| unit.rpc.is_none() == jobs);
        let entries = units.map(|unit| format!("    {entry}::of::<{}>(),\n", unit.type_name()));
        let entries: String = entries.collect();
        // A list is as long as it is, also where rustfmt would put it into one line. It is a static, so that its
        // crate holds the code of the functions. Of a constant, each crate that names it would compile that code.
        // Unit tests of the crate do not need it.
        format!(
            "\n/// The {what} of this domain.\n#[cfg(not(test))]\n#[rustfmt::skip]\n\
             pub static {constant}: &[{entry}] = &[\n{entries}];\n"
        )
    };
    [
        modules.concat(),
        "\n".to_owned(),
        exports.concat(),
        list(false, "FUNCTIONS", "functions", "zerocart_runtime::Entry"),
        list(true, "JOBS", "jobs", "zerocart_runtime::JobEntry"),
    ]
    .concat()
}
