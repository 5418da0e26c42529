//! This machine, where a kind cluster runs on it.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use super::{Asked, Finding};
use crate::{Machine, Problem, Result, engine::Info, machine::System};

const GIB: u64 = 1 << 30;

/// Kubernetes, Knative, Kourier, PostgreSQL and the edge take 2 GiB at rest.
const MEMORY: u64 = 4 * GIB;

/// What `--with observability` takes beside it.
const OBSERVABILITY: u64 = GIB / 2;

/// What `--with consul` takes beside it: a server, the injector, the gateway, and sidecars while orders run.
const CONSUL: u64 = GIB;

/// The images of the node, of Knative and of PostgreSQL, unpacked, and data.
const DISK: u64 = 10 * GIB;

/// Kubernetes' own parts ask for nearly one.
const CPUS: u64 = 2;

/// The limits of inotify that kind's known issues name.
const INOTIFY: &[(&str, u64)] = &[("max_user_instances", 512), ("max_user_watches", 524_288)];

/// The machine's file that settles whether it has cgroup v2.
const CGROUP_V2: &str = "sys/fs/cgroup/cgroup.controllers";

pub(super) fn engine(found: &Result<Info, Problem>) -> Finding {
    match found {
        Ok(info) => Finding::good(
            "engine",
            format!(
                "{} {}, {} CPUs, {}",
                info.engine.program(),
                info.version,
                info.cpus,
                gib(info.memory)
            ),
        ),
        Err(problem) => Finding::failed("engine", problem),
    }
}

pub(super) fn limits(machine: &Machine, engine: Option<&Info>, asked: &Asked) -> Vec<Finding> {
    let of = |asked: bool, memory: u64| if asked { memory } else { 0 };
    let needed = MEMORY + of(asked.observability, OBSERVABILITY) + of(asked.consul, CONSUL);
    let mut findings = Vec::new();
    findings.extend(cgroup(machine, engine));
    if machine.system() != System::Mac {
        let limits = INOTIFY
            .iter()
            .filter_map(|(name, least)| inotify(machine, name, *least));
        findings.extend(limits);
    }
    findings.extend(memory(machine, engine, needed));
    findings.extend(disk(machine, engine));
    findings.extend(engine.map(cpus));
    findings
}

fn cgroup(machine: &Machine, engine: Option<&Info>) -> Option<Finding> {
    let name = "cgroup";
    let mac = machine.system() == System::Mac;
    let version = match engine.and_then(|info| info.cgroup) {
        Some(version) => version,
        None if mac => return None,
        None if machine.root.join(CGROUP_V2).exists() => 2,
        None => 1,
    };
    if version >= 2 {
        return Some(Finding::good(name, format!("v{version}")));
    }
    let cure = match machine.system() {
        System::Linux => {
            "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line \
             (GRUB_CMDLINE_LINUX in /etc/default/grub, then `sudo update-grub`), and start the \
             machine again"
        }
        System::Wsl => {
            "write into %UserProfile%\\.wslconfig on Windows:\n\
             [wsl2]\n\
             kernelCommandLine = cgroup_no_v1=all\n\
             then run there: wsl --shutdown"
        }
        System::Mac => "update Docker Desktop (or podman's machine): its Linux is too old",
    };
    let found = format!("v{version}, and Kubernetes refuses to start without v2 (from 1.35 on)");
    Some(Finding::bad(name, found, cure))
}

fn inotify(machine: &Machine, name: &str, least: u64) -> Option<Finding> {
    let text = machine.read(&format!("proc/sys/fs/inotify/{name}"))?;
    let limit: u64 = text.trim().parse().ok()?;
    let found = format!("fs.inotify.{name} is {limit}");
    Some(match limit >= least {
        true => Finding::good("inotify", found),
        // One node often works with less.
        false => Finding::warning(
            "inotify",
            format!("{found}: pods may fail with \"too many open files\""),
            format!(
                "sudo sysctl -w fs.inotify.{name}={least}\n\
                 to keep it: echo fs.inotify.{name}={least} | \
                 sudo tee -a /etc/sysctl.d/99-kind.conf"
            ),
        ),
    })
}

fn memory(machine: &Machine, engine: Option<&Info>, needed: u64) -> Option<Finding> {
    let name = "memory";
    if machine.system() == System::Mac {
        let total = engine?.memory;
        let found = format!("{} for all containers", gib(total));
        return Some(match total >= needed {
            true => Finding::good(name, found),
            false => Finding::warning(
                name,
                format!("{found}; a deployment needs {}", gib(needed)),
                "give Docker more: Settings, Resources, Memory (podman: `podman machine stop`, \
                 `podman machine set --memory 8192`, `podman machine start`)",
            ),
        });
    }
    let text = machine.read("proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    let free = kib.saturating_mul(1024);
    let found = format!("{} free", gib(free));
    Some(match free >= needed {
        true => Finding::good(name, found),
        false => Finding::warning(
            name,
            format!("{found}; a deployment needs {}", gib(needed)),
            match machine.system() {
                System::Wsl => {
                    "write into %UserProfile%\\.wslconfig on Windows:\n\
                     [wsl2]\n\
                     memory=8GB\n\
                     then run there: wsl --shutdown"
                }
                _ => "end what is not needed: ps aux --sort=-rss | head",
            },
        ),
    })
}

fn disk(machine: &Machine, engine: Option<&Info>) -> Option<Finding> {
    // The folder of an engine in a virtual machine is not on this machine.
    let root = engine.and_then(|info| info.root.as_deref());
    let place = root.filter(|path| path.exists()).unwrap_or(Path::new("/"));
    let free = (machine.free_bytes)(place).ok()?;
    let found = format!("{} free at {}", gib(free), place.display());
    let program = engine.map_or("docker", |info| info.engine.program());
    Some(match free >= DISK {
        true => Finding::good("disk", found),
        false => Finding::warning(
            "disk",
            format!("{found}; a deployment needs {}", gib(DISK)),
            format!("remove what is not used: {program} system prune"),
        ),
    })
}

fn cpus(info: &Info) -> Finding {
    let found = format!("{} CPUs", info.cpus);
    match info.cpus >= CPUS {
        true => Finding::good("cpu", found),
        false => Finding::bad(
            "cpu",
            format!("{found}; a deployment needs {CPUS}"),
            "give containers more CPUs: Docker Desktop's Settings, Resources, or \
             `podman machine set --cpus 4`, or a larger machine",
        ),
    }
}

/// Whether a port is free. Both the loopback address and all addresses are tried: on macOS a port can be
/// taken on one of them and free on the other.
pub(super) fn port(port: u16) -> Finding {
    let name = "port";
    let taken = |address: Ipv4Addr| {
        let error = TcpListener::bind((address, port)).map(drop).err();
        // Without the right to a low port nothing is known; the engine may have it.
        error.filter(|error: &io::Error| error.kind() == ErrorKind::AddrInUse)
    };
    let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED];
    match addresses
        .into_iter()
        .any(|address| taken(address).is_some())
    {
        false => Finding::good(name, format!("{port} is free")),
        true => Finding::bad(
            name,
            format!("{port} is taken"),
            format!(
                "choose others with --port and --https-port, or end the program that has it: \
                 lsof -nP -iTCP:{port} -sTCP:LISTEN"
            ),
        ),
    }
}

fn gib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / GIB;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}
