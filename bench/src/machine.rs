//! A description of the machine. A table of times is worth nothing without it.

use std::{fs, process::Command, thread};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The processor, its cores, the kernel and the compiler, in one line.
pub(crate) fn describe() -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "rustc unknown".into());
    let (kernel, compiler) = (kernel.trim(), compiler.trim());
    format!("{model}, {cores} cores, Linux {kernel}, {compiler}")
}

/// How many tasks have wanted to run in the last minute, this program's among them.
pub(crate) fn load() -> f64 {
    let load = read("/proc/loadavg");
    let minute = load.split(' ').next().and_then(|n| n.parse().ok());
    minute.unwrap_or(f64::NAN)
}
