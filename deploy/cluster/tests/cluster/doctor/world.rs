//! A machine and a cluster that the doctor finds good.

use std::{fs, io, net::TcpListener, path::Path};

use serde_json::json;
use tempfile::TempDir;
use zerocart_cluster::{Machine, Target, doctor::Asked, kind::Cluster};

use crate::recorded::Recorded;

/// A machine and a cluster on which everything is as it should be.
pub(super) struct World {
    pub(super) recorded: Recorded,
    pub(super) root: TempDir,
    pub(super) machine: Machine,
    pub(super) asked: Asked,
    // A port that a case holds.
    pub(super) held: Option<TcpListener>,
}

pub(super) const PROD: &str = "--context prod";

pub(super) fn plenty(_: &Path) -> io::Result<u64> {
    Ok(64 << 30)
}

pub(super) fn node(architecture: &str, cpu: &str, ready: &str) -> serde_json::Value {
    json!({
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu},
            "nodeInfo": {"architecture": architecture},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    })
}

pub(super) fn versions(client: &str, server: &str) -> String {
    json!({"clientVersion": {"gitVersion": client}, "serverVersion": {"gitVersion": server}})
        .to_string()
}

pub(super) fn docker(changed: &serde_json::Value) -> String {
    let mut info = json!({
        "ServerVersion": "28.2.2",
        "MemTotal": 8_u64 << 30,
        "NCPU": 4,
        "CgroupVersion": "2",
        "DockerRootDir": "/",
    });
    for (name, value) in changed.as_object().unwrap() {
        info[name] = value.clone();
    }
    info.to_string()
}

impl World {
    pub(super) fn new(target: Target) -> Self {
        let recorded = Recorded::new();
        let root = tempfile::tempdir().unwrap();
        let machine = Machine {
            programs: recorded.programs(),
            root: root.path().to_owned(),
            os: "linux".to_owned(),
            free_bytes: plenty,
        };
        let world = Self {
            recorded,
            root,
            machine,
            asked: Asked {
                target,
                kubeconfig: None,
                kong: true,
                own_database: true,
                observability: false,
                consul: false,
                consul_volume: false,
            },
            held: None,
        };
        world.file("proc/version", "Linux version 6.12 (Debian)");
        world.file(
            "proc/meminfo",
            "MemTotal: 9 kB\nMemAvailable:  8388608 kB\n",
        );
        world.file("proc/sys/fs/inotify/max_user_instances", "512\n");
        world.file("proc/sys/fs/inotify/max_user_watches", "524288\n");
        world.file("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        let recorded = &world.recorded;
        recorded.answer("docker", "info", &docker(&json!({})));
        recorded.answer("kind", "version", "kind v0.32.0 go1.26.8 linux/amd64");
        recorded.answer("kind", "get clusters", "");
        recorded.answer("helm", "version --short", "v3.14.0+g3fc9f4b");
        recorded.answer(
            "kubectl",
            "version --client",
            &versions("v1.36.2", "v0.0.0"),
        );
        recorded.answer("kubectl", "config get-contexts", "prod\nkind-zerocart\n");
        for context in [PROD, "--context kind-zerocart"] {
            let answer = |words: &str, out: &str| {
                recorded.answer("kubectl", &format!("{context} {words}"), out);
            };
            answer("version", &versions("v1.36.2", "v1.36.1"));
            answer("auth can-i", "yes");
            answer("get namespace knative-serving", "");
            let nodes = json!({"items": [node("amd64", "4", "True")]});
            answer("get nodes", &nodes.to_string());
            answer("get pods --all-namespaces", "100m 0.25 300m ");
            let class = json!({"items": [{"metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            }}]});
            answer("get storageclasses", &class.to_string());
        }
        world
    }

    pub(super) fn file(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn prod(&self, words: &str, out: &str) {
        self.recorded
            .answer("kubectl", &format!("{PROD} {words}"), out);
    }

    pub(super) fn nodes(&self, nodes: &[serde_json::Value]) {
        self.prod("get nodes", &json!({"items": nodes}).to_string());
    }
}

/// The kernel chooses a port for port 0, so it is always free.
pub(super) fn new_kind() -> Target {
    Target::Kind(Cluster {
        http_port: 0,
        https_port: 0,
        ..Cluster::default()
    })
}

pub(super) fn prod() -> Target {
    Target::Context("prod".to_owned())
}
