//! A description of the machine. A table of times is worth nothing without it.

use std::{fs, process::Command, thread};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// This machine, and the compiler that is on it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) compiler: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = cpuinfo
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split_once(": "))
            .map_or("unknown processor", |(_, model)| model);
        let compiler = Command::new("rustc").arg("--version").output();
        let compiler = compiler
            .ok()
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .unwrap_or_else(|| "rustc unknown".into());
        Self {
            cpu: cpu.to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            compiler: compiler.trim().to_owned(),
        }
    }
}

/// More of this machine, and of how its programs are built, as rows of a table. What the system does not tell is left
/// out.
pub(crate) fn facts() -> Vec<(String, String)> {
    let meminfo = read("/proc/meminfo");
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let memory = total.map(|kib| format!("{:.1} GB", kib * 1024.0 / 1e9));
    let cpuinfo = read("/proc/cpuinfo");
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    // Linux sets it on x86 when a hypervisor says that it is one (cpuid).
    let under = flags.map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    let under = under.map(|under| match under {
        true => "yes (the processor's flag hypervisor)".to_owned(),
        false => "no sign of it".to_owned(),
    });
    let rows = [
        ("memory", memory),
        ("virtual machine", under),
        (
            "build",
            Some(format!("profile {}", crate::binaries::profile())),
        ),
    ];
    let rows = rows.into_iter();
    rows.filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Whether the machine had other work before a measurement: more than a third of a task for each core.
pub(crate) fn was_busy(load: f64, cores: usize) -> bool {
    load > 0.3 * cores as f64
}

/// The processor, its cores, the kernel and the compiler, in one line.
pub(crate) fn describe() -> String {
    let Machine {
        cpu,
        cores,
        kernel,
        compiler,
    } = Machine::this();
    format!("{cpu}, {cores} cores, Linux {kernel}, {compiler}")
}

/// How many tasks have wanted to run in the last minute, this program's among them.
pub(crate) fn load() -> f64 {
    let load = read("/proc/loadavg");
    let minute = load.split(' ').next().and_then(|n| n.parse().ok());
    minute.unwrap_or(f64::NAN)
}
