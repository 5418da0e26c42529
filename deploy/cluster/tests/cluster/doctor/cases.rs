//! What can be wrong, one by one.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
};

use serde_json::json;
use zerocart_cluster::{Target, doctor::Level, kind::Cluster};

use super::world::{World, docker, new_kind, node, prod, versions};

pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) target: fn() -> Target,
    pub(super) provoke: fn(&mut World),
    pub(super) name: &'static str,
    pub(super) level: Level,
    pub(super) found: &'static str,
    pub(super) cure: &'static str,
}

fn case(what: &'static str, target: fn() -> Target, provoke: fn(&mut World)) -> Case {
    Case {
        what,
        target,
        provoke,
        name: "",
        level: Level::Bad,
        found: "",
        cure: "",
    }
}

impl Case {
    fn bad(self, name: &'static str, found: &'static str, cure: &'static str) -> Self {
        Self {
            name,
            found,
            cure,
            ..self
        }
    }

    fn warning(self, name: &'static str, found: &'static str, cure: &'static str) -> Self {
        Self {
            level: Level::Warning,
            ..self.bad(name, found, cure)
        }
    }
}

pub(super) fn of_the_machine() -> Vec<Case> {
    vec![
        case("no engine", new_kind, |world| {
            world.recorded.remove("docker")
        })
        .bad(
            "engine",
            "no container engine is installed",
            "https://docs.docker.com/engine/install",
        ),
        case("a daemon that does not run", new_kind, |world| {
            let told = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.";
            world.recorded.refuse("docker", "info", told);
        })
        .bad(
            "engine",
            "Docker does not answer: Cannot",
            "sudo systemctl start docker",
        ),
        case("no right to the daemon", new_kind, |world| {
            let told = "permission denied while trying to connect to the docker API";
            world.recorded.refuse("docker", "info", told);
        })
        .bad(
            "engine",
            "permission denied",
            "sudo usermod -aG docker \"$USER\"",
        ),
        case("Docker Desktop that is closed", new_kind, |world| {
            world.machine.os = "macos".to_owned();
            world.recorded.refuse("docker", "info", "Cannot connect");
        })
        .bad("engine", "Docker does not answer", "open -a Docker"),
        case("podman's machine that is stopped", new_kind, |world| {
            world.machine.os = "macos".to_owned();
            world.recorded.remove("docker");
            world
                .recorded
                .refuse("podman", "info", "Cannot connect to Podman.");
        })
        .bad(
            "engine",
            "podman does not answer: Cannot",
            "podman machine start",
        ),
        case("an engine without sense", new_kind, |world| {
            world.recorded.answer("docker", "info", "hello");
        })
        .bad(
            "engine",
            "Docker does not answer: expected",
            "`docker info`",
        ),
        case("no kind", new_kind, |world| world.recorded.remove("kind")).bad(
            "kind",
            "kind is not installed",
            "install kind: https://",
        ),
        case("an old kind", new_kind, |world| {
            world
                .recorded
                .answer("kind", "version", "kind v0.31.0 go1.25.5 linux/amd64");
        })
        .bad(
            "kind",
            "0.31.0 is older than 0.32.0",
            "https://kind.sigs.k8s.io",
        ),
        case("no kubectl", new_kind, |world| {
            world.recorded.remove("kubectl")
        })
        .bad(
            "kubectl",
            "kubectl is not installed",
            "install kubectl: https://",
        ),
        case(
            "a kubectl that is older than the node to be made",
            new_kind,
            |world| {
                let old = versions("v1.34.9", "v0.0.0");
                world.recorded.answer("kubectl", "version --client", &old);
            },
        )
        .warning(
            "kubectl",
            "1.34.9 is more than one minor version from the server's 1.36.1",
            "install kubectl 1.36",
        ),
        case("no helm", prod, |world| world.recorded.remove("helm")).bad(
            "helm",
            "helm is not installed",
            "install helm: https://",
        ),
        case("an old helm", prod, |world| {
            world.recorded.answer("helm", "version", "v3.13.3+gc8b9489");
        })
        .bad("helm", "3.13.3 is older than 3.14.0", "https://helm.sh"),
        case("cgroup v1", new_kind, |world| {
            let info = docker(&json!({"CgroupVersion": "1"}));
            world.recorded.answer("docker", "info", &info);
        })
        .bad(
            "cgroup",
            "v1, and Kubernetes refuses",
            "systemd.unified_cgroup_hierarchy=1",
        ),
        case("cgroup v1 in Windows", new_kind, |world| {
            world.file(
                "proc/version",
                "Linux version 5.15 (Microsoft@Microsoft.com)",
            );
            let info = docker(&json!({"CgroupVersion": "1"}));
            world.recorded.answer("docker", "info", &info);
        })
        .bad("cgroup", "v1, and Kubernetes refuses", ".wslconfig"),
        case(
            "cgroup v1, where the engine does not tell",
            new_kind,
            |world| {
                let info = docker(&json!({"CgroupVersion": null}));
                world.recorded.answer("docker", "info", &info);
                let file = "sys/fs/cgroup/cgroup.controllers";
                fs::remove_file(world.root.path().join(file)).unwrap();
            },
        )
        .bad("cgroup", "v1", "update-grub"),
        case("few inotify instances", new_kind, |world| {
            world.file("proc/sys/fs/inotify/max_user_instances", "128\n");
        })
        .warning(
            "inotify",
            "fs.inotify.max_user_instances is 128",
            "sudo sysctl -w fs.inotify.max_user_instances=512",
        ),
        case("few inotify watches", new_kind, |world| {
            world.file("proc/sys/fs/inotify/max_user_watches", "8192\n");
        })
        .warning(
            "inotify",
            "max_user_watches is 8192",
            "max_user_watches=524288",
        ),
        case("little memory", new_kind, |world| {
            world.file("proc/meminfo", "MemAvailable: 2097152 kB\n");
        })
        .warning(
            "memory",
            "2.0 GiB free; a deployment needs 4.0 GiB",
            "ps aux",
        ),
        case("little memory in Windows", new_kind, |world| {
            world.file("proc/version", "Linux version 6.6 microsoft-standard-WSL2");
            world.file("proc/meminfo", "MemAvailable: 2097152 kB\n");
        })
        .warning("memory", "2.0 GiB free", "memory=8GB"),
        case("little memory for Docker Desktop", new_kind, |world| {
            world.machine.os = "macos".to_owned();
            let info = docker(&json!({"MemTotal": 2_u64 << 30}));
            world.recorded.answer("docker", "info", &info);
        })
        .warning(
            "memory",
            "2.0 GiB for all containers",
            "Settings, Resources, Memory",
        ),
        case("little disk", new_kind, |world| {
            world.machine.free_bytes = |_| Ok(3 << 30);
        })
        .warning("disk", "3.0 GiB free at /", "docker system prune"),
        case("one CPU", new_kind, |world| {
            world
                .recorded
                .answer("docker", "info", &docker(&json!({"NCPU": 1})));
        })
        .bad("cpu", "1 CPUs; a deployment needs 2", "--cpus 4"),
        case(
            "a port that is taken on the loopback address",
            new_kind,
            |world| {
                take_port(world, Ipv4Addr::LOCALHOST);
            },
        )
        .bad("port", "is taken", "--port"),
        case("a port that is taken on all addresses", new_kind, |world| {
            take_port(world, Ipv4Addr::UNSPECIFIED);
        })
        .bad("port", "is taken", "lsof -nP -iTCP:"),
    ]
}

fn take_port(world: &mut World, address: Ipv4Addr) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    world.asked.target = Target::Kind(Cluster {
        http_port: listener.local_addr().unwrap().port(),
        https_port: 0,
        ..Cluster::default()
    });
    world.held = Some(listener);
}

/// Somebody has installed Knative.
fn serving(world: &World, version: &str, class: &str) {
    let labels = json!({"app.kubernetes.io/version": version});
    let namespace = json!({"metadata": {"labels": labels}});
    world.prod("get namespace knative-serving", &namespace.to_string());
    let network = json!({"data": {"ingress-class": class}});
    world.prod("get configmap config-network", &network.to_string());
}

pub(super) fn of_the_cluster() -> Vec<Case> {
    vec![
        case("another context", prod, |world| {
            world
                .recorded
                .answer("kubectl", "config get-contexts", "stage\ntest\n");
        })
        .bad("context", "no context prod", "choose one of: stage, test"),
        case("no context", prod, |world| {
            world.recorded.answer("kubectl", "config get-contexts", "");
        })
        .bad("context", "no context prod", "leave --context out"),
        case(
            "a kind cluster that the kubeconfig has lost",
            new_kind,
            |world| {
                world.recorded.answer("kind", "get clusters", "zerocart\n");
                world
                    .recorded
                    .answer("kubectl", "config get-contexts", "prod\n");
            },
        )
        .bad(
            "context",
            "no context kind-zerocart",
            "kind export kubeconfig --name zerocart",
        ),
        case("another Consul", prod, |world| {
            world.asked.consul = true;
            let mut node = node("amd64", "4", "True");
            node["status"]["allocatable"]["memory"] = json!("8Gi");
            world.nodes(&[node]);
            let of_others =
                json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "mesh"}}});
            world.prod("get customresourcedefinition", &of_others.to_string());
        })
        .bad(
            "consul",
            "another Consul is installed (helm release mesh)",
            "leave --with consul out",
        ),
        case("too little memory for Consul", prod, |world| {
            world.asked.consul = true;
            let mut node = node("amd64", "4", "True");
            node["status"]["allocatable"]["memory"] = json!("256Mi");
            world.nodes(&[node]);
            world.prod("get customresourcedefinition", "");
        })
        .warning(
            "memory",
            "--with consul asks for 370, so a part of it will wait",
            "leave --with consul out",
        ),
        case("no cluster", prod, |world| {
            let told = "The connection to the server 10.0.0.1:6443 was refused";
            world
                .recorded
                .refuse("kubectl", "--context prod version", told);
        })
        .bad(
            "server",
            "the server does not answer: The connection",
            "kubectl --context prod cluster-info",
        ),
        case("an old server", prod, |world| {
            world.prod("version", &versions("v1.33.1", "v1.33.4-eks-4a5b6c"));
        })
        .bad(
            "server",
            "Kubernetes 1.33.4; Knative 1.23.0 needs 1.34.0",
            "1.34 or later",
        ),
        case("an old kubectl", prod, |world| {
            world.prod("version", &versions("v1.32.4", "v1.36.1"));
        })
        .warning(
            "kubectl",
            "1.32.4 is more than one minor",
            "install kubectl 1.36",
        ),
        case("few rights", prod, |world| {
            world
                .recorded
                .refuse("kubectl", "--context prod auth can-i", "no");
        })
        .warning("rights", "not everything", "cluster-admin"),
        case("a node that is not ready", prod, |world| {
            world.nodes(&[node("amd64", "4", "False")]);
        })
        .bad("nodes", "none of 1 nodes is ready", "describe nodes"),
        case("nodes of two kinds", prod, |world| {
            world.nodes(&[node("amd64", "4", "True"), node("arm64", "4", "True")]);
        })
        .bad("nodes", "2 ready, amd64 and arm64", "one architecture"),
        case("nodes of another kind", prod, |world| {
            world.nodes(&[node("s390x", "4", "True")]);
        })
        .bad("nodes", "1 ready, s390x", "amd64 or of arm64"),
        case("few CPUs", prod, |world| {
            world.nodes(&[node("arm64", "1930m", "True")]);
        })
        .warning(
            "cpu",
            "1.2 of 1.9 CPUs are free; 2.2 are asked for",
            "add CPUs",
        ),
        case("another ingress of Knative", prod, |world| {
            serving(world, "1.23.0", "istio");
        })
        .bad(
            "knative",
            "the ingress class of this cluster is istio",
            "patch configmap config-network",
        ),
        case("an old Knative", prod, |world| {
            serving(world, "1.19.2", "kourier.ingress.networking.knative.dev");
        })
        .warning(
            "knative",
            "Knative 1.19.2 is older than 1.23.0",
            "upgrade it",
        ),
        case("no StorageClass", prod, |world| {
            world.prod("get storageclasses", r#"{"items": []}"#);
        })
        .bad(
            "storage",
            "no StorageClass is the default",
            "--database-url",
        ),
        case("no StorageClass for Consul", prod, |world| {
            world.asked.own_database = false;
            world.asked.consul = true;
            world.asked.consul_volume = true;
            let mut node = node("amd64", "4", "True");
            node["status"]["allocatable"]["memory"] = json!("8Gi");
            world.nodes(&[node]);
            world.prod("get customresourcedefinition", "");
            world.prod("get storageclasses", r#"{"items": []}"#);
        })
        .bad(
            "storage",
            "no StorageClass is the default: Consul gets no volume",
            "--consul-values: server.storageClass",
        ),
    ]
}
