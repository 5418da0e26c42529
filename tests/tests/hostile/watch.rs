//! What the attack may not change: memory that only grows, and rows.

use std::{collections::BTreeMap, fs};

use zerocart_tests::{
    functions,
    harness::{
        engine::{Engine, connect},
        processes::Process,
    },
};

/// The largest resident sizes so far, by the name of the process, in kB.
#[derive(Debug, Default)]
pub(crate) struct Memory(BTreeMap<String, u64>);

impl Memory {
    /// Looks at the engine and everything that it runs.
    pub(crate) fn look(&mut self, engine: &Engine) {
        for process in engine.processes() {
            let largest = self.0.entry(process.name.clone()).or_default();
            *largest = peak_kb(&process).unwrap_or(0).max(*largest);
        }
    }

    /// That of the processes whose name begins with what the kernel keeps of `name`.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        self.0.get(&name[..name.len().min(15)]).copied()
    }
}

fn peak_kb(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The ports on which instances listen, which a neighbour on the network could reach.
pub(crate) fn instances(engine: &Engine) -> Vec<(String, u16)> {
    let listening = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let mut ports = BTreeMap::new();
    for line in listening.lines().skip(1) {
        // sl local_address rem_address st … inode
        let fields: Vec<_> = line.split_whitespace().collect();
        let port = fields.get(1).and_then(|address| address.split_once(':'));
        let port = port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        if let (Some(port), Some(inode)) = (port, fields.get(9)) {
            ports.insert((*inode).to_owned(), port);
        }
    }
    let names: Vec<_> = functions::all().iter().map(|f| f.name).collect();
    let mut found = Vec::new();
    for process in engine.processes() {
        let Some(name) = names.iter().find(|name| name.starts_with(&process.name)) else {
            continue;
        };
        // A function gets the socket that it listens on as its standard input.
        let Ok(socket) = fs::read_link(format!("/proc/{}/fd/0", process.pid)) else {
            continue;
        };
        let socket = socket.to_string_lossy().into_owned();
        let inode = socket.trim_start_matches("socket:[").trim_end_matches(']');
        if let Some(port) = ports.get(inode) {
            found.push(((*name).to_owned(), *port));
        }
    }
    found
}

/// How many rows each table has, by domain and name.
pub(crate) type Rows = BTreeMap<String, i64>;

/// Tables that count what others do, good or bad: they are bounded, and hold nobody's data.
const COUNTERS: [&str; 2] = ["sign_in_attempts", "circuit_breakers"];

/// The databases, by domain. A function of each domain must be awake.
pub(crate) fn databases(engine: &Engine) -> Vec<(&'static str, String)> {
    let domains = ["user", "product", "cart", "order", "payment"];
    domains
        .map(|domain| (domain, engine.database_url(domain)))
        .into()
}

/// Counts the rows of every table.
pub(crate) async fn rows(databases: &[(&str, String)]) -> Rows {
    let mut rows = Rows::new();
    for (domain, url) in databases {
        let database = connect(url).await;
        let tables = "SELECT table_name::text FROM information_schema.tables \
                      WHERE table_schema = 'public'";
        let tables = database
            .query(tables, &[])
            .await
            .expect("tables are listed");
        for table in tables {
            let table: String = table.get(0);
            if COUNTERS.contains(&table.as_str()) {
                continue;
            }
            let count = format!("SELECT count(*) FROM \"{table}\"");
            let count = database
                .query_one(&count, &[])
                .await
                .expect("it may be read");
            rows.insert(format!("{domain}.{table}"), count.get(0));
        }
    }
    rows
}
