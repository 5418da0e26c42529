//! How images get to where they are run.

use std::{collections::HashSet, fmt, path::Path, str::FromStr};

use tempfile::TempDir;

use crate::{Error, Image, Programs, Repository, registry::Registry, write_archive};

/// Containerd's namespace of what Kubernetes runs.
const OF_KUBERNETES: &str = "k8s.io";

/// Where images are brought to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loader {
    /// The nodes of a kind cluster.
    Kind {
        /// The name of the cluster.
        cluster: String,
    },
    /// The containerd of this machine.
    Ctr {
        /// The namespace; that of Kubernetes is `k8s.io`.
        namespace: String,
    },
    /// A minikube.
    Minikube {
        /// The name of its profile.
        profile: String,
    },
    /// The nodes of a k3d cluster.
    K3d {
        /// The name of the cluster.
        cluster: String,
    },
    /// The Docker of this machine.
    Docker,
    /// The podman of this machine.
    Podman,
    /// The registry that the repository names.
    Registry,
}

/// What a loader did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The images that it brought.
    pub new: usize,
    /// The images that were there before.
    pub present: usize,
}

impl Loader {
    /// The images that are not there yet. If a place cannot be asked, all images count as missing; k3d is
    /// never asked.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn missing<'a>(
        &self,
        images: &'a [Image],
        repository: &Repository,
        programs: &Programs,
    ) -> Result<Vec<&'a Image>, Error> {
        if *self == Self::Registry {
            return Registry::open(repository).await?.missing(images).await;
        }
        let present = self.present(programs).await.unwrap_or_default();
        let missing = |image: &&Image| !present.contains(&image.reference(repository));
        Ok(images.iter().filter(missing).collect())
    }

    /// Loads the images that are missing. `report` gets a line for each thing that is done.
    ///
    /// # Errors
    ///
    /// When a program is not installed or fails, or the registry refuses an image.
    pub async fn load(
        &self,
        images: &[Image],
        repository: &Repository,
        programs: &Programs,
        report: impl Fn(&str),
    ) -> Result<Loaded, Error> {
        let loaded = |missing: &[&Image]| Loaded {
            new: missing.len(),
            present: images.len() - missing.len(),
        };
        if *self == Self::Registry {
            let registry = Registry::open(repository).await?;
            let missing = registry.missing(images).await?;
            registry.push(&missing, &report).await?;
            return Ok(loaded(&missing));
        }
        let missing = self.missing(images, repository, programs).await?;
        let loaded = loaded(&missing);
        if missing.is_empty() {
            return Ok(loaded);
        }
        let folder = TempDir::new().map_err(|source| Error::Write {
            path: std::env::temp_dir(),
            source,
        })?;
        let archive = folder.path().join("images.tar");
        write_archive(missing, repository, &archive)?;
        report(&format!("{} images into {self}", loaded.new));
        self.load_archive(&archive, programs).await?;
        Ok(loaded)
    }

    /// Brings all images of an archive.
    async fn load_archive(&self, archive: &Path, programs: &Programs) -> Result<(), Error> {
        let file = archive.to_string_lossy();
        let file = file.as_ref();
        let (program, args): (_, &[&str]) = match self {
            Self::Kind { cluster } => (
                "kind",
                &["load", "image-archive", file, "--name", cluster.as_str()],
            ),
            Self::Ctr { namespace } => {
                ("ctr", &["--namespace", namespace, "images", "import", file])
            }
            Self::Minikube { profile } => {
                ("minikube", &["image", "load", file, "--profile", profile])
            }
            Self::K3d { cluster } => ("k3d", &["image", "import", file, "--cluster", cluster]),
            Self::Docker => ("docker", &["load", "--input", file]),
            Self::Podman => ("podman", &["load", "--input", file]),
            Self::Registry => return Ok(()),
        };
        programs.run(program, args).await.map(drop)
    }

    /// The names of the images that are there; on all nodes, if there are several.
    async fn present(&self, programs: &Programs) -> Option<HashSet<String>> {
        let (program, args): (_, &[&str]) = match self {
            Self::Kind { cluster } => return on_nodes(cluster, programs).await,
            Self::Ctr { namespace } => ("ctr", &["--namespace", namespace, "images", "ls", "-q"]),
            Self::Minikube { profile } => ("minikube", &["image", "ls", "--profile", profile]),
            Self::Docker => ("docker", &["image", "ls", "--format", NAME_AND_TAG]),
            Self::Podman => ("podman", &["image", "ls", "--format", NAME_AND_TAG]),
            Self::K3d { .. } | Self::Registry => return None,
        };
        names(&programs.run(program, args).await.ok()?)
    }
}

/// What `docker image ls` shall print.
const NAME_AND_TAG: &str = "{{.Repository}}:{{.Tag}}";

fn names(lines: &str) -> Option<HashSet<String>> {
    Some(lines.lines().map(|line| line.trim().to_owned()).collect())
}

/// Asks the containerd in each node, which is a container of Docker or podman.
async fn on_nodes(cluster: &str, programs: &Programs) -> Option<HashSet<String>> {
    let nodes = programs
        .run("kind", &["get", "nodes", "--name", cluster])
        .await
        .ok()?;
    let mut on_all: Option<HashSet<String>> = None;
    for node in nodes.split_whitespace() {
        let ask = [
            "exec",
            node,
            "ctr",
            "--namespace",
            OF_KUBERNETES,
            "images",
            "ls",
            "-q",
        ];
        let mut answer = programs.run("docker", &ask).await;
        if answer.is_err() {
            answer = programs.run("podman", &ask).await;
        }
        let here = names(&answer.ok()?)?;
        on_all = Some(match on_all {
            Some(before) => before.intersection(&here).cloned().collect(),
            None => here,
        });
    }
    on_all
}

impl fmt::Display for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { cluster } => write!(f, "kind={cluster}"),
            Self::Ctr { namespace } => write!(f, "ctr={namespace}"),
            Self::Minikube { profile } => write!(f, "minikube={profile}"),
            Self::K3d { cluster } => write!(f, "k3d={cluster}"),
            Self::Docker => f.write_str("docker"),
            Self::Podman => f.write_str("podman"),
            Self::Registry => f.write_str("registry"),
        }
    }
}

impl FromStr for Loader {
    type Err = Error;

    /// `kind=NAME`, `ctr` or `ctr=NAMESPACE`, `minikube=PROFILE`, `k3d=NAME`, `docker`, `podman`.
    fn from_str(given: &str) -> Result<Self, Error> {
        let (place, name) = match given.split_once('=') {
            Some((place, name)) => (place, Some(name)),
            None => (given, None),
        };
        let wrong = |reason: &str| Error::Loader {
            given: given.into(),
            reason: reason.into(),
        };
        match (place, name) {
            // An option of a program would begin so.
            (_, Some(name)) if name.is_empty() || name.starts_with('-') => {
                Err(wrong("the name after `=` is missing or begins with `-`"))
            }
            ("kind", Some(name)) => Ok(Self::Kind {
                cluster: name.into(),
            }),
            ("ctr", name) => Ok(Self::Ctr {
                namespace: name.unwrap_or(OF_KUBERNETES).into(),
            }),
            ("minikube", Some(name)) => Ok(Self::Minikube {
                profile: name.into(),
            }),
            ("k3d", Some(name)) => Ok(Self::K3d {
                cluster: name.into(),
            }),
            ("docker", None) => Ok(Self::Docker),
            ("podman", None) => Ok(Self::Podman),
            ("kind" | "k3d", None) => Err(wrong("name the cluster, as in kind=zerocart")),
            ("minikube", None) => Err(wrong("name the profile, as in minikube=minikube")),
            ("docker" | "podman", Some(_)) => Err(wrong("it takes no name")),
            _ => Err(wrong(
                "use kind=NAME, ctr, minikube=PROFILE, k3d=NAME, docker or podman",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_and_read_alike() {
        for text in [
            "kind=zerocart",
            "ctr=k8s.io",
            "minikube=m",
            "k3d=k",
            "docker",
            "podman",
        ] {
            assert_eq!(text.parse::<Loader>().unwrap().to_string(), text);
        }
        assert_eq!("ctr".parse::<Loader>().unwrap().to_string(), "ctr=k8s.io");
        for (text, why) in [
            ("kind", "name the cluster"),
            ("minikube", "name the profile"),
            ("kind=", "is missing"),
            ("kind=--help", "begins with `-`"),
            ("docker=x", "takes no name"),
            ("registry", "use kind=NAME"),
        ] {
            let error = text.parse::<Loader>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
