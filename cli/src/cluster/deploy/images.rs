//! The images of all programs, built and brought to the nodes.

use std::collections::BTreeMap;

use zerocart_cluster::{Mode, Problem};
use zerocart_images::{Architecture, Loader, Repository};

use super::Deployment;
use crate::{compile::ForNodes, images};

impl Deployment {
    /// Builds the images, and brings those that are missing. Returns the name of each.
    pub(super) async fn images(&self) -> Result<(BTreeMap<String, String>, String), Problem> {
        let architecture = self.architecture().await?;
        let nodes = ForNodes::new(architecture, &self.args.images.profile);
        let unbuilt = |error: anyhow::Error| {
            Problem::new("the programs cannot be built").because(format!("{error:#}"))
        };
        if !self.args.images.no_build && self.kubectl.mode() != Mode::Print {
            self.progress.event("cargo builds the programs");
            nodes.build(&self.project).await.map_err(unbuilt)?;
        }
        let folder = nodes.folder(&self.project).await.map_err(unbuilt)?;
        let images = images::build(folder, architecture).await.map_err(unbuilt)?;
        let options = &self.args.images;
        let repository = options.push.clone().unwrap_or_else(Repository::local);
        let names = images.iter();
        let names = names.map(|image| (image.name().to_owned(), image.reference(&repository)));
        let names: BTreeMap<_, _> = names.collect();
        let loader = match (&options.load, &options.push, self.args.is_kind()) {
            (_, Some(_), _) => Some(Loader::Registry),
            (Some(loader), ..) => Some(loader.clone()),
            (None, None, true) => Some(Loader::Kind {
                cluster: "zerocart".to_owned(),
            }),
            (None, None, false) => {
                return Err(Problem::new("it is not known how images reach the nodes")
                    .cure("--push REPOSITORY for a registry; --load ctr, minikube or k3d=NAME for a local cluster"));
            }
        };
        if self.kubectl.mode() != Mode::Change {
            return Ok((names, format!("{} images", images.len())));
        }
        let Some(loader) = loader else {
            return Ok((names, "loaded by somebody else".to_owned()));
        };
        let programs = zerocart_images::Programs::of_machine();
        let report = |event: &str| self.progress.event(event);
        let loaded = loader.load(&images, &repository, &programs, report).await;
        let loaded = loaded.map_err(refused)?;
        let said = match loaded.new {
            0 => format!("{} images unchanged", loaded.present),
            new => format!("{new} of {} images loaded", images.len()),
        };
        Ok((names, said))
    }

    /// The processors of the nodes.
    async fn architecture(&self) -> Result<Architecture, Problem> {
        let nodes = self.kubectl.list("nodes", "", "").await?;
        let name = nodes
            .first()
            .map(|node| &node["status"]["nodeInfo"]["architecture"]);
        match name.and_then(|name| name.as_str()) {
            Some(name) => name.parse().map_err(refused),
            None => Architecture::of_machine()
                .ok_or_else(|| Problem::new("this machine's processor is neither amd64 nor arm64")),
        }
    }
}

/// A problem with an image, in the words of this command.
fn refused(error: zerocart_images::Error) -> Problem {
    let cure = error.cure();
    let problem = Problem::new("the images cannot be made").because(error);
    match cure {
        Some(cure) => problem.cure(cure),
        None => problem,
    }
}
