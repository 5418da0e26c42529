//! `zerocart images`: an OCI image of each program, in one archive, without Docker.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args as ClapArgs;
use serde_json::json;
use zerocart_images::{Architecture, COMMAND, Error, Image, Loader, Program, Programs, Repository};

use crate::{
    compile::{DEPLOYED, ForNodes},
    console, domains,
    exit::Exit,
    layout::Project,
};

/// `zerocart images`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The processor of the nodes: amd64 or arm64 [default: this machine's]
    #[arg(long)]
    architecture: Option<Architecture>,
    /// Cargo's profile: release takes less time to build, and its programs are larger and slower
    #[arg(long, value_name = "NAME", default_value = DEPLOYED)]
    profile: String,
    /// Take the programs as they were built before
    #[arg(long)]
    no_build: bool,
    /// Take the programs of this folder, and build nothing
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// The archive [default: target/images/zerocart-ARCHITECTURE.tar in the project]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What the images' names begin with, in the archive and where they are loaded
    #[arg(long, default_value_t = Repository::local())]
    repository: Repository,
    /// Load the images: kind=NAME, ctr, minikube=PROFILE, k3d=NAME, docker or podman
    #[arg(long, value_name = "PLACE")]
    load: Option<Loader>,
    /// Push the images to a registry, under names that begin so: ghcr.io/ada/zerocart
    #[arg(long, value_name = "REPOSITORY")]
    push: Option<Repository>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let architecture = args.architecture.or_else(Architecture::of_machine);
    let architecture = architecture.context("name the processor of the nodes: --architecture")?;
    let folder = match args.binaries {
        Some(folder) => folder,
        None => {
            let (project, nodes) = (Project::find()?, ForNodes::new(architecture, &args.profile));
            if !args.no_build {
                nodes.build(&project).await?;
            }
            nodes.folder(&project).await?
        }
    };
    let output = match args.output {
        Some(output) => output,
        None => {
            let file = format!("target/images/zerocart-{architecture}.tar");
            Project::find()?.root().join(file)
        }
    };
    let images = build(folder, architecture).await?;
    let repository = &args.repository;
    zerocart_images::write_archive(&images, repository, &output).map_err(explained)?;
    if args.json {
        console::say(report(&images, repository, &output)?);
    } else {
        table(&images, repository);
        console::say(format_args!("{}", output.display()));
    }
    let pushed = args
        .push
        .iter()
        .map(|repository| (Loader::Registry, repository));
    let loaded = args.load.map(|place| (place, repository));
    let programs = Programs::of_machine();
    for (place, repository) in loaded.into_iter().chain(pushed) {
        let report = |what: &str| {
            if !args.json {
                console::doing(what);
            }
        };
        let done = place.load(&images, repository, &programs, report).await;
        let done = done.map_err(explained)?;
        if !args.json {
            let where_ = match place {
                Loader::Registry => repository.to_string(),
                place => place.to_string(),
            };
            let (new, present) = (done.new, done.present);
            console::say(format_args!("{where_}: {new} new, {present} were there"));
        }
    }
    Ok(())
}

/// The images of everything that runs in a cluster, and of the command itself.
pub(crate) async fn build(folder: PathBuf, architecture: Architecture) -> Result<Vec<Image>> {
    let names = domains::programs().chain([COMMAND]);
    let programs: Vec<_> = names
        .map(|name| Program {
            name: name.to_owned(),
            path: folder.join(name),
        })
        .collect();
    let build = move || zerocart_images::build(&programs, architecture, env!("CARGO_PKG_VERSION"));
    tokio::task::spawn_blocking(build).await?.map_err(explained)
}

/// An error with its cause and its cure.
fn explained(error: Error) -> anyhow::Error {
    let cure = error.cure();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    let mut message = format!("{error}{}", cause.unwrap_or_default());
    if let Some(cure) = cure {
        message.push_str(&format!("\n  cure: {cure}"));
    }
    match error {
        Error::Missing { .. } => Exit::new(Exit::NO_INPUT, message).into(),
        _ => anyhow!(message),
    }
}

fn table(images: &[Image], repository: &Repository) {
    console::say(format_args!("{:<20} {:<12} {:>9}", "image", "tag", "layer"));
    for image in images {
        let megabytes = image.size_bytes() as f64 / 1e6;
        let (name, tag) = (image.name(), image.tag());
        console::say(format_args!("{name:<20} {tag:<12} {megabytes:>6.2} MB"));
    }
    let megabytes = images.iter().map(Image::size_bytes).sum::<u64>() as f64 / 1e6;
    let count = format!("{} images", images.len());
    let repository = repository.to_string();
    console::say(format_args!(
        "{count:<20} {repository:<12} {megabytes:>6.2} MB"
    ));
}

fn report(images: &[Image], repository: &Repository, archive: &std::path::Path) -> Result<String> {
    let images = images.iter().map(|image| {
        json!({
            "name": image.name(),
            "reference": image.reference(repository),
            "tag": image.tag(),
            "digest": image.digest(),
            "architecture": image.architecture().name(),
            "layer_bytes": image.size_bytes(),
        })
    });
    let images: Vec<_> = images.collect();
    let report = json!({ "archive": archive, "images": images });
    Ok(serde_json::to_string(&report)?)
}
