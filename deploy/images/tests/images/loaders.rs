//! Loaders, with programs in the place of kind, ctr and others that only note how they are called.

use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;
use zerocart_images::{Error, Loaded, Loader, Programs, Repository};

use crate::{file, two};

/// Notes its name and arguments. A call that lists images prints `present`; a call that loads notes which
/// images are in the archive. What `fails` names fails.
const PROGRAM: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
here=$(dirname "$0")
words=$(echo "$(basename "$0") $*" | sed "s|[^ ]*images.tar|FILE|")
echo "$words" >>"$here/calls"
for name in $(cat "$here/fails"); do
    case "$words" in "$name"*) echo "out of order" >&2; exit 7 ;; esac
done
case "$words" in
    *"get nodes"*) printf 'zerocart-control-plane\nzerocart-worker\n' ;;
    *worker*) cat "$here/worker" ;;
    *" ls "*) cat "$here/present" ;;
esac
for word; do
    case "$word" in
        *images.tar) tar -xOf "$word" index.json | grep -o 'name":"[^"]*' | sort -u >>"$here/loaded" ;;
    esac
done
"#;

struct Machine(TempDir);

impl Machine {
    fn with(programs: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        for name in programs {
            let path = file(&folder, name);
            fs::write(&path, PROGRAM).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in ["calls", "fails", "present", "worker", "loaded"] {
            fs::write(file(&folder, name), "").unwrap();
        }
        Self(folder)
    }

    fn programs(&self) -> Programs {
        Programs::at(self.0.path())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(file(&self.0, name), text).unwrap();
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(file(&self.0, name)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    async fn load(&self, place: &str) -> Result<Loaded, Error> {
        let place: Loader = place.parse().unwrap();
        let (images, local) = (two(), Repository::local());
        place.load(&images, &local, &self.programs(), |_| ()).await
    }
}

#[tokio::test]
async fn each_place_has_its_program() {
    let on_nodes = |node| format!("docker exec {node} ctr --namespace k8s.io images ls -q");
    let (first, second) = (
        on_nodes("zerocart-control-plane"),
        on_nodes("zerocart-worker"),
    );
    let cases: [(&str, &[&str], &[&str]); 6] = [
        (
            "kind=zerocart",
            &["kind", "docker"],
            &[
                "kind get nodes --name zerocart",
                &first,
                &second,
                "kind load image-archive FILE --name zerocart",
            ],
        ),
        (
            "ctr",
            &["ctr"],
            &[
                "ctr --namespace k8s.io images ls -q",
                "ctr --namespace k8s.io images import FILE",
            ],
        ),
        (
            "minikube=dev",
            &["minikube"],
            &[
                "minikube image ls --profile dev",
                "minikube image load FILE --profile dev",
            ],
        ),
        (
            "k3d=dev",
            &["k3d"],
            &["k3d image import FILE --cluster dev"],
        ),
        (
            "docker",
            &["docker"],
            &[
                "docker image ls --format {{.Repository}}:{{.Tag}}",
                "docker load --input FILE",
            ],
        ),
        (
            "podman",
            &["podman"],
            &[
                "podman image ls --format {{.Repository}}:{{.Tag}}",
                "podman load --input FILE",
            ],
        ),
    ];
    for (place, programs, calls) in cases {
        let machine = Machine::with(programs);
        let loaded = machine.load(place).await.unwrap();
        assert_eq!(loaded, Loaded { new: 2, present: 0 }, "{place}");
        assert_eq!(machine.lines("calls"), calls, "{place}");
        assert_eq!(machine.lines("loaded").len(), 2, "{place}");
    }
}

#[tokio::test]
async fn what_is_there_is_not_loaded_again() {
    let names = two()
        .iter()
        .map(|i| i.reference(&Repository::local()))
        .collect::<Vec<_>>();
    let machine = Machine::with(&["ctr", "kind", "podman"]);
    machine.write("present", &format!("sha256:0\n{}\n", names[0]));
    let loaded = machine.load("ctr").await.unwrap();
    assert_eq!(loaded, Loaded { new: 1, present: 1 });
    assert_eq!(machine.lines("loaded"), [format!("name\":\"{}", names[1])]);

    // On one node of two is not on all. Without Docker, the nodes are podman's.
    machine.write("present", &names.join("\n"));
    machine.write("worker", &names[1]);
    let loaded = machine.load("kind=zerocart").await.unwrap();
    assert_eq!(loaded, Loaded { new: 1, present: 1 });

    machine.write("worker", &names.join("\n"));
    machine.write("calls", "");
    let loaded = machine.load("kind=zerocart").await.unwrap();
    assert_eq!(loaded, Loaded { new: 0, present: 2 });
    assert!(
        !machine
            .lines("calls")
            .iter()
            .any(|call| call.contains("load"))
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_loaded() {
    let machine = Machine::with(&["kind"]);
    let loaded = machine.load("kind=zerocart").await.unwrap();
    assert_eq!(loaded, Loaded { new: 2, present: 0 });
}

#[tokio::test]
async fn a_failure_names_the_program_and_its_words() {
    let machine = Machine::with(&[]);
    for place in ["kind=z", "ctr", "minikube=m", "k3d=k", "docker", "podman"] {
        let error = machine.load(place).await.unwrap_err();
        let name = place.split('=').next().unwrap();
        assert_eq!(error.to_string(), format!("{name} is not installed"));
        assert!(error.cure().unwrap().contains("https://"), "{name}");
    }
    let machine = Machine::with(&["kind"]);
    machine.write("fails", "kind");
    let error = machine.load("kind=zerocart").await.unwrap_err().to_string();
    assert!(error.starts_with("`kind load image-archive "), "{error}");
    assert!(error.ends_with("failed: out of order"), "{error}");
}
